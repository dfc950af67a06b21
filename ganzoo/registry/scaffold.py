"""`ganzoo plugins new`: a complete distribution from the templates in `templates/plugin/`. No torch here."""

from __future__ import annotations

import keyword
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import jinja2

from ..contract import INTERFACE, KINDS
from ..errors import UsageError, did_you_mean
from ..version import DISTRIBUTION, __version__
from .registry import registry

_SUMMARIES = {
    "recipe": "Everything together on a toy: see that it works",
    "generator": "Two layers from latents to samples of any shape",
    "discriminator": "Two layers from samples of any shape to a logit",
    "loss": "Hinge loss with a margin to choose",
    "penalty": "Keeps D's logits on real samples near 0",
    "augmentation": "Normal noise on every sample that D sees",
    "dataset": "Points on a spiral in the plane",
    "optimizer": "Steps of a fixed length along the gradient's signs",
    "callback": "Writes each row of metrics as a line of text",
    "features": "Pixels of a small copy of the picture",
    "converter": "Two layers of another program, by the names of its state dict",
    "command": "Prints the number of parameters of a model",
}
_CLASSES = {
    "generator": "Generator",
    "discriminator": "Discriminator",
    "loss": "Loss",
    "penalty": "Penalty",
    "augmentation": "Augmentation",
    "dataset": "Data",
    "optimizer": "Optimizer",
    "callback": "Callback",
    "features": "Features",
    "converter": "Converter",
}
_IMPORTS = {
    "import math": {"dataset"},
    "from collections.abc import Mapping": {"dataset", "callback"},
    "from typing import Any": {"callback", "converter", "optimizer"},
    "import ganzoo": set(_CLASSES) - {"optimizer"},
    "import torch": {"generator", "augmentation", "dataset", "optimizer"},
    "from torch import Tensor, nn": {"generator", "discriminator", "features"},
    "from torch import Tensor": {"loss", "penalty", "augmentation", "dataset"},
    "from torch.nn import Parameter": {"optimizer"},
    "from torch.nn.functional import relu": {"loss"},
}
"""Lines at the top of the module, and the kinds that need them; in the order that linters want."""
_OWN = 3
"""How many of them are of the standard library; they stand in a block of their own."""

_TAKEN = ("command", "torch", "ganzoo", DISTRIBUTION)
"""Names of modules that the plugin's own would hide."""


@dataclass(frozen=True)
class Order:
    """name: of the components, and of the distribution after "ganzoo-".  kinds: what it provides.

    author: for pyproject and licence; None asks git.
    """

    name: str
    kinds: tuple[str, ...] = ("generator",)
    author: str | None = None


def scaffold(order: Order, parent: Path) -> Path:
    """Write the distribution into `parent`/ganzoo-NAME and return that folder.

    Raises `UsageError` for a name or kind that cannot be, and for a folder that is there already.
    """
    name = order.name.removeprefix("ganzoo-")
    _check(name, order.kinds)
    folder = parent / f"ganzoo-{name}"
    if folder.exists():
        raise UsageError(f"{folder} is there already: choose another name or --out")
    facts = _facts(name, tuple(dict.fromkeys(order.kinds)), order.author or _git_user() or f"the authors of {name}")
    files = _files(facts)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ganzoo.registry", "templates/plugin"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    for target, template in files.items():
        path = folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        text = environment.get_template(f"{template}.jinja").render(facts) if template else ""
        path.write_text(text, encoding="utf-8")
    return folder


def _check(name: str, kinds: tuple[str, ...]) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise UsageError(
            f"'{name}' is no name for a plugin: use lower-case letters, digits and single '-', as in edge-loss"
        )
    if keyword.iskeyword(name) or name in _TAKEN:
        raise UsageError(f"'{name}' cannot be the name of a Python module here: choose another name")
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise UsageError(
            f"there is no kind '{unknown[0]}'{did_you_mean(unknown[0], KINDS)}: kinds are {', '.join(KINDS)}"
        )
    for one in registry().all():
        if one.component.name == name and one.component.kind in (*kinds, "recipe"):
            owner = one.plugin.distribution
            raise UsageError(f"{one.component.kind} '{name}' is already one of {owner}: choose another name")


def _facts(name: str, kinds: tuple[str, ...], author: str) -> dict[str, Any]:
    """What the templates know."""
    module = name.replace("-", "_")
    package = f"ganzoo_{module}"
    camel = "".join(word.capitalize() for word in name.split("-"))
    code_kinds = [kind for kind in KINDS if kind in kinds and kind in _CLASSES]
    # what only looks at models has nothing to train
    has_recipe = bool(set(kinds) - {"features", "converter", "command"})
    targets = {kind: f"{package}.{module}:{camel}{_CLASSES[kind]}" for kind in code_kinds}
    targets |= {"command": f"{package}.command:command", "recipe": f"{package}:{module.upper()}"}
    listed = [kind for kind in KINDS if kind in kinds or (kind == "recipe" and has_recipe)]
    return {
        "name": name,
        "distribution": f"ganzoo-{name}",
        "package": package,
        "module": module,
        "constant": module.upper(),
        "camel": camel,
        "title": name.replace("-", " ").capitalize(),
        "kinds": [kind for kind in KINDS if kind in kinds],
        "code_kinds": code_kinds,
        "imports": list(_imports(set(code_kinds))),
        "components": [{"kind": kind, "target": targets[kind], "summary": _SUMMARIES[kind]} for kind in listed],
        "has_recipe": has_recipe,
        "recipe": _recipe(name, kinds),
        "author": author,
        "year": date.today().year,
        "interface": INTERFACE,
        "minimum": ".".join(__version__.split(".")[:2]),
    }


def _recipe(name: str, kinds: tuple[str, ...]) -> dict[str, str]:
    """The parts of the toy recipe as source: the plugin's own where it has them, else bundled ones."""
    widths = '"widths": [128, 128]'
    bundled = {
        "data": ("dataset", '{"name": "ring"}'),
        "generator": ("generator", f'{{"name": "mlp", "latent": 8, {widths}}}'),
        "discriminator": ("discriminator", f'{{"name": "mlp", {widths}}}'),
        "loss": ("loss", '{"name": "non-saturating"}'),
    }
    return {part: f'{{"name": "{name}"}}' if kind in kinds else text for part, (kind, text) in bundled.items()}


def _imports(kinds: set[str]) -> Iterator[str]:
    """The module's imports in two blocks, with an empty line before each."""
    lines = list(_IMPORTS)
    for block in (lines[:_OWN], lines[_OWN:]):
        wanted = [line for line in block if _IMPORTS[line] & kinds]
        if "from torch import Tensor, nn" in wanted and "from torch import Tensor" in wanted:
            wanted.remove("from torch import Tensor")
        yield from ["", *wanted] if wanted else []


def _files(facts: dict[str, Any]) -> dict[str, str]:
    """Files to write, each with its template; an empty one has none."""
    package = facts["package"]
    files = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        "LICENSE": "LICENSE",
        ".gitignore": "gitignore",
        ".github/workflows/test.yml": "workflow.yml",
        f"{package}/__init__.py": "__init__.py",
        f"{package}/py.typed": "",
        "tests/test_plugin.py": "test_plugin.py",
    }
    if facts["code_kinds"]:
        files[f"{package}/{facts['module']}.py"] = "module.py"
    if "command" in facts["kinds"]:
        files[f"{package}/command.py"] = "parts/command.py"
    return files


def _git_user() -> str | None:
    try:
        done = subprocess.run(["git", "config", "user.name"], capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None

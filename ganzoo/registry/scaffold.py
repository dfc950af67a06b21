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

PATTERNS = {
    "translator": ("generator", "dataset"),
    "pictures": ("generator", "discriminator"),
    "game": ("generator", "discriminator", "loss"),
}
"""What can be asked for beside kinds: parts that belong together, each from a template of the pattern's own."""

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
    "translator_generator": "Two layers from samples of one field to those of another",
    "translator_dataset": "Two rings of points, unpaired",
    "pictures_generator": "Three transposed convolutions from latents to pictures",
    "pictures_discriminator": "Three convolutions from pictures to a logit",
    "game_generator": "Two layers from samples to latents",
    "game_discriminator": "Two layers from a sample and what it was given to a logit",
    "game_loss": "Three players: a generator, an encoder, and a judge of both",
}
"""By kind, or by pattern and kind, as templates are named."""
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
    "import math": {"dataset", "translator_dataset", "pictures_generator"},
    "from collections.abc import Mapping, Sequence": {"game_loss"},
    "from collections.abc import Mapping": {"dataset", "callback", "translator_dataset"},
    "from typing import Any": {"callback", "converter", "optimizer"},
    "import ganzoo": set(_SUMMARIES) - {"optimizer", "command", "recipe"},
    "import torch": {
        "generator", "augmentation", "dataset", "optimizer", "translator_dataset", "pictures_generator",
        "game_discriminator", "game_loss",
    },
    "from torch import Tensor, nn": {
        "generator", "discriminator", "features", "translator_generator", "pictures_generator",
        "pictures_discriminator", "game_generator", "game_discriminator",
    },
    "from torch import Tensor": {"loss", "penalty", "augmentation", "dataset", "translator_dataset", "game_loss"},
    "from torch.nn import Parameter": {"optimizer"},
    "from torch.nn.functional import relu": {"loss"},
    "from torch.nn.functional import softplus": {"game_loss"},
}  # fmt: skip
"""Lines at the top of the module, and the templates that need them; in the order that linters want."""
_INSTEAD = {
    "from torch import Tensor, nn": "from torch import Tensor",
    "from collections.abc import Mapping, Sequence": "from collections.abc import Mapping",
}
_OWN = 4
"""How many of them are of the standard library; they stand in a block of their own."""

_TAKEN = ("command", "torch", "ganzoo", DISTRIBUTION)
"""Names of modules that the plugin's own would hide."""


@dataclass(frozen=True)
class Order:
    """name: of the components, and of the distribution after "ganzoo-".  kinds: what it provides, or one of `PATTERNS`.

    author: for pyproject and licence; None asks git.
    """

    name: str
    kinds: tuple[str, ...] = ("generator",)
    author: str | None = None


def scaffold(order: Order, parent: Path) -> Path:
    """Write the distribution into `parent`/ganzoo-NAME and return that folder.

    Raises `UsageError` for a name or kind that cannot be, and for a folder that is there already.
    """
    name, pattern = order.name.removeprefix("ganzoo-"), _pattern(order.kinds)
    kinds = (*PATTERNS.get(pattern, ()), *(kind for kind in order.kinds if kind not in PATTERNS))
    _check(name, kinds)
    folder = parent / f"ganzoo-{name}"
    if folder.exists():
        raise UsageError(f"{folder} is there already: choose another name or --out")
    author = order.author or _git_user() or f"the authors of {name}"
    facts = _facts(name, tuple(dict.fromkeys(kinds)), pattern, author)
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


def _pattern(kinds: tuple[str, ...]) -> str:
    """The pattern among kinds, or "". Raises `UsageError` for two parts of one kind, which would share a name."""
    asked = [kind for kind in dict.fromkeys(kinds) if kind in PATTERNS]
    for kind in kinds:
        twice = [pattern for pattern in asked if kind in PATTERNS[pattern]]
        if twice or len(asked) > 1:
            one, other = (twice[0], kind) if twice else asked[:2]
            raise UsageError(
                f"a {one} brings parts that {other} would be beside, of the same name: ask for one of both"
            )
    return asked[0] if asked else ""


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
            f"there is no kind '{unknown[0]}'{did_you_mean(unknown[0], (*KINDS, *PATTERNS))}: kinds are "
            f"{', '.join(KINDS)}; {', '.join(PATTERNS)} are several that belong together"
        )
    for one in registry().all():
        if one.component.name == name and one.component.kind in (*kinds, "recipe"):
            owner = one.plugin.distribution
            raise UsageError(f"{one.component.kind} '{name}' is already one of {owner}: choose another name")


def _facts(name: str, kinds: tuple[str, ...], pattern: str, author: str) -> dict[str, Any]:
    """What the templates know."""
    templates = {kind: f"{pattern}_{kind}" if kind in PATTERNS.get(pattern, ()) else kind for kind in kinds}
    module = name.replace("-", "_")
    package = f"ganzoo_{module}"
    camel = "".join(word.capitalize() for word in name.split("-"))
    code_kinds = [kind for kind in KINDS if kind in kinds and kind in _CLASSES]
    # what only looks at models has nothing to train
    has_recipe = bool(set(kinds) - {"features", "converter", "command"})
    classes = _CLASSES | ({"generator": "Encoder"} if pattern == "game" else {})
    targets = {kind: f"{package}.{module}:{camel}{classes[kind]}" for kind in code_kinds}
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
        "pattern": pattern,
        "templates": templates,
        "imports": list(_imports({templates[kind] for kind in code_kinds})),
        "components": [
            {"kind": kind, "target": targets[kind], "summary": _SUMMARIES[templates.get(kind, kind)]} for kind in listed
        ],
        "has_recipe": has_recipe,
        "recipe": _recipe(name, kinds, pattern),
        "author": author,
        "year": date.today().year,
        "interface": INTERFACE,
        "minimum": ".".join(__version__.split(".")[:2]),
    }


def _recipe(name: str, kinds: tuple[str, ...], pattern: str) -> dict[str, str]:
    """The parts of the toy recipe as source: the plugin's own where it has them, else bundled ones."""
    widths = '"widths": [128, 128]'
    bundled = {
        "data": ("dataset", '{"name": "ring"}'),
        "generator": ("generator", f'{{"name": "mlp", "latent": 8, {widths}}}'),
        "discriminator": ("discriminator", f'{{"name": "mlp", {widths}}}'),
        "loss": ("loss", '{"name": "non-saturating"}'),
    }
    if pattern == "pictures":
        bundled["data"] = ("dataset", '{"name": "fashion-mini", "size": 32}')
    if pattern == "translator":
        bundled["loss"] = ("loss", '{"name": "cyclegan"}')
    own = set(kinds) - ({"generator"} if pattern == "game" else set())  # whose encoder is another player
    return {part: f'{{"name": "{name}"}}' if kind in own else text for part, (kind, text) in bundled.items()}


def _imports(kinds: set[str]) -> Iterator[str]:
    """The module's imports in two blocks, with an empty line before each."""
    lines = list(_IMPORTS)
    for block in (lines[:_OWN], lines[_OWN:]):
        wanted = [line for line in block if _IMPORTS[line] & kinds]
        for longer, line in _INSTEAD.items():
            if longer in wanted and line in wanted:
                wanted.remove(line)
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

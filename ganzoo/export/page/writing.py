"""A page of a model: every file of it, and how they come into a folder."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jinja2

from ...contract import Sample
from ...errors import UsageError, printable
from ...files import content_hash, write_atomically
from ...models import WEIGHTS, Model
from ...report import base_style
from ...version import __version__
from .. import refuse_libraries
from .cardtext import card_html
from .parts import Parts, parts_of
from .runtime import Runtime

INDEX = "index.html"
_TEMPLATES = Path(__file__).with_name("templates")
_SCRIPTS = ("random.js", "model.js", "drawing.js", "sampling.js", "translating.js", "page.js")
_LARGE = 128
"""From this side on fewer samples are shown at first, for a browser takes its time."""
_OURS = re.compile(rb'<meta name="generator" content="ganzoo ')


def refuse_folder(folder: Path) -> None:
    """Raise `UsageError` if a page cannot be written there: into a folder of other things. Fast."""
    refuse_libraries()
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: name the folder to write the page into")
    index = folder / INDEX
    if index.exists() and not _OURS.search(index.read_bytes()[:4096]):
        raise UsageError(f"{folder} holds an {INDEX} that ganzoo has not written, which stays as it is: choose another")


def write_page(model: Model, folder: Path, name: str, runtime: Runtime) -> Path:
    """Write a page into a folder, which may hold an earlier one, and other files. Returns its `index.html`.

    model: on the CPU.  name: what it is called on a command line. The index comes last, so that a page which was
    interrupted is not one that seems whole.
    """
    refuse_folder(folder)
    for path, content in page_files(model, name, runtime).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, content)
    return folder / INDEX


def page_files(model: Model, name: str, runtime: Runtime, live: str = "") -> dict[str, bytes]:
    """The files of a page by their paths, the index last.

    live: the model's version, for a page that asks whether there is another one, see `play`.
    """
    version = live or content_hash(model.folder / WEIGHTS)[:16]
    parts = parts_of(model, name)
    facts = {**parts.facts, "version": version, "about": about(model), "files": list(parts.files)}
    files = {f"runtime/{file}": content for file, content in runtime.files.items()}
    files["runtime/LICENSE.txt"] = (_TEMPLATES / "runtime-LICENSE.txt").read_bytes()
    files |= {f"model/{file}": content for file, content in parts.files.items()}
    files["model/facts.json"] = json.dumps(facts, allow_nan=False).encode()
    files["page.css"] = (base_style() + (_TEMPLATES / "page.css").read_text(encoding="utf-8")).encode()
    files["page.js"] = "\n".join((_TEMPLATES / one).read_text(encoding="utf-8") for one in _SCRIPTS).encode()
    files[INDEX] = _index(model, parts, facts, runtime, live).encode()
    return files


def about(model: Model) -> list[str]:
    """In a few words each, what the model is."""
    config = model.config
    shape = "×".join(map(str, model.target.shape))
    facts = [f"generator {config.generator}", f"makes {shape}"]
    data = config.recipe.get("data")
    if isinstance(data, dict) and isinstance(trained_on := data.get("name"), str):
        facts.append(f"trained on {printable(trained_on)}")
    images = config.training.get("images")
    if isinstance(images, int):
        facts.append(f"{images:,} images seen")
    stated = config.licence
    licences = {"weights": stated.weights, "data": stated.data}
    return facts + [f"licence of {what}: {printable(one)}" for what, one in licences.items() if one]


def _index(model: Model, parts: Parts, facts: Mapping[str, Any], runtime: Runtime, live: str) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ganzoo.export.page"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    counts, count = _counts(model.target)
    name = str(facts["name"])
    absent: dict[str, Any] = {"classes": 0, "truncation": False, "walks": False, "layers": 0, "directions": []}
    return environment.get_template(INDEX).render(
        title=printable(name.rstrip("/").rpartition("/")[2] or name),
        facts=facts["about"],
        model=absent | dict(parts.facts),
        translator=parts.facts["kind"] == "translator",
        translations=[asdict(one) for one in model.config.translations],
        counts=counts,
        count=count,
        card=card_html(model, name),
        webgpu=runtime.webgpu,
        live=live,
        version=__version__,
    )


def _counts(target: Sample) -> tuple[list[int], int]:
    """How many samples may be asked for, and how many are shown at first."""
    if not target.is_image:
        return [100, 1000, 5000], 1000
    large = max(target.shape[1:]) >= _LARGE
    return ([1, 2, 4, 9, 16], 4) if large else ([1, 4, 9, 16, 25, 36, 64], 16)

"""What a browser needs to run a model: ONNX files, and facts in JSON that say how to feed them.

Suffixes: K directions, D values of a latent or style.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ...contract import Sample, StyleSpace, great_circle
from ...errors import ModelError, UsageError
from ...latents import find_directions
from ...models import Model, quietly
from .. import OPEN, Exported, StyleMapping, Subject, Synthesis, content, distribution

log = logging.getLogger("ganzoo")

DIRECTIONS = 8
_DRAWN_BYTES, _MOST_DRAWN = 4 * 2**20, 1024
_CHECKED = 2
"""Latents of seed 0 that the page compares its own draws with."""


@dataclass(frozen=True)
class Parts:
    """facts: in JSON, for the page's script.  files: contents by name, which the facts name."""

    facts: Mapping[str, Any]
    files: Mapping[str, bytes]


def parts_of(model: Model, name: str) -> Parts:
    """A model, on the CPU, as a page runs it. name: what it is called on a command line.

    Raises `ModelError` for a generator that cannot be exported, `UsageError` without the libraries for it.
    """
    facts: dict[str, Any] = {"name": name, "sample": model.target.to_dict()}
    if model.config.translations:
        return _translations(model, name, facts)
    styled = isinstance(model.generator, StyleSpace)
    exported, files = _exported(model, name, styled)
    first, given = exported[0].metadata, exported[0].inputs[0]
    if given.type != "float32":
        raise ModelError(f"a page draws latents of float32, those of this model are {given.type}")
    latents = model.latents(0, _CHECKED)
    facts |= {
        "kind": "styles" if styled else "latents",
        "inputs": [port.name for port in exported[0].inputs],
        "truncation": any(port.name == "truncation" for port in exported[0].inputs),
        "random": any("random" in one.metadata and one.metadata["random"] == "true" for one in exported),
        "classes": int(first.get("classes", 0)),
        "class_names": model.config.class_names if "classes" in first else [],
        "latent": {
            "shape": list(latents.values.shape[1:]),
            "distribution": distribution(model.generator),
            "check": latents.values.flatten().tolist(),
        },
        "walks": styled or _walks_on_circles(model),
        "directions": _directions(model),
    }
    if styled:
        facts["style"] = list(exported[0].outputs[0].shape[1:])
        facts["layers"] = facts["style"][0]
    if facts["latent"]["distribution"]["name"] == "other":
        count = max(1, min(_MOST_DRAWN, _DRAWN_BYTES // (4 * latents.values[0].numel())))
        files["latents.bin"] = model.latents(0, count).values.float().numpy().astype("<f4").tobytes()
        facts["latent"]["drawn"] = count
    return Parts(facts, files)


def _exported(model: Model, name: str, styled: bool) -> tuple[list[Exported], dict[str, bytes]]:
    """The files in the order in which they run; truncation is an input where torch can trace it."""
    try:
        first, data = content((StyleMapping if styled else Subject)(model, truncation=OPEN), model.config, name)
    except ModelError as error:
        log.warning("the page has no truncation: %s", error)
        first, data = content((StyleMapping if styled else Subject)(model), model.config, name)
    if not styled:
        return [first], {"sample.onnx": data}
    second, synthesis = content(Synthesis(model), model.config, name)
    return [first, second], {"style.onnx": data, "sample.onnx": synthesis}


def _translations(model: Model, name: str, facts: dict[str, Any]) -> Parts:
    """A file for each generator of a model that translates."""
    listed, files = [], {}
    for one in model.config.translations:
        exported, data = content(Subject(model, to=one.target), model.config, name)
        file = f"{one.source}-to-{one.target}.onnx"
        files[file] = data
        ends = {"source": one.source, "target": one.target}
        sides = {"reads": _picture(one.reads.sample()), "makes": _picture(one.makes.sample())}
        listed.append({"file": file, **ends, **sides, "inputs": [port.name for port in exported.inputs]})
    return Parts(facts | {"kind": "translator", "translations": listed}, files)


def _picture(sample: Sample) -> dict[str, Any]:
    if not sample.is_image:
        raise UsageError(f"a page shows models that translate pictures, this one has samples {sample}")
    return sample.to_dict()


def _walks_on_circles(model: Model) -> bool:
    """True if the way between two latents is the one that the page's script knows."""
    generator: Any = model.generator
    with quietly(generator, None):
        first, second = model.latents(0, 2).values
        way = generator.interpolate(first, second, 0.3)
        return bool(torch.allclose(way, great_circle(first, second, 0.3), atol=1e-5))


def _directions(model: Model) -> list[list[float]]:
    """Steps of one standard deviation along each direction, (K, D); none for latents that are no vectors."""
    try:
        found = find_directions(model, DIRECTIONS)
    except ModelError:
        return []
    steps: list[list[float]] = (found.vectors * found.spread[:, None]).tolist()
    return steps

"""What `ganzoo show` says of a trained model, in a folder or on the Hub. Its weights are not downloaded."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from ..errors import ModelError, printable
from ..hub import (
    connect,
    download,
    hub_reference,
    local_folder,
    look_up,
    model_folder,
    refuse_large_config,
    refuse_stray_paths,
)
from ..models import CONFIG, WEIGHTS, is_reference, read_config, read_header, refuse_other_weights, trained
from ..registry import is_same_distribution
from ..registry.registry import registry


def is_model(text: str) -> bool:
    """True if the text names a folder with a model, or one of ours, or looks like a model on the Hub."""
    return local_folder(text) is not None or text in trained() or is_reference(text)


def facts(model: str) -> dict[str, Any]:
    """All facts of a model. Raises `ModelError` or `HubError`."""
    folder = model_folder(model) if model in trained() else local_folder(model)
    if folder is not None:
        header = read_header(folder / WEIGHTS)
        size = (folder / WEIGHTS).stat().st_size
        count = sum(math.prod(tensor.shape) for tensor in header.values())
        return {"model": model, "values": count, "bytes": size, **asdict(read_config(folder))}
    reference, api = hub_reference(model), connect()
    snapshot = look_up(api, reference)
    refuse_stray_paths(snapshot)
    refuse_other_weights(model, snapshot.files)
    if CONFIG not in snapshot.files:
        raise ModelError(f"{model} is no model of ganzoo: it has no {CONFIG}")
    refuse_large_config(snapshot)
    config = read_config(download(api, snapshot, [CONFIG]))
    size = snapshot.files[WEIGHTS].size
    return {"model": str(snapshot.reference), "values": None, "bytes": size, **asdict(config)}


def page(facts: dict[str, Any]) -> str:
    """The facts as lines of text; whatever strangers wrote is shown without control characters."""
    target, plugin, recipe, licence = (facts[key] for key in ("target", "plugin", "recipe", "licence"))
    rows = [
        (
            "generator",
            f"{facts['generator']} ({', '.join(f'{key} {value}' for key, value in facts['options'].items())})",
        ),
        ("needs", _needs(facts["generator"], plugin)),
        ("makes", _sample(target) + (f", from {_sample(facts['source'])}" if facts["source"] else "")),
        ("classes", ", ".join(facts["class_names"]) or str(facts["classes"])),
        ("weights", f"{facts['bytes']:,} bytes" + (f", {facts['values']:,} values" if facts["values"] else "")),
        ("recipe", str(recipe.get("name") or "none, converted")),
        ("data", str(recipe["data"].get("name")) if isinstance(recipe.get("data"), dict) else "not named"),
        *((f"training {key}", str(value)) for key, value in facts["training"].items()),
        *((f"licence of {key}" if key != "credit" else key, text) for key, text in licence.items() if text),
        *((one["name"], f"{one['value']:.4g} against {one['data']}, {one['split']}") for one in facts["metrics"]),
    ]
    return "\n".join(
        [f"model {printable(facts['model'])}", *(f"  {key}: {printable(text, 400)}" for key, text in rows)]
    )


def _needs(generator: str, stated: dict[str, Any]) -> str:
    """What provides the generator: a fact if it is installed here, else what the model's author claims."""
    needs = f"{stated['distribution']} {stated['version']} (plugin {stated['name']})"
    plugin = registry().provider("generator", generator)
    if plugin is not None and is_same_distribution(plugin.distribution, stated["distribution"]):
        return needs
    here = f"; here {plugin.distribution} provides it" if plugin else "; no plugin that is installed here provides it"
    return f"its author claims {needs}{here}"


def _sample(sample: dict[str, Any]) -> str:
    bounds = "" if sample["low"] is None or sample["high"] is None else f" in [{sample['low']:g}, {sample['high']:g}]"
    return "x".join(map(str, sample["shape"])) + bounds

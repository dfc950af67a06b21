"""What a file says of itself, for readers who have no ganzoo: ONNX metadata, names with texts."""

from __future__ import annotations

import json
from typing import Any

from ..models import Config
from ..version import __version__
from .draws import distribution
from .subject import Subject


def facts(subject: Subject, config: Config, name: str, random: bool) -> dict[str, str]:
    """The metadata of a file. Numbers, lists and mappings are JSON; what there is none of is left out.

    name: what the model is called.  random: whether the file draws random numbers itself.
    """
    found: dict[str, Any] = {
        "name": name,
        "generator": config.generator,
        "plugin": config.plugin.distribution,
        "plugin_version": config.plugin.version,
        "ganzoo": __version__,
        f"{subject.output}_shape": list(subject.target.shape),
        f"{subject.output}_range": _range(subject.target.to_dict()),
    }
    if subject.names[0] == "style":
        found["style_shape"] = list(subject.inputs(1)[0].shape[1:])
    elif subject.source is None:
        found["latent_shape"] = list(subject.inputs(1)[0].shape[1:])
        found["latent_distribution"] = distribution(subject.generator)
    else:
        found["source_shape"] = list(subject.source.shape)
        found["source_range"] = _range(subject.source.to_dict())
    if subject.translation is not None:
        found["source_field"], found["sample_field"] = subject.translation.source, subject.translation.target
    if subject.classes:
        found["classes"] = subject.classes
        found["class_names"] = config.class_names
    found["truncation"] = subject.truncation
    found["random"] = random
    found["training_images"] = config.training.get("images")
    licence = config.licence
    found |= {"licence": licence.weights, "data_licence": licence.data, "data_credit": licence.credit}
    kept = {key: value for key, value in found.items() if value is not None and value != []}
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in kept.items()}


def _range(sample: dict[str, Any]) -> list[float | None]:
    """[low, high]; None stands for no bound."""
    return [sample["low"], sample["high"]]

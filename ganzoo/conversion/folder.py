"""Writes a model folder from what a converter made, after it was held to the network that is to take it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..contract import Sample
from ..errors import ConversionError, GanzooError, printable
from ..files import file_hash
from ..models import (
    DISCRIMINATOR,
    FORMAT,
    SAMPLES,
    WEIGHTS,
    Config,
    LicenceConfig,
    PluginConfig,
    SampleConfig,
    TranslationConfig,
    grid,
    load_model,
    save_tensors,
    write_card,
    write_config,
)
from ..models.blueprint import blueprint
from ..recipes import checked_options
from ..registry import Registry
from .converter import Conversion, Converted
from .recognition import Recognised

_ROLE = "G"


@dataclass(frozen=True)
class Wishes:
    """discriminator: write it too.  licence: of the weights, as the Hub names it.

    size: of the pictures, for networks that take any.  unclamped: samples are not kept to their range.
    source: where the files come from, if not from this machine.
    """

    discriminator: bool = False
    licence: str | None = None
    size: int | None = None
    unclamped: bool = False
    source: str | None = None


def write(found: Recognised, files: Sequence[Path], out: Path, wishes: Wishes, registry: Registry) -> list[str]:
    """Write the model folder `out`, whole or not at all. Returns what is to be told, a line each.

    Raises `ConversionError` for weights that do not fit the network, and for a folder that is in use.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConversionError(f"{out} exists already: choose another --out, or remove it")
    conversion = _wished(found.conversion, wishes)
    beside = out.with_name(f".{out.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir(parents=True)
        _write_weights(conversion, beside, wishes, registry)
        write_config(beside, _config(found, conversion, files, wishes, registry))
        model = load_model(beside, torch.device("cpu"), registry)
        if conversion.source is None and conversion.target.is_image and conversion.target.bounded:
            grid(model.sample(16, seed=0), conversion.target).save(beside / SAMPLES)
        write_card(beside, str(out))
        if out.exists():
            out.rmdir()
        beside.rename(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return list(conversion.notes)


def _wished(conversion: Conversion, wishes: Wishes) -> Conversion:
    """The conversion with the size and range that were asked for."""
    if wishes.size is not None:
        if not conversion.any_size:
            shape = "x".join(map(str, conversion.target.shape))
            raise ConversionError(f"its samples are {shape}, which --size cannot change")
        conversion = replace(conversion, target=_sized(conversion.target, wishes.size))
        if conversion.source:
            conversion = replace(conversion, source=_sized(conversion.source, wishes.size))
    if wishes.unclamped:
        if not conversion.clamps:
            raise ConversionError("its samples are not clamped: leave out --unclamped")
        return replace(conversion, target=replace(conversion.target, low=-inf, high=inf))
    if conversion.clamps:
        note = f"samples are clamped to {conversion.target.low:g} … {conversion.target.high:g}; --unclamped leaves them"
        return replace(conversion, notes=(*conversion.notes, note))
    return conversion


def _sized(sample: Sample, side: int) -> Sample:
    return replace(sample, shape=(sample.shape[0], side, side))


def _write_weights(conversion: Conversion, folder: Path, wishes: Wishes, registry: Registry) -> None:
    assert conversion.generator  # what was recognised has one
    tensors = _fitted("generator", conversion.generator, conversion, registry)
    prefix = "" if conversion.source is None else f"{_ROLE}."
    save_tensors({f"{prefix}{name}": value for name, value in tensors.items()}, folder / WEIGHTS)
    if wishes.discriminator:
        if conversion.discriminator is None:
            raise ConversionError("it holds no discriminator: give its file too, or leave out --discriminator")
        save_tensors(_fitted("discriminator", conversion.discriminator, conversion, registry), folder / DISCRIMINATOR)


def _fitted(kind: str, network: Converted, conversion: Conversion, registry: Registry) -> dict[str, Tensor]:
    """The tensors in the network's own types, if they are exactly those that it has. Raises `ConversionError`."""
    what = f"{kind} {network.name}"
    try:
        plan = blueprint(
            _construct(kind, network, conversion, registry), [one.shape for one in network.tensors.values()], what
        )
    except GanzooError as error:
        raise ConversionError(f"the file's weights ask for a {what} that cannot be: {error}") from error
    wanted = plan.state_dict(keep_vars=True)
    _compare(what, network.tensors, wanted)
    fitted = {}
    for name, tensor in wanted.items():
        value = np.array(network.tensors[name])  # a copy in this machine's memory, whatever becomes of the file
        fitted[name] = torch.from_numpy(value).reshape(tensor.shape).to(tensor.dtype)
        if not fitted[name].isfinite().all():
            raise ConversionError(f"its tensor for {name} has values that are not finite")
    return fitted


def _construct(kind: str, network: Converted, conversion: Conversion, registry: Registry) -> Callable[[], nn.Module]:
    cls = registry.load(kind, network.name)
    options = checked_options(cls, network.options, 3, f"{kind} {network.name}")
    source = conversion.source if kind == "generator" or conversion.judges_pairs else None
    return lambda: cls(source, conversion.target, conversion.classes, **options)


def _compare(what: str, found: Mapping[str, np.ndarray], wanted: Mapping[str, Tensor]) -> None:
    for names, problem in ((wanted.keys() - found.keys(), "lacks"), (found.keys() - wanted.keys(), "has an unknown")):
        if names:
            raise ConversionError(f"its weights do not fit {what}: it {problem} {printable(min(names))}")
    for name, tensor in wanted.items():
        if tuple(found[name].shape) != tuple(tensor.shape):
            raise ConversionError(
                f"its weights do not fit {what}: {name} is {tuple(found[name].shape)}, "
                f"the network has {tuple(tensor.shape)}"
            )


def _config(
    found: Recognised, conversion: Conversion, files: Sequence[Path], wishes: Wishes, registry: Registry
) -> Config:
    assert conversion.generator  # what was recognised has one
    plugin = registry.find("generator", conversion.generator.name).plugin
    makes = SampleConfig.of(conversion.target)
    reads = None if conversion.source is None else SampleConfig.of(conversion.source)
    return Config(
        format=FORMAT,
        generator=conversion.generator.name,
        options=dict(conversion.generator.options),
        source=reads,
        target=makes,
        classes=conversion.classes,
        class_names=[],
        plugin=PluginConfig(plugin.name, plugin.distribution, plugin.version),
        recipe={},
        training=_facts(found, conversion, files, wishes),
        licence=LicenceConfig(weights=wishes.licence),
        translations=[TranslationConfig(_ROLE, "a", "b", reads, makes)] if reads else [],
    )


def _facts(found: Recognised, conversion: Conversion, files: Sequence[Path], wishes: Wishes) -> dict[str, Any]:
    """Where the weights come from, for the card."""
    from .. import __version__

    facts: dict[str, Any] = {"converted from": found.origin, "converter": found.name}
    if wishes.source:
        facts["source"] = wishes.source
    for number, path in enumerate(files):
        which = f" {number + 1}" if number else ""
        facts |= {f"file{which}": printable(path.name), f"sha256{which}": file_hash(path)}
    facts |= {f"note {number}": note for number, note in enumerate(conversion.notes, 1)}
    return {**facts, "ganzoo": __version__}

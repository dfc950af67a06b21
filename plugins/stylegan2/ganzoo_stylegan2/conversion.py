"""What converters of StyleGAN2 share: options from the shapes of tensors, whoever trained them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

import ganzoo

from .networks import SMALLEST


def refuse_others(network: ganzoo.Converted) -> None:
    """Raise `ConversionError` for another generator."""
    if network.name != "stylegan2":
        raise ganzoo.ConversionError(f"that program has stylegan2, this is {network.name}")


def kernel(gain: int) -> np.ndarray:
    """The filter [1, 3, 3, 1] in both directions, (4, 4), as the programs keep it among their buffers."""
    taps = np.array([1, 3, 3, 1], np.float32) / 8
    return gain * taps[:, None] * taps


def level_of(side: int) -> int:
    """How often 4 was doubled."""
    return (side // SMALLEST).bit_length() - 1


def generator_of(tensors: dict[str, np.ndarray], side: int, notes: tuple[str, ...] = ()) -> ganzoo.Conversion:
    """Options from the shapes of G's tensors."""
    style = len(tensors["mean_style"])
    layers = sum(re.fullmatch(r"mapping\.layers\.\d+\.weight", name) is not None for name in tensors)
    embedding = tensors.get("mapping.embedding.weight")
    classes = 0 if embedding is None else embedding.shape[1]
    latent = tensors["mapping.layers.0.weight"].shape[1] - (style if classes else 0)
    widths = [len(tensors[f"levels.{level}.keep.bias"]) for level in range(level_of(side) + 1)]
    options = {"latent": latent, "style": style, "mapping_layers": layers, **channels(widths, side)}
    target = ganzoo.Sample((len(tensors["levels.0.rgb.bias"]), side, side))
    generator = ganzoo.Converted("stylegan2", {**options, "conditional": bool(classes)}, tensors)
    notes = (*notes, "noise is that of the file: each sample gets the same, and none is drawn")
    return ganzoo.Conversion(target, generator, classes=classes, clamps=True, notes=notes)


def with_discriminator(conversion: ganzoo.Conversion, tensors: dict[str, np.ndarray]) -> ganzoo.Conversion:
    """The conversion and D, with options from the shapes of its tensors."""
    side = conversion.target.shape[1]
    widths = [len(tensors["last.bias"])]
    widths += [len(tensors[f"levels.{level}.keep.bias"]) for level in reversed(range(level_of(side)))]
    labels = sum(re.fullmatch(r"label_mapping\.layers\.\d+\.weight", name) is not None for name in tensors)
    options = {
        "architecture": "residual" if "levels.0.skip.weight" in tensors else "orig",
        **channels(widths, side),
        "conditional": labels > 0,
        **({"mapping_layers": labels} if labels else {}),
    }
    note = "the discriminator compares neighbours in a batch, the original every n-th sample (minibatch deviation)"
    return ganzoo.Conversion(
        conversion.target,
        conversion.generator,
        ganzoo.Converted("stylegan2", options, tensors),
        classes=conversion.classes,
        clamps=True,
        notes=(*conversion.notes, note),
    )


def channels(widths: list[int], side: int, network: str = "stylegan2") -> dict[str, Any]:
    """Options that give these channels, from 4 pixels up. Raises `ConversionError` if none do."""
    most, base = widths[0], widths[-1] * side
    if all(width == most for width in widths):
        return {"channel_base": "constant", "channel_max": most}
    if widths != [min(base // (SMALLEST << level), most) for level in range(len(widths))]:
        raise ganzoo.ConversionError(
            f"its maps from 4 pixels up have {', '.join(map(str, widths))} channels: {network} here has base / side, "
            "up to a largest number"
        )
    return {"channel_base": base, "channel_max": most}

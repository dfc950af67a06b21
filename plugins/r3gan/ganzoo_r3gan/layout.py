"""How many channels each map of R3GAN has, and what both networks ask of the data.

Paper: Huang et al. 2024 (arXiv:2501.05441), the table of configurations: 768 channels on every map of up to 32 pixels,
384, 192 and 96 on those of 64, 128 and 256; for ImageNet 1536 on every map.
"""

from __future__ import annotations

import ganzoo

BASES = (4, 5, 6, 7)
"""Sides of the smallest map: 4 in the paper."""


def channels_by_side(target: ganzoo.Sample, width: int, halve_above: int) -> dict[int, int]:
    """Return the channels of the maps by their side, from the smallest to the picture's.

    Maps of up to `halve_above` pixels have `width` channels, each larger one half as many as the one before.
    Raises `Incompatible` for data that are no square pictures of 4, 5, 6 or 7 times a power of two.
    """
    side, channels = _base(target), positive("width", width)
    positive("halve_above", halve_above)
    found = {side: channels}
    while side < target.shape[1]:
        side *= 2
        if side > halve_above:
            channels = max(channels // 2, 1)
        found[side] = channels
    return found


def _base(target: ganzoo.Sample) -> int:
    if not target.is_image:
        raise ganzoo.Incompatible(
            f"r3gan makes square images; the data are values of shape {'x'.join(map(str, target.shape))}: "
            "try `--generator mlp --discriminator mlp`"
        )
    height, side = target.shape[1:]
    sizes = {base << doublings: base for base in BASES for doublings in range(1, 16)}
    if height != side or side not in sizes:
        nearest = min(sizes, key=lambda size: (abs(size - min(height, side)), size))
        raise ganzoo.Incompatible(
            "r3gan makes square images of 4, 5, 6 or 7 times a power of two; "
            f"the data are {height}x{side}: try `--set data.size={nearest}`"
        )
    return sizes[side]


def positive(name: str, value: int) -> int:
    """Return the value. Raises `ValueError` below 1."""
    if value < 1:
        raise ValueError(f"{name} is at least 1, not {value}")
    return value


def refuse_unlabelled(kind: str, conditional: bool, classes: int) -> None:
    """Raise `Incompatible` for a conditional network on data without labels."""
    if conditional and classes == 0:
        raise ganzoo.Incompatible(
            f"{kind} r3gan is to be conditional, but the data have no labels: "
            f"leave out `--set {kind}.conditional=true` or choose data with labels"
        )

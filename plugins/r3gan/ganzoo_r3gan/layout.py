"""How many channels each map of R3GAN has, and what both networks ask of the data.

Paper: Huang et al. 2024 (arXiv:2501.05441), the table of configurations: 768 channels on every map of up to 32 pixels,
384, 192 and 96 on those of 64, 128 and 256; for ImageNet 1536 on every map.
"""

from __future__ import annotations

import ganzoo


def channels_by_side(target: ganzoo.Sample, width: int, halve_above: int) -> dict[int, int]:
    """Return the channels of the maps by their shorter side, from the smallest to the picture's.

    Maps of up to `halve_above` pixels have `width` channels, each larger one half as many as the one before.
    Raises `Incompatible` for data that are no pictures whose shorter side halves down to 4, 5, 6 or 7.
    """
    side, channels = min(smallest_map(target)), positive("width", width)
    positive("halve_above", halve_above)
    found = {side: channels}
    while side < min(target.shape[1:]):
        side *= 2
        if side > halve_above:
            channels = max(channels // 2, 1)
        found[side] = channels
    return found


def smallest_map(target: ganzoo.Sample) -> tuple[int, int]:
    """Height and width of the smallest map: 4x4 in the paper."""
    return ganzoo.halvings(target, "r3gan")[0]


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
            f"say `--set {kind}.conditional=false` or choose data with labels"
        )

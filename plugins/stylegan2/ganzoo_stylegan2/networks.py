"""What networks share: which sizes they take, and how many channels each level has."""

from __future__ import annotations

from typing import Literal

import ganzoo

SMALLEST = 4
"""Side of the learned constant, and of the map that D weighs, of pictures with a side of a power of two."""

ChannelBase = int | Literal["auto", "constant"]


def smallest_map(target: ganzoo.Sample, network: str = "stylegan2") -> tuple[int, int]:
    """Height and width of the learned constant, and of the map that D weighs: 4x4 in the papers."""
    return ganzoo.halvings(target, network)[0]


def widths(
    target: ganzoo.Sample, channel_base: ChannelBase, channel_max: int, network: str = "stylegan2"
) -> dict[int, int]:
    """Channels by level, from 4 up, in the papers' sides: base / side, at most `channel_max`.

    Maps whose shorter side is 5 to 7 times a power of two have the channels of the level of 4 times it.
    channel_base: "auto" is 16384 below 512 pixels and 32768 from there; "constant" is `channel_max` on every level.
    network: what a refusal calls it.
    Raises `Incompatible` unless the target is a picture whose shorter side halves down to 4, 5, 6 or 7.
    """
    _, doublings = ganzoo.halvings(target, network)
    positive("channel_max", channel_max)
    sides = [SMALLEST << level for level in range(doublings + 1)]
    if channel_base == "constant":
        return dict.fromkeys(sides, channel_max)
    if channel_base == "auto":
        channel_base = 32768 if sides[-1] >= 512 else 16384
    if channel_base < sides[-1]:
        raise ValueError(f"channel_base is at least the picture's side, {sides[-1]}, not {channel_base}")
    return {side: min(channel_base // side, channel_max) for side in sides}


def positive(name: str, value: int) -> int:
    """The value. Raises `ValueError` below 1."""
    if value < 1:
        raise ValueError(f"{name} is at least 1, not {value}")
    return value


def refuse_translation(source: ganzoo.Sample | None, network: str = "stylegan2") -> None:
    """Raise `Incompatible` for a generator that is to read samples."""
    if source is not None:
        raise ganzoo.Incompatible(
            f"generator {network} makes pictures from latents, it cannot translate {source}: "
            "choose a generator that translates, or a loss that plays with latents"
        )


def refuse_unlabelled(kind: str, conditional: bool, classes: int, network: str = "stylegan2") -> None:
    """Raise `Incompatible` for a conditional network on data without labels."""
    if conditional and classes == 0:
        raise ganzoo.Incompatible(
            f"{kind} {network} is to be conditional, but the data have no labels: "
            f"say `--set {kind}.conditional=false` or choose data with labels"
        )

"""What networks share: which sizes they take, and how many channels each level has."""

from __future__ import annotations

from typing import Literal

import ganzoo

SMALLEST = 4
"""Side of the learned constant, and of the map that D weighs."""

ChannelBase = int | Literal["auto", "constant"]


def widths(
    target: ganzoo.Sample, channel_base: ChannelBase, channel_max: int, network: str = "stylegan2"
) -> dict[int, int]:
    """Channels by side, from 4 up to the picture's: base / side, at most `channel_max`.

    channel_base: "auto" is 16384 below 512 pixels and 32768 from there; "constant" is `channel_max` on every level.
    network: what a refusal calls it.
    Raises `Incompatible` unless the target is a square picture with a side of 8, 16, 32 …
    """
    if not target.is_image:
        raise ganzoo.Incompatible(
            f"{network} makes square images; the data are values of shape {'x'.join(map(str, target.shape))}: "
            "try `--generator mlp --discriminator mlp`"
        )
    height, width = target.shape[1:]
    if height != width or height < 2 * SMALLEST or height & (height - 1):
        nearest = min((2**power for power in range(3, 13)), key=lambda side: abs(side - min(height, width)))
        raise ganzoo.Incompatible(
            f"{network} makes square images with a side of 8, 16, 32 and so on; "
            f"the data are {height}x{width}: try `--set data.size={nearest}`"
        )
    positive("channel_max", channel_max)
    sides = [SMALLEST << level for level in range((height // SMALLEST).bit_length())]
    if channel_base == "constant":
        return dict.fromkeys(sides, channel_max)
    if channel_base == "auto":
        channel_base = 32768 if height >= 512 else 16384
    if channel_base < height:
        raise ValueError(f"channel_base is at least the picture's side, {height}, not {channel_base}")
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
            f"leave out `--set {kind}.conditional=true` or choose data with labels"
        )

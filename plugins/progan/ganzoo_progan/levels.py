"""What both networks share: which pictures they take, and how many channels the maps of each level have."""

from __future__ import annotations

import ganzoo

SMALLEST = 4
"""Side of the first level's pictures."""


def levels_of(target: ganzoo.Sample, part: str = "progan") -> int:
    """How often 4x4 pixels are doubled to the target's size, at least once.

    part: what a refusal calls it.
    Raises `Incompatible` unless the target is a square picture with a side of 8, 16, 32 …
    """
    if not target.is_image:
        raise ganzoo.Incompatible(
            f"{part} grows square images; the data are values of shape {'x'.join(map(str, target.shape))}: "
            "try `--generator mlp --discriminator mlp`, without an augmentation that fades"
        )
    height, width = target.shape[1:]
    if height != width or height < 2 * SMALLEST or height & (height - 1):
        nearest = min((2**power for power in range(3, 13)), key=lambda side: abs(side - min(height, width)))
        raise ganzoo.Incompatible(
            f"{part} grows square images with a side of 8, 16, 32 and so on; "
            f"the data are {height}x{width}: try `--set data.size={nearest}`"
        )
    return (height // SMALLEST).bit_length() - 1


def channels(side: int, channel_base: int, channel_max: int) -> int:
    """Channels of a map of this side: base / side, at most `channel_max`."""
    return min(channel_base // side, channel_max)


def channels_by_level(target: ganzoo.Sample, channel_base: int, channel_max: int) -> list[int]:
    """The channels of every level's maps, from 4x4 on. Raises `ValueError` where one would have none."""
    sides = [SMALLEST << level for level in range(levels_of(target) + 1)]
    if channel_max < 1 or channel_base < sides[-1]:
        raise ValueError(
            f"channel_max is at least 1 and channel_base at least the picture's side, {sides[-1]}, "
            f"not {channel_max} and {channel_base}"
        )
    return [channels(side, channel_base, channel_max) for side in sides]

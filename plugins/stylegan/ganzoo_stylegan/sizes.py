"""Which pictures grow: squares with a side of a power of two, as the levels of the paper are."""

from __future__ import annotations

import ganzoo
from ganzoo_stylegan2.parts import SMALLEST, ChannelBase, widths

NAME = "stylegan"


def square_widths(target: ganzoo.Sample, channel_base: ChannelBase, channel_max: int) -> dict[int, int]:
    """Channels by side, from 4 up to the picture's: base / side, at most `channel_max`.

    Raises `Incompatible` unless the side of a square is 8, 16, 32 …
    """
    ganzoo.halvings(target, NAME, (SMALLEST,))
    height, width = target.shape[1:]
    if height != width:
        raise ganzoo.Incompatible(
            f"{NAME} makes square images; the data are {height}x{width}: try `--set data.size={min(height, width)}`"
        )
    return widths(target, channel_base, channel_max, NAME)

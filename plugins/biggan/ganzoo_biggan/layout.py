"""How many channels each map of BigGAN has, and what its networks ask of the data.

Paper: Brock et al. 2019 (arXiv:1809.11096), appendix B, for 128, 256 and 512 pixels; 32 and 64 pixels are those of the
program that the author published. Numbers are multiples of the width.
"""

from __future__ import annotations

import ganzoo

BASE = 4
"""Side of G's first map."""

OF_G = {
    32: (4, 4, 4, 4),
    64: (16, 16, 8, 4, 2),
    128: (16, 16, 8, 4, 2, 1),
    256: (16, 16, 8, 8, 4, 2, 1),
    512: (16, 16, 8, 8, 4, 2, 1, 1),
}
"""By the picture's side: channels of G's maps of 4, 8, 16 … pixels."""

OF_D = {
    32: (4, 4, 4, 4),
    64: (1, 2, 4, 8, 16),
    128: (1, 2, 4, 8, 16, 16),
    256: (1, 2, 4, 8, 8, 16, 16),
    512: (1, 1, 2, 4, 8, 8, 16, 16),
}
"""By the picture's side: channels behind D's blocks. All halve but the last; at 32 pixels the last two do not."""

_ATTENTION = {128: (64, 64), 256: (128, 64), 512: (64, 64)}


def side_of(target: ganzoo.Sample) -> int:
    """The side of the pictures. Raises `Incompatible` for data that are no square pictures of one in `OF_G`."""
    if not target.is_image:
        raise ganzoo.Incompatible(
            f"biggan makes square images; the data are values of shape {'x'.join(map(str, target.shape))}: "
            "try `--generator mlp --discriminator mlp`"
        )
    height, side = target.shape[1:]
    if height != side or side not in OF_G:
        nearest = min(OF_G, key=lambda size: abs(size - min(height, side)))
        raise ganzoo.Incompatible(
            f"biggan makes square images of 32, 64, 128, 256 or 512 pixels; the data are {height}x{side}: "
            f"try `--set data.size={nearest}`"
        )
    return side


def halves(side: int) -> list[bool]:
    """Whether each of D's blocks halves its map."""
    count = len(OF_D[side])
    still = 2 if side == 32 else 1
    return [block < count - still for block in range(count)]


def width_of(side: int, width: int | None) -> int:
    """The width, by default 96 as published, and 64 for pictures of less than 128 pixels."""
    return positive("width", (96 if side >= 128 else 64) if width is None else width)


def attention_of(side: int, attention: int | None, of_d: bool) -> int:
    """The side of the map that self-attention reads, by default the paper's; 0 for none.

    Raises `ValueError` for a side that no map has.
    """
    if attention is None:
        return _ATTENTION.get(side, (0, 0))[of_d]
    sides = [0, *(2 * BASE << level for level in range(len(OF_G[side]) - 1))]
    if attention not in (sides[:-1] if of_d else sides):
        raise ValueError(f"attention is the side of a map, one of {', '.join(map(str, sides))}, not {attention}")
    return attention


def positive(name: str, value: int) -> int:
    """Return the value. Raises `ValueError` below 1."""
    if value < 1:
        raise ValueError(f"{name} is at least 1, not {value}")
    return value


def refuse_unlabelled(kind: str, conditional: bool, classes: int) -> None:
    """Raise `Incompatible` for a conditional network on data without labels."""
    if conditional and classes == 0:
        raise ganzoo.Incompatible(
            f"{kind} biggan is to be conditional, but the data have no labels: "
            f"say `--set {kind}.conditional=false` or choose data with labels"
        )

"""DiffAugment: the same random, differentiable changes to every picture that D sees, real or generated.

Zhao et al. 2020, arXiv:2006.10738. Written from the paper; what it leaves open is decided as the README says.
Chance comes from torch's global generator, anew for each picture.

Suffixes: N batch, C channels, H height, W width, R and K rows and columns of a mask.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

import ganzoo

POLICIES = ("color", "translation", "cutout")


class DiffAugment(ganzoo.Augmentation):
    """Colour jitter, translation and cutout, for training on little data.

    policy: which of "color", "translation" and "cutout", separated by commas; applied in this order.
    brightness: the most that is added, in units of half the range.  contrast, saturation: the most that the factor
    differs from 1.  translation: the longest shift along each axis, as a share of the side.
    cutout: side of the square that is blanked, as a share of the picture's side.
    The strengths are the paper's. `color` may leave the range, by up to `brightness` and the factors; nothing is
    clipped, because G could not learn through it. Alpha, the last of two or four channels, is no colour. What is
    blanked or shifted in has the middle of the range.
    Refuses samples that are no pictures. Zhao et al. 2020 (arXiv:2006.10738), section 4.
    """

    def __init__(
        self,
        target: ganzoo.Sample,
        policy: str = "color,translation,cutout",
        brightness: float = 0.5,
        contrast: float = 0.5,
        saturation: float = 1.0,
        translation: float = 0.125,
        cutout: float = 0.5,
    ) -> None:
        super().__init__()
        if not target.is_image or not target.bounded:
            raise ganzoo.Incompatible(
                f"diffaugment changes pictures of a bounded range, but the data are {target}: leave it out"
            )
        self.policies = _parsed(policy)
        for name, value in (("brightness", brightness), ("contrast", contrast), ("saturation", saturation)):
            if not value >= 0:
                raise ValueError(f"{name} is at least 0, not {value}")
        for name, value in (("translation", translation), ("cutout", cutout)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name} is a share of the side and lies in [0, 1], not {value}")
        self.brightness, self.contrast, self.saturation = brightness, contrast, saturation
        self.translation, self.cutout = translation, cutout
        self.middle, self.half_range = (target.high + target.low) / 2, (target.high - target.low) / 2

    def forward(self, sample: Tensor) -> Tensor:
        """sample: (N, C, H, W) in the target's range. Returns the same shape."""
        return self._restored(self._moved(self._color(self._centred(sample))))

    def together(self, sample: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
        """Shifts and cutout of both alike, colours of the sample alone: those of the other may mean something else."""
        coloured_NCHW = self._color(self._centred(sample))
        both_NCHW = self._restored(self._moved(torch.cat([coloured_NCHW, self._centred(given)], 1)))
        return both_NCHW[:, : sample.shape[1]], both_NCHW[:, sample.shape[1] :]

    def _centred(self, sample: Tensor) -> Tensor:
        return (sample - self.middle) / self.half_range

    def _restored(self, centred_NCHW: Tensor) -> Tensor:
        return centred_NCHW * self.half_range + self.middle

    def _moved(self, x_NCHW: Tensor) -> Tensor:
        """Translation, then cutout, if they are chosen."""
        if "translation" in self.policies:
            x_NCHW = translated(x_NCHW, self.translation)
        return cut_out(x_NCHW, self.cutout) if "cutout" in self.policies else x_NCHW

    def _color(self, x_NCHW: Tensor) -> Tensor:
        """Brightness, then saturation, then contrast, if they are chosen."""
        if "color" not in self.policies:
            return x_NCHW
        if x_NCHW.shape[1] in (2, 4):
            return torch.cat([self._color(x_NCHW[:, :-1]), x_NCHW[:, -1:]], 1)
        x_NCHW = x_NCHW + _uniform(x_NCHW, 0.0, self.brightness)
        if x_NCHW.shape[1] > 1:
            x_NCHW = _scaled_about(x_NCHW.mean(1, keepdim=True), x_NCHW, _uniform(x_NCHW, 1.0, self.saturation))
        return _scaled_about(x_NCHW.mean((1, 2, 3), keepdim=True), x_NCHW, _uniform(x_NCHW, 1.0, self.contrast))


def _parsed(policy: str) -> tuple[str, ...]:
    """The chosen policies in order. Raises `ValueError` for none, or for one that is not known."""
    chosen = [name.strip() for name in policy.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in POLICIES]
    if unknown or not chosen:
        raise ValueError(f"policy is any of {', '.join(POLICIES)}, separated by commas, not {policy!r}")
    return tuple(name for name in POLICIES if name in chosen)


def _uniform(x_NCHW: Tensor, centre: float, spread: float) -> Tensor:
    """(N, 1, 1, 1) uniform in [centre - spread, centre + spread]."""
    chance = torch.rand(len(x_NCHW), 1, 1, 1, dtype=x_NCHW.dtype, device=x_NCHW.device)
    return centre + spread * (2 * chance - 1)


def _scaled_about(middle: Tensor, x_NCHW: Tensor, factor: Tensor) -> Tensor:
    return middle + factor * (x_NCHW - middle)


def extent(side: int, share: float) -> int:
    """A share of a side in whole pixels; halves go up, as in the published program."""
    return int(side * share + 0.5)


def translated(x_NCHW: Tensor, share: float) -> Tensor:
    """Shift each picture by whole pixels, up to `share` of the side along each axis; zeros come in."""
    n, _, height, width = x_NCHW.shape
    most_down, most_right = extent(height, share), extent(width, share)
    device = x_NCHW.device
    down_N = torch.randint(2 * most_down + 1, (n, 1, 1), device=device)
    right_N = torch.randint(2 * most_right + 1, (n, 1, 1), device=device)
    # a picture with a margin on all sides, seen through a window: what it shows is the picture, shifted
    wide_NHWC = pad(x_NCHW, (most_right, most_right, most_down, most_down)).permute(0, 2, 3, 1)
    rows_NR1 = torch.arange(height, device=device)[:, None] + down_N
    columns_N1K = torch.arange(width, device=device) + right_N
    picture_N11 = torch.arange(n, device=device)[:, None, None]
    return wide_NHWC[picture_N11, rows_NR1, columns_N1K].permute(0, 3, 1, 2)


def cut_out(x_NCHW: Tensor, share: float) -> Tensor:
    """Blank a square with `share` of the side in each picture; centred anywhere in it, so it may hang over the edge."""
    n, _, height, width = x_NCHW.shape
    device = x_NCHW.device
    rows_NR, columns_NK = (_covered(n, side, share, device) for side in (height, width))
    return torch.where((rows_NR[:, :, None] & columns_NK[:, None, :])[:, None], torch.zeros_like(x_NCHW), x_NCHW)


def _covered(n: int, side: int, share: float, device: torch.device) -> Tensor:
    """(n, side) bool: a run of `extent` places, its middle uniform over the side."""
    length = extent(side, share)
    # a run of even length has its middle between two places, or at an end
    first_N1 = torch.randint(side + 1 - length % 2, (n, 1), device=device) - length // 2
    place_S = torch.arange(side, device=device)
    return (place_S >= first_N1) & (place_S < first_N1 + length)

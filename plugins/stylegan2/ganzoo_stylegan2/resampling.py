"""Geometry on pictures: exact copies of pixels, and affine warps between wavelet-filtered resamplings.

Paper: Karras et al. 2020 (arXiv:2006.06676), appendix B. Filter: Daubechies' least asymmetric wavelet with six
vanishing moments (sym6), which the paper names; its low-pass is orthonormal to its own even shifts, so that doubling
the side and halving it again gives every pixel back. Beyond its border a picture goes on as its mirror image.

All of it is linear in the picture and can be differentiated twice with respect to it, as R1 needs.

Suffixes: N batch, C colours, H height, W width.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .depthwise import Steps, depthwise

SYM6 = (
    0.015404109327027373,
    0.0034907120842174702,
    -0.11799011114819057,
    -0.048311742585633,
    0.4910559419267466,
    0.787641141030194,
    0.3379294217276218,
    -0.07263752278646252,
    -0.021060292512300564,
    0.04472490177066578,
    0.0017677118642428036,
    -0.007800708325034148,
)
"""The low-pass filter, of norm 1."""


def mirrored(position: Tensor, size: int) -> Tensor:
    """Fold positions on the whole line into [0, size - 1], as between two mirrors at the outermost pixels' centres."""
    if size == 1:
        return torch.zeros_like(position)
    round_trip = 2 * (size - 1)
    way = position.remainder(round_trip)
    return torch.minimum(way, round_trip - way)


def blit(picture_NCHW: Tensor, flip_N: Tensor, turns_N: Tensor, shift_N2: Tensor) -> Tensor:
    """Copy pixels: mirror left-right, then turn by quarters, then shift.

    flip_N: bool.  turns_N: quarters counter-clockwise, 0 to 3; unless H = W, an odd one is left out.  shift_N2: whole
    pixels to the right and down. Returns (N, C, H, W); every value is one of the picture's.
    """

    def each(which_N: Tensor, yes: Tensor, no: Tensor) -> Tensor:
        return torch.where(which_N[:, None, None, None], yes, no)

    x = each(flip_N, picture_NCHW.flip(3), picture_NCHW)
    x = each(turns_N >= 2, x.flip((2, 3)), x)
    height, width = x.shape[2:]
    if height == width:
        x = each(turns_N % 2 == 1, torch.rot90(x, 1, (2, 3)), x)
    for axis, size, shift_N in ((3, width, shift_N2[:, 0]), (2, height, shift_N2[:, 1])):
        source = mirrored(torch.arange(size, device=x.device) - shift_N[:, None], size)
        index = source[:, None, None, :] if axis == 3 else source[:, None, :, None]
        x = x.gather(axis, index.expand(x.shape))
    return x


class Warp(nn.Module):
    """Affine maps of pictures, bilinear at twice the resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("taps", torch.tensor(SYM6), persistent=False)
        self.centre = sum(k * tap for k, tap in enumerate(SYM6)) / sum(SYM6)

    def forward(self, picture_NCHW: Tensor, inverse_N23: Tensor) -> Tensor:
        """inverse_N23: from a place in the result to the place in the picture whose colour it gets.

        Places are (x, y, 1) in pixels from the picture's middle, x to the right and y down. Returns (N, C, H, W).
        """
        height, width = picture_NCHW.shape[2:]
        doubled = self._double(picture_NCHW)
        rows, columns = doubled.shape[2:]
        x_W = self._place(columns, width, inverse_N23)
        y_H = self._place(rows, height, inverse_N23)
        matrix = inverse_N23[:, :, :, None, None]
        place_N2HW = matrix[:, :, 0] * x_W + matrix[:, :, 1] * y_H[:, None] + matrix[:, :, 2]
        grid_NHW2 = torch.stack(
            [
                self._coordinate(place_N2HW[:, 0], columns, width),
                self._coordinate(place_N2HW[:, 1], rows, height),
            ],
            dim=3,
        )
        return self._halve(_Sample.apply(doubled, grid_NHW2))

    def _double(self, x: Tensor) -> Tensor:
        """Twice the resolution, and as many samples beyond the border as `_halve` reads: (N, C, 2H + 10, 2W + 10)."""
        height, width, reach = *x.shape[2:], len(SYM6)
        for axis, size in ((2, height), (3, width)):
            index = mirrored(torch.arange(-reach // 2, size + reach // 2, device=x.device), size)
            x = x.index_select(axis, index)
        for kernel, stride in self._kernels(x):
            x = depthwise(x, kernel * math.sqrt(2), Steps(stride, transposed=True))
        return x[:, :, reach : reach + 2 * height + reach - 2, reach : reach + 2 * width + reach - 2]

    def _halve(self, x: Tensor) -> Tensor:
        for kernel, stride in self._kernels(x):
            x = depthwise(x, kernel / math.sqrt(2), Steps(stride))
        return x

    def _kernels(self, x: Tensor) -> tuple[tuple[Tensor, tuple[int, int]], ...]:
        taps, channels = self.taps.to(x.dtype), x.shape[1]
        down, across = taps[:, None].expand(channels, 1, -1, 1), taps.expand(channels, 1, 1, -1)
        return (down, (2, 1)), (across, (1, 2))

    def _place(self, samples: int, size: int, like: Tensor) -> Tensor:
        """Places of doubled samples in pixels from the middle."""
        return (torch.arange(samples, dtype=like.dtype, device=like.device) - self.centre) / 2 - (size - 1) / 2

    def _coordinate(self, place: Tensor, samples: int, size: int) -> Tensor:
        """`grid_sample`'s coordinate, from -1 at the first doubled sample to 1 at the last."""
        place = place + (size - 1) / 2
        direct = 2 * place + self.centre
        # the doubled picture goes a little beyond its border; only further out the place is mirrored
        there = (direct > -0.5) & (direct < samples - 0.5)
        position = torch.where(there, direct, 2 * mirrored(place, size) + self.centre)
        return position * (2 / (samples - 1)) - 1


class _Sample(torch.autograd.Function):
    """Bilinear sampling, whose gradient with respect to the picture can be differentiated again; torch's cannot.

    Sampling is linear in the picture: the gradient's gradient is sampling again.
    """

    @staticmethod
    def forward(ctx: Any, picture: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.shape = picture.shape
        return _bilinear(picture, grid)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (grid,) = ctx.saved_tensors
        return _SampleAdjoint.apply(gradient, grid, ctx.shape), None


class _SampleAdjoint(torch.autograd.Function):
    """The transpose of `_Sample`."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, grid: Tensor, shape: torch.Size) -> Tensor:
        ctx.save_for_backward(grid)
        if torch.are_deterministic_algorithms_enabled():
            return _spread(gradient, grid, shape)
        with torch.enable_grad():
            picture = gradient.new_zeros(shape).requires_grad_()
            sampled = _bilinear(picture, grid)
        return torch.autograd.grad(sampled, picture, gradient)[0]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (grid,) = ctx.saved_tensors
        return _Sample.apply(gradient, grid), None, None


def _bilinear(picture: Tensor, grid: Tensor) -> Tensor:
    return functional.grid_sample(picture, grid, mode="bilinear", padding_mode="border", align_corners=True)


def _spread(gradient_NCHW: Tensor, grid_NHW2: Tensor, shape: torch.Size) -> Tensor:
    """The transpose of `_bilinear` with sums in a fixed order, which CUDA's own has not: it adds as it comes."""
    batch, channels, height, width = shape
    x = ((grid_NHW2[..., 0] + 1) / 2 * (width - 1)).clamp(0, width - 1)
    y = ((grid_NHW2[..., 1] + 1) / 2 * (height - 1)).clamp(0, height - 1)
    left, top = x.floor(), y.floor()
    picture = gradient_NCHW.new_zeros(batch * height * width, channels)
    first = torch.arange(batch, device=grid_NHW2.device)[:, None, None] * (height * width)
    for right in (0, 1):
        for below in (0, 1):
            column, row = left + right, top + below
            share = (1 - (x - column).abs()) * (1 - (y - row).abs())
            place = first + row.clamp(max=height - 1).long() * width + column.clamp(max=width - 1).long()
            inside = (share * (column < width) * (row < height)).to(gradient_NCHW.dtype)
            given = (gradient_NCHW * inside[:, None]).permute(0, 2, 3, 1).reshape(-1, channels)
            picture.index_put_((place.flatten(),), given, accumulate=True)
    return picture.view(batch, height, width, channels).permute(0, 3, 1, 2).contiguous()

"""What StyleGAN has and StyleGAN2 has not: blurred resampling by [1, 2, 1], and adaptive instance normalisation.

Paper: Karras et al. 2019 (arXiv:1812.04948), sections 2 and 2.1 and appendix C. Written from the paper.

Suffixes: N batch, I channels in, O channels out, H height, W width, S style, K kernel.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganzoo_stylegan2.parts import Linear, Steps, depthwise, unlowered


class Blur(nn.Module):
    """The separable filter [1, 2, 1] / 4 on each channel by itself, with zeros beyond the border."""

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("kernel", taps[:, None] * taps, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, I, H, W) to the same shape."""
        return depthwise(x, self.kernel.expand(x.shape[1], 1, 3, 3), Steps(padding=1))


class Resampling(nn.Module):
    """A 3x3 convolution in front of or behind a change of the side, with a blur; weights learn at an equalised rate.

    up: pixels are doubled, convolved, then blurred.  Otherwise: blurred, convolved, and the mean of 2x2 pixels taken.
    Doubling and averaging are part of the convolution, whose kernel then has 4x4 taps and a stride of 2: the same
    numbers at less than half the work.
    """

    def __init__(self, inputs: int, outputs: int, up: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = None if up else nn.Parameter(torch.zeros(outputs))  # of what goes up, noise comes before the bias
        self.gain, self.up, self.blur = 1 / math.sqrt(9 * inputs), up, Blur()

    def forward(self, x: Tensor) -> Tensor:
        """(N, I, H, W) to (N, O, 2H, 2W), or to (N, O, H/2, W/2)."""
        kernel_OIKK = four_taps(self.weight * self.gain)
        if self.up:
            kernel_IOKK = 4 * kernel_OIKK.flip(2, 3).transpose(0, 1)
            return self.blur(functional.conv_transpose2d(x, kernel_IOKK, stride=2, padding=1))
        return functional.conv2d(self.blur(x), kernel_OIKK, self.bias, stride=2, padding=1)


def four_taps(weight_OIKK: Tensor) -> Tensor:
    """A 3x3 kernel followed by the mean of 2x2 pixels, as one kernel of 4x4 taps."""
    return functional.avg_pool2d(functional.pad(weight_OIKK, (1, 1, 1, 1)), 2, stride=1)


def normalise_instances(x_NIHW: Tensor) -> Tensor:
    """Bring each channel of each sample to mean 0 and variance 1; 1e-8 is added to the variance."""
    centred_NIHW = x_NIHW - x_NIHW.mean(dim=(2, 3), keepdim=True)
    variance_NI11 = centred_NIHW.square().mean(dim=(2, 3), keepdim=True)
    return centred_NIHW * (variance_NI11 + 1e-8).rsqrt()


class AdaptiveNorm(nn.Module):
    """AdaIN: normalise each channel of each sample, then give it the scale and the bias that the style asks for.

    style: S.  channels: I.  The scale is 1 plus what the affine layer says: so the paper's bias of 1 is stored.
    Equation 1 of the paper.
    """

    def __init__(self, style: int, channels: int) -> None:
        super().__init__()
        self.affine = Linear(style, 2 * channels)

    def forward(self, x_NIHW: Tensor, style_NS: Tensor) -> Tensor:
        """Returns (N, I, H, W) in the precision of x; statistics are taken in that of the weights."""
        with unlowered(x_NIHW):
            scale_NI, bias_NI = self.affine(style_NS.to(self.affine.weight.dtype)).chunk(2, dim=1)
            normal_NIHW = normalise_instances(x_NIHW.to(scale_NI.dtype))
            y_NIHW = torch.addcmul(bias_NI[:, :, None, None], normal_NIHW, 1 + scale_NI[:, :, None, None])
        return y_NIHW.to(x_NIHW.dtype)

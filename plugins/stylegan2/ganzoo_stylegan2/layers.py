"""Layers with an equalised learning rate, the [1, 3, 3, 1] filter, and the modulated convolution.

Papers: equalised learning rate, Karras et al. 2018 (arXiv:1710.10196), section 4.1; filtered resampling, Karras et al.
2019 (arXiv:1812.04948), section 2; modulation and demodulation, Karras et al. 2020 (arXiv:1912.04958), section 2.2.
Written from the papers.

Suffixes: N batch, I channels in, O channels out, H height, W width, K kernel.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .depthwise import Steps, depthwise

SLOPE = 0.2
"""Of LeakyReLU below zero; arXiv:1710.10196, appendix A."""

GAIN = math.sqrt(2)
"""What LeakyReLU is scaled by so that the variance stays about what it was."""


def activate(x: Tensor) -> Tensor:
    """LeakyReLU, scaled by √2 so that the variance stays about what it was."""
    return functional.leaky_relu(x, SLOPE) * GAIN


def rectify(x: Tensor) -> Tensor:
    """LeakyReLU, in place and unscaled: whoever reads it has the √2 among its weights, with the `gain` of its layer.

    That is a pass over the map less, forwards and backwards.
    """
    return functional.leaky_relu(x, SLOPE, inplace=True)


def unlowered(x: Tensor) -> AbstractContextManager[object]:
    """A context in which autocast leaves x's device alone."""
    available = torch.amp.is_autocast_available(x.device.type)
    return torch.autocast(x.device.type, enabled=False) if available else nullcontext()


def normalise(x: Tensor) -> Tensor:
    """Scale each row of (N, F) to a mean square of 1."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


class Linear(nn.Module):
    """A dense layer whose stored weights have unit variance and are scaled by 1/√inputs when used.

    bias: where the biases start.  lr_multiplier: how fast it learns, relative to other layers.
    gain: what the input is to be multiplied by, which costs nothing here.
    """

    def __init__(
        self, inputs: int, outputs: int, bias: float = 0.0, lr_multiplier: float = 1.0, gain: float = 1.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), bias / lr_multiplier))
        self.gain, self.lr_multiplier = lr_multiplier * gain / math.sqrt(inputs), lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        """(N, I) to (N, O)."""
        return torch.addmm(self.bias, x, self.weight.T, beta=self.lr_multiplier, alpha=self.gain)


class _Filter(torch.autograd.Function):
    """A depthwise kernel that is its own mirror image, so that gradients pass through it as what they belong to did.

    torch has kernels of their own for them, which take twice as long on CPUs.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, padding: int) -> Tensor:
        ctx.save_for_backward(kernel)
        ctx.padding = padding
        return depthwise(x, kernel, Steps(padding=padding))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (kernel,) = ctx.saved_tensors
        return _Filter.apply(gradient, kernel, kernel.shape[-1] - 1 - ctx.padding), None, None


class Filter(nn.Module):
    """The separable low-pass filter [1, 3, 3, 1] with a gain, applied to each channel by itself."""

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        self.register_buffer("kernel", gain * taps[:, None] * taps, persistent=False)

    def forward(self, x: Tensor, padding: int, stride: int = 1) -> Tensor:
        """(N, I, H, W) to (N, I, (H + 2·padding - 4) // stride + 1, …)."""
        if stride == 1:
            filtered: Tensor = _Filter.apply(x, self._kernel(x), padding)
            return filtered
        return depthwise(x, self._kernel(x), Steps((stride, stride), padding))

    def upsample(self, x: Tensor) -> Tensor:
        """(N, I, H, W) to (N, I, 2H, 2W): zeros between the pixels, then the filter; a gain of 4 keeps the mean.

        Never computes in a narrower type than that of x; where TF32 is allowed, a GPU may round its factors.
        """
        with unlowered(x):
            return depthwise(x, self._kernel(x), Steps((2, 2), padding=1, transposed=True))

    def _kernel(self, x: Tensor) -> Tensor:
        return self.kernel.expand(x.shape[1], 1, 4, 4)


class Convolution(nn.Module):
    """A convolution with "same" padding, or one that filters and halves the side. Weights and gain as in `Linear`."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, bias: bool = True, down: bool = False, gain: float = 1.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.gain, self.padding = gain / math.sqrt(inputs * kernel**2), kernel // 2
        self.filter = Filter(self.gain) if down else None  # which then scales in place of the weights, for nothing

    def forward(self, x: Tensor) -> Tensor:
        """(N, I, H, W) to (N, O, H, W), or (N, O, H/2, W/2)."""
        if x.shape[1] == 1:  # of one channel torch cannot tell the layout, and would leave channels-last for good
            x = x.squeeze(1)[..., None].permute(0, 3, 1, 2)
        if self.filter is None:
            return functional.conv2d(x, self.weight * self.gain, self.bias, padding=self.padding)
        if self.padding == 0:  # a 1x1 kernel sees only the pixels that the halving keeps
            return functional.conv2d(self.filter(x, padding=1, stride=2), self.weight, self.bias)
        return functional.conv2d(self.filter(x, padding=2), self.weight, self.bias, stride=2)


def modulated_convolution(x_NIHW: Tensor, weight_OIKK: Tensor, style_NI: Tensor, up: Filter | None = None) -> Tensor:
    """Convolve each sample with weights of its own: w'_oikl = s_i · w_oikl.

    The input is scaled by the styles, which gives the same numbers as weights for each sample, with one convolution
    shared by the batch. up: the filter (gain 4) after which the side is doubled.
    Returns (N, O, H, W), or (N, O, 2H, 2W). Karras et al. 2020 (arXiv:1912.04958), equation 1.
    """
    x = x_NIHW * style_NI.to(x_NIHW.dtype)[:, :, None, None]
    if up is None:
        return functional.conv2d(x, weight_OIKK, padding=weight_OIKK.shape[-1] // 2)
    return up(functional.conv_transpose2d(x, weight_OIKK.transpose(0, 1), stride=2), padding=1)

"""Layers of BigGAN: spectral normalisation, conditional BatchNorm, self-attention, orthogonal initial weights.

Papers: Brock et al. 2019 (arXiv:1809.11096), section 3 and appendix B; Miyato et al. 2018 (arXiv:1802.05957) for
spectral normalisation; Zhang et al. 2019 (arXiv:1805.08318) for self-attention; Saxe et al. 2014 (arXiv:1312.6120) for
the initial weights. Written from the papers; that φ and g are halved is a fact of the
author's published program (MIT licence).

Suffixes: N batch, C channels, H height, W width, P places of a map, O outputs and I inputs of a layer, K condition.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d
from torch.nn.utils.parametrize import is_parametrized, register_parametrization, remove_parametrizations

import ganzoo

from .standing import Standing

Start = Literal["orthogonal", "normal"]
"""Initial weights: orthogonal rows, as in the paper, or N(0, 0.02), as the published program has it for CIFAR-10."""

EPSILON = 1e-6
"""Of the norms of u and v."""


def started(layer: nn.Module, start: Start) -> nn.Module:
    """Initial weights of a layer, which is returned; biases keep torch's."""
    if start == "normal":
        nn.init.normal_(layer.weight, std=0.02)
    elif not layer.weight.is_meta:
        nn.init.orthogonal_(layer.weight)
    return layer


def spectral(layer: nn.Module, start: Start) -> nn.Module:
    """Initial weights and spectral normalisation; returns the layer."""
    layer = started(layer, start)
    return register_parametrization(layer, "weight", ganzoo.SpectralNorm(layer.weight, 0, EPSILON))


def without_spectral_norm(network: nn.Module) -> None:
    """Take it from all layers, which keep their weights."""
    for module in list(network.modules()):
        if is_parametrized(module, "weight"):
            remove_parametrizations(module, "weight", leave_parametrized=False)


def convolution(inputs: int, outputs: int, kernel: int, start: Start, bias: bool = True) -> nn.Module:
    """A convolution under spectral normalisation that keeps the side."""
    return spectral(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias), start)


class ConditionalBatchNorm(nn.Module):
    """BatchNorm whose gain and shift follow from a condition: 1 + W_g c and W_b c, or rows of tables by the class.

    condition: length of c; 0 for none.  classes: of tables where there is no c; 0 for gains and shifts of all.
    standing: truncations that it has statistics for, see `Standing`.
    """

    def __init__(self, channels: int, condition: int, classes: int, standing: int, start: Start) -> None:
        super().__init__()
        plain = not condition and not classes
        self.norm = nn.BatchNorm2d(channels, affine=plain)
        self.standing = Standing(channels, standing)
        self.linear = condition > 0
        if condition:
            layers = [spectral(nn.Linear(condition, channels, bias=False), start) for _ in range(2)]
        elif classes:
            layers = [nn.Embedding(classes, channels) for _ in range(2)]
            nn.init.ones_(layers[0].weight)
            nn.init.zeros_(layers[1].weight)
        self.gain, self.shift = (None, None) if plain else layers

    def forward(self, map_NCHW: Tensor, condition: Tensor, truncation: float) -> Tensor:
        """(N, C, H, W), c (N, K) or classes (N,) int64, and that of the latents. Returns (N, C, H, W)."""
        normal_NCHW = self.standing(self.norm, map_NCHW, truncation)
        if self.gain is None:
            return normal_NCHW
        gain_NC = self.gain(condition) + (1 if self.linear else 0)
        return normal_NCHW * gain_NC[:, :, None, None] + self.shift(condition)[:, :, None, None]


class SelfAttention(nn.Module):
    """Each place of a map reads all others, at first with weight γ = 0."""

    def __init__(self, channels: int, start: Start) -> None:
        super().__init__()
        key, value = max(channels // 8, 1), max(channels // 2, 1)
        self.query = convolution(channels, key, 1, start, bias=False)
        self.key = convolution(channels, key, 1, start, bias=False)
        self.value = convolution(channels, value, 1, start, bias=False)
        self.out = convolution(value, channels, 1, start, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, map_NCHW: Tensor) -> Tensor:
        """(N, C, H, W), H and W even. Returns the same shape."""
        query_NCP = self.query(map_NCHW).flatten(2)
        key_NCP, value_NCP = (max_pool2d(layer(map_NCHW), 2).flatten(2) for layer in (self.key, self.value))
        share_NPP = torch.softmax(query_NCP.transpose(1, 2) @ key_NCP, dim=2)
        read_NCHW = (value_NCP @ share_NPP.transpose(1, 2)).unflatten(2, map_NCHW.shape[2:])
        return map_NCHW + self.gamma * self.out(read_NCHW)


def doubled(map_NCHW: Tensor) -> Tensor:
    """Twice the side, by repeating pixels."""
    return interpolate(map_NCHW, scale_factor=2, mode="nearest")

"""How many channels each map has at which size, and what both networks of SNGAN share.

Paper: Miyato et al. 2018 (arXiv:1802.05957), appendix B.4: tables for 32 (CIFAR-10), 48 (STL-10) and 128 (ImageNet)
pixels; the channels at 64 pixels are those of the program that Miyato & Koyama published. What the four have in common
is the rule here, so that it holds for all sides of m·2^k, the same k for both and 4 to 7 as the smaller m. It counts
by the shorter side.
"""

from __future__ import annotations

from torch import nn
from torch.nn.utils.parametrize import register_parametrization

import ganzoo

SMALL = 32
"""Up to this side all maps have the same number of channels, as at 32 pixels; above it they double."""


def generator_channels(target: ganzoo.Sample, width: int | None) -> tuple[tuple[int, int], list[int]]:
    """Return height and width of G's first map, and the channels of all its maps, from that one to the largest.

    32: 256, 256, 256, 256.  48: 512, 256, 128, 64.  64: 1024, 512, 256, 128, 64.  128: 1024, 1024, 512, 256, 128, 64.
    """
    base, doublings = ganzoo.halvings(target, "sngan")
    if is_small(target):
        return base, [positive("width", 256 if width is None else width)] * (doublings + 1)
    last = positive("width", 64 if width is None else width)
    return base, [last << min(level, 4) for level in reversed(range(doublings + 1))]


def discriminator_channels(target: ganzoo.Sample, width: int | None) -> tuple[list[int], list[int]]:
    """Return the channels of D's blocks that halve the map, and of those behind them that keep it.

    32: 128, 128 and 128, 128.  48: 64, 128, 256, 512 and 1024.  64: 64, 128, 256, 512, 1024.  128: the same and 1024.
    From 48 on, maps are halved while their side is even, five times and then on down to 4 pixels; one block that keeps
    the side follows where there are 4 pixels or more left, or fewer than 16 times the first channels.
    """
    _, doublings = ganzoo.halvings(target, "sngan")
    if is_small(target):
        channels = positive("width", 128 if width is None else width)
        return [channels] * min(2, doublings), [channels] * 2
    first = positive("width", 64 if width is None else width)
    halving: list[int] = []
    side, longer = sorted(target.shape[1:])
    while side % 2 == longer % 2 == 0 and (len(halving) < 5 or side > 4):
        halving.append(first << min(len(halving), 4))
        side, longer = side // 2, longer // 2
    return halving, [16 * first] if side >= 4 or halving[-1] < 16 * first else []


def is_small(target: ganzoo.Sample) -> bool:
    """True for the networks of the CIFAR-10 table."""
    return min(target.shape[1:]) <= SMALL


def started(layer: nn.Linear | nn.Conv2d | nn.Embedding, gain: float = 1.0) -> nn.Module:
    """Glorot's uniform weights, times √2 in residual branches, and biases of 0: those of the published programs."""
    nn.init.xavier_uniform_(layer.weight, gain)
    if not isinstance(layer, nn.Embedding) and layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def spectral(layer: nn.Module) -> nn.Module:
    """Put spectral normalisation on a layer's `weight` and return the layer."""
    return register_parametrization(layer, "weight", ganzoo.SpectralNorm(layer.weight))


def positive(name: str, value: int) -> int:
    """Return the value. Raises `ValueError` below 1."""
    if value < 1:
        raise ValueError(f"{name} is at least 1, not {value}")
    return value


def refuse_unlabelled(kind: str, conditional: bool, classes: int) -> None:
    """Raise `Incompatible` for a conditional network on data without labels."""
    if conditional and classes == 0:
        raise ganzoo.Incompatible(
            f"{kind} sngan is to be conditional, but the data have no labels: "
            f"say `--set {kind}.conditional=false` or choose data with labels"
        )

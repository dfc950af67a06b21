"""Distributions on the line and in the plane, for looking at what a GAN learns.

Shapes: N values, D axes, M modes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

import ganzoo


class _Toy(ganzoo.Dataset):
    """An endless distribution of D values without classes."""

    axes: int
    count = math.inf

    @property
    def spec(self) -> ganzoo.DataSpec:
        return ganzoo.DataSpec({"value": ganzoo.Sample((self.axes,), -math.inf, math.inf)})

    def load(self) -> ganzoo.Drawn:
        return ganzoo.Drawn(self._draw)

    def _draw(self, n: int, generator: torch.Generator) -> tuple[Mapping[str, Tensor], None]:
        return {"value": self.sample(n, generator)}, None

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw n values, float32 (n, D), on the generator's device."""
        raise NotImplementedError


class Gaussian(_Toy):
    """The normal distribution N(mean, std²) on the line.

    mean: its middle.  std: its standard deviation, above 0.
    """

    axes = 1

    def __init__(self, mean: float = 4.0, std: float = 1.25) -> None:
        self.mean, self.std = mean, _positive("std", std)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.empty(n, 1, device=generator.device).normal_(self.mean, self.std, generator=generator)

    def density(self, value: Tensor) -> Tensor:
        """value: (N, 1). Returns exp(-(x-μ)²/2σ²) / √(2π)σ, (N,)."""
        return torch.exp(-0.5 * ((value[:, 0] - self.mean) / self.std) ** 2) / (math.sqrt(2 * math.pi) * self.std)


class _Mixture(_Toy):
    """Equal round Gaussians in the plane.

    modes: their means, float32 (M, 2).  std: the standard deviation of each along each axis.
    """

    axes = 2
    modes: Tensor
    std: float

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        device = generator.device
        chosen = torch.randint(len(self.modes), (n,), generator=generator, device=device)
        noise = torch.randn(n, 2, generator=generator, device=device)
        return self.modes.to(device)[chosen] + self.std * noise

    def density(self, value: Tensor) -> Tensor:
        """value: (N, 2). Returns the mean over modes of exp(-‖x-μ‖²/2σ²) / 2πσ², (N,)."""
        squared = (value[:, None] - self.modes.to(value)).square().sum(-1)
        return torch.exp(-0.5 * squared / self.std**2).mean(1) / (2 * math.pi * self.std**2)


class Ring(_Mixture):
    """Gaussians evenly spaced on a circle about 0, as Metz et al. 2017 (arXiv:1611.02163) use to show mode collapse.

    count: of Gaussians.  radius: of the circle.  std: of each Gaussian.
    """

    def __init__(self, count: int = 8, radius: float = 2.0, std: float = 0.02) -> None:
        self.std = _positive("std", std)
        _positive("count", count)
        angle = torch.arange(count) * (2 * math.pi / count)
        self.modes = radius * torch.stack([angle.cos(), angle.sin()], 1)


class Grid(_Mixture):
    """Gaussians on a square grid about 0, as in Lin et al. 2018 (PacGAN, arXiv:1712.04086).

    side: Gaussians along each axis.  spacing: between neighbours.  std: of each Gaussian.
    """

    def __init__(self, side: int = 5, spacing: float = 2.0, std: float = 0.05) -> None:
        self.std = _positive("std", std)
        _positive("side", side)
        axis = spacing * (torch.arange(side) - (side - 1) / 2)
        self.modes = torch.cartesian_prod(axis, axis)


class TwoMoons(_Toy):
    """Half circles of radius 1 about (0, 0), upper half, and (1, 1/2), lower half, with normal noise.

    std: of the noise along each axis.
    """

    axes = 2

    def __init__(self, std: float = 0.05) -> None:
        self.std = _positive("std", std)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        device = generator.device
        angle = math.pi * torch.rand(n, generator=generator, device=device)
        lower = torch.randint(2, (n,), generator=generator, device=device)
        sign = 1 - 2 * lower
        moons = torch.stack([lower + sign * angle.cos(), 0.5 * lower + sign * angle.sin()], 1)
        return moons + self.std * torch.randn(n, 2, generator=generator, device=device)


def _positive(name: str, value: float) -> float:
    if value <= 0:
        raise ganzoo.UsageError(f"data.{name} is {value}: it must be above 0")
    return value

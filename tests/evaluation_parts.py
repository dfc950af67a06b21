"""Extractors and generators whose metrics are known."""

from __future__ import annotations

import torch
from fakes import fake_plugin
from torch import Tensor, nn

import ganzoo
from ganzoo.registry.registry import Registry, installed_points


class Corner(ganzoo.FeatureExtractor):
    """The first pixels of a picture, in [-1, 1].

    dimensions: how many.  gain: of all of them.
    """

    calls = 0

    def __init__(self, dimensions: int = 6, gain: float = 1.0) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.register_buffer("gain", torch.tensor(gain))

    def forward(self, image: Tensor) -> Tensor:
        Corner.calls += len(image)
        return self.gain * (image[:, 0].flatten(1)[:, : self.dimensions].float() / 127.5 - 1)


class CornerClasses(Corner):
    """`Corner` with classes: each feature is the score of one."""

    def logits(self, features: Tensor) -> Tensor:
        return 5 * features


class Stretched(Corner):
    """`Corner` with other weights."""

    def __init__(self) -> None:
        super().__init__(gain=2.0)


class Crooked(Corner):
    """Says that it has one feature more than it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.dimensions += 1

    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image)[:, :-1]


def registry_with_corners() -> Registry:
    """Everything installed, and the extractors of this module."""
    names = {"corner": "Corner", "corner-classes": "CornerClasses", "stretched": "Stretched", "crooked": "Crooked"}
    components = [
        ganzoo.Component("features", name, f"evaluation_parts:{target}", "For tests") for name, target in names.items()
    ]
    return Registry([*installed_points(), fake_plugin("corners", "ganzoo-corners", components)])


class Playback(ganzoo.Generator):
    """Gives given samples in turn: latents are their numbers, counted on from the first."""

    def __init__(self, samples: Tensor) -> None:
        super().__init__()
        self.samples = nn.Parameter(samples, requires_grad=False)

    def sample_latent(self, n: int, device: torch.device) -> Tensor:
        return torch.arange(n, device=device) % len(self.samples)

    def forward(self, source: Tensor, label: Tensor) -> Tensor:
        return self.samples[source]


class Drawing(ganzoo.Generator):
    """Draws from a distribution, draw(n) -> (n, *shape), from torch's global generator."""

    def __init__(self, draw) -> None:
        super().__init__()
        self.draw = draw

    def sample_latent(self, n: int, device: torch.device) -> Tensor:
        return self.draw(n).to(device)

    def forward(self, source: Tensor, label: Tensor) -> Tensor:
        return source

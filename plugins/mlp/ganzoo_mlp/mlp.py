"""Fully connected generator and discriminator, for pictures of any size and for plain values.

Paper: Goodfellow et al. 2014, "Generative Adversarial Nets" (arXiv:1406.2661), whose networks for MNIST are fully
connected. Written from the paper; no code was taken.

Differences from the paper:
- LeakyReLU (`slope=0` is ReLU) where the paper mixes ReLU and sigmoid in G and has maxout in D.
- tanh, scaled to the data's range, where the paper's G ends in a sigmoid; no such bound where the data have none.
- D gives raw logits; the sigmoid belongs to the loss.
- `batch_norm=True`: BatchNorm behind each hidden layer of G but the first, as tutorials place it.
- `conditional=True`: G and D each read a learned embedding of the label beside their input (Mirza & Osindero 2014,
  arXiv:1411.1784, whose embedding in D is 50 wide).

Weights start from PyTorch's default for linear layers, uniform within 1/√inputs.

Shapes: N batch, L latent, E label embedding, S values in a sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

import ganzoo


class MLPGenerator(ganzoo.Generator):
    """Hidden layers with LeakyReLU from z to every value of the sample at once.

    latent: length of z.  latent_distribution: normal, or uniform in [-1, 1].
    widths: units of the hidden layers.  slope: of LeakyReLU below zero.
    batch_norm: normalise behind each hidden layer but the first.
    conditional: make the class that the label asks for.  label_width: length of the label's embedding.
    """

    def __init__(
        self,
        source: ganzoo.Sample | None,
        target: ganzoo.Sample,
        classes: int,
        *,
        latent: int = 100,
        latent_distribution: Literal["normal", "uniform"] = "normal",
        widths: tuple[int, ...] = (256, 512, 1024),
        slope: float = 0.2,
        batch_norm: bool = False,
        conditional: bool = False,
        label_width: int = 50,
    ) -> None:
        super().__init__()
        if source is not None:
            raise ganzoo.Incompatible(
                f"generator mlp makes samples from latents, it cannot translate {source}: "
                "choose a generator that translates, or a loss that plays with latents"
            )
        if latent < 1:
            raise ValueError(f"latent is at least 1, not {latent}")
        _refuse_no_layers(widths)
        _refuse_falling(slope)
        _refuse_unlabelled("generator", conditional, classes)
        self.target, self.latent, self.latent_distribution = target, latent, latent_distribution
        self.conditional = conditional
        self.label_embedding = nn.Embedding(classes, label_width) if conditional else None
        inputs = latent + label_width if conditional else latent
        layers: list[nn.Module] = [nn.Linear(inputs, widths[0]), nn.LeakyReLU(slope, inplace=True)]
        for before, after in pairwise(widths):
            norm = [nn.BatchNorm1d(after)] if batch_norm else []
            layers += [nn.Linear(before, after), *norm, nn.LeakyReLU(slope, inplace=True)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], target.size))

    def sample_latent(self, n: int, device: torch.device) -> Tensor:
        """Draw z, (n, L): N(0, 1) or U(-1, 1) by `latent_distribution`."""
        if self.latent_distribution == "normal":
            return torch.randn(n, self.latent, device=device)
        return torch.rand(n, self.latent, device=device) * 2 - 1

    def forward(self, source: Tensor, label: Tensor) -> Tensor:
        """source: z (N, L); label: (N,) int64, read only if conditional.

        Returns (N, *target.shape) in the target's range, or unbounded if the target is.
        """
        if self.label_embedding is not None:
            source = torch.cat([source, self.label_embedding(label)], dim=1)
        sample = self.layers(source).unflatten(1, self.target.shape)
        if not self.target.bounded:
            return sample
        return self.target.scaled(torch.tanh(sample))


class MLPDiscriminator(ganzoo.Discriminator):
    """Hidden layers with LeakyReLU from all values of the sample to one logit.

    widths: units of the hidden layers.  slope: of LeakyReLU below zero.
    dropout: share of hidden activations dropped while training; Goodfellow et al. use it, tutorials do not.
    conditional: judge whether the sample is of its label's class.  label_width: length of the label's embedding.
    """

    def __init__(
        self,
        source: ganzoo.Sample | None,
        target: ganzoo.Sample,
        classes: int,
        *,
        widths: tuple[int, ...] = (512, 256),
        slope: float = 0.2,
        dropout: float = 0.0,
        conditional: bool = False,
        label_width: int = 50,
    ) -> None:
        super().__init__()
        _refuse_no_layers(widths)
        _refuse_falling(slope)
        _refuse_unlabelled("discriminator", conditional, classes)
        self.label_embedding = nn.Embedding(classes, label_width) if conditional else None
        layers: list[nn.Module] = []
        dropped = (
            nn.Dropout(dropout) if dropout else nn.Identity()
        )  # a place of its own, so that weights keep their names
        for before, after in pairwise([target.size + label_width if conditional else target.size, *widths]):
            layers += [nn.Linear(before, after), nn.LeakyReLU(slope, inplace=True), dropped]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], 1))

    def forward(self, sample: Tensor, label: Tensor) -> Tensor:
        """sample: (N, *target.shape); label: (N,) int64, read only if conditional. Returns raw logits, (N,)."""
        sample_NS = sample.flatten(1)
        if self.label_embedding is not None:
            sample_NS = torch.cat([sample_NS, self.label_embedding(label)], dim=1)
        return self.layers(sample_NS).flatten()


def _refuse_no_layers(widths: Sequence[int]) -> None:
    if not widths or min(widths) < 1:
        raise ValueError(f"widths names at least one hidden layer, each at least 1 wide, not {list(widths)}")


def _refuse_falling(slope: float) -> None:
    if not slope >= 0:
        raise ValueError(f"slope is at least 0, not {slope}")


def _refuse_unlabelled(kind: str, conditional: bool, classes: int) -> None:
    if conditional and classes == 0:
        raise ganzoo.Incompatible(
            f"{kind} mlp is to be conditional, but the data have no labels: "
            f"say `--set {kind}.conditional=false` or choose data with labels"
        )

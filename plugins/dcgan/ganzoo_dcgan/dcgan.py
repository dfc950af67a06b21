"""DCGAN: a ladder of strided convolutions up to the picture, and another one down to a logit.

Paper: Radford, Metz & Chintala 2016, "Unsupervised Representation Learning with Deep Convolutional Generative
Adversarial Networks" (arXiv:1511.06434). Written from the paper, and from the layer list of the PyTorch tutorial for
`kernel=4`; no code was taken from either.

Differences from the paper:
- Any sides of m·2^k, with the same k for both and 4 to 7 as the smaller m, and any number of channels; the paper shows
  3x64x64.
- The projection of z is a transposed convolution of a 1x1 map, and D's last layer a convolution over the whole map.
  Both are the paper's dense layers under another name, which is how the tutorial writes them.
- No layer has a bias where BatchNorm is on, not even the two that are not normalised: as in the tutorial.
- `batch_norm=False` leaves BatchNorm out and gives every layer a bias, for losses that need each logit to depend on
  its own sample alone (WGAN-GP, Gulrajani et al. 2017, arXiv:1704.00028, section 4).
- `conditional=True`: G reads a learned embedding of the label, as wide as z, beside z (Mirza & Osindero 2014,
  arXiv:1411.1784); D adds the inner product of its features with another one (Miyato & Koyama 2018, arXiv:1802.05637).

Shapes: N batch, L latent, C channels, H height, W width, F features of the smallest map, flattened.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

import ganzoo

SLOPE = 0.2
"""Of D's LeakyReLU below zero; Radford et al., section 3."""


class DCGANGenerator(ganzoo.Generator):
    """Projects z to a small map and doubles its side until it is the picture.

    latent: length of z.  latent_distribution: uniform in [-1, 1] as in the paper, or normal as in the tutorial.
    width: channels of the last hidden map; each smaller map has twice as many, up to max_width.
    kernel: 5 as in the paper, or 4 as in the tutorial.  batch_norm: normalise all but the output.
    conditional: make the class that the label asks for.
    Raises `Incompatible` for data that are no pictures whose sides halve alike, the shorter down to 4 to 7.
    """

    def __init__(
        self,
        source: ganzoo.Sample | None,
        target: ganzoo.Sample,
        classes: int,
        *,
        latent: int = 100,
        latent_distribution: Literal["uniform", "normal"] = "uniform",
        width: int = 128,
        max_width: int = 1024,
        kernel: Literal[4, 5] = 5,
        batch_norm: bool = True,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        if source is not None:
            raise ganzoo.Incompatible(
                f"generator dcgan makes pictures from latents, it cannot translate {source}: "
                "choose a generator that translates, or a loss that plays with latents"
            )
        _refuse_unlabelled("generator", conditional, classes)
        base, widths = ladder(target, width, max_width)
        self.target, self.latent, self.latent_distribution = target, _positive("latent", latent), latent_distribution
        self.conditional = conditional
        self.label_embedding = nn.Embedding(classes, latent) if conditional else None
        layers: list[nn.Module] = []
        inputs = 2 * latent if conditional else latent
        widths.reverse()
        layers += [nn.ConvTranspose2d(inputs, widths[0], base, bias=not batch_norm), *_norm(widths[0], batch_norm)]
        layers += [nn.ReLU(inplace=True)]
        for narrow, wide in pairwise(widths):
            layers += [
                _double(narrow, wide, kernel, bias=not batch_norm),
                *_norm(wide, batch_norm),
                nn.ReLU(inplace=True),
            ]
        layers += [_double(widths[-1], target.shape[0], kernel, bias=not batch_norm)]
        self.layers = nn.Sequential(*layers)
        self.apply(initialise)  # the embedding, too: as wide apart as z is, labels would drown it, a picture a class

    def sample_latent(self, n: int, device: torch.device) -> Tensor:
        """Draw z, (n, L): U(-1, 1) or N(0, 1) by `latent_distribution`."""
        if self.latent_distribution == "normal":
            return torch.randn(n, self.latent, device=device)
        return torch.rand(n, self.latent, device=device) * 2 - 1

    def forward(self, source: Tensor, label: Tensor) -> Tensor:
        """source: z (N, L); label: (N,) int64, read only if conditional. Returns (N, C, H, W) in the data's range."""
        if self.label_embedding is not None:
            source = torch.cat([source, self.label_embedding(label)], dim=1)
        picture_NCHW = self.layers(source.view(*source.shape, 1, 1))
        if not self.target.bounded:
            return picture_NCHW
        return self.target.scaled(torch.tanh(picture_NCHW))


class DCGANDiscriminator(ganzoo.Discriminator):
    """Halves the picture's side down to a small map and weighs all of it into one logit.

    width: channels of the first hidden map; each smaller map has twice as many, up to max_width.
    kernel: 5 as in the paper, or 4 as in the tutorial.  batch_norm: normalise all but the input layer.
    conditional: judge whether the picture shows the class of its label.
    Raises `Incompatible` for data that are no pictures whose sides halve alike, the shorter down to 4 to 7.
    """

    def __init__(
        self,
        source: ganzoo.Sample | None,
        target: ganzoo.Sample,
        classes: int,
        *,
        width: int = 128,
        max_width: int = 1024,
        kernel: Literal[4, 5] = 5,
        batch_norm: bool = True,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        _refuse_unlabelled("discriminator", conditional, classes)
        base, widths = ladder(target, width, max_width)
        layers: list[nn.Module] = [
            _halve(target.shape[0], widths[0], kernel, bias=not batch_norm),
            nn.LeakyReLU(SLOPE, inplace=True),
        ]
        for wide, narrow in pairwise(widths):
            layers += [_halve(wide, narrow, kernel, bias=not batch_norm), *_norm(narrow, batch_norm)]
            layers += [nn.LeakyReLU(SLOPE, inplace=True)]
        self.features = nn.Sequential(*layers)
        self.logit = nn.Conv2d(widths[-1], 1, base, bias=not batch_norm)
        self.label_embedding = nn.Embedding(classes, widths[-1] * math.prod(base)) if conditional else None
        self.apply(initialise)

    def forward(self, sample: Tensor, label: Tensor) -> Tensor:
        """sample: (N, C, H, W); label: (N,) int64, read only if conditional. Returns raw logits, (N,)."""
        features = self.features(sample)
        logit_N = self.logit(features).flatten()
        if self.label_embedding is not None:
            features_NF = features.flatten(1)
            logit_N = logit_N + (self.label_embedding(label) * features_NF).sum(dim=1)
        return logit_N


def ladder(target: ganzoo.Sample, width: int, max_width: int) -> tuple[tuple[int, int], list[int]]:
    """Return height and width of the smallest map, and the channels of all hidden maps from the largest map down.

    Raises `Incompatible` if the target is no picture, or of sides that do not halve down to it.
    """
    base, doublings = ganzoo.halvings(target, "dcgan")
    narrowest = min(_positive("width", width), _positive("max_width", max_width))
    return base, [min(narrowest << level, max_width) for level in range(doublings)]


def initialise(module: nn.Module) -> None:
    """Radford et al., section 4: weights from N(0, 0.02). Gains of BatchNorm from N(1, 0.02), as in the tutorial."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Embedding):
        nn.init.normal_(module.weight, 0.0, 0.02)
    if isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.bias is not None:
        nn.init.zeros_(module.bias)


def _double(inputs: int, outputs: int, kernel: int, bias: bool) -> nn.ConvTranspose2d:
    padding = (kernel - 1) // 2
    # An odd kernel leaves the doubled side one short.
    return nn.ConvTranspose2d(inputs, outputs, kernel, 2, padding, output_padding=kernel % 2, bias=bias)


def _halve(inputs: int, outputs: int, kernel: int, bias: bool) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, 2, (kernel - 1) // 2, bias=bias)


def _norm(channels: int, batch_norm: bool) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels)] if batch_norm else []


def _positive(name: str, value: int) -> int:
    if value < 1:
        raise ValueError(f"{name} is at least 1, not {value}")
    return value


def _refuse_unlabelled(kind: str, conditional: bool, classes: int) -> None:
    if conditional and classes == 0:
        raise ganzoo.Incompatible(
            f"{kind} dcgan is to be conditional, but the data have no labels: "
            f"say `--set {kind}.conditional=false` or choose data with labels"
        )

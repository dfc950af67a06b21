"""The small DCGAN that Keras tutorials train on MNIST.

Source: the architecture of TensorFlow's DCGAN tutorial, in the variant that articles retell with ReLU in G; there is no
paper of its own. It simplifies Radford et al. 2016 (arXiv:1511.06434): two doublings, one layer that keeps its
side, dropout instead of BatchNorm in D. Written from a description of the layers; no code was taken.

Keras' conventions, which PyTorch does not share:
- "same" padding of a 5x5 convolution with stride 2 and an even side pads by 3: 1 before and 2 behind. Its transpose
  crops 1 before and 2 behind. PyTorch pads both sides alike, so here one row and column more are padded or cropped.
- BatchNormalization: epsilon 0.001, and momentum 0.99, which PyTorch writes as 0.01.
- Weights from Glorot's uniform distribution, biases 0.  LeakyReLU: slope 0.3 unless said otherwise, as here.

Differences from the source:
- The dense layer's outputs are read as (256, H/4, W/4), channels first: the same network with its units renumbered.
- Any height and width that are multiples of 4, and any number of channels; the source makes 1x28x28.
- D gives a raw logit, without the sigmoid that some articles put behind it.
- `conditional=True`: G reads a learned embedding of the label, as wide as z, beside z (Mirza & Osindero 2014,
  arXiv:1411.1784); D adds the inner product of its features with another one (Miyato & Koyama 2018, arXiv:1802.05637).

Shapes: N batch, L latent, C channels, H height, W width, F features, flattened.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

import ganzoo


class KerasGenerator(ganzoo.Generator):
    """Dense layer to 256 maps of a quarter of the side, then 5x5 transposed convolutions to 128, 64 and the picture.

    latent: length of z, which is normal.  conditional: make the class that the label asks for.
    Raises `Incompatible` for data that are no pictures with sides that are multiples of 4.
    """

    def __init__(
        self,
        source: ganzoo.Sample | None,
        target: ganzoo.Sample,
        classes: int,
        *,
        latent: int = 100,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        if source is not None:
            raise ganzoo.Incompatible(
                f"generator dcgan-mnist makes pictures from latents, it cannot translate {source}: "
                "choose a generator that translates, or a loss that plays with latents"
            )
        if latent < 1:
            raise ValueError(f"latent is at least 1, not {latent}")
        _refuse_unlabelled("generator", conditional, classes)
        channels, *self.small = _quartered(target)
        self.target, self.latent, self.conditional = target, latent, conditional
        self.label_embedding = nn.Embedding(classes, latent) if conditional else None
        units = 256 * self.small[0] * self.small[1]
        self.dense = nn.Linear(2 * latent if conditional else latent, units, bias=False)
        self.dense_norm = nn.BatchNorm1d(units, eps=1e-3, momentum=0.01)
        self.keep = nn.ConvTranspose2d(256, 128, 5, 1, padding=2, bias=False)
        self.keep_norm = nn.BatchNorm2d(128, eps=1e-3, momentum=0.01)
        self.upsample = nn.ConvTranspose2d(128, 64, 5, 2, padding=1, bias=False)
        self.upsample_norm = nn.BatchNorm2d(64, eps=1e-3, momentum=0.01)
        self.paint = nn.ConvTranspose2d(64, channels, 5, 2, padding=1, bias=False)
        self.apply(_initialise)

    def sample_latent(self, n: int, device: torch.device) -> Tensor:
        """Draw z from N(0, 1), (n, L)."""
        return torch.randn(n, self.latent, device=device)

    def forward(self, source: Tensor, label: Tensor) -> Tensor:
        """source: z (N, L); label: (N,) int64, read only if conditional. Returns (N, C, H, W) in the data's range."""
        if self.label_embedding is not None:
            source = torch.cat([source, self.label_embedding(label)], dim=1)
        h = torch.relu(self.dense_norm(self.dense(source)))
        h = h.view(-1, 256, *self.small)
        h = torch.relu(self.keep_norm(self.keep(h)))  # (N, 128, H/4, W/4)
        h = torch.relu(self.upsample_norm(self.upsample(h)[..., :-1, :-1]))  # (N, 64, H/2, W/2)
        h = self.paint(h)[..., :-1, :-1]
        if not self.target.bounded:
            return h
        return self.target.scaled(torch.tanh(h))


class KerasDiscriminator(ganzoo.Discriminator):
    """Two 5x5 convolutions with stride 2, to 64 and 128 maps, each with dropout; then a dense layer to one logit.

    slope: of LeakyReLU below zero, Keras' default.  dropout: share of activations dropped while training.
    conditional: judge whether the picture shows the class of its label.
    Raises `Incompatible` for data that are no pictures with sides that are multiples of 4.
    """

    def __init__(
        self,
        source: ganzoo.Sample | None,
        target: ganzoo.Sample,
        classes: int,
        *,
        slope: float = 0.3,
        dropout: float = 0.3,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        _refuse_unlabelled("discriminator", conditional, classes)
        channels, height, width = _quartered(target)
        self.halve = nn.Conv2d(channels, 64, 5, 2)
        self.quarter = nn.Conv2d(64, 128, 5, 2)
        self.activation = nn.Sequential(nn.LeakyReLU(slope), nn.Dropout(dropout))
        self.logit = nn.Linear(128 * height * width, 1)
        self.label_embedding = nn.Embedding(classes, 128 * height * width) if conditional else None
        self.apply(_initialise)
        if self.label_embedding is not None:
            nn.init.normal_(self.label_embedding.weight, 0.0, 0.02)

    def forward(self, sample: Tensor, label: Tensor) -> Tensor:
        """sample: (N, C, H, W); label: (N,) int64, read only if conditional. Returns raw logits, (N,)."""
        same = (1, 2, 1, 2)
        h = self.activation(self.halve(pad(sample, same)))  # (N, 64, H/2, W/2)
        h = self.activation(self.quarter(pad(h, same)))  # (N, 128, H/4, W/4)
        features_NF = h.flatten(1)
        logit_N = self.logit(features_NF).flatten()
        if self.label_embedding is not None:
            logit_N = logit_N + (self.label_embedding(label) * features_NF).sum(dim=1)
        return logit_N


def _quartered(target: ganzoo.Sample) -> tuple[int, int, int]:
    """Return channels, and a quarter of height and width. Raises `Incompatible` if there is no such thing."""
    if not target.is_image:
        raise ganzoo.Incompatible(
            f"dcgan-mnist makes images; the data are values of shape {'x'.join(map(str, target.shape))}: "
            "try `--generator mlp --discriminator mlp`"
        )
    channels, height, width = target.shape
    if height % 4 or width % 4:
        nearest = max(4, round(min(height, width) / 4) * 4)
        raise ganzoo.Incompatible(
            "dcgan-mnist makes images whose height and width are multiples of 4; "
            f"the data are {height}x{width}: try `--set data.size={nearest}`"
        )
    return channels, height // 4, width // 4


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _refuse_unlabelled(kind: str, conditional: bool, classes: int) -> None:
    if conditional and classes == 0:
        raise ganzoo.Incompatible(
            f"{kind} dcgan-mnist is to be conditional, but the data have no labels: "
            f"say `--set {kind}.conditional=false` or choose data with labels"
        )

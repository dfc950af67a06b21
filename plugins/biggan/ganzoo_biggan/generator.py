"""BigGAN's generators, for classes and for pictures of up to 512 pixels.

Paper: Brock et al. 2019, "Large Scale GAN Training for High Fidelity Natural Image Synthesis" (arXiv:1809.11096),
section 3 and appendix B. Written from the paper; widths at 32 and 64 pixels and the class tables are facts of the
author's published program (MIT licence).

Differences from the paper:
- Truncation gives the law of resampling without drawing again: the latents' distribution function is squeezed.
- The 1x1 convolution of a shortcut runs before the doubling, which gives the same map for a quarter of the work.

Suffixes: N batch, L latent, C channels, H height, W width.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

import ganzoo

from .blocks import DeepUpBlock, UpBlock
from .layers import ConditionalBatchNorm, SelfAttention, Start, spectral, started, without_spectral_norm
from .layout import BASE, OF_G, attention_of, positive, refuse_unlabelled, side_of, width_of
from .standing import BATCH, BATCHES, Standing, checked

THRESHOLD = 2.0
"""Of |z| as truncation goes to 1; the paper's largest."""

_SEED = 0
"""Of the latents that standing statistics are measured with."""


class _Generator(ganzoo.Generator):
    """What both share: the latents, the first map, the last layers, and how the label enters."""

    def _prepare(
        self, source: ganzoo.Sample | None, conditional: bool, classes: int, latent: int, standing: int
    ) -> None:
        """Check what both read of their surroundings, and keep it."""
        if source is not None:
            raise ganzoo.Incompatible(
                f"generator biggan makes pictures from latents, it cannot translate {source}: "
                "choose a generator that translates, or a loss that plays with latents"
            )
        refuse_unlabelled("generator", conditional, classes)
        self.latent, self.conditional = positive("latent", latent), conditional
        self.classes, self.truncations = classes if conditional else 0, checked(standing)

    def _ends(self, target: ganzoo.Sample, reads: int, first: int, last: int, start: Start) -> None:
        self.target, self.first_map = target, (first, BASE, BASE)
        self.dense = spectral(nn.Linear(reads, first * BASE**2), start)
        self.norm, self.standing = nn.BatchNorm2d(last), Standing(last, self.truncations)
        self.picture = spectral(nn.Conv2d(last, target.shape[0], 3, padding=1), start)

    def _attend(self, at: int, channels: list[int], start: Start) -> None:
        """Put self-attention behind the last block that makes maps with the side `at`; nowhere if that is 0."""
        self.attention_after: int | None = None
        self.attention: SelfAttention | None = None
        if at:
            level = (at // BASE).bit_length() - 1
            self.attention_after = level * len(self.blocks) // (len(channels) - 1) - 1
            self.attention = SelfAttention(channels[level], start)

    def forward(self, source: Tensor, label: Tensor) -> Tensor:
        """source: z (N, L); label: (N,) int64, read only if conditional. Returns (N, C, H, W) in the data's range."""
        return self._made(source, label, 1.0)

    def truncated(self, source: Tensor, label: Tensor, truncation: float) -> Tensor:
        """The same of latents that are truncated, with the statistics that belong to them."""
        return self._made(self.truncate(source, truncation), label, truncation)

    def _made(self, source: Tensor, label: Tensor, truncation: float) -> Tensor:
        raise NotImplementedError

    def settle(self, truncated: bool) -> None:
        """Measure the standing statistics: each the mean over `BATCHES` batches of latents and of classes in turn."""
        if not self.truncations:
            return
        norms = [module for module in self.modules() if isinstance(module, Standing)]
        steps, device = self.truncations - 1, self.dense.bias.device
        label = torch.arange(BATCH, device=device) % max(self.classes, 1)
        for number in range(self.truncations) if truncated else [steps]:
            with torch.no_grad(), torch.random.fork_rng(devices=[]), ExitStack() as measuring:
                torch.default_generator.manual_seed(_SEED)
                for norm in norms:
                    measuring.enter_context(norm.measuring(number))
                for batch in range(BATCHES):
                    latent = self.sample_latent(BATCH, torch.device("cpu")).to(device)
                    self.truncated(latent, (label + batch * BATCH) % max(self.classes, 1), number / steps)

    def sample_latent(self, n: int, device: torch.device) -> Tensor:
        """Draw z, (n, L), from N(0, 1)."""
        return torch.randn(n, self.latent, device=device)

    def truncate(self, latent: Tensor, truncation: float) -> Tensor:
        """Latents that lie within ±2 · truncation, with the law of those that are drawn anew until they do.

        Each value keeps its rank: z becomes Φ⁻¹(Φ(-t) + Φ(z) (Φ(t) - Φ(-t))), t = 2 · truncation. 1 leaves latents as
        they are. Section 3.1 of the paper, whose thresholds go up to 2.
        """
        if truncation == 1:
            return latent
        inside = torch.special.ndtr(torch.tensor(THRESHOLD * truncation)).item()
        share = 1 - inside + torch.special.ndtr(latent.double()) * (2 * inside - 1)
        return torch.special.ndtri(share).to(latent.dtype)

    def _finished(self, map_NCHW: Tensor, truncation: float) -> Tensor:
        picture_NCHW = self.picture(relu(self.standing(self.norm, map_NCHW, truncation)))
        return self.target.scaled(torch.tanh(picture_NCHW)) if self.target.bounded else picture_NCHW


class BigGANGenerator(_Generator):
    """A dense layer to a 4x4 map and residual blocks that double it; z and the label set the gains of every BatchNorm.

    latent: length of z, which is normal; by default 20 for the first map and for each block.
    width: channels in units of the table in `layout.py`; 96, or 64 for pictures of less than 128 pixels.
    skip_latent: each block reads a part of z of its own, instead of all of it entering at the first map.
    shared: length of the vector of a class that all blocks read; 0 gives each block a table of gains by class.
    attention: side of the map that attends to itself, by default the paper's; 0 for none.
    start: initial weights.  conditional: make the class that the label asks for.
    standing: truncations from 0 to 1 for which statistics are measured to sample with, 0 for running statistics.
    spectral_norm: of all layers.
    Raises `Incompatible` for data that are no square pictures of 32, 64, 128, 256 or 512 pixels.
    """

    def __init__(
        self,
        source: ganzoo.Sample | None,
        target: ganzoo.Sample,
        classes: int,
        *,
        latent: int | None = None,
        width: int | None = None,
        skip_latent: bool = True,
        shared: int = 128,
        attention: int | None = None,
        start: Start = "orthogonal",
        conditional: bool = False,
        standing: int = 0,
        spectral_norm: bool = True,
    ) -> None:
        super().__init__()
        side = side_of(target)
        channels = [multiple * width_of(side, width) for multiple in OF_G[side]]
        self._prepare(source, conditional, classes, 20 * len(channels) if latent is None else latent, standing)
        if conditional and skip_latent and not shared:
            raise ValueError(
                "skip_latent joins z to the class's shared vector: set shared above 0 or skip_latent to false"
            )
        if skip_latent and self.latent % len(channels):
            fits = -(-self.latent // len(channels)) * len(channels)
            raise ValueError(
                f"latent is split into {len(channels)} equal parts, which {self.latent} does not give: choose {fits}"
            )
        self.part = self.latent // len(channels) if skip_latent else self.latent
        self.skip_latent = skip_latent
        labelled = conditional and shared > 0
        self.class_vector = started(nn.Embedding(classes, shared), start) if labelled else None
        condition = (self.part if skip_latent else 0) + (shared if labelled else 0)
        tables = classes if conditional and not shared else 0
        norm = partial(ConditionalBatchNorm, condition=condition, classes=tables, standing=standing, start=start)
        self._ends(target, self.part, channels[0], channels[-1], start)
        self.blocks = nn.ModuleList(UpBlock(before, after, norm, start) for before, after in pairwise(channels))
        self._attend(attention_of(side, attention, of_d=False), channels, start)
        if not spectral_norm:
            without_spectral_norm(self)

    def _made(self, source: Tensor, label: Tensor, truncation: float) -> Tensor:
        parts = source.split(self.part, dim=1)
        map_NCHW = self.dense(parts[0]).unflatten(1, self.first_map)
        vector = [] if self.class_vector is None else [self.class_vector(label).to(source.dtype)]
        for number, block in enumerate(self.blocks):
            condition = [*vector, *parts[number + 1 : number + 2]]
            map_NCHW = block(map_NCHW, torch.cat(condition, dim=1) if condition else label, truncation)
            if number == self.attention_after:
                map_NCHW = self.attention(map_NCHW)
        return self._finished(map_NCHW, truncation)


class BigGANDeepGenerator(_Generator):
    """BigGAN-deep: two bottleneck blocks at each side, of which the second doubles it; all read z and the label whole.

    latent: length of z, which is normal.  width: channels in units of the table in `layout.py`.
    shared: length of the vector of a class.  attention: side of the map that attends to itself, by default 64 from 128
    pixels on; 0 for none.  start: initial weights.  conditional: make the class that the label asks for.
    standing: truncations from 0 to 1 for which statistics are measured to sample with, 0 for running statistics.
    spectral_norm: of all layers.
    Raises `Incompatible` for data that are no square pictures of 32, 64, 128, 256 or 512 pixels.
    """

    def __init__(
        self,
        source: ganzoo.Sample | None,
        target: ganzoo.Sample,
        classes: int,
        *,
        latent: int = 128,
        width: int = 128,
        shared: int = 128,
        attention: int | None = None,
        start: Start = "orthogonal",
        conditional: bool = False,
        standing: int = 0,
        spectral_norm: bool = True,
    ) -> None:
        super().__init__()
        side = side_of(target)
        channels = [multiple * positive("width", width) for multiple in OF_G[side]]
        self._prepare(source, conditional, classes, latent, standing)
        self.class_vector = started(nn.Embedding(classes, positive("shared", shared)), start) if conditional else None
        reads = latent + (shared if conditional else 0)
        norm = partial(ConditionalBatchNorm, condition=reads, classes=0, standing=standing, start=start)
        self._ends(target, reads, channels[0], channels[-1], start)
        self.blocks = nn.ModuleList()
        for before, after in pairwise(channels):
            self.blocks.append(DeepUpBlock(before, before, False, norm, start))
            self.blocks.append(DeepUpBlock(before, after, True, norm, start))
        at = attention_of(side, (64 if side >= 128 else 0) if attention is None else attention, of_d=False)
        self._attend(at, channels, start)
        if not spectral_norm:
            without_spectral_norm(self)

    def _made(self, source: Tensor, label: Tensor, truncation: float) -> Tensor:
        if self.class_vector is not None:
            source = torch.cat([source, self.class_vector(label).to(source.dtype)], dim=1)
        map_NCHW = self.dense(source).unflatten(1, self.first_map)
        for number, block in enumerate(self.blocks):
            map_NCHW = block(map_NCHW, source, truncation)
            if number == self.attention_after:
                map_NCHW = self.attention(map_NCHW)
        return self._finished(map_NCHW, truncation)

"""Progressive GAN's generator: 4x4 pixels first, then level after level doubles the side.

Paper: Karras et al. 2018 (arXiv:1710.10196), table 2 and appendix A. Written from the paper; no code was taken.

Differences from the paper: samples are clamped to the data's range; no labels.

Suffixes: N batch, L latent, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

import ganzoo
from ganzoo_stylegan2.parts import keep_within

from .layers import Convolution, First, activate, doubled, normalise
from .levels import channels_by_level


class ProGANGenerator(ganzoo.Generator):
    """z to a 4x4 map, two convolutions a level from there; each level can draw its map as a picture.

    Every layer is there from the start, and `level` says which run: its fraction is how far the newest level has come,
    whose picture is mixed with the enlarged one of the level before. Pictures have full size at every level.

    latent: length of z, which is normal and then scaled to the length √L.
    channel_base: channels of a map are base / side, at most channel_max; 16384 and 512 in the paper.
    Raises `Incompatible` for data that are no square pictures with a side of 8, 16, 32 …
    """

    def __init__(
        self,
        source: ganzoo.Sample | None,
        target: ganzoo.Sample,
        classes: int,
        *,
        latent: int = 512,
        channel_base: int = 16384,
        channel_max: int = 512,
    ) -> None:
        super().__init__()
        if source is not None:
            raise ganzoo.Incompatible(
                f"generator progan makes pictures from latents, it cannot translate {source}: "
                "choose a generator that translates, or a loss that plays with latents"
            )
        if latent < 1:
            raise ValueError(f"latent is at least 1, not {latent}")
        widths = channels_by_level(target, channel_base, channel_max)
        self.target, self.latent, self.last = target, latent, len(widths) - 1
        self.level = ganzoo.Dial(self.last, structural=True)
        self.first = First(latent, widths[0])
        self.keep = Convolution(widths[0], widths[0])
        self.blocks = nn.ModuleList(map(Block, widths, widths[1:]))
        self.to_rgb = nn.ModuleList(Convolution(width, target.shape[0], 1, gain=1.0) for width in widths)

    def sample_latent(self, n: int, device: torch.device) -> Tensor:
        """Draw z, (n, L), from N(0, 1)."""
        return torch.randn(n, self.latent, device=device)

    def truncated(self, source: Tensor, label: Tensor, truncation: float) -> Tensor:
        """Samples from shorter latents than the network has learned from; their direction stays."""
        return self._draw(truncation * normalise(source))

    def forward(self, source: Tensor, label: Tensor) -> Tensor:
        """source: z (N, L); label is not read. Returns (N, C, H, W) in the data's range."""
        return self._draw(normalise(source))

    def _draw(self, latent_NL: Tensor) -> Tensor:
        level = self.level.level
        map_NCHW = normalise(activate(self.first(latent_NL)))
        before = map_NCHW = normalise(activate(self.keep(map_NCHW)))
        for block in self.blocks[:level]:
            before, map_NCHW = map_NCHW, block(map_NCHW)
        picture_NCHW = self.to_rgb[level](map_NCHW)
        if self.level.fading:
            coarse = doubled(self.to_rgb[level - 1](before))
            picture_NCHW = coarse.lerp(picture_NCHW, self.level.alpha.to(picture_NCHW.dtype))
        if self.target.bounded:
            picture_NCHW = keep_within(self.target.scaled(picture_NCHW), self.target.low, self.target.high)
        return doubled(picture_NCHW, 1 << (self.last - level))


class Block(nn.Module):
    """Twice the side: convolution of the repeated pixels, and another one, each with LeakyReLU and pixel norm."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.double_side = Convolution(inputs, outputs)
        self.keep = Convolution(outputs, outputs)

    def forward(self, map_NCHW: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, 2H, 2W)."""
        map_NCHW = normalise(activate(self.double_side.of_doubled(map_NCHW)))
        return normalise(activate(self.keep(map_NCHW)))

"""StyleGAN's generator: a mapping network, a learned constant, and layers that take their styles by AdaIN; it grows.

Papers: Karras et al. 2019, "A Style-Based Generator Architecture for Generative Adversarial Networks"
(arXiv:1812.04948), configuration E, or F with mixing; Karras et al. 2018 (arXiv:1710.10196), section 3 for growth.
Written from the papers; no code was consulted. Differences from them are in the README.

Suffixes: N batch, Z latent, S style (the papers' w), L styles of a sample, C colours, I channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

import ganzoo
from ganzoo_stylegan2.parts import (
    SMALLEST,
    ChannelBase,
    Convolution,
    Mapping,
    activate,
    follow_mean,
    keep_within,
    mix,
    positive,
    refuse_translation,
    refuse_unlabelled,
)

from .layers import AdaptiveNorm, Resampling
from .sizes import NAME, square_widths


class StyleGANGenerator(ganzoo.Generator):
    """Paints from a learned 4x4 constant, doubling the side, under styles that a mapping network makes of z.

    latent: length of z.  style: length of w.  mapping_layers: of the mapping network.
    channel_base: channels of a level are base / side, at most channel_max; "constant" is channel_max on every level.
    mixing: probability that a sample gets two styles, from a random layer on the second, while training.
    cutoff: how many layers truncation reaches, from the coarsest on: 8 are those of up to 32 pixels.
    noise: add it in each layer, as strongly as the layer learns.
    conditional: make the class that the label asks for.
    It grows from level to level by a recipe's section `growth`: level 0 is 4x4, each next one doubles the side.
    Raises `Incompatible` for data that are no square pictures with a side of 8, 16, 32 …
    """

    def __init__(
        self,
        source: ganzoo.Sample | None,
        target: ganzoo.Sample,
        classes: int,
        *,
        latent: int = 512,
        style: int = 512,
        mapping_layers: int = 8,
        channel_base: ChannelBase = 16384,
        channel_max: int = 512,
        mixing: float = 0.9,
        cutoff: int = 8,
        noise: bool = True,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        refuse_translation(source, NAME)
        refuse_unlabelled("generator", conditional, classes, NAME)
        channels = square_widths(target, channel_base, channel_max)
        if not 0 <= mixing <= 1:
            raise ValueError(f"mixing is a probability, not {mixing}")
        self.target, self.latent, self.mixing = target, positive("latent", latent), mixing
        self.cutoff, self.conditional = positive("cutoff", cutoff), conditional
        self.level = ganzoo.Dial(len(channels) - 1, structural=True)
        self.class_vector = nn.Parameter(torch.randn(classes, latent)) if conditional else None
        inputs = 2 * latent if conditional else latent
        self.mapping = Mapping(inputs, 0, positive("style", style), positive("mapping_layers", mapping_layers))
        self.register_buffer("mean_style", torch.zeros(style))
        self.constant = nn.Parameter(torch.ones(channels[SMALLEST], SMALLEST, SMALLEST))
        self.levels = nn.ModuleList()
        before = None
        for side, width in channels.items():
            self.levels.append(_Level(before, width, style, side if noise else None))
            before = width
        self.rgb = nn.ModuleList(Convolution(width, target.shape[0], 1) for width in channels.values())
        self.styles = 2 * len(self.levels)

    def sample_latent(self, n: int, device: torch.device) -> Tensor:
        """Draw z, (n, Z), from N(0, 1)."""
        return torch.randn(n, self.latent, device=device)

    def map(self, source: Tensor, label: Tensor) -> Tensor:
        """source: z (N, Z); label: (N,) int64, read only if conditional. Returns (N, L, S), the same style L times."""
        if self.class_vector is not None:
            source = torch.cat([source, self.class_vector[label].to(source.dtype)], dim=1)
        return self.mapping(source, label)[:, None].expand(-1, self.styles, -1)

    def synthesise(self, style: Tensor) -> Tensor:
        """style: (N, L, S), of which those of the levels that run are read.

        Returns (N, C, H, W) in the data's range, of nearest-neighbour enlarged pixels below the last level; noise is
        random only while training.
        """
        level = self.level.level
        coarser = x = self.constant.expand(style.shape[0], -1, -1, -1)
        for number, block in enumerate(self.levels[: level + 1]):
            coarser, x = x, block(x, style[:, 2 * number : 2 * number + 2])
        picture = self._picture(level, x)
        if self.level.fading:
            picture = enlarged(self._picture(level - 1, coarser), 2).lerp(picture, self.level.alpha.to(picture.dtype))
        if self.target.bounded:
            picture = keep_within(self.target.scaled(picture), self.target.low, self.target.high)
        return enlarged(picture, 1 << (len(self.levels) - 1 - level))

    def forward(self, source: Tensor, label: Tensor) -> Tensor:
        """source: z (N, Z); label: (N,) int64, read only if conditional. Returns (N, C, H, W) in the data's range."""
        style = self.map(source, label)
        if self.training:
            follow_mean(self.mean_style, style[:, 0])
            if self.mixing:
                other = self.map(torch.randn_like(source), label)
                style = mix(style, other, self.mixing, 2 * self.level.level + 2)
        return self.synthesise(style)

    def truncated(self, source: Tensor, label: Tensor, truncation: float) -> Tensor:
        """Pull the styles of the first `cutoff` layers towards their mean over training: 1 leaves them, 0 is the mean.

        Returns (N, C, H, W). Appendix B of the paper.
        """
        style = self.map(source, label)
        pulled = self.mean_style.to(style.dtype).lerp(style[:, : self.cutoff], truncation)
        return self.synthesise(torch.cat([pulled, style[:, self.cutoff :]], dim=1))

    def _picture(self, level: int, x: Tensor) -> Tensor:
        """The colours of a level's map, in the precision of the weights, under autocast too."""
        rgb = self.rgb[level]
        return rgb(x).to(rgb.weight.dtype)


class _Level(nn.Module):
    """The two layers of one side. At 4x4 the first has no convolution: it works on the constant.

    noisy: the side of the noise's map; None for none.
    """

    def __init__(self, inputs: int | None, outputs: int, style: int, noisy: int | None) -> None:
        super().__init__()
        self.first = _Layer(None if inputs is None else Resampling(inputs, outputs, up=True), outputs, style, noisy)
        self.second = _Layer(Convolution(outputs, outputs, 3, bias=False), outputs, style, noisy)

    def forward(self, x: Tensor, style_NLS: Tensor) -> Tensor:
        return self.second(self.first(x, style_NLS[:, 0]), style_NLS[:, 1])


class _Layer(nn.Module):
    """A convolution, or none, noise for each pixel with a strength for each channel, bias, LeakyReLU, and AdaIN."""

    def __init__(self, convolution: nn.Module | None, channels: int, style: int, noisy: int | None) -> None:
        super().__init__()
        self.convolution = convolution
        self.noise_strength = None if noisy is None else nn.Parameter(torch.zeros(channels))
        self.register_buffer("noise", None if noisy is None else torch.randn(noisy, noisy))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.style = AdaptiveNorm(style, channels)

    def forward(self, x: Tensor, style_NS: Tensor) -> Tensor:
        if self.convolution is not None:
            x = self.convolution(x)
        added = self.bias[:, None, None]
        if self.noise_strength is not None:
            added = self._drawn(x) * self.noise_strength[:, None, None] + added
        return self.style(activate(x + added.to(x.dtype)), style_NS)

    def _drawn(self, x: Tensor) -> Tensor:
        """(N, 1, H, W) while training, the same (H, W) for all samples afterwards."""
        noise = self.noise
        if not self.training:
            return noise
        return torch.randn(len(x), 1, *noise.shape, dtype=noise.dtype, device=x.device)


def enlarged(picture_NCHW: Tensor, times: int) -> Tensor:
    """Every pixel as a square of `times` by `times`."""
    return picture_NCHW if times == 1 else interpolate(picture_NCHW, scale_factor=times)

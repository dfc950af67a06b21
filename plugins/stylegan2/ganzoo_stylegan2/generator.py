"""StyleGAN2's generator: a mapping network, a learned constant, modulated convolutions, and a sum of RGB pictures.

Papers: Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN" (arXiv:1912.04958), sections 2 and 4
(skip generator); Karras et al. 2019 (arXiv:1812.04948) for mapping, style mixing, noise and truncation; Karras et al.
2020 (arXiv:2006.06676), appendix C for the widths of small pictures. Written from the papers; no code was consulted.

Differences from the papers:
- The sum of the RGB pictures is clamped to the data's range, with a gradient that leads back into it (see `bounds`),
  because samples keep to that range here, while training too. Unbounded data get the bare sum, as in the papers.
- Modulation scales activations instead of weights, which gives the same numbers (see `modulated_convolution`); the √2
  of LeakyReLU and the equalised rate of demodulated weights are part of the demodulation (see `modulation`).
- Style mixing draws its crossover for each sample.
- Other sides of m·2^k, the same k for both and 4 to 7 as the smaller m, from a constant of those m.

Suffixes: N batch, Z latent, S style (the papers' w), L styles of a sample, C colours, H height, W width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

import ganzoo

from .bounds import keep_within
from .layers import GAIN, Filter, Linear, modulated_convolution
from .mapping import Mapping
from .mixing import follow_mean, mix
from .modulation import demodulation, modulation
from .networks import SMALLEST, ChannelBase, positive, refuse_translation, refuse_unlabelled, smallest_map, widths
from .styled import finish


class StyleGAN2Generator(ganzoo.Generator):
    """Paints from a learned constant of 4x4 or so, doubling both sides, under styles that a mapping network makes of z.

    latent: length of z.  style: length of w.  mapping_layers: 8 in the paper; 2 train small pictures better.
    channel_base: channels of a level are base / side, at most channel_max; "auto" is 16384 below 512 pixels and 32768
    from there, "constant" is channel_max on every level.
    mixing: probability that a sample gets two styles, from a random layer on the second, while training.
    conditional: make the class that the label asks for.
    Raises `Incompatible` for data that are no pictures whose sides halve alike, the shorter down to 4 to 7.
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
        channel_base: ChannelBase = "auto",
        channel_max: int = 512,
        mixing: float = 0.9,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        refuse_translation(source)
        refuse_unlabelled("generator", conditional, classes)
        channels = widths(target, channel_base, channel_max)
        if not 0 <= mixing <= 1:
            raise ValueError(f"mixing is a probability, not {mixing}")
        self.target, self.latent, self.mixing = target, positive("latent", latent), mixing
        self.conditional = conditional
        layers = positive("mapping_layers", mapping_layers)
        self.mapping = Mapping(latent, classes if conditional else 0, positive("style", style), layers)
        self.register_buffer("mean_style", torch.zeros(style))
        height, width = smallest_map(target)
        self.constant = nn.Parameter(torch.randn(channels[SMALLEST], height, width))
        self.levels = nn.ModuleList()
        inputs = None
        for level, outputs in enumerate(channels.values()):
            sides = (height << level, width << level)
            self.levels.append(_Level(inputs, outputs, style, sides, target.shape[0]))
            inputs = outputs
        self.styles = 2 * len(self.levels)

    def sample_latent(self, n: int, device: torch.device) -> Tensor:
        """Draw z, (n, Z), from N(0, 1)."""
        return torch.randn(n, self.latent, device=device)

    def map(self, source: Tensor, label: Tensor) -> Tensor:
        """source: z (N, Z); label: (N,) int64, read only if conditional. Returns (N, L, S), the same style L times."""
        return self.mapping(source, label)[:, None].expand(-1, self.styles, -1)

    def synthesise(self, style: Tensor) -> Tensor:
        """style: (N, L, S). Returns (N, C, H, W) in the data's range; noise is random only while training."""
        x = self.constant.expand(style.shape[0], -1, -1, -1)
        picture = None
        before_NI, behind_NO = self._scales(style)
        for block in self.levels:
            x, picture = block(x, picture, before_NI, behind_NO)
        if not self.target.bounded:
            return picture
        return keep_within(self.target.scaled(picture), self.target.low, self.target.high)

    def _scales(self, style: Tensor) -> tuple[Iterator[Tensor], Iterator[Tensor]]:
        """What is multiplied before each layer's convolution, (N, I), and behind each but RGB's, (N, O), in turn."""
        # the affine layers of all levels have the same equalised rate, so the style is scaled in place of their weights
        styles_NS = (style / math.sqrt(style.shape[2])).unbind(1)
        layers: list[_StyledConvolution | _ToRGB] = []
        own_NS: list[Tensor] = []
        for level, block in enumerate(self.levels):
            layers += block.layers()
            own_NS += styles_NS[max(2 * level - 1, 0) : 2 * level + 2]
        before_NI = modulation([layer.affine for layer in layers], own_NS)
        pairs = [
            (layer, style)
            for layer, style in zip(layers, before_NI, strict=True)
            if isinstance(layer, _StyledConvolution)
        ]
        behind_NO = demodulation(
            [layer.weight for layer, _ in pairs],
            [style for _, style in pairs],
            [layer.rate for layer, _ in pairs],
            [layer.gain for layer, _ in pairs],
        )
        return iter(before_NI), iter(behind_NO)

    def forward(self, source: Tensor, label: Tensor) -> Tensor:
        """source: z (N, Z); label: (N,) int64, read only if conditional. Returns (N, C, H, W) in the data's range."""
        if not self.training:
            return self.synthesise(self.map(source, label))
        if not self.mixing:
            style = self.map(source, label)
            follow_mean(self.mean_style, style[:, 0])
            return self.synthesise(style)
        # both styles of a sample in one pass through the mapping
        both = self.map(torch.cat([source, torch.randn_like(source)]), label.repeat(2))
        style, other = both.chunk(2)
        follow_mean(self.mean_style, style[:, 0])
        return self.synthesise(mix(style, other, self.mixing, self.styles))

    def truncated(self, source: Tensor, label: Tensor, truncation: float) -> Tensor:
        """Pull the styles towards their mean over training: 1 leaves them, 0 gives the mean sample.

        Returns (N, C, H, W). Karras et al. 2019 (arXiv:1812.04948), appendix B.
        """
        style = self.map(source, label)
        return self.synthesise(self.mean_style.to(style.dtype).lerp(style, truncation))


class _Level(nn.Module):
    """The layers of one size: doubling (but for the first level) and keeping convolutions, and an RGB picture.

    It has 3 styles, the last for RGB: the style of RGB is also that of the next level's first layer.
    """

    def __init__(self, inputs: int | None, outputs: int, style: int, sides: tuple[int, int], colours: int) -> None:
        super().__init__()
        self.up = None if inputs is None else _StyledConvolution(inputs, outputs, style, sides, up=True)
        # the constant is the one map that no LeakyReLU has given
        self.keep = _StyledConvolution(outputs, outputs, style, sides, gain=1.0 if inputs is None else GAIN)
        self.rgb = _ToRGB(outputs, colours, style)
        self.filter = None if inputs is None else Filter(gain=4.0)

    def layers(self) -> list[_StyledConvolution | _ToRGB]:
        """Those with a style, as they follow each other."""
        return [self.keep, self.rgb] if self.up is None else [self.up, self.keep, self.rgb]

    def forward(
        self, x: Tensor, picture: Tensor | None, before_NI: Iterator[Tensor], behind_NO: Iterator[Tensor]
    ) -> tuple[Tensor, Tensor]:
        if self.up is not None:
            x = self.up(x, next(before_NI), next(behind_NO))
        x = self.keep(x, next(before_NI), next(behind_NO))
        # the pictures are summed in the precision of the weights, under autocast too
        rgb = self.rgb(x, next(before_NI)).to(self.rgb.weight.dtype)
        return x, rgb if picture is None else self.filter.upsample(picture) + rgb


class _Affine(Linear):
    """From a style, already scaled by the equalised rate 1/√S, to a scale for each channel."""

    def __init__(self, style: int, outputs: int) -> None:
        super().__init__(style, outputs, bias=1.0, gain=math.sqrt(style))


class _StyledConvolution(nn.Module):
    """A modulated 3x3 convolution, demodulation, noise for each pixel, bias and LeakyReLU.

    gain: of the map that it reads.
    """

    def __init__(
        self, inputs: int, outputs: int, style: int, sides: tuple[int, int], up: bool = False, gain: float = GAIN
    ) -> None:
        super().__init__()
        self.affine = _Affine(style, inputs)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.rate, self.gain = 1 / math.sqrt(9 * inputs), gain
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise", torch.randn(*sides))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.filter = Filter(gain=4.0) if up else None

    def forward(self, x: Tensor, style_NI: Tensor, scale_NO: Tensor) -> Tensor:
        x = modulated_convolution(x, self.weight, style_NI, self.filter)
        noise = self.noise
        if self.training:
            noise = torch.randn(len(x), 1, *self.noise.shape, dtype=noise.dtype, device=x.device)
        if x.device.type == "cpu":  # in bf16, what is broadcast takes a processor many times as long
            x = x.to(self.weight.dtype)
        return finish(x, *(one.to(x.dtype) for one in (scale_NO, noise, self.noise_strength, self.bias)))


class _ToRGB(nn.Module):
    """A modulated 1x1 convolution without demodulation."""

    def __init__(self, inputs: int, colours: int, style: int) -> None:
        super().__init__()
        self.affine = _Affine(style, inputs)
        self.weight = nn.Parameter(torch.randn(colours, inputs, 1, 1))
        self.gain = GAIN / math.sqrt(inputs)
        self.bias = nn.Parameter(torch.zeros(colours))

    def forward(self, x: Tensor, style_NI: Tensor) -> Tensor:
        x = x * style_NI.to(x.dtype)[:, :, None, None]
        return functional.conv2d(x, self.weight * self.gain, self.bias)

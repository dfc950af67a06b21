"""StyleGAN2's discriminator: filtered strided convolutions, residual or plain, and the minibatch standard deviation.

Papers: Karras et al. 2020 (arXiv:1912.04958), section 4.1 (residual); Karras et al. 2018 (arXiv:1710.10196), section 3
(minibatch standard deviation); Karras et al. 2020 (arXiv:2006.06676), section 4 and appendix C (projection, and `orig`
for CIFAR-10); Miyato & Koyama 2018 (arXiv:1802.05637) for the projection. Written from the papers.

Difference: groups of the minibatch standard deviation may be uneven, so that any batch is judged.

Suffixes: N batch, C channels, H height, W width, F features.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

import ganzoo

from .layers import GAIN, Convolution, Linear, rectify
from .mapping import Mapping
from .networks import SMALLEST, ChannelBase, positive, refuse_unlabelled, smallest_map, widths


class StyleGAN2Discriminator(ganzoo.Discriminator):
    """Halves the picture's sides down to 4 or so, appends how much the batch varies, and weighs it all into a logit.

    architecture: "residual" adds a linear path to each level, "orig" has none (better at 32x32).
    channel_base: channels of a level are base / side, at most channel_max; "auto" is 16384 below 512 pixels and 32768
    from there, "constant" is channel_max on every level.
    group_size: samples whose standard deviation is taken together; 0 takes the whole batch.
    conditional: judge whether the picture shows the class of its label.  mapping_layers: of the label's mapping.
    Raises `Incompatible` for data that are no pictures whose sides halve alike, the shorter down to 4 to 7.
    """

    def __init__(
        self,
        source: ganzoo.Sample | None,
        target: ganzoo.Sample,
        classes: int,
        *,
        architecture: Literal["residual", "orig"] = "residual",
        channel_base: ChannelBase = "auto",
        channel_max: int = 512,
        group_size: int = 4,
        conditional: bool = False,
        mapping_layers: int = 8,
    ) -> None:
        super().__init__()
        refuse_unlabelled("discriminator", conditional, classes)
        channels = widths(target, channel_base, channel_max)
        if group_size < 0:
            raise ValueError(f"group_size is at least 1, or 0 for the whole batch, not {group_size}")
        self.group_size = self.judges_apart = group_size
        sides = sorted(channels, reverse=True)
        self.from_rgb = Convolution(target.shape[0], channels[sides[0]], 1)
        self.levels = nn.Sequential(
            *(
                _Level(channels[side], channels[side // 2], architecture == "residual", 1.0 if number else GAIN)
                for number, side in enumerate(sides[:-1])
            )
        )
        last = channels[SMALLEST]
        self.last = Convolution(last + 1, last, 3)
        self.dense = Linear(last * math.prod(smallest_map(target)), last, gain=GAIN)
        self.logit = Linear(last, last if conditional else 1, gain=GAIN)
        layers = positive("mapping_layers", mapping_layers)
        self.label_mapping = Mapping(0, classes, last, layers) if conditional else None

    def forward(self, sample: Tensor, label: Tensor) -> Tensor:
        """sample: (N, C, H, W); label: (N,) int64, read only if conditional. Returns raw logits, (N,)."""
        x = self.levels(rectify(self.from_rgb(sample)))
        x = rectify(self.last(append_deviation(x, self.group_size)))
        features_NF = self.logit(rectify(self.dense(x.flatten(1))))
        if self.label_mapping is None:
            return features_NF.flatten()
        mapped_NF = self.label_mapping(None, label)
        return (features_NF * mapped_NF).sum(dim=1) / math.sqrt(mapped_NF.shape[1])


class _Level(nn.Module):
    """Two 3x3 convolutions, the second of which halves the side, and perhaps a 1x1 convolution past both.

    gain: of what it reads.
    """

    def __init__(self, inputs: int, outputs: int, residual: bool, gain: float = 1.0) -> None:
        super().__init__()
        self.keep = Convolution(inputs, inputs, 3, gain=gain)
        self.halve = Convolution(inputs, outputs, 3, down=True, gain=GAIN)
        self.skip = Convolution(inputs, outputs, 1, bias=False, down=True, gain=gain / GAIN) if residual else None

    def forward(self, x: Tensor) -> Tensor:
        y = rectify(self.halve(rectify(self.keep(x))))
        # two summands of unit variance are halved in theirs, which takes back the √2 that y is due
        return y * GAIN if self.skip is None else y + self.skip(x)


def append_deviation(x_NCHW: Tensor, group_size: int) -> Tensor:
    """Append a channel that says how much each sample's group varies: the mean over C, H, W of its deviations.

    group_size: 0 is the whole batch. A batch that does not divide makes groups whose sizes differ by one at most.
    Returns (N, C + 1, H, W). Karras et al. 2018 (arXiv:1710.10196), section 3.
    """
    n = len(x_NCHW)
    groups = math.ceil(n / group_size) if group_size else 1
    size, larger = divmod(n, groups)
    if not larger:
        return _append_deviation(x_NCHW, groups)
    cut = larger * (size + 1)
    parts = ((x_NCHW[:cut], larger), (x_NCHW[cut:], groups - larger))
    return torch.cat([_append_deviation(part, count) for part, count in parts])


def _append_deviation(x_NCHW: Tensor, groups: int) -> Tensor:
    """The same for `groups` groups of neighbours, all of one size."""
    x_GMCHW = x_NCHW.unflatten(0, (groups, -1))
    # torch's own variance takes ten times as long over an axis that is not the last
    variance_GCHW = (x_GMCHW - x_GMCHW.mean(dim=1, keepdim=True)).square().mean(dim=1)
    deviation_G = (variance_GCHW + 1e-8).sqrt().mean(dim=(1, 2, 3))
    size, height, width = x_GMCHW.shape[1], *x_NCHW.shape[2:]
    deviation_N1HW = deviation_G.view(-1, 1, 1, 1, 1).expand(-1, size, 1, height, width).flatten(0, 1)
    return torch.cat([x_NCHW, deviation_N1HW], dim=1)

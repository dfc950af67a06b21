"""R3GAN's discriminator: the generator's mirror image.

Paper: Huang et al. 2024 (arXiv:2501.05441), section 4, configuration E. Sizes, the last layers and initial weights are
facts of the authors' published program, which has no licence: its networks were run beside these to compare outputs, no
code was taken.

Differences from the paper: other sides of m·2^k, as the generator makes them; any number of channels.

Suffixes: N batch, C channels, H height, W width, F features.
"""

from __future__ import annotations

from torch import Tensor, nn

import ganzoo

from .blocks import Block, Halve, normal
from .layout import channels_by_side, positive, refuse_unlabelled, smallest_map


class R3GANDiscriminator(ganzoo.Discriminator):
    """1x1 from the colours, residual blocks at each side, halved between them, a number a channel, and the logit.

    width: channels of maps of up to `halve_above` pixels; each larger one has half as many as the one before.
    blocks: at each side.  group_size: channels in a group of the 3x3 convolutions.
    conditional: the logit is the inner product of the features with a learned vector of the label's class.
    No normalisation and nothing that joins samples of a batch. As all residual branches start at 0, the network starts
    as a linear function of the picture.
    Raises `Incompatible` for data that are no pictures whose sides halve alike, the shorter down to 4 to 7.
    """

    judges_apart = True

    def __init__(
        self,
        source: ganzoo.Sample | None,
        target: ganzoo.Sample,
        classes: int,
        *,
        width: int = 768,
        halve_above: int = 32,
        blocks: int = 2,
        group_size: int = 16,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        refuse_unlabelled("discriminator", conditional, classes)
        channels = channels_by_side(target, width, halve_above)
        depth = positive("blocks", blocks) * len(channels)
        sides = list(reversed(channels.items()))
        self.colours = normal(nn.Conv2d(target.shape[0], sides[0][1], 1, bias=False))
        self.stages = nn.ModuleList()
        for (_, before), (_, after) in zip(sides, [*sides[1:], (0, 0)], strict=True):
            stage: list[nn.Module] = [Block(before, positive("group_size", group_size), depth) for _ in range(blocks)]
            self.stages.append(nn.Sequential(*stage, *([Halve(before, after)] if after else [])))
        last = sides[-1][1]
        self.gather = normal(nn.Conv2d(last, last, smallest_map(target), groups=last, bias=False))
        self.features = normal(nn.Linear(last, last if conditional else 1, bias=False))
        self.class_vector = normal(nn.Embedding(classes, last), last**-0.5) if conditional else None

    def forward(self, sample: Tensor, label: Tensor) -> Tensor:
        """sample: (N, C, H, W); label: (N,) int64, read only if conditional. Returns raw logits, (N,)."""
        map_NCHW = self.colours(sample)
        for stage in self.stages:
            map_NCHW = stage(map_NCHW)
        features_NF = self.features(self.gather(map_NCHW).flatten(1))
        if self.class_vector is None:
            return features_NF.flatten()
        return (features_NF * self.class_vector(label)).sum(dim=1)

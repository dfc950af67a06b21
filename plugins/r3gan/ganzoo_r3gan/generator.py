"""R3GAN's generator: residual blocks without normalisation on a learned 4x4 basis.

Paper: Huang et al. 2024, "The GAN is dead; long live the GAN! A Modern GAN Baseline" (arXiv:2501.05441), section 4,
configuration E. Sizes, the basis and initial weights are facts of the authors' published program, which has no licence:
its networks were run beside these to compare outputs, no code was taken.

Differences from the paper:
- Pictures are clamped to the data's range, with a gradient that leads back into it (see `keep_within`); the paper's
  have no bound. Unbounded data get none here either.
- Other sides of m·2^k, the same k for both and 4 to 7 as the smaller m, on a basis of those m; any number of channels.

Suffixes: N batch, L latent, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

import ganzoo
from ganzoo_stylegan2.parts import keep_within

from .blocks import Block, Double, normal
from .layout import channels_by_side, positive, refuse_unlabelled, smallest_map


class R3GANGenerator(ganzoo.Generator):
    """Weighs a learned basis by z, then residual blocks at each side, doubled between them, and 1x1 to the colours.

    latent: length of z, which is normal.  width: channels of maps of up to `halve_above` pixels; each larger one has
    half as many as the one before.  blocks: at each side.  group_size: channels in a group of the 3x3 convolutions.
    conditional: make the class that the label asks for, by a vector of `embedding` values that joins z.
    Raises `Incompatible` for data that are no pictures whose sides halve alike, the shorter down to 4 to 7.
    """

    def __init__(
        self,
        source: ganzoo.Sample | None,
        target: ganzoo.Sample,
        classes: int,
        *,
        latent: int = 64,
        width: int = 768,
        halve_above: int = 32,
        blocks: int = 2,
        group_size: int = 16,
        conditional: bool = False,
        embedding: int = 64,
    ) -> None:
        super().__init__()
        if source is not None:
            raise ganzoo.Incompatible(
                f"generator r3gan makes pictures from latents, it cannot translate {source}: "
                "choose a generator that translates, or a loss that plays with latents"
            )
        refuse_unlabelled("generator", conditional, classes)
        channels = channels_by_side(target, width, halve_above)
        depth = positive("blocks", blocks) * len(channels)
        self.target, self.latent, self.conditional = target, positive("latent", latent), conditional
        self.class_vector = normal(nn.Embedding(classes, positive("embedding", embedding))) if conditional else None
        first = next(iter(channels.values()))
        self.basis = nn.Parameter(torch.randn(first, *smallest_map(target)))
        self.weights = normal(nn.Linear(latent + (embedding if conditional else 0), first, bias=False))
        self.stages = nn.ModuleList()
        before = None
        for after in channels.values():
            stage = [] if before is None else [Double(before, after)]
            stage += [Block(after, positive("group_size", group_size), depth) for _ in range(blocks)]
            self.stages.append(nn.Sequential(*stage))
            before = after
        self.picture = normal(nn.Conv2d(before, target.shape[0], 1, bias=False))

    def sample_latent(self, n: int, device: torch.device) -> Tensor:
        """Draw z, (n, L), from N(0, 1)."""
        return torch.randn(n, self.latent, device=device)

    def forward(self, source: Tensor, label: Tensor) -> Tensor:
        """source: z (N, L); label: (N,) int64, read only if conditional. Returns (N, C, H, W) in the data's range."""
        if self.class_vector is not None:
            source = torch.cat([source, self.class_vector(label).to(source.dtype)], dim=1)
        map_NCHW = self.basis * self.weights(source)[:, :, None, None]
        for stage in self.stages:
            map_NCHW = stage(map_NCHW)
        picture_NCHW = self.picture(map_NCHW)
        if not self.target.bounded:
            return picture_NCHW
        return keep_within(self.target.scaled(picture_NCHW), self.target.low, self.target.high)

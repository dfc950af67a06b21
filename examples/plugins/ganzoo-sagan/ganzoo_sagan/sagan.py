"""Self-attention GAN: residual blocks, one of whose maps attends to all of itself.

Paper: Zhang, Goodfellow, Metaxas & Odena 2019, "Self-Attention Generative Adversarial Networks" (arXiv:1805.08318).
Written from the paper; no code was taken.

Differences from the paper:
- Any square size of 4, 5, 6 or 7 times a power of two; the paper shows 128x128. Attention is on the map of 32x32 as in
  its table 1, or on the largest smaller one.
- The paper says little of its blocks: they are those of the projection discriminator that it compares with (Miyato &
  Koyama 2018, arXiv:1802.05637): residual, nearest-neighbour upsampling, average pooling.
- `conditional=False` has plain BatchNorm in G and no projection in D; the paper is always conditional.
- No pooling of keys and values: the maps here are small.

Shapes: N batch, L latent, C channels, H height, W width, P = HW places, K = C/8 channels of queries and keys.
"""

from __future__ import annotations

from itertools import pairwise

import ganzoo
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, relu
from torch.nn.utils.parametrizations import spectral_norm

BASES = (4, 5, 6, 7)
"""Sides of the smallest map."""


class SAGANGenerator(ganzoo.Generator):
    """Residual blocks that double the side up to the picture, with self-attention between two of them.

    latent: length of z.  width: channels next to the picture; each smaller map has twice as many, up to max_width.
    attention: side of the map that attends to itself; the largest map of at most this side is taken.
    conditional: BatchNorm's gain and bias are those of the label's class.
    Raises `Incompatible` for data that are no square pictures of a size that halves down to 4, 5, 6 or 7.
    """

    def __init__(
        self,
        source: ganzoo.Sample | None,
        target: ganzoo.Sample,
        classes: int,
        *,
        latent: int = 128,
        width: int = 64,
        max_width: int = 512,
        attention: int = 32,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        if source is not None:
            raise ganzoo.Incompatible(
                f"generator sagan makes pictures from latents, it cannot translate {source}: "
                "choose a generator that translates"
            )
        _refuse_unlabelled("generator", conditional, classes)
        base, widths = ladder(target, width, max_width)
        self.target, self.latent, self.conditional = target, latent, conditional
        classes = classes if conditional else 0
        widths = widths[::-1]
        self.base_shape = (widths[0], base, base)
        self.project = spectral_norm(nn.Linear(latent, widths[0] * base * base))
        where = attended([base << i for i in range(len(widths))], attention)
        blocks: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise([*widths, widths[-1]])):
            if i == where:
                blocks.append(SelfAttention(before))
            blocks.append(UpBlock(before, after, classes))
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.BatchNorm2d(widths[-1])
        self.picture = spectral_norm(nn.Conv2d(widths[-1], target.shape[0], 3, padding=1))

    def sample_latent(self, n: int, device: torch.device) -> Tensor:
        """Draw z, (n, L), from N(0, 1)."""
        return torch.randn(n, self.latent, device=device)

    def forward(self, source: Tensor, label: Tensor) -> Tensor:
        """source: z (N, L); label: (N,) int64, read only if conditional. Returns (N, C, H, W) in the data's range."""
        map_NCHW: Tensor = self.project(source).unflatten(1, self.base_shape)
        for block in self.blocks:
            map_NCHW = block(map_NCHW, label)
        picture_NCHW: Tensor = self.picture(relu(self.norm(map_NCHW)))
        if not self.target.bounded:
            return picture_NCHW
        middle, half = (self.target.high + self.target.low) / 2, (self.target.high - self.target.low) / 2
        return middle + half * torch.tanh(picture_NCHW)


class SAGANDiscriminator(ganzoo.Discriminator):
    """Residual blocks that halve the side down to features, which are summed over the map and weighed.

    width: channels of the first map; each smaller map has twice as many, up to max_width.
    attention: side of the map that attends to itself; the largest map of at most this side is taken.
    conditional: add the inner product of the features with an embedding of the label.
    Raises `Incompatible` for data that are no square pictures of a size that halves down to 4, 5, 6 or 7.
    """

    def __init__(
        self,
        source: ganzoo.Sample | None,
        target: ganzoo.Sample,
        classes: int,
        *,
        width: int = 64,
        max_width: int = 512,
        attention: int = 32,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        _refuse_unlabelled("discriminator", conditional, classes)
        base, widths = ladder(target, width, max_width)
        sides = [base << i for i in reversed(range(len(widths)))]
        where = attended(sides, attention)
        blocks: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise([target.shape[0], *widths])):
            blocks.append(DownBlock(before, after, first=i == 0))
            if i == where:
                blocks.append(SelfAttention(after))
        self.blocks = nn.ModuleList(blocks)
        self.logit = spectral_norm(nn.Linear(widths[-1], 1))
        self.label_embedding = spectral_norm(nn.Embedding(classes, widths[-1])) if conditional else None

    def forward(self, sample: Tensor, label: Tensor) -> Tensor:
        """sample: (N, C, H, W); label: (N,) int64, read only if conditional. Returns raw logits, (N,)."""
        map_NCHW = sample
        for block in self.blocks:
            map_NCHW = block(map_NCHW, label)
        features_NC = relu(map_NCHW).sum(dim=(2, 3))
        logit_N: Tensor = self.logit(features_NC).flatten()
        if self.label_embedding is not None:
            logit_N = logit_N + (self.label_embedding(label) * features_NC).sum(dim=1)
        return logit_N


class SelfAttention(nn.Module):
    """y = γ·o + x: every place of the map looks at all places (section 3, equations 1 to 3); γ starts at 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // 8)
        self.query = spectral_norm(nn.Conv2d(channels, inner, 1, bias=False))
        self.key = spectral_norm(nn.Conv2d(channels, inner, 1, bias=False))
        self.value = spectral_norm(nn.Conv2d(channels, inner, 1, bias=False))
        self.out = spectral_norm(nn.Conv2d(inner, channels, 1, bias=False))
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, map_NCHW: Tensor, label: Tensor) -> Tensor:
        """Return the same shape; the label is not read."""
        query_NPK = self.query(map_NCHW).flatten(2).transpose(1, 2)
        key_NKP, value_NKP = self.key(map_NCHW).flatten(2), self.value(map_NCHW).flatten(2)
        attention_NPP = torch.softmax(query_NPK @ key_NKP, dim=2)
        seen_NKP = value_NKP @ attention_NPP.transpose(1, 2)
        seen_NCHW: Tensor = self.out(seen_NKP.unflatten(2, map_NCHW.shape[2:]))
        return map_NCHW + self.gamma * seen_NCHW


class UpBlock(nn.Module):
    """A residual block of G that doubles the side; classes 0 stands for plain BatchNorm."""

    def __init__(self, before: int, after: int, classes: int) -> None:
        super().__init__()
        self.first_norm, self.second_norm = ClassNorm(before, classes), ClassNorm(after, classes)
        self.first = spectral_norm(nn.Conv2d(before, after, 3, padding=1))
        self.second = spectral_norm(nn.Conv2d(after, after, 3, padding=1))
        self.skip = spectral_norm(nn.Conv2d(before, after, 1))

    def forward(self, map_NCHW: Tensor, label: Tensor) -> Tensor:
        """map: (N, before, H, W). Returns (N, after, 2H, 2W)."""
        inner = self.first(_double(relu(self.first_norm(map_NCHW, label))))
        inner = self.second(relu(self.second_norm(inner, label)))
        result: Tensor = inner + self.skip(_double(map_NCHW))
        return result


class DownBlock(nn.Module):
    """A residual block of D that halves the side. first: reads the picture, without a ReLU before."""

    def __init__(self, before: int, after: int, first: bool) -> None:
        super().__init__()
        self.reads_picture = first
        self.first = spectral_norm(nn.Conv2d(before, after, 3, padding=1))
        self.second = spectral_norm(nn.Conv2d(after, after, 3, padding=1))
        self.skip = spectral_norm(nn.Conv2d(before, after, 1))

    def forward(self, map_NCHW: Tensor, label: Tensor) -> Tensor:
        """map: (N, before, H, W). Returns (N, after, H/2, W/2); the label is not read."""
        inner = map_NCHW if self.reads_picture else relu(map_NCHW)
        inner = self.second(relu(self.first(inner)))
        result: Tensor = avg_pool2d(inner + self.skip(map_NCHW), 2)
        return result


class ClassNorm(nn.Module):
    """BatchNorm whose gain and bias belong to the class; without classes, plain BatchNorm."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=classes == 0)
        self.gain = nn.Embedding(classes, channels) if classes else None
        self.bias = nn.Embedding(classes, channels) if classes else None
        if self.gain is not None and self.bias is not None:
            nn.init.ones_(self.gain.weight)
            nn.init.zeros_(self.bias.weight)

    def forward(self, map_NCHW: Tensor, label: Tensor) -> Tensor:
        """Return the same shape."""
        normal_NCHW: Tensor = self.norm(map_NCHW)
        if self.gain is None or self.bias is None:
            return normal_NCHW
        gain, bias = self.gain(label)[:, :, None, None], self.bias(label)[:, :, None, None]
        result: Tensor = normal_NCHW * gain + bias
        return result


def ladder(target: ganzoo.Sample, width: int, max_width: int) -> tuple[int, list[int]]:
    """Return the side of the smallest map, and the channels of all maps but the picture from the largest down.

    Raises `Incompatible` if the target is no picture, or of a size that does not halve down to 4, 5, 6 or 7.
    """
    if not target.is_image:
        shape = "x".join(map(str, target.shape))
        raise ganzoo.Incompatible(f"sagan makes square pictures; the data are values of shape {shape}: try mlp")
    height, side = target.shape[1:]
    sizes = {base << doublings: (base, doublings) for base in BASES for doublings in range(1, 9)}
    if height != side or side not in sizes:
        nearest = min(sizes, key=lambda size: abs(size - min(height, side)))
        raise ganzoo.Incompatible(
            f"sagan makes square pictures of 4, 5, 6 or 7 times a power of two; the data are {height}x{side}: "
            f"try `--set data.size={nearest}`"
        )
    base, doublings = sizes[side]
    return base, [min(width << i, max_width) for i in range(doublings)]


def attended(sides: list[int], attention: int) -> int:
    """Which of the maps attends to itself: the largest of at most `attention`, else the smallest."""
    fitting = [side for side in sides if side <= attention] or [min(sides)]
    return sides.index(max(fitting))


def _double(map_NCHW: Tensor) -> Tensor:
    doubled: Tensor = interpolate(map_NCHW, scale_factor=2.0, mode="nearest")
    return doubled


def _refuse_unlabelled(kind: str, conditional: bool, classes: int) -> None:
    if conditional and classes == 0:
        raise ganzoo.Incompatible(
            f"{kind} sagan is to be conditional, but the data have no labels: "
            f"set {kind}.conditional=false or choose data with labels"
        )

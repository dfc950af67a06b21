"""Image-to-image translation with a discriminator that sees what was translated.

Paper: Isola, Zhu, Zhou & Efros 2017, "Image-to-Image Translation with Conditional Adversarial Networks"
(arXiv:1611.07004), sections 3 and 6.1. Written from the paper.

Differences from the paper:
- `width`, `depth` and `layers` are options, so that small pictures can be translated on a CPU.
- InstanceNorm in place of BatchNorm, which at the paper's batch of 1 is the same; without a gain and a bias unless
  `affine` asks for them.
- Pictures are halved down to 2 pixels, not 1, unless `depth` says so.
- Noise comes from dropout alone, as in the paper, but only in training: a published model gives one answer.

Shapes: N batch, C channels, H height, W width; h, w of the map of logits.
"""

from __future__ import annotations

from collections.abc import Mapping

import ganzoo
import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss, leaky_relu, relu, softplus


class Pix2Pix(ganzoo.AdversarialLoss):
    """G makes b from a; D tells (a, b) from (a, G(a)); G also stays near b: λ · E‖b - G(a)‖₁ (equations 1, 3 and 4).

    weight: λ, 100 in the paper.  n_critic, reuse_fake: as for every adversarial loss.
    """

    roles: Mapping[str, ganzoo.Role] = {
        "G": ganzoo.Role("generator", target="b", source="a"),
        "D": ganzoo.Role("discriminator", target="b", given="a"),
    }

    def __init__(self, weight: ganzoo.Varying = 100.0, n_critic: int = 1, reuse_fake: bool = True) -> None:
        super().__init__(n_critic, reuse_fake=reuse_fake)
        self.weight = ganzoo.Dial(weight)
        if self.weight.low < 0:
            raise ValueError(f"weight is at least 0, not {self.weight.low:g}")

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Half of the cross-entropy, "which slows down the rate at which D learns relative to G"."""
        return 0.5 * (softplus(-real).mean() + softplus(fake).mean())

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        """-E log D(a, G(a))."""
        return softplus(-fake).mean()

    def generator_phase(self, turn: ganzoo.Turn) -> Tensor:
        """The adversarial loss, and the distance to the real partner."""
        distance = l1_loss(turn.fake(), turn.real)
        turn.log("l1", distance)
        return super().generator_phase(turn) + self.weight.value * distance


class PatchGAN(ganzoo.Discriminator):
    """A logit for each patch of the picture beside what it was made from (section 3.2.2).

    width: channels of the first layer, which double up to eight times as many.
    layers: convolutions of stride 2; with 3 a patch is 70 pixels wide, with 2 it is 34, with 1 it is 16.
    affine: normalised channels get a gain and a bias, as BatchNorm gives them.
    """

    def __init__(
        self,
        source: ganzoo.Sample | None,
        target: ganzoo.Sample,
        classes: int,
        width: int = 64,
        layers: int = 3,
        affine: bool = False,
    ) -> None:
        super().__init__()
        _refuse_values("discriminator pix2pix", source, target)
        if min(target.shape[1:]) >> layers < 3:
            raise ganzoo.Incompatible(
                f"discriminator pix2pix with {layers} layers judges pictures of {3 << layers} pixels or more, the data "
                f"are {target}: try `--set discriminator.layers=1`"
            )
        channels = target.shape[0] + (source.shape[0] if source else 0)
        body: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1)]
        for depth in range(1, layers + 1):
            before, after = (width * min(8, 2 ** (depth - 1 + one)) for one in (0, 1))
            stride = 2 if depth < layers else 1
            norm = InstanceNorm(after if affine else 0)
            body += [nn.LeakyReLU(0.2), nn.Conv2d(before, after, 4, stride, 1, bias=False), norm]
        self.body = nn.Sequential(*body, nn.LeakyReLU(0.2), nn.Conv2d(width * min(8, 2**layers), 1, 4, 1, 1))
        self.apply(_initialise)

    def forward(self, sample: Tensor, label: Tensor, given: Tensor | None = None) -> Tensor:
        """sample: (N, C, H, W); given: (N, C', H, W), the picture that was translated. Returns (N, 1, h, w)."""
        logits: Tensor = self.body(sample if given is None else torch.cat([given, sample], 1))
        return logits


class UNet(ganzoo.Generator):
    """An encoder and a decoder with skips between layers of one size (section 3.2.1).

    width: channels of the first layer, which double up to eight times as many.
    depth: halvings of the picture; None goes on until a side is odd or 2 pixels wide, at most 8.
    dropout: share of channels dropped in the first decoding layers while training.
    affine: normalised channels get a gain and a bias, as BatchNorm gives them.
    """

    def __init__(
        self,
        source: ganzoo.Sample | None,
        target: ganzoo.Sample,
        classes: int,
        width: int = 64,
        depth: int | None = None,
        dropout: float = 0.5,
        affine: bool = False,
    ) -> None:
        super().__init__()
        if source is None:
            raise ganzoo.Incompatible("generator pix2pix translates pictures, it makes none from latents")
        _refuse_values("generator pix2pix", source, target)
        if source.shape[1:] != target.shape[1:] or not target.bounded:
            raise ganzoo.Incompatible(
                f"generator pix2pix makes bounded pictures of the size that it reads, not {target} from {source}: "
                "try `--set data.size=64`"
            )
        depth = depth or _halvings(target)
        if depth < 2 or any(side % 2**depth for side in target.shape[1:]):
            raise ganzoo.Incompatible(f"generator pix2pix halves pictures {depth} times, which {target} cannot be")
        self.target = target
        widths = [width * min(8, 2**one) for one in range(depth)]
        self.down = nn.ModuleList(
            nn.Conv2d(before, after, 4, 2, 1) for before, after in zip([source.shape[0], *widths], widths, strict=False)
        )
        ups = [*reversed(widths[:-1]), target.shape[0]]
        inputs = [widths[-1], *(2 * one for one in ups[:-1])]
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(before, after, 4, 2, 1) for before, after in zip(inputs, ups, strict=True)
        )
        self.down_norms, self.up_norms = (
            nn.ModuleList(InstanceNorm(channels if affine else 0) for channels in normalised)
            for normalised in (widths[1:-1], ups[:-1])
        )
        self.dropout = nn.Dropout2d(dropout)
        self.apply(_initialise)

    def forward(self, source: Tensor, label: Tensor) -> Tensor:
        """source: (N, C, H, W). Returns (N, C', H, W) in the target's range."""
        skips, x = list[Tensor](), source
        for number, layer in enumerate(self.down):
            x = layer(leaky_relu(x, 0.2) if number else x)
            if 0 < number < len(self.down) - 1:
                x = self.down_norms[number - 1](x)
            skips.append(x)
        for number, layer in enumerate(self.up):
            x = layer(relu(x if number == 0 else torch.cat([x, skips[-1 - number]], 1)))
            if number < len(self.up) - 1:
                x = self.up_norms[number](x)
                x = self.dropout(x) if number < 3 else x
        return self.target.scaled(torch.tanh(x))


class InstanceNorm(nn.Module):
    """Each channel of each picture with mean 0 and variance 1; torch's own is wrong at batch 1 in some memory layouts.

    channels: to give a gain and a bias, 0 for none.
    """

    def __init__(self, channels: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels)) if channels else None
        self.bias = nn.Parameter(torch.zeros(channels)) if channels else None

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, C, H, W). Returns the same shape."""
        centred = x - x.mean((2, 3), keepdim=True)
        normal = centred * torch.rsqrt(centred.square().mean((2, 3), keepdim=True) + 1e-5)
        if self.weight is None or self.bias is None:
            return normal
        return normal * self.weight[:, None, None] + self.bias[:, None, None]


def _halvings(target: ganzoo.Sample) -> int:
    side = min(target.shape[1:])
    return max((one for one in range(1, 9) if side % 2**one == 0 and side >> one >= 2), default=0)


def _refuse_values(what: str, *samples: ganzoo.Sample | None) -> None:
    for sample in samples:
        if sample is not None and not sample.is_image:
            raise ganzoo.Incompatible(f"{what} is made for pictures, the data are {sample}: take `--data paired:A:B`")


def _initialise(module: nn.Module) -> None:
    """Weights from N(0, 0.02²), as in section 6.2."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)

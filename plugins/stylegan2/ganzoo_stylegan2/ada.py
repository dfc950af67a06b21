"""Adaptive discriminator augmentation: change what D sees, each way with a probability p that follows its overfitting.

Paper: Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data" (arXiv:2006.06676), sections 2
and 3, appendix B. Written from the paper.

Differences from the paper:
- Its categories pixel blitting, geometry and colour (`bgc`, its choice) are on, noise and cutout are options, and the
  amplification of image frequencies is left out.
- Flips, quarter turns and whole shifts copy pixels; only the other transformations resample, and a picture that gets
  none of them passes as it is. The paper merges both into one resampling.
- Luma and saturation are along and across the diagonal of any number of colours; hue needs three. Alpha, the last of
  two or four channels, is no colour.
- A picture that is not square gets half turns for quarter turns.
- p stays at or below 1.

Suffixes: N batch, C colours, H height, W width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

import ganzoo

from .resampling import Warp, blit
from .transformations import around, compose, hue, rotation, scaling, translation


class ADA(ganzoo.Augmentation):
    """Pixel blitting, geometry and colour, each transformation with probability p, which adapts to D.

    p: where the probability starts; or its course, which nothing else changes then: with `ramp_images` 0.
    target: of r = E sign D(x) over real samples, 1 where D has learned them by heart.
    ramp_images: p rises by 1 in so many images while r is above its target, and falls while it is below; 0 keeps p.
    every: batches of real samples between changes of p.
    blitting, geometry, colour, noise, cutout: how likely the transformations of each category are, in shares of p.
    Colours may leave the data's range, as in the paper. Raises `Incompatible` unless the data are bounded pictures.
    """

    def __init__(
        self,
        sample: ganzoo.Sample,
        p: ganzoo.Varying = 0.0,
        target: ganzoo.Varying = 0.6,
        ramp_images: int = 500_000,
        every: int = 4,
        blitting: float = 1.0,
        geometry: float = 1.0,
        colour: float = 1.0,
        noise: float = 0.0,
        cutout: float = 0.0,
    ) -> None:
        super().__init__()
        if not sample.is_image or not sample.bounded:
            raise ganzoo.Incompatible(f"augmentation ada changes pictures with a range, the data are {sample}")
        self.target = ganzoo.Dial(target)
        self.given = ganzoo.Dial(p)
        if not 0 <= self.given.low <= self.given.high <= 1 or not -1 <= self.target.low <= self.target.high <= 1:
            raise ValueError(f"p lies in [0, 1] and target in [-1, 1], not {p} and {target}")
        if ramp_images < 0 or every < 1:
            raise ValueError(f"ramp_images is at least 0 and every at least 1, not {ramp_images} and {every}")
        self.follows_course = self.given.low < self.given.high
        if self.follows_course and ramp_images:
            raise ValueError(f"p has a course, {p}, and is to follow D too: set ramp_images to 0, or p to a number")
        shares = {"blitting": blitting, "geometry": geometry, "colour": colour, "noise": noise, "cutout": cutout}
        for category, share in shares.items():
            if not 0 <= share <= 1:
                raise ValueError(f"{category} is a share of p, from 0 to 1, not {share}")
        self.middle, self.half = (sample.high + sample.low) / 2, (sample.high - sample.low) / 2
        self.ramp_images, self.every = ramp_images, every
        self.blitting, self.geometry, self.colour = blitting, geometry, colour
        self.noise, self.cutout = noise, cutout
        self.warp = Warp()
        self.register_buffer("p", self.given.value.clone())
        for counter in ("batches", "images", "signs"):
            self.register_buffer(counter, torch.zeros(()))

    def observe(self, logits: Tensor) -> None:
        """Move p, every few batches: up if D is surer of its real samples than the target, down if it is less.

        logits: (N,) or (N, 1, h, w), raw. The step is the images seen since the last one, over `ramp_images`.
        """
        if self.ramp_images == 0:
            return
        judged = len(logits) * self.processes  # the others judge as many, and signs are averaged with theirs
        self.batches += 1 / self.parts
        self.images += judged
        self.signs += logits.sign().mean() * judged
        due = self.batches > self.every - 0.5 / self.parts  # parts do not add up to whole numbers
        step = (self.signs / self.images - self.target.value).sign() * self.images / self.ramp_images
        self.p.copy_(torch.where(due, (self.p + step).clamp(0, 1), self.p))
        for counter in (self.batches, self.images, self.signs):
            counter.mul_(~due)

    def values(self) -> Mapping[str, Tensor]:
        """p, as `ada/p` in `metrics.jsonl`."""
        return {"ada/p": self.p}

    def forward(self, sample: Tensor) -> Tensor:
        """sample: (N, C, H, W). Returns the same shape; without a transformation, a picture as it was."""
        return self._blanked(self._coloured(self._moved(sample)))

    def together(self, sample: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
        """What moves or is blanked does so in both; colours and noise are the sample's alone."""
        colours = sample.shape[1]
        moved = self._moved(torch.cat([sample, given], 1))
        both = self._blanked(torch.cat([self._coloured(moved[:, :colours]), moved[:, colours:]], 1))
        return both[:, :colours], both[:, colours:]

    def _moved(self, sample: Tensor) -> Tensor:
        """Blitting and geometry."""
        if self.follows_course:
            self.p.copy_(self.given.value)
        if self.blitting:
            sample = blit(sample, *self._blits(*sample.shape[2:], sample))
        if self.geometry:
            moved_N, inverse_N33 = self._geometry(*sample.shape[2:], sample)
            sample = torch.where(moved_N[:, None, None, None], self.warp(sample, inverse_N33[:, :2]), sample)
        return sample

    def _coloured(self, sample: Tensor) -> Tensor:
        """Colour and noise."""
        if self.colour:
            colours = sample.shape[1] - (sample.shape[1] in (2, 4))
            changed, alpha = sample[:, :colours], sample[:, colours:]
            matrix_NCC, offset_NC = self._colour(colours, sample)
            # about the middle of the range, so that nothing changes where the matrix is 1
            offset_NC = self.half * offset_NC + self.middle * (1 - matrix_NCC.sum(dim=2))
            changed = compose(matrix_NCC, changed.flatten(2)).view_as(changed) + offset_NC[:, :, None, None]
            sample = torch.cat([changed, alpha], 1) if alpha.shape[1] else changed
        if self.noise:
            strength_N = _maybe(0.1 * torch.randn_like(sample[:, 0, 0, 0]).abs(), 0.0, self.noise * self.p)
            sample = sample + self.half * strength_N[:, None, None, None] * torch.randn_like(sample)
        return sample

    def _blanked(self, sample: Tensor) -> Tensor:
        if self.cutout:
            sample = torch.where(self._cut(*sample.shape[2:], sample)[:, None], self.middle, sample)
        return sample

    def _blits(self, height: int, width: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Half of the chosen are flipped; turns are uniform; shifts uniform within an eighth of the side."""
        p = self.blitting * self.p
        one_N = torch.ones_like(like[:, 0, 0, 0])
        flip_N = _maybe(torch.rand_like(one_N).round(), 0.0, p) > 0
        turns_N = (_maybe(torch.rand_like(one_N), 0.0, p) * 4).long()
        shifts = [torch.rand_like(one_N) * 0.25 - 0.125 for _ in range(2)]
        chosen_N = _chosen(one_N, p)
        sides = (width, height)
        shift_N2 = torch.stack([(chosen_N * s * side).round().long() for s, side in zip(shifts, sides, strict=True)], 1)
        return flip_N, turns_N, shift_N2

    def _geometry(self, height: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Which pictures move, and the inverse of how: scale, turn, stretch, turn, shift, in this order."""
        p = self.geometry * self.p
        normal = [torch.randn_like(like[:, 0, 0, 0]) for _ in range(4)]
        uniform = [torch.rand_like(normal[0]) * 2 - 1 for _ in range(2)]
        # two rotations, of which one happens with probability p
        p_rotation = 1 - (1 - p).sqrt()
        scale_N = torch.exp2(_maybe(0.2 * normal[0], 0.0, p))
        before_N, after_N = (_maybe(math.pi * u, 0.0, p_rotation) for u in uniform)
        stretch_N = torch.exp2(_maybe(0.2 * normal[1], 0.0, p))
        chosen_N = _chosen(scale_N, p)
        x_N, y_N = (0.125 * side * z * chosen_N for z, side in zip(normal[2:], (width, height), strict=True))
        inverse_N33 = compose(
            scaling(1 / scale_N, 1 / scale_N),
            rotation(-before_N),
            scaling(1 / stretch_N, stretch_N),
            rotation(-after_N),
            translation(-x_N, -y_N),
        )
        moved_N = (scale_N != 1) | (before_N != 0) | (stretch_N != 1) | (after_N != 0) | chosen_N
        return moved_N, inverse_N33

    def _colour(self, colours: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Brightness, contrast, luma flip, hue, saturation: a matrix (N, C, C) and an offset (N, C) in [-1, 1]."""
        p = self.colour * self.p
        normal = [torch.randn_like(like[:, 0, 0, 0]) for _ in range(3)]
        brightness_N = _maybe(0.2 * normal[0], 0.0, p)
        contrast_N = torch.exp2(_maybe(0.5 * normal[1], 0.0, p))
        luma_N = 1 - 2 * _maybe(torch.rand_like(contrast_N).round(), 0.0, p)
        angle_N = _maybe(math.pi * (2 * torch.rand_like(contrast_N) - 1), 0.0, p)
        saturation_N = torch.exp2(_maybe(normal[2], 0.0, p))
        matrix_NCC = around(luma_N, torch.ones_like(luma_N), colours) * contrast_N[:, None, None]
        if colours == 3:
            matrix_NCC = compose(hue(angle_N), matrix_NCC)
        if colours > 1:
            matrix_NCC = compose(around(torch.ones_like(luma_N), saturation_N, colours), matrix_NCC)
        return matrix_NCC, matrix_NCC.sum(dim=2) * brightness_N[:, None]

    def _cut(self, height: int, width: int, like: Tensor) -> Tensor:
        """(N, H, W): a box of half the sides, about a place anywhere in the picture."""
        one_N = torch.ones_like(like[:, 0, 0, 0])
        chosen_N = _chosen(one_N, self.cutout * self.p)
        x_N1, y_N1 = torch.rand_like(one_N)[:, None], torch.rand_like(one_N)[:, None]
        x_NW = ((torch.arange(width, device=like.device) + 0.5) / width - x_N1).abs() < 0.25
        y_NH = ((torch.arange(height, device=like.device) + 0.5) / height - y_N1).abs() < 0.25
        return chosen_N[:, None, None] & y_NH[:, :, None] & x_NW[:, None, :]


def _chosen(like_N: Tensor, p: Tensor) -> Tensor:
    return torch.rand_like(like_N) < p


def _maybe(drawn_N: Tensor, neutral: float, p: Tensor) -> Tensor:
    """Each drawn value with probability p, otherwise the neutral one."""
    return torch.where(_chosen(drawn_N, p), drawn_N, neutral)

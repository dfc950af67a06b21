"""The latents of a picture: gradient descent on the distance between a sample and the picture.

Karras et al. 2020 (arXiv:1912.04958), appendix D, from which this differs: several starts at once, the mean and the
nearest of many draws, because latents that are drawn (z) have far more dead ends than styles; noise stays what it is in
every sample of the model, so that styles alone make the picture.

Suffixes: N starts, C channels, H height, W width.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..compute import device_of
from ..errors import ModelError, UsageError
from ..models import Latents, Model, Projection, make, pictures, space_of
from .distances import Distance, pixels, psnr
from .draws import Cloud, chosen, cloud, refuse_without_latents

if TYPE_CHECKING:
    from PIL import Image

_DRAWS, _DRAWN_VALUES = 2_000, 1 << 26
"""Draws that the picture is compared with, and the most values of all their samples."""
_STEP_VALUES = 1 << 20
"""The most values of samples that learn at once: fewer starts for large pictures."""
_RATE, _WARM, _COOL = 0.1, 0.05, 0.5
"""Adam's step size in units of the latents' spread; the shares of steps in which it grows, and falls to nothing."""
_NOISE, _NOISY = 0.05, 0.5
"""Noise on the latents, in units of their spread, and the share of steps after which there is none."""
_FRAMES = 48


def project(
    model: Model,
    image: Image.Image | Tensor,
    *,
    space: str | None = None,
    label: int | str | None = None,
    steps: int = 400,
    starts: int = 8,
    seed: int = 0,
    distance: Distance = pixels,
    progress: Callable[[int], object] | None = None,
) -> Projection:
    """Find latents whose sample comes near a picture.

    image: a picture, of which the middle is taken and resized, or a sample (C, H, W) in the model's range.
    space: z; of a `StyleSpace` w, by default, or w+, which comes nearer and leaves the styles that are drawn.
    label: of a conditional model the class, by default that of the nearest draw.  starts: tried at once, fewer for
    large pictures.  seed: the same one finds the same latents on the same machine.  progress: told each step.
    Raises `ModelError`, `UsageError`.
    """
    picture = _picture(model, image)
    if steps < 1 or starts < 1:
        raise UsageError(f"{steps} steps from {starts} starts find nothing: take at least 1 of each")
    space = space_of(model.generator, space)
    starts = max(1, min(starts, _STEP_VALUES // model.target.size))
    draws = cloud(model, space, max(16, min(_DRAWS, _DRAWN_VALUES // model.target.size)), seed, label)
    begin = _starts(model, draws, picture, starts, distance)
    path, far = _descend(model, begin, draws, picture, steps, seed, distance, progress)
    best = int(far.argmin())
    values = torch.stack([one[best] for one in path])
    approach = Latents(space, values, begin.label[best].expand(len(values)))
    sample = model.sample(approach[-1:])[0]
    return Projection(
        approach[-1:], sample, picture[0], far[best].item(), psnr(sample, picture[0], model.target), approach
    )


def _picture(model: Model, image: Image.Image | Tensor) -> Tensor:
    """(1, C, H, W) in the model's range."""
    refuse_without_latents(model)
    if not model.target.is_image:
        raise ModelError(f"this model makes values of shape {model.target.shape}, no picture can be found among them")
    if not isinstance(image, Tensor):
        return pictures.from_images([image], model.target)
    if image.shape != model.target.shape:
        raise ModelError(f"a sample of shape {tuple(image.shape)} is none of this model's, which have "
                         f"{model.target.shape}")  # fmt: skip
    return image[None].detach().float().cpu()


def _starts(model: Model, draws: Cloud, picture: Tensor, starts: int, distance: Distance) -> Latents:
    """The draws whose samples are nearest to the picture, and the mean, of the nearest's class, instead of the last."""
    with torch.no_grad():
        far = torch.cat([distance(some, picture) for some in torch.split(model.sample(draws.latents), 256)])
    nearest = draws.latents[chosen(far, starts)]
    mean = Latents(nearest.space, draws.mean[None], nearest.label[:1])
    if len(nearest) < 2:
        return mean
    kept = nearest[:-1]
    return Latents(kept.space, torch.cat([mean.values, kept.values]), torch.cat([mean.label, kept.label]))


def _descend(
    model: Model,
    begin: Latents,
    draws: Cloud,
    picture: Tensor,
    steps: int,
    seed: int,
    distance: Distance,
    progress: Callable[[int], object] | None,
) -> tuple[list[Tensor], Tensor]:
    """Adam on all starts at once. Returns where they were at times, (N, ...) each, and (N,) distances at the end."""
    generator: Any = model.generator
    device = device_of(generator)
    picture, spread = picture.to(device), draws.spread.mean().item()
    values = begin.values.to(device).clone().requires_grad_()
    random = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam([values], betas=(0.9, 0.999))
    path = []
    with torch.enable_grad(), torch.random.fork_rng(devices=[]):
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = _RATE * spread * _pace(step / steps)
            noise = _NOISE * spread * max(0.0, 1 - step / steps / _NOISY) ** 2
            shaken = values + noise * torch.randn(values.shape, generator=random).to(device) if noise else values
            loss = distance(make(generator, begin.at(shaken)), picture).sum()
            (values.grad,) = torch.autograd.grad(loss, values)
            if step % math.ceil(steps / _FRAMES) == 0:
                path.append(values.detach().cpu().clone())
            optimizer.step()
            if begin.space == "z":  # styles have no bounds, latents that are drawn do
                values.data.clamp_(draws.low, draws.high)
            if progress:
                progress(step + 1)
    path.append(values.detach().cpu().clone())
    with torch.no_grad():
        return path, distance(make(generator, begin.at(values.detach())), picture).cpu()


def _pace(share: float) -> float:
    """Of the step size: up to 1, and down to 0 along half a cosine."""
    falling = min(1.0, (1 - share) / _COOL)
    return (0.5 - 0.5 * math.cos(math.pi * falling)) * min(1.0, (share + 1e-3) / _WARM)

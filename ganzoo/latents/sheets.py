"""Pictures of what latents do: mixing grids, and samples moved along directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import ModelError
from ..models import Directions, Latents, Model, moved, pictures
from .mixing import mix

if TYPE_CHECKING:
    from PIL import Image

STRENGTH = 3.0
"""How far samples are moved either way, in standard deviations of the latents that are drawn."""


def mixing_grid(model: Model, rows: Latents, columns: Latents, layers: str) -> Image.Image:
    """A grid as in figure 3 of Karras et al. 2019 (arXiv:1812.04948).

    The first column shows `rows`, the first row `columns`; each cell has its row's styles, but for `layers`, whose
    styles are its column's.
    """
    _refuse_values(model)
    height, width = len(rows), len(columns)
    left = rows[torch.arange(height).repeat_interleave(width)]
    cells = model.sample(mix(model, left, columns[torch.arange(width).repeat(height)], layers))
    blank = torch.full((1, *model.target.shape), model.target.high)
    lines = [blank, model.sample(columns)]
    for first, line in zip(model.sample(rows), torch.split(cells, width), strict=True):
        lines += [first[None], line]
    return pictures.grid(torch.cat(lines), model.target, columns=width + 1)


def along(model: Model, latents: Latents, found: Directions, number: int, steps: int) -> Tensor:
    """Samples moved along a direction, from -3 standard deviations to 3: (steps, N, *target.shape)."""
    begin = moved(model.generator, latents, found.space) if latents.space == "z" else latents
    shifts = torch.linspace(-STRENGTH, STRENGTH, steps).tolist()
    return torch.stack([model.sample(found.shifted(begin, number, shift)) for shift in shifts])


def effects(model: Model, latents: Latents, found: Directions, number: int, steps: int = 7) -> Image.Image:
    """A row a sample, moved along a direction from left to right; the middle one is the sample itself."""
    _refuse_values(model)
    samples = along(model, latents, found, number, steps).transpose(0, 1).flatten(0, 1)
    sheet = pictures.grid(samples, model.target, columns=steps)
    return pictures.titled(sheet, f"direction {number}: -{STRENGTH:g} to {STRENGTH:g} standard deviations")


def _refuse_values(model: Model) -> None:
    if not model.target.is_image:
        raise ModelError(f"this model makes values of shape {model.target.shape}, which have no pictures to show")

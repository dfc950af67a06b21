"""Style mixing: some layers' styles from one sample, the others' from another.

Karras et al. 2019 (arXiv:1812.04948), section 3.1 and figure 3: the first layers' styles decide pose and shape, the
last ones' colours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..errors import ModelError, UsageError
from ..models import Latents, Model, moved, space_of
from .draws import refuse_without_latents

RANGES = ("coarse", "middle", "fine")
"""The first third of all layers, the second, the rest."""


def mix(model: Model, a: int | Latents, b: int | Latents, layers: str | Sequence[int] = "coarse") -> Latents:
    """Points of space w+ with the styles of a, but for `layers`, whose styles are those of b; classes are those of a.

    a, b: seeds, or as many points each.  layers: "coarse", "middle", "fine", or numbers from 0.
    Raises `ModelError` for a generator without styles, `UsageError` for layers that it does not have.
    """
    refuse_without_latents(model)
    space_of(model.generator, "w+")
    first, second = (moved(model.generator, _drawn(model, one), "w+") for one in (a, b))
    if len(first) != len(second):
        raise ModelError(f"{len(first)} and {len(second)} samples cannot be mixed one by one: take as many of each")
    chosen = torch.zeros(first.values.shape[1], dtype=torch.bool)
    chosen[layer_numbers(layers, len(chosen))] = True
    return first.at(torch.where(chosen[:, None], second.values, first.values))


def _drawn(model: Model, one: int | Latents) -> Latents:
    return one if isinstance(one, Latents) else model.latents(one)


def layer_numbers(layers: str | Sequence[int], count: int) -> list[int]:
    """Numbers of layers from 0 for one of `RANGES`, "0-3" or "0,2", or numbers. Raises `UsageError`."""
    third = max(1, count // 3)
    bounds = dict(zip(RANGES, ((0, third), (third, 2 * third), (2 * third, count)), strict=True))
    if isinstance(layers, str):
        if layers in bounds:
            return list(range(*bounds[layers]))
        try:
            numbers = parsed_numbers(layers)
        except ValueError as error:
            raise UsageError(f"layers {layers}: write coarse, middle, fine, or numbers such as 0-3 or 0,2") from error
    else:
        numbers = list(layers)
    if not numbers or min(numbers) < 0 or max(numbers) >= count:
        raise UsageError(f"layers {layers}: this model has {count}, numbered 0 to {count - 1}")
    return numbers


def parsed_numbers(text: str, most: int = 10_000) -> list[int]:
    """ "0,7,42" or "0-3" as numbers. Raises `ValueError` for anything else, and for more than `most`."""
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        ends = int(first), int(last if dash else first)
        if not first.isascii() or ends[1] < ends[0] or ends[1] - ends[0] >= most - len(numbers):
            raise ValueError(part)
        numbers += range(ends[0], ends[1] + 1)
    return numbers

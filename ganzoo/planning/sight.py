"""Data seen before they are trained on: what the files are, what options make of them, which recipes take them.

Shapes: N samples, C channels, H height, W width.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..contract import Dataset, DataSpec, Drawn, Sample, Stream, Survey, Table, Unpaired
from ..data import normalise
from ..errors import GanzooError
from ..evaluation import build_dataset
from ..recipes import Part, Request, resolve
from ..recipes.building.build import build
from ..registry import Registry

_SIDES = (32, 64, 128, 256, 512, 1024)
_SAME_PROPORTIONS = 0.9
"""The share of pictures of the most frequent proportions from which on a rectangle is suggested."""
_OBLONG = 1.4


@dataclass(frozen=True)
class Sight:
    """What is known of data. part: with the options that were used, a suggested size among them.

    survey: of picture files.  advice: why a size was suggested, or None.  spec, samples: seen through the options.
    """

    part: Part
    dataset: Dataset
    survey: Survey | None
    advice: str | None
    spec: DataSpec
    samples: Table | Stream | Drawn | Unpaired

    @property
    def count(self) -> float | None:
        """Samples that can be read; infinite for a distribution, None for two sides that are drawn independently."""
        if self.survey is not None:
            return sum(self.survey.sizes.values())
        if isinstance(self.samples, Table):
            return len(next(iter(self.samples.fields.values())))
        return self.samples.count if isinstance(self.samples, Stream) else self.dataset.count

    @property
    def classes(self) -> dict[str, int]:
        """How many samples each class has, by its name; of files, those that are broken included."""
        labels = self.samples.labels if isinstance(self.samples, Table | Stream) else None
        if labels is None or not self.spec.classes:
            return {}
        names = self.dataset.class_names or [str(number) for number in range(self.spec.classes)]
        return dict(zip(names, torch.bincount(labels, minlength=self.spec.classes).tolist(), strict=True))

    def some(self, count: int) -> dict[str, tuple[Tensor, Sample]]:
        """Of each field up to `count` samples, evenly spread, float32 (N, *shape), and what they are."""
        drawn: dict[str, Tensor] = {}
        for name in self.spec.fields:
            part = self.samples.parts[name] if isinstance(self.samples, Unpaired) else self.samples
            if isinstance(part, Drawn):
                drawn[name] = part.draw(count, torch.Generator().manual_seed(0))[0][name]
                continue
            whole = part.count if isinstance(part, Stream) else len(part.fields[name])
            rows = torch.linspace(0, whole - 1, min(count, whole)).long()
            if isinstance(part, Stream):
                raw = torch.stack([part.read(row)[name] for row in rows.tolist()])
            else:
                raw = part.fields[name][rows]
            corner = torch.full((len(rows), 2), 0.5) if part.crop else None
            drawn[name] = normalise(raw, self.spec.fields[name], corner=corner)
        return {name: (drawn[name], sample) for name, sample in self.spec.fields.items()}


def see(part: Part, registry: Registry) -> Sight:
    """Look at data as training would load them; a size is suggested where pictures need one.

    Raises `GanzooError` for data that cannot be had, or of which no picture can be read.
    """
    dataset = build_dataset(part, registry)
    survey, advice = dataset.survey(), None
    accepted = inspect.signature(type(dataset)).parameters
    if survey is not None and "resident_bytes" in accepted:  # those that are shown are decoded, and no others
        part = replace(part, options={**part.options, "resident_bytes": 0})
        dataset = build_dataset(part, registry)
    if survey is not None and survey.sizes and len(survey.sizes) > 1 and part.options.get("size") is None:
        size = suggested_size(survey.sizes)
        advice = f"pictures differ in size, and have to be of one: try --set data.size={size}"
        part = replace(part, options={**part.options, "size": size})
        dataset = build_dataset(part, registry)
    return Sight(part, dataset, survey, advice, dataset.spec, dataset.load())


def suggested_size(sizes: Mapping[tuple[int, int], int]) -> int | str:
    """A size that networks take and most pictures have: the largest of 32, 64 … that half of them reach.

    sizes: how many pictures have which height and width. Oblong pictures of one proportion get HEIGHTxWIDTH.
    """
    shorter = sorted(side for (height, width), count in sizes.items() for side in [min(height, width)] * count)
    side = max((one for one in _SIDES if one <= shorter[len(shorter) // 2]), default=_SIDES[0])
    total, proportions = sum(sizes.values()), dict[float, int]()
    for (height, width), count in sizes.items():
        proportion = round(width / height, 1)
        proportions[proportion] = proportions.get(proportion, 0) + count
    proportion, often = max(proportions.items(), key=lambda item: item[1])
    if often < _SAME_PROPORTIONS * total or 1 / _OBLONG < proportion < _OBLONG:
        return side
    step = side // 4
    if proportion > 1:
        return f"{side}x{round(side * proportion / step) * step}"
    return f"{round(side / proportion / step) * step}x{side}"


@dataclass(frozen=True)
class Shaping:
    """What cropping and resizing do. lost: share of the pictures' area that is cut off.  enlarged: how many grow."""

    lost: float
    enlarged: int


def shaping(sizes: Mapping[tuple[int, int], int], wanted: Sequence[int], crop: bool) -> Shaping:
    """What brings pictures of these heights and widths to the height and width that are wanted."""
    lost, enlarged = 0.0, 0
    for (height, width), count in sizes.items():
        scale = min(height / wanted[0], width / wanted[1])
        kept = scale * wanted[0] * scale * wanted[1] / (height * width)
        lost += (1 - kept) * count if crop else 0.0
        enlarged += count if scale < 1 else 0
    lost = round(lost / max(1, sum(sizes.values())), 2)  # a row of pixels is no loss
    return Shaping(lost, enlarged)


@dataclass(frozen=True)
class Suited:
    """A recipe that takes the data. size: the shape of a sample in it.  parameters: of all players.

    setting: what is to be set, as "data.size=64", or "".  augments: by name.
    """

    recipe: str
    size: tuple[int, ...]
    parameters: int
    setting: str
    augments: tuple[str, ...]
    summary: str


def suited(sight: Sight, data: str, settings: Sequence[str], registry: Registry) -> list[Suited]:
    """The recipes that take these data, smallest networks first; those that would enlarge most pictures are left out.

    data: as in `--data`.  settings: as in `--set`. Networks are built without memory for their weights.
    """
    chosen = f"data.size={sight.part.options['size']}" if "size" in sight.part.options else ""
    found = []
    for one in registry.all("recipe"):
        for more in dict.fromkeys(("", chosen)):
            try:
                given = [*settings, *([more] * bool(more))]
                recipe = resolve(one.component.name, Request(data=data, set=given), registry)
                game = build(recipe, registry, weights=False)
            except GanzooError:
                continue
            if _is_for(game.spec, one.component.name, registry) and not _enlarges(sight, game.spec):
                count = sum(value.numel() for player in game.players.values() for value in player.parameters())
                shape = next(iter(game.spec.fields.values())).shape
                names = tuple(game.augmentations)
                found.append(Suited(one.component.name, shape, count, more, names, one.component.summary))
                break
    return sorted(found, key=lambda one: (one.parameters, one.recipe))


def _is_for(spec: DataSpec, name: str, registry: Registry) -> bool:
    """False if a recipe's own data are pictures and these are not, or the other way round."""
    own = registry.load("recipe", name).get("data", {})
    try:
        options = {key: value for key, value in own.items() if key != "name"}
        fields = build_dataset(Part(own["name"], options), registry).spec.fields
    except (GanzooError, KeyError, OSError):
        return all(one.is_image for one in spec.fields.values())  # only pictures have to be fetched first
    return {one.is_image for one in fields.values()} == {one.is_image for one in spec.fields.values()}


def _enlarges(sight: Sight, spec: DataSpec) -> bool:
    """True if more than half of all picture files are smaller than the samples."""
    sample = next(iter(spec.fields.values()))
    if sight.survey is None or not sample.is_image:
        return False
    sizes = sight.survey.sizes
    return 2 * shaping(sizes, sample.shape[1:], crop=True).enlarged > sum(sizes.values())


def chosen(found: Sequence[Suited], most: int = 6) -> list[Suited]:
    """Some of them, evenly spread from the smallest to the largest."""
    if len(found) <= most:
        return list(found)
    return [found[round(number * (len(found) - 1) / (most - 1))] for number in range(most)]


def told_count(count: float | None) -> str:
    """ "1,204", "endless", or "unknown"."""
    if count is None:
        return "unknown"
    return "endless" if math.isinf(count) else f"{count:,.0f}"

"""How good a generator is: samples of it against real ones, with all that is needed to repeat each number."""

from __future__ import annotations

import logging
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from ..contract import Dataset, Sample
from ..errors import UsageError, did_you_mean
from ..models import Metric, draw_latents, generate, quietly, refuse_too_many
from ..recipes import Part
from ..registry import Registry
from ..version import __version__
from . import values
from .datachoice import only_field, split_of
from .distances import DISTANCES, Measured, Reference, library, library_version, measure_features
from .features import Classifies, Extractor, as_pictures, data_name, load_extractor
from .reference import RealPictures, real_values, reference_for

_CHUNK = 256
_REAL_SEED = 2**31
_PIXELS = "sliced-wasserstein"
_FEW = 10_000
"""Samples of either kind below which FID is warned of, the least that the published program advises."""
log = logging.getLogger("ganzoo")


@dataclass(frozen=True)
class Question:
    """What to measure.

    metrics: names; none for all that fit.  features: an extractor, or the first at hand.
    samples: to generate.  seed: of the first draw.  seeds: draws, each of `samples`, to give a deviation.
    """

    metrics: Sequence[str] = ()
    features: str | None = None
    samples: int = 10_000
    seed: int = 0
    seeds: int = 1


class Bench:
    """Real samples, metrics and features that generators of one kind of sample are measured with.

    The constructor reads no data but finds everything else that is missing. Raises `UsageError` or `DataError`.
    """

    def __init__(
        self, dataset: Dataset, part: Part, target: Sample, question: Question, registry: Registry, device: torch.device
    ) -> None:
        self.dataset, self.part, self.target, self.question = dataset, part, target, question
        self.field = only_field(dataset.spec, target)
        self.split = split_of(part, type(dataset))
        self.extractor: Extractor | None = None
        self._warned = False
        self.metrics = self._named(question.metrics)
        if target.is_image and (not self.metrics or any(name in DISTANCES for name in self.metrics)):
            library("metrics")
            self.extractor = load_extractor(question.features, part, dataset.spec, registry, device)
            self.metrics = self.metrics or tuple(DISTANCES)
            self._drop_classes()

    def _named(self, wanted: Sequence[str]) -> tuple[str, ...]:
        """The names that were asked for. Raises `UsageError` for one that does not fit these samples."""
        known = (*DISTANCES, _PIXELS) if self.target.is_image else values.METRICS
        for name in wanted:
            if name not in known:
                kind = self.target.looks.noun
                raise UsageError(
                    f"there is no metric '{name}' for {kind}{did_you_mean(name, known)}: there are {', '.join(known)}"
                )
        return tuple(dict.fromkeys(wanted))

    def _drop_classes(self) -> None:
        """Leave out what needs classes where the extractor has none; refuse it if it was asked for."""
        assert self.extractor is not None
        if isinstance(self.extractor.module, Classifies):
            return
        needy = [name for name in self.metrics if name in DISTANCES and DISTANCES[name].classes]
        if needy and self.question.metrics:
            raise UsageError(f"{needy[0]} needs features that tell classes, which {self.extractor.name} do not")
        self.metrics = tuple(name for name in self.metrics if name not in needy)

    @cached_property
    def reference(self) -> Reference:
        """Features of the real pictures."""
        assert self.extractor is not None
        return reference_for(self.dataset, self.part, self.field, self.split, self.extractor)

    def measure(self, generator: nn.Module, classes: int, facts: Mapping[str, Any]) -> list[Metric]:
        """Draw samples and measure them.

        classes: that a conditional generator knows, drawn in turn.  facts: "weights" and "images", for the provenance.
        Several seeds give the mean, with the deviation among its facts. Random generators are left as they were.
        """
        question = self.question
        refuse_too_many(question.samples, 1)
        seeds = range(question.seed, question.seed + question.seeds)
        known = classes if getattr(generator, "conditional", False) else 0
        draws = [self._once(_Source(generator, known, seed, question.samples)) for seed in seeds]
        self._doubt()
        return [self._metric(name, [draw[name] for draw in draws], facts) for name in draws[0]]

    def first(self, generator: nn.Module, classes: int, count: int) -> Tensor:
        """The first of the samples that `measure` measures, (count, *shape)."""
        known = classes if getattr(generator, "conditional", False) else 0
        return _Source(generator, known, self.question.seed, self.question.samples).first(count)

    def _doubt(self) -> None:
        """Warn, once, of features that do not see all channels, and of an FID of few samples."""
        if self.extractor is None or self._warned:
            return
        if self.target.shape[0] > 4:
            self._warned = True
            log.warning("features are those of the first three of %d channels", self.target.shape[0])
        if "fid" not in self.metrics:
            return
        made, real, features = self.question.samples, self.reference.count, self.extractor.module.dimensions
        if min(made, real) >= _FEW:
            return
        self._warned = True
        said = "is too high: compare it with equal numbers only"
        if min(made, real) <= features:
            said = f"says little: covariances of {features:,} features take more samples than features"
        log.warning("fid of %s generated and %s real samples %s (%s are advised)", f"{made:,}", f"{real:,}", said,
                    f"{_FEW:,}")  # fmt: skip

    def _once(self, source: _Source) -> dict[str, Measured]:
        if not self.target.is_image:
            return self._values(source)
        found: dict[str, Measured] = {}
        if self.extractor:
            extract, target = self.extractor, self.target
            features = source.each(lambda batch: extract([as_pictures(batch, target)]))
            names = [name for name in self.metrics if name in DISTANCES]
            found = measure_features(names, features, self.reference, self.extractor)
        if _PIXELS in self.metrics:
            found[_PIXELS] = self._pixels(source)
        return found

    def _values(self, source: _Source) -> dict[str, Measured]:
        fake = source.each(lambda batch: batch.flatten(1))
        real = real_values(self.dataset, self.field, len(fake), _REAL_SEED).flatten(1)
        found = values.measure_values(fake[: len(real)], real, self.dataset, self.dataset.spec.fields[self.field])
        missing = [name for name in self.metrics if name not in found]
        if missing:
            raise UsageError(f"{missing[0]} does not fit these data: {', '.join(found)} do")
        truth = values.truth(real, self.dataset)
        return {name: Measured(found[name], len(real), truth.get(name, {})) for name in self.metrics or found}

    def _pixels(self, source: _Source) -> Measured:
        """The sliced Wasserstein distance of pixels, for pictures that no features suit."""
        real, fake = self._real_pixels(), source.each(lambda batch: batch.flatten(1))
        facts: dict[str, str | int | float] = {
            "space": f"values in [{self.target.low:g}, {self.target.high:g}]",
            "projections": values.PROJECTIONS,
        }
        return Measured(values.sliced_wasserstein(fake[: len(real)], real), len(real), facts)

    def _real_pixels(self) -> Tensor:
        """(M, C·H·W), at most as many as are generated, in the target's range."""
        rows = list[Tensor]()
        for chunk in RealPictures(self.dataset, self.field).samples():
            rows.append(chunk.flatten(1))
            if sum(map(len, rows)) >= self.question.samples:
                break
        return torch.cat(rows)[: self.question.samples]

    def _metric(self, name: str, draws: Sequence[Measured], facts: Mapping[str, Any]) -> Metric:
        numbers = [draw.value for draw in draws]
        provenance: dict[str, Any] = {}
        if self.extractor and name in DISTANCES:
            provenance |= {"features": self.extractor.name, "features hash": self.extractor.fingerprint}
        if draws[0].real:
            provenance["real samples"] = draws[0].real
        shape = "x".join(map(str, self.target.shape))
        provenance |= {"size": shape, "resize": self._resize(), "seed": self.question.seed}
        if len(draws) > 1:
            provenance |= {"seeds": len(draws), "deviation": float(f"{statistics.stdev(numbers):.6g}")}
        provenance |= {key: draws[0].facts[key] for key in draws[0].facts if len(draws) == 1 or "deviation" not in key}
        provenance |= {key: facts[key] for key in ("weights", "images") if key in facts}
        provenance |= {"ganzoo": __version__, "torch": torch.__version__}
        if name in DISTANCES and name not in ("density", "coverage"):
            provenance["torch-fidelity"] = library_version()
        value = float(f"{statistics.fmean(numbers):.8g}")
        return Metric(name, value, data_name(self.part), self.split, self.question.samples, provenance)

    def _resize(self) -> str:
        size = self.part.options.get("size")
        return f"to {size}, by the data set" if size else "none"


@dataclass(frozen=True)
class _Source:
    """Samples of a generator under a seed. classes: 0 if it knows none."""

    generator: nn.Module
    classes: int
    seed: int
    count: int

    def first(self, count: int) -> Tensor:
        """The first `count` samples, on the CPU."""
        with quietly(self.generator, self.seed):
            latents = draw_latents(self.generator, self.count)[:count]
            return generate(self.generator, latents, torch.arange(len(latents)) % max(self.classes, 1))

    def each(self, look: Callable[[Tensor], Tensor]) -> Tensor:
        """What `look` makes of each batch, joined. The batches, float32 (N, *shape), are what `Model.sample` draws.

        look: must not use torch's random generators, from which a generator may draw noise as it goes.
        """
        label = torch.arange(self.count) % max(self.classes, 1)
        with quietly(self.generator, self.seed):
            latents = draw_latents(self.generator, self.count)
            found = [
                look(generate(self.generator, latents[i : i + _CHUNK], label[i : i + _CHUNK]))
                for i in range(0, self.count, _CHUNK)
            ]
        return torch.cat(found)

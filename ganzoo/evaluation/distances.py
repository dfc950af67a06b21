"""Distances between generated and real pictures, from their features.

FID, KID, Inception Score, precision and recall are computed by torch-fidelity (Obukhov et al. 2020,
doi:10.5281/zenodo.4957738); density and coverage, which it lacks, here.

Shapes: N generated, M real pictures, F features, K classes.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import UsageError

if TYPE_CHECKING:
    from .features import Extractor

NEIGHBOURS = 5
_ROWS = 1_000  # rows of a matrix of distances that are held at a time
_KID_SUBSETS, _KID_SUBSET_SIZE = 100, 1_000


@dataclass(frozen=True)
class Reference:
    """Features of real pictures.

    features: (min(count, KEPT), F) of a random choice.  mean: (F,) and covariance: (F, F) over all `count`.
    """

    features: Tensor
    mean: Tensor
    covariance: Tensor
    count: int


@dataclass(frozen=True)
class Measured:
    """One number. real: samples that it was measured against, 0 for none.  facts: more to know about it."""

    value: float
    real: int = 0
    facts: Mapping[str, str | int | float] = field(default_factory=dict)


def library(module: str) -> Any:
    """A module of torch-fidelity. Raises `UsageError` with the line that installs it."""
    try:
        return importlib.import_module(f"torch_fidelity.{module}")
    except ImportError as error:
        raise UsageError("metrics of pictures need torch-fidelity: pip install torch-fidelity scipy") from error


def library_version() -> str:
    return version("torch-fidelity")


def statistics(features: Tensor) -> dict[str, Any]:
    """Mean and covariance of features, (N, F), as NumPy arrays "mu" and "sigma"."""
    found: dict[str, Any] = library("metric_fid").fid_features_to_statistics(features)
    return found


def fid(fake_NF: Tensor, real: Reference, extractor: Extractor) -> dict[str, Measured]:
    """Fréchet distance of Gaussians fitted to the features; Heusel et al. 2017 (arXiv:1706.08500)."""
    metric = library("metric_fid")
    known = {"mu": real.mean.numpy(), "sigma": real.covariance.numpy()}
    found = metric.fid_statistics_to_metric(statistics(fake_NF), known, False)
    return {"fid": Measured(found[metric.KEY_METRIC_FID], real.count)}


def kid(fake_NF: Tensor, real: Reference, extractor: Extractor) -> dict[str, Measured]:
    """Kernel distance with a cubic kernel, mean over 100 subsets; Bińkowski et al. 2018 (arXiv:1801.01401)."""
    metric = library("metric_kid")
    size = min(_KID_SUBSET_SIZE, len(fake_NF), len(real.features))
    options = {"kid_subsets": _KID_SUBSETS, "kid_subset_size": size, "verbose": False}
    found = metric.kid_features_to_metric(fake_NF, real.features, **options)
    deviation = float(f"{found[metric.KEY_METRIC_KID_STD]:.6g}")
    facts = {"subsets": _KID_SUBSETS, "subset size": size, "subset deviation": deviation}
    return {"kid": Measured(found[metric.KEY_METRIC_KID_MEAN], len(real.features), facts)}


def inception_score(fake_NF: Tensor, real: Reference, extractor: Extractor) -> dict[str, Measured]:
    """exp E KL(p(y|x) ‖ p(y)) over 10 splits; Salimans et al. 2016 (arXiv:1606.03498)."""
    metric = library("metric_isc")
    logits: Tensor = extractor.module.logits(fake_NF.to(extractor.device))  # type: ignore[operator]
    splits = min(10, len(fake_NF))
    found = metric.isc_features_to_metric(logits.float().cpu(), splits)
    deviation = float(f"{found[metric.KEY_METRIC_ISC_STD]:.6g}")
    facts = {"splits": splits, "split deviation": deviation}
    return {"inception-score": Measured(found[metric.KEY_METRIC_ISC_MEAN], 0, facts)}


def precision_recall(fake_NF: Tensor, real_MF: Tensor) -> tuple[float, float]:
    """Shares of one kind within the manifold of the other, of 3 neighbours; Kynkäänniemi et al. 2019
    (arXiv:1904.06991)."""
    metric = library("metric_prc")
    found = metric.prc_features_to_metric(fake_NF, real_MF, prc_batch_size=_ROWS, save_cpu_ram=True, verbose=False)
    return found[metric.KEY_METRIC_PRECISION], found[metric.KEY_METRIC_RECALL]


def density_coverage(fake_NF: Tensor, real_MF: Tensor, neighbours: int = NEIGHBOURS) -> tuple[float, float]:
    """How many real neighbourhoods a generated picture lies in, over k; the share of them that hold one.

    A real picture's neighbourhood is the ball that reaches to its k-th nearest real one. Naeem et al. 2020
    (arXiv:2002.09797), equations 3 and 4.
    """
    inside, covered = 0, 0
    for centre in torch.split(real_MF, _ROWS):
        # the nearest is the picture itself
        radius = torch.cdist(centre, real_MF).kthvalue(neighbours + 1, dim=1).values
        hits = torch.cdist(centre, fake_NF) < radius[:, None]
        inside += int(hits.sum())
        covered += int(hits.any(1).sum())
    return inside / (neighbours * len(fake_NF)), covered / len(real_MF)


def _neighbourhoods(
    pair: Callable[[Tensor, Tensor], tuple[float, float]], names: tuple[str, str], neighbours: int
) -> Callable[[Tensor, Reference, Extractor], dict[str, Measured]]:
    def measure(fake_NF: Tensor, real: Reference, extractor: Extractor) -> dict[str, Measured]:
        # as many real as generated pictures: neighbourhoods shrink as pictures grow in number
        count = min(len(fake_NF), len(real.features))
        if count <= neighbours:
            raise UsageError(f"neighbourhoods of {neighbours} need more than {count} samples: raise --samples")
        found = zip(names, pair(fake_NF[:count], real.features[:count]), strict=True)
        return {name: Measured(value, count, {"neighbours": neighbours}) for name, value in found}

    return measure


@dataclass(frozen=True)
class Distance:
    """A metric of features.

    measure: (features (N, F), the real ones, the extractor) to numbers by name, this one's among them.
    classes: whether it needs an extractor that tells classes.
    """

    measure: Callable[[Tensor, Reference, Extractor], dict[str, Measured]]
    classes: bool = False


_MANIFOLDS = Distance(_neighbourhoods(precision_recall, ("precision", "recall"), 3))
_BALLS = Distance(_neighbourhoods(density_coverage, ("density", "coverage"), NEIGHBOURS))
DISTANCES: Mapping[str, Distance] = {
    "fid": Distance(fid),
    "kid": Distance(kid),
    "inception-score": Distance(inception_score, classes=True),
    "precision": _MANIFOLDS,
    "recall": _MANIFOLDS,
    "density": _BALLS,
    "coverage": _BALLS,
}


def measure_features(
    names: Iterable[str], fake_NF: Tensor, real: Reference, extractor: Extractor
) -> dict[str, Measured]:
    """The named metrics of features, (N, F); those that are found together are computed once."""
    names, found = tuple(names), dict[str, Measured]()
    for name in names:
        if name not in found:
            found |= DISTANCES[name].measure(fake_NF, real, extractor)
    return {name: found[name] for name in names}

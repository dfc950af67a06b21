"""Distances between generated and real samples themselves: toy distributions, signals, tables, and pictures as lists of
pixels.

Shapes: N samples, D values each, M modes, C channels, T values in time.
"""

from __future__ import annotations

import importlib
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from ..contract import Columns, Sample, Signal
from ..errors import UsageError
from ..models import correlations, numbers

PROJECTIONS = 512
LEAST = 0.1
"""What a mode needs to be recovered, as a part of what it would get if samples were spread evenly over the modes."""
_SEED = 1

METRICS = (
    "modes-recovered",
    "share-within-3-sigma",
    "mean",
    "std",
    "mean-distance",
    "std-distance",
    "wasserstein-1",
    "sliced-wasserstein",
    "spectrum-distance",
    "margins-distance",
    "correlations-distance",
)


@runtime_checkable
class Mixture(Protocol):
    """A data set that is a mixture of round Gaussians. modes: (M, D), their means.  std: of each, along each axis."""

    modes: Tensor
    std: float


def measure_values(fake_ND: Tensor, real_ND: Tensor, dataset: object, target: Sample | None = None) -> dict[str, float]:
    """Every metric that fits: fake_ND and real_ND are equally many samples of the same kind.

    target: what they are, if it is more than values.
    Mixtures: modes that are recovered, and the share of samples that are within 3σ of a mode. Signals: the distance of
    spectra. Rows of a table: that of margins and of correlations.
    One value: mean, standard deviation and Wasserstein-1 distance. More: distances of means and of standard
    deviations, and the sliced Wasserstein distance.
    """
    found = mixture(fake_ND, dataset) if isinstance(dataset, Mixture) else {}
    looks = target.looks if target is not None else None
    if target is not None and isinstance(looks, Signal):
        found["spectrum-distance"] = spectrum_distance(*(one.reshape(-1, *target.shape) for one in (fake_ND, real_ND)))
    if isinstance(looks, Columns):
        found["margins-distance"] = margins_distance(fake_ND, real_ND, looks)
        apart = correlations(fake_ND, looks) - correlations(real_ND, looks)
        found["correlations-distance"] = apart.abs().mean().item()
    if fake_ND.shape[1] == 1:
        found |= {"mean": fake_ND.mean().item(), "std": fake_ND.std().item()}
        return found | {"wasserstein-1": wasserstein(fake_ND.flatten(), real_ND.flatten())}
    found["mean-distance"] = (fake_ND.mean(0) - real_ND.mean(0)).norm().item()
    found["std-distance"] = (fake_ND.std(0) - real_ND.std(0)).norm().item()
    return found | {"sliced-wasserstein": sliced_wasserstein(fake_ND, real_ND)}


def truth(real_ND: Tensor, dataset: object) -> dict[str, dict[str, float]]:
    """Facts by metric, for numbers that say nothing alone: what the data themselves give, and what a mode needs."""
    found = {"mean": {"real": round(real_ND.mean().item(), 6)}, "std": {"real": round(real_ND.std().item(), 6)}}
    if isinstance(dataset, Mixture):
        facts = {"real": float(len(dataset.modes)), "least share": float(f"{least_share(dataset):.6g}")}
        found["modes-recovered"] = facts
    return found


def mixture(fake_ND: Tensor, dataset: Mixture) -> dict[str, float]:
    """A sample is good within 3σ of a mode, as in Lin et al. 2018 (arXiv:1712.04086), section 4.

    There a mode is recovered by a single good sample, which any cloud that is wide enough has for each; here it takes
    a tenth of its even share.
    """
    distance_N, nearest_N = torch.cdist(fake_ND, dataset.modes).min(1)
    good_N = distance_N < 3 * dataset.std
    found_M = torch.bincount(nearest_N[good_N], minlength=len(dataset.modes))
    return {
        "modes-recovered": float((found_M >= max(1.0, least_share(dataset) * len(fake_ND))).sum()),
        "share-within-3-sigma": good_N.float().mean().item(),
    }


def least_share(dataset: Mixture) -> float:
    """The share of all samples that a mode needs near it to be recovered."""
    return LEAST / len(dataset.modes)


def spectrum_distance(fake_NCT: Tensor, real_NCT: Tensor) -> float:
    """How far mean power spectra are apart, in decibels on average over frequencies.

    What lies 60 dB or more under the strongest real frequency is not heard, and counts as if it were there.
    """
    fake, real = (torch.fft.rfft(one.double()).abs().square().mean((0, 1)) for one in (fake_NCT, real_NCT))
    floor = real.max().clamp_min(1e-30) * 1e-6
    apart: Tensor = 10 * (fake.clamp_min(floor) / real.clamp_min(floor)).log10()
    return apart.abs().mean().item()


def margins_distance(fake_ND: Tensor, real_ND: Tensor, view: Columns) -> float:
    """How far the distributions of single columns are apart, on average over columns.

    A number: the Wasserstein-1 distance in units of the real standard deviation. Of several values: the total
    variation, half the sum of differences of shares.
    """
    fake, real, found = numbers(fake_ND, view), numbers(real_ND, view), []
    for place, column in enumerate(view.columns):
        made, known = fake[:, place], real[:, place]
        if column.values:
            shares = [torch.bincount(one.long(), minlength=len(column.values)) / len(one) for one in (made, known)]
            found.append((shares[0] - shares[1]).abs().sum().item() / 2)
        else:
            apart = (made.sort().values - known.sort().values).abs().mean()
            found.append((apart / known.std().clamp_min(1e-12)).item())
    return sum(found) / len(found)


def wasserstein(fake_N: Tensor, real_N: Tensor) -> float:
    """The Wasserstein-1 distance on the line, by SciPy. Raises `UsageError` if SciPy is missing."""
    try:
        stats: Any = importlib.import_module("scipy.stats")
    except ImportError as error:
        raise UsageError("wasserstein-1 needs SciPy: pip install torch-fidelity scipy") from error
    return float(stats.wasserstein_distance(fake_N.numpy(), real_N.numpy()))


def sliced_wasserstein(a_ND: Tensor, b_ND: Tensor) -> float:
    """Mean Wasserstein-1 distance of projections on 512 random directions; Rabin et al. 2011. Both have N rows."""
    generator = torch.Generator().manual_seed(_SEED)
    direction_DP = torch.nn.functional.normalize(torch.randn(a_ND.shape[1], PROJECTIONS, generator=generator), dim=0)
    return ((a_ND @ direction_DP).sort(0).values - (b_ND @ direction_DP).sort(0).values).abs().mean().item()

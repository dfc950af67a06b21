"""Toy distributions against their closed forms."""

from __future__ import annotations

import math

import pytest
import torch

import ganzoo
from ganzoo_data.toys import Gaussian, Grid, Ring, TwoMoons

N = 20_000


def draw(dataset: ganzoo.Dataset, n: int = N, seed: int = 0) -> torch.Tensor:
    fields, labels = dataset.load().draw(n, torch.Generator().manual_seed(seed))
    assert labels is None and list(fields) == ["value"] and fields["value"].dtype == torch.float32
    assert fields["value"].shape == (n, *dataset.spec.fields["value"].shape)
    return fields["value"]


def test_gaussian_has_its_mean_and_deviation():
    value = draw(Gaussian(mean=-1.0, std=0.5))
    assert value.mean().item() == pytest.approx(-1.0, abs=4 * 0.5 / math.sqrt(N))
    assert value.std().item() == pytest.approx(0.5, rel=0.03)


def test_gaussian_density_at_the_mean_is_one_over_root_two_pi_sigma():
    density = Gaussian().density(torch.tensor([[4.0], [4.0 + 1.25]]))
    top = 1 / (math.sqrt(2 * math.pi) * 1.25)
    assert density.tolist() == pytest.approx([top, top * math.exp(-0.5)])


@pytest.mark.parametrize(("dataset", "modes"), [(Ring(), 8), (Grid(), 25), (Ring(count=3, std=0.1), 3)])
def test_mixture_visits_every_mode_equally_with_its_deviation(dataset, modes):
    value = draw(dataset)
    distance, nearest = torch.cdist(value, dataset.modes).min(1)
    share = nearest.bincount(minlength=modes) / N
    assert dataset.modes.shape == (modes, 2)
    assert (share - 1 / modes).abs().max() < 5 * math.sqrt(1 / modes / N)
    assert distance.square().mean().item() == pytest.approx(2 * dataset.std**2, rel=0.05)


def test_ring_lies_on_a_circle_of_radius_two():
    assert torch.allclose(Ring().modes.norm(dim=1), torch.tensor(2.0))
    assert torch.allclose(Ring().modes[2], torch.tensor([0.0, 2.0]), atol=1e-6)


def test_grid_spans_from_minus_four_to_four():
    assert Grid().modes.unique().tolist() == [-4, -2, 0, 2, 4]


@pytest.mark.parametrize("dataset", [Ring(std=0.3), Grid(std=0.3, spacing=1.0)])
def test_mixture_density_integrates_to_one(dataset):
    axis = torch.linspace(-5, 5, 401)
    step = 10 / 400
    total = dataset.density(torch.cartesian_prod(axis, axis)).sum().item() * step**2
    assert total == pytest.approx(1.0, abs=1e-3)


def test_mixture_density_at_a_lone_mode_is_one_over_two_pi_variance():
    ring = Ring(count=4, radius=50.0, std=0.5)
    assert ring.density(ring.modes).tolist() == pytest.approx([1 / (4 * 2 * math.pi * 0.25)] * 4)


def test_two_moons_lie_on_their_half_circles():
    value = draw(TwoMoons(std=1e-6))
    upper = (value.norm(dim=1) - 1).abs() < 1e-4
    lower = ((value - torch.tensor([1.0, 0.5])).norm(dim=1) - 1).abs() < 1e-4
    assert torch.all(upper | lower) and upper.float().mean().item() == pytest.approx(0.5, abs=0.02)
    assert value[upper & ~lower, 1].min() > -1e-4 and value[lower & ~upper, 1].max() < 0.5 + 1e-4


@pytest.mark.parametrize("dataset", [Gaussian(), Ring(), Grid(), TwoMoons()], ids=lambda one: type(one).__name__)
def test_same_generator_draws_the_same(dataset):
    assert torch.equal(draw(dataset, 10, seed=3), draw(dataset, 10, seed=3))
    assert not torch.equal(draw(dataset, 10, seed=3), draw(dataset, 10, seed=4))
    assert dataset.spec.classes == 0 and not dataset.spec.fields["value"].bounded


def test_density_is_known_where_it_has_a_closed_form():
    assert all(isinstance(dataset, ganzoo.Density) for dataset in (Gaussian(), Ring(), Grid()))
    assert not isinstance(TwoMoons(), ganzoo.Density)


@pytest.mark.parametrize("cls", [Gaussian, Ring, Grid, TwoMoons])
def test_deviation_must_be_above_zero(cls):
    with pytest.raises(ganzoo.UsageError, match=r"data\.std is 0"):
        cls(std=0.0)

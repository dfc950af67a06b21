"""The script behind the figure measures what it says, and draws."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("matplotlib")

SCRIPT = Path(__file__).parents[1] / "figures" / "distance.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("distance", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_distance_on_the_line_is_that_of_sorted_values(script):
    a, b = torch.tensor([[0.0], [3.0]]), torch.tensor([[5.0], [1.0]])
    assert script.sliced_wasserstein(a, b) == pytest.approx((1 + 2) / 2)


def test_sliced_distance_of_a_shift_is_two_thirds_of_its_length(script):
    points = torch.randn(500, 2)
    shifted = points + torch.tensor([3.0, -4.0])
    assert script.sliced_wasserstein(points, shifted) == pytest.approx(5 * 2 / math.pi, rel=1e-3)


def test_samples_to_compare_with_are_those_of_the_data_sets(script):
    ring, bell = script.ring(4000), script.bell_curve(4000)
    assert ring.norm(dim=1).mean().item() == pytest.approx(2, abs=0.01) and ring.mean().abs() < 0.1
    angles = torch.atan2(ring[:, 1], ring[:, 0]) / (math.pi / 4)
    assert (angles - angles.round()).abs().max() < 0.1 and len(angles.round().remainder(8).unique()) == 8
    assert bell.mean().item() == pytest.approx(4, abs=0.1) and bell.std().item() == pytest.approx(1.25, abs=0.1)


def test_rows_hold_the_estimate_and_the_distance_of_generated_samples(script):
    rows = script.watch("wgan-gp-ring", "gaussian", images=14_080)
    assert [updates for updates, _, _ in rows] == [10, 20, 22]  # each after 5 critic updates on 128 values
    assert all(math.isfinite(estimated) and estimated != 0 for _, estimated, _ in rows)
    assert all(measured == pytest.approx(4, abs=1) for _, _, measured in rows)  # G still makes values near 0


def test_every_recipe_is_drawn_on_every_data_set(script, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["distance.py", str(tmp_path / "distance.png")])
    monkeypatch.setattr(script, "watch", lambda recipe, data, images: [(1, 4.0, 2.0), (2, 3.0, 1.5), (3, 1.0, 0.5)])
    script.main()
    assert (tmp_path / "distance.png").read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out.splitlines() == [
        f"{recipe}, data {data}: correlation 1.000, measured 2.000 -> 0.500"
        for recipe in ("wgan-ring", "wgan-gp-ring")
        for data in ("ring", "gaussian")
    ]

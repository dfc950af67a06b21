"""The penalty against its formula, its averages against a plain loop, and a run that resumes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor, nn

import ganzoo
from ganzoo_lecam.lecam import LeCam


@dataclass
class FakeTurn:
    """The part of a turn that the penalty sees; D is the identity, so samples are logits."""

    real: Tensor
    made: Tensor
    logged: dict[str, Tensor] = field(default_factory=dict)

    def both(self) -> tuple[Tensor, Tensor]:
        return self.real, self.made

    def log(self, name: str, value: Tensor) -> None:
        self.logged[name] = value.detach()


def turn(real, fake):
    return FakeTurn(torch.tensor(real), torch.tensor(fake))


def test_listing_the_components_imports_no_torch():
    code = "import sys, ganzoo_lecam as p; p.ganzoo_components(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_formula_by_hand():
    penalty = LeCam(weight=0.5, decay=0.75, start=0)
    one = turn([1.0, 3.0], [0.0, -2.0])
    # α_R = 2, α_F = -1: ((2² + 4²) + (2² + 4²)) / 2
    assert penalty(one).item() == pytest.approx(0.5 * 20)
    assert one.logged["penalty/lecam"].item() == pytest.approx(20)
    # α_R = .75·2 + .25·6 = 3, α_F = .75·(-1) + .25·1 = -.5: 6.5² + 2²
    assert penalty(turn([6.0], [1.0])).item() == pytest.approx(0.5 * (42.25 + 4))


def test_averages_follow_the_mean_logits():
    penalty = LeCam(decay=0.9, start=2)
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(12, 2, 5, generator=generator)
    expected = None
    for update, (real, fake) in enumerate(rows):
        penalty(FakeTurn(real, fake))
        now = torch.stack([real.mean(), fake.mean()])
        expected = now if update < 2 else 0.9 * expected + 0.1 * now
    torch.testing.assert_close(torch.stack([penalty.real_average, penalty.fake_average]), expected)
    assert penalty.updates == 12


def test_nothing_is_penalised_before_the_start():
    penalty = LeCam(start=2)
    values = [penalty(turn([1.0], [-1.0])).item() for _ in range(4)]
    assert values == [0, 0, pytest.approx(0.3 * 8), pytest.approx(0.3 * 8)]


def test_gradient_goes_to_the_logits_and_not_through_the_averages():
    penalty = LeCam(weight=1.0, decay=0.0, start=0)
    real, fake = (torch.tensor([value], requires_grad=True) for value in (3.0, -1.0))
    penalty(FakeTurn(real, fake)).backward()
    assert real.grad.item() == pytest.approx(2 * 4) and fake.grad.item() == pytest.approx(-2 * 4)
    assert not penalty.real_average.requires_grad


def test_gradient_is_that_of_the_averages_at_the_time():
    penalty = LeCam(weight=1.0, decay=0.5, start=0)
    real = torch.tensor([3.0], requires_grad=True)
    value = penalty(FakeTurn(real, torch.tensor([-1.0])))
    penalty(turn([0.0], [9.0]))
    value.backward()
    assert real.grad.item() == pytest.approx(2 * 4)


@pytest.mark.parametrize("shape", [(4, 1, 3, 3), (1,)])
def test_logits_of_any_shape(shape):
    value = LeCam(start=0)(FakeTurn(torch.ones(shape), -torch.ones(shape)))
    assert value.shape == () and value.item() == pytest.approx(0.3 * 8)


@pytest.mark.parametrize(("option", "value"), [("weight", -1.0), ("decay", 1.0), ("decay", -0.1), ("start", -1)])
def test_silly_options_are_refused(option, value):
    with pytest.raises(ValueError, match=option):
        LeCam(**{option: value})


def test_game_without_a_player_d_is_refused():
    (problem,) = LeCam().problems({"G_ab": nn.Identity(), "D_a": nn.Identity()})
    assert "G_ab, D_a" in problem
    assert not LeCam().problems({"D": nn.Identity()})


@pytest.fixture
def settings():
    return {
        "generator.widths": [8],
        "discriminator.widths": [8],
        "penalty.lecam.start": 3,
        "checkpoints.every": 64,
        "checkpoints.keep": 8,
        "previews.count": 4,
        "metrics.every": 32,
    }


def test_resumed_run_equals_an_unbroken_one(tmp_path, settings, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = {"penalty": ["lecam"], "loss": "hinge", "batch": 16, "progress": False, "device": "cpu"}
    plain = ganzoo.train("ring", images=192, set=settings, out="whole", **options)
    ganzoo.train("ring", images=96, set=settings, out="broken", **options)
    broken = ganzoo.train("ring", images=192, set=settings, out="broken", **options)
    assert broken.metrics()[-1]["penalty/lecam"] > 0
    assert (tmp_path / "whole/model/model.safetensors").read_bytes() == (
        tmp_path / "broken/model/model.safetensors"
    ).read_bytes()
    assert plain.metrics()[-1] == broken.metrics()[-1]

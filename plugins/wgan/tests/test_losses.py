"""Both losses by hand: values, the penalty's closed form, the schedule of the critic's updates, clipping."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

import ganzoo
from ganzoo_wgan.losses import WGAN, WGANGP


@dataclass
class FakeTurn:
    """The part of a turn that a loss sees; it keeps the samples that were judged."""

    discriminator: nn.Module
    real: Tensor
    made: Tensor
    logged: dict[str, Tensor] = field(default_factory=dict)
    judged: list[Tensor] = field(default_factory=list)

    def fake(self) -> Tensor:
        return self.made

    def uniform(self, n: int) -> Tensor:
        return torch.rand(n)

    def logits(self, sample: Tensor) -> Tensor:
        self.judged.append(sample)
        return self.discriminator(sample)

    def both(self) -> tuple[Tensor, Tensor]:
        return self.logits(self.real), self.logits(self.made)

    def log(self, name: str, value: Tensor) -> None:
        self.logged[name] = value.detach()


class Linear(nn.Module):
    """D(x) = w·x, so that ∇D = w everywhere."""

    judges_batch = False

    def __init__(self, *w: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w))

    def forward(self, sample: Tensor) -> Tensor:
        return sample.flatten(1) @ self.w


class Quadratic(nn.Module):
    """D(x) = ½a‖x‖², so that ‖∇D(x)‖ = a‖x‖."""

    judges_batch = False

    def __init__(self, a: float) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a))

    def forward(self, sample: Tensor) -> Tensor:
        return self.a / 2 * sample.flatten(1).square().sum(1)


def turn(discriminator: nn.Module, n: int = 4) -> FakeTurn:
    real, fake = torch.randn(2, n, 2, generator=torch.Generator().manual_seed(0))
    return FakeTurn(discriminator, real, fake)


@pytest.mark.parametrize("loss", [WGAN(), WGANGP()])
def test_critic_and_generator_play_for_the_difference_of_means(loss):
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([-1.0, 4.0, 0.0])
    assert loss.discriminator(real, fake).item() == pytest.approx(1 - 2)
    assert loss.generator(fake, real).item() == pytest.approx(-1)


def test_distance_is_logged_and_is_the_negative_of_the_clipped_loss():
    one = FakeTurn(Linear(1.0, 0.0), torch.tensor([[3.0, 9.0]]), torch.tensor([[1.0, 5.0]]))
    assert WGAN().phases()[0].loss(one).item() == pytest.approx(-2)
    assert one.logged["distance"].item() == pytest.approx(2)


def test_distance_of_the_penalised_loss_leaves_the_penalty_out():
    one = FakeTurn(Linear(3.0, 4.0), torch.tensor([[3.0, 9.0]]), torch.tensor([[1.0, 5.0]]))
    loss = WGANGP(weight=10).phases()[0].loss(one)
    assert one.logged["distance"].item() == pytest.approx(3 * 2 + 4 * 4)
    assert one.logged["penalty/gradient"].item() == pytest.approx((5 - 1) ** 2)
    assert loss.item() == pytest.approx(-22 + 160)


@pytest.mark.parametrize(("w", "expected"), [((3.0, 4.0), 16.0), ((0.3, 0.4), 0.25), ((0.6, 0.8), 0.0)])
def test_penalty_of_a_linear_critic(w, expected):
    value = WGANGP().gradient_penalty(turn(Linear(*w)))
    assert value.item() == pytest.approx(expected, abs=1e-6)  # (‖w‖ - 1)²


def test_penalty_reaches_the_weights_by_double_backward():
    critic = Linear(3.0, 4.0)
    WGANGP().gradient_penalty(turn(critic)).backward()
    torch.testing.assert_close(critic.w.grad, 2 * 4 * torch.tensor([0.6, 0.8]))  # 2(‖w‖ - 1) · w/‖w‖


def test_penalty_of_a_quadratic_critic_is_that_of_the_points_between():
    one = turn(Quadratic(0.5), n=16)
    value = WGANGP().gradient_penalty(one)
    (between,) = one.judged
    expected = (0.5 * between.detach().norm(dim=1) - 1).square().mean()
    torch.testing.assert_close(value, expected)


def test_points_between_have_an_epsilon_of_their_own_for_each_pair():
    one = FakeTurn(Linear(*[1.0] * 12), torch.ones(64, 3, 2, 2), torch.zeros(64, 3, 2, 2))
    WGANGP().gradient_penalty(one)
    between = one.judged[0].detach()
    epsilon = between[:, 0, 0, 0]
    assert torch.equal(between, epsilon.view(-1, 1, 1, 1).expand_as(between))
    assert len(epsilon.unique()) > 60 and 0 <= epsilon.min() < 0.2 and 0.8 < epsilon.max() <= 1


def test_real_and_generated_samples_of_the_penalty_are_those_of_the_same_update():
    one = turn(Linear(1.0, 1.0))
    one.made = one.real.clone()
    WGANGP().phases()[0].loss(one)
    torch.testing.assert_close(one.judged[0].detach(), one.real)  # ε·x + (1 - ε)·x


def test_the_penalty_is_in_the_loss_of_the_critics_only_phase():
    assert [(phase.name, phase.trains) for phase in WGANGP().phases()] == [("D", ("D",)), ("G", ("G",))]


def test_critic_learns_as_often_as_in_the_published_program():
    (critic, generator) = WGAN().phases()
    assert [critic.repeats(iteration) for iteration in (0, 24, 25, 499, 500, 501, 1000)] == [
        100,
        100,
        5,
        5,
        100,
        5,
        100,
    ]
    assert generator.repeats == 1


def test_schedule_follows_its_options():
    loss = WGAN(n_critic=2, warmup_iterations=3, boost_every=4, boosted_n_critic=7)
    assert [loss.critic_updates(iteration) for iteration in range(10)] == [7, 7, 7, 2, 7, 2, 2, 2, 7, 2]
    plain = WGAN(warmup_iterations=0, boost_every=0)
    assert {plain.critic_updates(iteration) for iteration in range(1001)} == {5}


def test_trainer_draws_a_fresh_batch_for_each_scheduled_update(tmp_path):
    class Count(ganzoo.Callback):
        seen: ClassVar[list[int]] = []

        def on_iteration(self, run):
            self.seen.append(run.images)

    schedule = {"n_critic": 2, "warmup_iterations": 2, "boost_every": 4, "boosted_n_critic": 6}
    train_ring(tmp_path, "wgan-ring", 26 * 4, callbacks=(Count(),), **{f"loss.{k}": v for k, v in schedule.items()})
    updates = [(b - a) // 4 for a, b in zip([0, *Count.seen], Count.seen, strict=False)]
    assert updates == [6, 6, 2, 2, 6, 2, 2]


def test_clipping_holds_after_every_iteration_and_bites(tmp_path):
    class Watch(ganzoo.Callback):
        largest: ClassVar[list[float]] = []

        def on_iteration(self, run):
            self.largest.append(max(p.abs().max().item() for p in run.players["D"].parameters()))

    options = {"loss.clip": 0.03, "loss.warmup_iterations": 0, "loss.boost_every": 0}
    train_ring(tmp_path, "wgan-ring", 400, callbacks=(Watch(),), **options)
    assert Watch.largest == [pytest.approx(0.03)] * 20


def test_generator_batch_is_the_scale_of_its_phase():
    for loss in (WGAN(generator_batch=2), WGANGP(generator_batch=2)):
        assert [phase.scale for phase in loss.phases()] == [1, 2]


@pytest.mark.parametrize(
    ("loss", "options", "message"),
    [
        (WGAN, {"clip": 0.0}, "clip is positive, not 0"),
        (WGAN, {"clip": float("nan")}, "clip is positive"),
        (WGAN, {"warmup_iterations": -1}, "at least 0, not -1 and 500"),
        (WGAN, {"n_critic": 5, "boosted_n_critic": 3}, "at least n_critic, 5, not 3"),
        (WGANGP, {"weight": -1.0}, "weight is at least 0"),
        (WGANGP, {"n_critic": 0}, "n_critic is at least 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(loss, options, message):
    with pytest.raises(ValueError, match=message):
        loss(**options)


def test_penalised_loss_refuses_batch_norm_and_batch_judges_with_a_hint():
    critic = nn.Sequential(nn.Conv2d(1, 1, 3), nn.BatchNorm2d(1))
    critic.judges_batch = False
    (problem,) = WGANGP().problems({"D": critic})
    assert "BatchNorm" in problem and "--set discriminator.batch_norm=false" in problem
    critic.judges_batch = True
    (problem,) = WGANGP().problems({"D": critic})
    assert "whole batch" in problem and "--loss wgan`" in problem
    assert WGANGP().problems({"D": Linear(1.0)}) == ()


def train_ring(folder, recipe, images, callbacks=(), **options):
    tiny = {"generator.widths": [8], "discriminator.widths": [8], "previews.count": 4, **options}
    return ganzoo.train(
        recipe, images=images, batch=4, out=folder, device="cpu", progress=False, callbacks=callbacks, set=tiny
    )

"""Penalties against closed forms: a linear D has the gradient w everywhere, a quadratic one 2a·x."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor, nn

import ganzoo
from ganzoo_losses.gradient_penalties import R1, R2, GradientPenalty

PENALTIES = [R1, R2, GradientPenalty]


@dataclass
class FakeTurn:
    """The part of a turn that a penalty sees."""

    discriminator: nn.Module
    real: Tensor
    made: Tensor
    logged: dict[str, Tensor] = field(default_factory=dict)

    def fake(self) -> Tensor:
        return self.made

    @property
    def batch_size(self) -> int:
        return len(self.real)

    def uniform(self, n: int) -> Tensor:
        return torch.rand(n)

    def given(self, sample: Tensor) -> None:
        """This D judges samples alone."""

    def logits(self, sample: Tensor, given: Tensor | None = None) -> Tensor:
        return self.discriminator(sample)

    def log(self, name: str, value: Tensor) -> None:
        self.logged[name] = value.detach()


class Linear(nn.Module):
    """D(x) = w·x, so that ∇D = w."""

    judges_batch = False

    def __init__(self, *w: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w))

    def forward(self, sample: Tensor) -> Tensor:
        return sample.flatten(1) @ self.w


class Quadratic(nn.Module):
    """D(x) = a‖x‖², so that ∇D = 2a·x and ‖∇D‖² = 4a²‖x‖²."""

    judges_batch = False

    def __init__(self, a: float) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a))

    def forward(self, sample: Tensor) -> Tensor:
        return self.a * sample.flatten(1).square().sum(1)


def turn(discriminator, n=4, size=2):
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, n, size, generator=generator)
    return FakeTurn(discriminator, real, fake)


@pytest.mark.parametrize("penalty", [R1, R2])
def test_squared_gradient_of_a_linear_discriminator(penalty):
    discriminator = Linear(3.0, 4.0)
    value = penalty(gamma=6.0)(turn(discriminator))
    value.backward()
    assert value.item() == pytest.approx(3 * 25)  # γ/2 · ‖w‖²
    torch.testing.assert_close(discriminator.w.grad, 6 * torch.tensor([3.0, 4.0]))  # γ · w


@pytest.mark.parametrize(("penalty", "where"), [(R1, "real"), (R2, "made")])
def test_squared_gradient_of_a_quadratic_discriminator_at_its_own_samples(penalty, where):
    discriminator = Quadratic(0.5)
    one = turn(discriminator)
    value = penalty(gamma=2.0)(one)
    value.backward()
    squares = getattr(one, where).square().sum(1).mean()
    torch.testing.assert_close(value.detach(), squares)  # γ/2 · 4a² · E‖x‖² at γ 2, a ½
    torch.testing.assert_close(discriminator.a.grad, 4 * squares)  # its derivative by a: 8a · E‖x‖²


@pytest.mark.parametrize(("n", "height", "width"), [(4, 32, 32), (32, 8, 16)])
def test_automatic_gamma_follows_pixels_and_batch(n, height, width):
    real = torch.randn(n, 3, height, width)
    discriminator = Linear(*[1.0] * real[0].numel())
    value = R1(gamma="auto")(FakeTurn(discriminator, real, real))
    gamma = 0.0002 * height * width / n
    assert value.item() == pytest.approx(gamma / 2 * 3 * height * width)  # γ/2 · ‖w‖², w a one for each value


def test_automatic_gamma_is_refused_for_values():
    with pytest.raises(ganzoo.Incompatible, match=r"set `penalty\.r1\.gamma`"):
        R1(gamma="auto")(turn(Linear(3.0, 4.0)))


@pytest.mark.parametrize(("w", "expected"), [((3.0, 4.0), 160.0), ((0.3, 0.4), 2.5)])
def test_gradient_penalty_of_a_linear_discriminator(w, expected):
    value = GradientPenalty(weight=10)(turn(Linear(*w)))
    assert value.item() == pytest.approx(expected)  # λ(‖w‖ - 1)²


@pytest.mark.parametrize(("w", "expected"), [((3.0, 4.0), 160.0), ((0.3, 0.4), 0.0)])
def test_one_sided_gradient_penalty_spares_small_gradients(w, expected):
    value = GradientPenalty(weight=10, one_sided=True)(turn(Linear(*w)))
    assert value.item() == pytest.approx(expected)


@pytest.mark.parametrize(("target", "expected"), [(5.0, 0.0), (2.5, 10.0), (10.0, 2.5)])
def test_gradient_penalty_holds_the_norm_to_its_target(target, expected):
    value = GradientPenalty(weight=10, target=target)(turn(Linear(3.0, 4.0)))
    assert value.item() == pytest.approx(expected)  # λ(‖w‖ - γ)² / γ²
    with pytest.raises(ValueError, match="target is positive"):
        GradientPenalty(target=0.0)


def test_gradient_penalty_reaches_the_weights_by_double_backward():
    discriminator = Linear(3.0, 4.0)
    GradientPenalty(weight=10)(turn(discriminator)).backward()
    torch.testing.assert_close(discriminator.w.grad, 20 * 4 * torch.tensor([0.6, 0.8]))  # 2λ(‖w‖ - 1) · w/‖w‖


def test_gradient_penalty_stays_finite_where_the_gradient_vanishes():
    discriminator = Linear(0.0, 0.0)
    value = GradientPenalty(weight=10)(turn(discriminator))
    value.backward()
    assert value.item() == pytest.approx(10) and discriminator.w.grad.isfinite().all()


def test_gradient_penalty_mixes_each_pair_with_an_epsilon_of_its_own():
    one = FakeTurn(Linear(1.0, 0.0), torch.ones(64, 3, 2, 2), torch.zeros(64, 3, 2, 2))
    mixed, _ = GradientPenalty().samples(one)
    epsilon = mixed[:, 0, 0, 0]
    assert torch.equal(mixed, epsilon.view(-1, 1, 1, 1).expand_as(mixed))  # one ε for all values of a sample
    assert len(epsilon.unique()) > 60 and epsilon.min() < 0.2 and epsilon.max() > 0.8
    assert epsilon.min() >= 0 and epsilon.max() <= 1


@pytest.mark.parametrize("penalty", PENALTIES)
def test_penalty_is_the_same_for_a_batch_and_for_its_mean_over_samples(penalty):
    discriminator = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1), nn.Flatten(0))
    whole = turn(discriminator)
    alike = FakeTurn(discriminator, whole.real, whole.real)  # no chance in the mixing
    each = [FakeTurn(discriminator, row[None], row[None]) for row in whole.real]
    torch.testing.assert_close(penalty()(alike), torch.stack([penalty()(one) for one in each]).mean())


@pytest.mark.parametrize("penalty", PENALTIES)
def test_patch_logits_are_summed(penalty):
    class Patches(Linear):
        def forward(self, sample: Tensor) -> Tensor:
            half = super().forward(sample) / 2
            return half[:, None, None, None].expand(-1, 1, 1, 2)

    torch.testing.assert_close(penalty()(turn(Patches(3.0, 4.0))), penalty()(turn(Linear(3.0, 4.0))))


@pytest.mark.parametrize(("penalty", "unweighted"), [(R1, 25.0), (R2, 25.0), (GradientPenalty, 16.0)])
def test_unweighted_value_is_logged(penalty, unweighted):
    one = turn(Linear(3.0, 4.0))
    penalty()(one)
    assert {name: value.item() for name, value in one.logged.items()} == {
        f"penalty/{penalty.name}": pytest.approx(unweighted)
    }


@pytest.mark.parametrize("penalty", PENALTIES)
def test_penalty_leaves_the_samples_of_the_turn_alone(penalty):
    one = turn(Linear(3.0, 4.0))
    one.made.requires_grad_()
    penalty()(one).backward()
    assert not one.real.requires_grad and one.made.grad is None


@pytest.mark.parametrize("penalty", PENALTIES)
def test_laziness_is_an_option(penalty):
    assert penalty().every == 1 and penalty(every=16).every == 16
    with pytest.raises(ValueError, match="every counts iterations"):
        penalty(every=0)


def test_negative_weights_are_refused_by_the_name_of_the_option():
    for penalty in (R1, R2):
        with pytest.raises(ValueError, match="gamma is at least 0, not -1"):
            penalty(gamma=-1)
    with pytest.raises(ValueError, match="weight is at least 0, not -1"):
        GradientPenalty(weight=-1)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_discriminator_that_judges_whole_batches_is_refused(penalty):
    class Whole(ganzoo.Discriminator):
        judges_batch = True

    (problem,) = penalty().problems({"G": nn.Identity(), "D": Whole()})
    assert penalty.name in problem and "one logit for a whole batch" in problem and problem.endswith(".")


@pytest.mark.parametrize("penalty", PENALTIES)
def test_game_without_a_player_d_is_refused(penalty):
    (problem,) = penalty().problems({"G_ab": nn.Identity(), "D_a": nn.Identity()})
    assert "G_ab, D_a" in problem and problem.endswith(".")


@pytest.mark.parametrize("norm", [nn.BatchNorm1d(3), nn.BatchNorm2d(3), nn.SyncBatchNorm(3)])
def test_gradient_penalty_refuses_batch_norm_and_says_what_to_do(norm):
    class Normed(ganzoo.Discriminator):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(3, 3), norm)

    (problem,) = GradientPenalty().problems({"D": Normed()})
    assert "BatchNorm" in problem and "--set discriminator.batch_norm=false" in problem
    assert not R1().problems({"D": Normed()})


def test_discriminator_with_other_normalisation_is_accepted():
    class Normed(ganzoo.Discriminator):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.LayerNorm(3), nn.InstanceNorm2d(3), nn.GroupNorm(1, 3))

    assert not GradientPenalty().problems({"D": Normed()})

"""Values by hand, against torch's own cross-entropy, and at logits where a naive formula overflows."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from ganzoo_losses.adversarial import Hinge, LeastSquares, Minimax, NonSaturating, Relativistic, Wasserstein

LOSSES = [Minimax, NonSaturating, LeastSquares, Wasserstein, Hinge, Relativistic]
SHAPES = [(8,), (8, 1, 3, 3), (1,)]


def logits(shape=(8,), scale=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (scale * torch.randn(2, *shape, generator=generator)).unbind()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("loss", [Minimax(), NonSaturating()])
def test_discriminator_loss_is_cross_entropy_with_logits(loss, shape):
    real, fake = logits(shape)
    expected = cross_entropy(real, torch.ones(shape)) + cross_entropy(fake, torch.zeros(shape))
    torch.testing.assert_close(loss.discriminator(real, fake), expected)


@pytest.mark.parametrize("loss", [Minimax(smoothing=0.1), NonSaturating(smoothing=0.1)])
def test_smoothing_lowers_the_target_of_real_samples_only(loss):
    real, fake = logits()
    expected = cross_entropy(real, torch.full((8,), 0.9)) + cross_entropy(fake, torch.zeros(8))
    torch.testing.assert_close(loss.discriminator(real, fake), expected)
    torch.testing.assert_close(loss.generator(fake, real), type(loss)().generator(fake, real))


def test_smoothed_discriminator_is_content_at_the_logit_of_its_target():
    real = torch.full((4,), math.log(0.9 / 0.1), requires_grad=True)
    NonSaturating(smoothing=0.1).discriminator(real, torch.zeros(4)).backward()
    torch.testing.assert_close(real.grad, torch.zeros(4), atol=1e-7, rtol=0)


def test_minimax_game_is_zero_sum_for_the_generator():
    real, fake = logits()
    fake.requires_grad_()
    (of_d,) = torch.autograd.grad(Minimax().discriminator(real, fake), fake)
    (of_g,) = torch.autograd.grad(Minimax().generator(fake, real), fake)
    torch.testing.assert_close(of_g, -of_d)


def test_non_saturating_generator_uses_flipped_labels():
    real, fake = logits()
    torch.testing.assert_close(NonSaturating().generator(fake, real), cross_entropy(fake, torch.ones(8)))


def test_only_minimax_saturates_when_the_discriminator_is_sure():
    gradients = []
    for loss in (Minimax(), NonSaturating()):
        fake = torch.tensor([-30.0], requires_grad=True)
        loss.generator(fake, fake.detach()).backward()
        gradients.append(fake.grad.item())
    assert gradients[0] == pytest.approx(0, abs=1e-12) and gradients[1] == pytest.approx(-1)


def test_least_squares_by_hand():
    real, fake = torch.tensor([3.0, 1.0]), torch.tensor([1.0, -2.0])
    loss = LeastSquares()
    assert loss.discriminator(real, fake).item() == pytest.approx(0.5 * (4 + 0) / 2 + 0.5 * (1 + 4) / 2)
    assert loss.generator(fake, real).item() == pytest.approx(0.5 * (0 + 9) / 2)


def test_least_squares_with_the_pearson_targets_by_hand():
    real, fake = torch.tensor([3.0]), torch.tensor([1.0])
    loss = LeastSquares(a=-1, b=1, c=0)
    assert loss.discriminator(real, fake).item() == pytest.approx(0.5 * 4 + 0.5 * 4)
    assert loss.generator(fake, real).item() == pytest.approx(0.5)


def test_wasserstein_by_hand():
    real, fake = torch.tensor([3.0, 1.0]), torch.tensor([1.0, -2.0])
    assert Wasserstein().discriminator(real, fake).item() == pytest.approx(-0.5 - 2)
    assert Wasserstein().generator(fake, real).item() == pytest.approx(0.5)


def test_hinge_by_hand():
    real, fake = torch.tensor([3.0, 0.5]), torch.tensor([1.0, -2.0])
    assert Hinge().discriminator(real, fake).item() == pytest.approx((0 + 0.5) / 2 + (2 + 0) / 2)
    assert Hinge().generator(fake, real).item() == pytest.approx(0.5)


def test_relativistic_by_hand():
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([1.0, 3.0])
    expected = (math.log1p(math.exp(-1)) + math.log1p(math.exp(3))) / 2
    assert Relativistic().discriminator(real, fake).item() == pytest.approx(expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_relativistic_players_swap_roles_when_real_and_fake_are_swapped(shape):
    real, fake = logits(shape)
    loss = Relativistic()
    torch.testing.assert_close(loss.generator(fake, real), loss.discriminator(fake, real))
    torch.testing.assert_close(
        loss.discriminator(real, fake) - loss.discriminator(fake, real), (fake - real).mean()
    )  # softplus(t) - softplus(-t) = t


def test_relativistic_loss_ignores_a_common_offset():
    real, fake = logits()
    torch.testing.assert_close(
        Relativistic().discriminator(real + 7, fake + 7), Relativistic().discriminator(real, fake)
    )


def test_only_relativistic_asks_for_real_samples_in_the_generator_phase():
    assert [loss for loss in LOSSES if loss.needs_real] == [Relativistic]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [1.0, 1e4])
@pytest.mark.parametrize("loss", LOSSES)
def test_values_and_gradients_are_finite_at_any_logits(loss, scale, shape):
    for sign in (1, -1):
        real, fake = (torch.full(shape, scale * factor, requires_grad=True) for factor in (sign, -sign))
        for value in (loss().discriminator(real, fake), loss().generator(fake, real)):
            gradients = torch.autograd.grad(value, (real, fake), allow_unused=True)
            assert value.shape == () and value.isfinite()
            assert all(gradient.isfinite().all() for gradient in gradients if gradient is not None)


@pytest.mark.parametrize("loss", LOSSES)
def test_generator_loss_pushes_the_logits_on_fakes_up(loss):
    fake = torch.zeros(4, requires_grad=True)
    loss().generator(fake, torch.zeros(4)).backward()
    assert (fake.grad < 0).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_repeats_of_the_phases_are_options(loss):
    critic, generator = loss(n_critic=5, n_generator=3).phases()
    assert (critic.trains, critic.repeats) == (("D",), 5)
    assert (generator.trains, generator.repeats) == (("G",), 3)
    with pytest.raises(ValueError, match="at least 1"):
        loss(n_critic=0)


def test_clip_clamps_every_parameter_of_the_critic_and_nothing_else():
    critic, generator = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    with torch.no_grad():
        for player in (critic, generator):
            player.weight.copy_(torch.tensor([[0.5, -0.004]]))
            player.bias.fill_(-3)
    phase, _ = Wasserstein(clip=0.01).phases()
    phase.after({"G": generator, "D": critic})
    torch.testing.assert_close(critic.weight.detach(), torch.tensor([[0.01, -0.004]]), rtol=0, atol=0)
    torch.testing.assert_close(critic.bias.detach(), torch.tensor([-0.01]), rtol=0, atol=0)
    assert generator.weight[0, 0] == 0.5 and generator.bias == -3


def test_without_clip_the_critic_keeps_its_weights():
    critic = torch.nn.Linear(2, 1)
    before = critic.weight.detach().clone()
    Wasserstein().after_critic({"D": critic})
    assert torch.equal(critic.weight, before)


class _Joint:
    """The part of a turn that one update of both sees: a critic a·x² and a generator that shifts by b."""

    def __init__(self) -> None:
        self.a, self.b = torch.tensor(0.5, requires_grad=True), torch.tensor(0.2, requires_grad=True)
        self.real, self.z = torch.tensor([1.0, 3.0]), torch.tensor([0.0, 2.0])
        self.made = self.z + self.b

    def fake(self):
        return self.made

    def logits(self, sample):
        return self.a * sample.square()

    def both(self):
        return self.logits(self.real), self.logits(self.made)

    def log(self, name, value):
        assert name in ("D(real)", "D(fake)") and value.isfinite()


def test_a_joint_update_leaves_each_player_the_gradient_of_its_own_loss():
    (phase,) = Wasserstein(joint=True).phases()
    assert set(phase.trains) == {"G", "D"} and phase.repeats == 1
    turn = _Joint()
    phase.loss(turn).backward()
    fake, real = turn.made.detach(), turn.real
    assert turn.a.grad.item() == pytest.approx((fake.square().mean() - real.square().mean()).item())
    assert turn.b.grad.item() == pytest.approx(-(2 * 0.5 * fake).mean().item())  # of -E D(G(z))


@pytest.mark.parametrize("given", [{"n_critic": 2}, {"reuse_fake": True}, {"generator_batch": 2}, {"n_generator": 2}])
def test_a_joint_update_is_one_of_one_batch(given):
    with pytest.raises(ValueError, match="joint means one update of both"):
        Wasserstein(joint=True, **given)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_smoothing_outside_its_range_is_refused(smoothing):
    with pytest.raises(ValueError, match="smoothing lies in"):
        NonSaturating(smoothing=smoothing)


@pytest.mark.parametrize("clip", [0, -0.01, math.nan])
def test_clip_must_be_positive(clip):
    with pytest.raises(ValueError, match="clip is positive"):
        Wasserstein(clip=clip)

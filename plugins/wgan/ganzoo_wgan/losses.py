"""Wasserstein losses: the critic's weights clipped, or its gradient held to 1.

Papers: Arjovsky, Chintala & Bottou 2017, "Wasserstein GAN" (arXiv:1701.07875), algorithm 1; Gulrajani et al. 2017,
"Improved Training of Wasserstein GANs" (arXiv:1704.00028), algorithm 1. The schedule of the critic's updates is a fact
of the program that Arjovsky et al. published, not of their paper. Written from the papers; no code was taken.

Differences from the papers:
- Arjovsky's critic ascends E D(x) - E D(G(z)); here, as everywhere in ganzoo, the negative is minimised.
- Gulrajani's program adds noise below one grey level to real pictures; here they are left as they are.

Suffixes: N batch, S the axes of a sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

import ganzoo


class _Wasserstein(ganzoo.AdversarialLoss):
    """What both losses share: the difference of the critic's means."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """E D(G(z)) - E D(x)."""
        return fake.mean() - real.mean()

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        """-E D(G(z))."""
        return -fake.mean()

    def discriminator_phase(self, turn: ganzoo.Turn) -> Tensor:
        """The critic's loss in one update, a scalar; logs E D(x) - E D(G(z)), its estimate, as `distance`."""
        loss = self.discriminator(*turn.both())
        turn.log("distance", -loss)
        return loss


class WGAN(_Wasserstein):
    """The critic minimises E D(G(z)) - E D(x) under clipped weights, and G minimises -E D(G(z)).

    clip: every parameter of the critic is clamped to [-clip, clip] after each of its updates.
    n_critic: updates of the critic an iteration, each with a fresh batch.
    warmup_iterations: the first iterations have boosted_n_critic updates each, so that G first meets a critic that
    is close to its best.  boost_every: so has every iteration whose number, from 0, this divides; 0 for none.
    boosted_n_critic: updates of the critic in such an iteration, at least n_critic.
    generator_batch: samples in G's updates, in multiples of the recipe's batch.
    Logs `distance`, E D(x) - E D(G(z)): the Wasserstein-1 distance up to the factor that clipping leaves open.
    Arjovsky et al. 2017 (arXiv:1701.07875), algorithm 1; the warm-up of 25, 500 and 100 is that of their program.
    """

    def __init__(
        self,
        clip: float = 0.01,
        n_critic: int = 5,
        warmup_iterations: int = 25,
        boost_every: int = 500,
        boosted_n_critic: int = 100,
        generator_batch: int = 1,
    ) -> None:
        super().__init__(n_critic, 1, generator_batch)
        if not clip > 0:
            raise ValueError(f"clip is positive, not {clip}")
        if warmup_iterations < 0 or boost_every < 0:
            raise ValueError(
                f"warmup_iterations and boost_every are at least 0, not {warmup_iterations} and {boost_every}"
            )
        if boosted_n_critic < n_critic:
            raise ValueError(f"boosted_n_critic is at least n_critic, {n_critic}, not {boosted_n_critic}")
        self.clip = clip
        self.warmup_iterations, self.boost_every = warmup_iterations, boost_every
        self.boosted_n_critic = boosted_n_critic

    def critic_updates(self, iteration: int) -> int:
        """How often the critic learns in this iteration, counted from 0."""
        at_interval = self.boost_every > 0 and iteration % self.boost_every == 0
        return self.boosted_n_critic if iteration < self.warmup_iterations or at_interval else self.n_critic

    def phases(self) -> Sequence[ganzoo.Phase]:
        critic, generator = super().phases()
        return replace(critic, repeats=self.critic_updates), generator

    @torch.no_grad()
    def after_critic(self, players: Mapping[str, nn.Module]) -> None:
        """Clamp the critic's parameters, gains and biases included, as algorithm 1 does with all of w."""
        parameters = list(players["D"].parameters())
        torch._foreach_clamp_min_(parameters, -self.clip)
        torch._foreach_clamp_max_(parameters, self.clip)


class WGANGP(_Wasserstein):
    """The critic minimises E D(G(z)) - E D(x) + λ · E(‖∇D(x̂)‖ - 1)², and G minimises -E D(G(z)).

    x̂ = ε·x + (1 - ε)·G(z), with an ε of its own for each pair, uniform in [0, 1]; real and generated samples are those
    of the same update, whose one optimiser step follows the sum.
    weight: λ.  n_critic: updates of the critic an iteration, each with a fresh batch.
    generator_batch: samples in G's updates, in multiples of the recipe's batch.
    Logs `distance`, E D(x) - E D(G(z)), the estimate of the Wasserstein-1 distance, and the unweighted
    `penalty/gradient`. Refuses a critic with BatchNorm, where a sample's logit depends on all others.
    Gulrajani et al. 2017 (arXiv:1704.00028), algorithm 1 and equation 3.
    """

    def __init__(self, weight: ganzoo.Varying = 10.0, n_critic: int = 5, generator_batch: int = 1) -> None:
        super().__init__(n_critic, 1, generator_batch)
        self.weight = ganzoo.Dial(weight)
        if not self.weight.low >= 0:
            raise ValueError(f"weight is at least 0, not {self.weight.low:g}")

    def discriminator_phase(self, turn: ganzoo.Turn) -> Tensor:
        """The difference of means and the weighted penalty: one loss, one step."""
        penalty = self.gradient_penalty(turn)
        turn.log("penalty/gradient", penalty)
        return super().discriminator_phase(turn) + self.weight.value * penalty

    def gradient_penalty(self, turn: ganzoo.Turn) -> Tensor:
        """E(‖∇D(x̂)‖ - 1)², a scalar with a graph to the critic's parameters; a logit map is summed over its patches.

        The gradient is that of the sum of all logits, which gives each sample its own row because a sample's logit
        depends on that sample alone.
        """
        real_NS, fake_NS = turn.real, turn.fake()
        epsilon = turn.uniform(len(real_NS)).view(-1, *[1] * (real_NS.ndim - 1))
        between_NS = (epsilon * real_NS + (1 - epsilon) * fake_NS).detach().requires_grad_()
        with ganzoo.differentiated_twice():
            logits = turn.logits(between_NS)
        (gradient_NS,) = torch.autograd.grad(logits.sum(), between_NS, create_graph=True)
        return (torch.linalg.vector_norm(gradient_NS.flatten(1), dim=1) - 1).square().mean()

    def problems(self, players: Mapping[str, nn.Module], spec: ganzoo.DataSpec | None = None) -> Sequence[str]:
        """A critic that judges a whole batch, or has BatchNorm."""
        critic = players["D"]
        if critic.judges_batch:
            return (
                "The loss wgan-gp needs the critic's gradient for each sample, but this one gives one logit for a "
                "whole batch: take a discriminator that judges samples one by one, or `--loss wgan`.",
            )
        if any(isinstance(module, _BatchNorm) for module in critic.modules()):
            return (
                "The loss wgan-gp holds the critic's gradient for each sample, but this one has BatchNorm, which makes "
                "every logit depend on the whole batch: take one without it, for example with "
                "`--set discriminator.batch_norm=false`.",
            )
        return ()

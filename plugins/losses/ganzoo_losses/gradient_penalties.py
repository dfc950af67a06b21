"""Penalties on D's gradient with respect to its input; they join any adversarial loss.

The gradient is that of the sum of all logits, which gives each sample its own row because a sample's logit depends
on that sample alone. A logit map (N, 1, h, w) is summed over its patches. Samples are penalised before the
augmentations, so that the gradient passes through them. What a D that judges pairs sees beside a sample stays as it is:
the gradient is that with respect to the sample.

Suffixes: N batch, S the axes of a sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

import ganzoo


class _PerSamplePenalty(ganzoo.Penalty):
    """A penalty on ∇D(x) at some samples x: subclasses say where, and what of the gradient."""

    name: str

    def __init__(self, every: int) -> None:
        super().__init__()
        if every < 1:
            raise ValueError(f"every counts iterations and is at least 1, not {every}")
        self.every = every

    def samples(self, turn: ganzoo.Turn) -> tuple[Tensor, Tensor | None]:
        """(N, *S): where D's gradient is penalised; and what D sees beside each, None if nothing."""
        raise NotImplementedError

    def value(self, gradient_NS: Tensor) -> Tensor:
        """The unweighted penalty, a scalar."""
        raise NotImplementedError

    def forward(self, turn: ganzoo.Turn) -> Tensor:
        """Return the weighted penalty; its unweighted value is logged."""
        sample_NS, beside = self.samples(turn)
        sample_NS = sample_NS.detach().requires_grad_()
        with ganzoo.differentiated_twice():
            logits = turn.logits(sample_NS, given=beside)
        (gradient_NS,) = torch.autograd.grad(logits.sum(), sample_NS, create_graph=True)
        value = self.value(gradient_NS)
        turn.log(f"penalty/{self.name}", value)
        return self.strength(turn) * value

    def strength(self, turn: ganzoo.Turn) -> Tensor | float:
        """What the unweighted penalty is multiplied by."""
        raise NotImplementedError

    def problems(self, players: Mapping[str, nn.Module], spec: ganzoo.DataSpec | None = None) -> Sequence[str]:
        """A loss without a player in the role D, and a D that judges a whole batch."""
        player = players.get(self.role)
        if player is None:
            return (f"The penalty {self.name} regularises the player {self.role}, but here play {', '.join(players)}.",)
        if player.judges_batch:
            return (
                f"The penalty {self.name} needs D's gradient for each sample, but this D gives one logit for a whole "
                "batch: leave the penalty out, or take a discriminator that judges samples one by one.",
            )
        return ()


def _not_negative(option: str, value: ganzoo.Varying) -> ganzoo.Dial:
    dial = ganzoo.Dial(value)
    if not dial.low >= 0:
        raise ValueError(f"{option} is at least 0, not {dial.low:g}")
    return dial


def _between(epsilon_N: Tensor, first_NS: Tensor, second_NS: Tensor) -> Tensor:
    epsilon = epsilon_N.view(-1, *[1] * (first_NS.ndim - 1))
    return epsilon * first_NS + (1 - epsilon) * second_NS


def _mean_squared_norm(gradient_NS: Tensor) -> Tensor:
    return gradient_NS.square().flatten(1).sum(1).mean()


class R1(_PerSamplePenalty):
    """Penalise D's gradient on real samples: γ/2 · E‖∇D(x)‖².

    gamma: γ; StyleGAN uses 10, and pictures of few pixels want much less (StyleGAN2 uses 0.01 for CIFAR-10). "auto" is
    StyleGAN2's rule for pictures: 0.0002 · H · W / N for a batch of N (Karras et al. 2020, arXiv:2006.06676).
    every: iterations between penalties; above 1 the penalty is a lazy phase of its own, scaled to the same strength
    on average (StyleGAN2 uses 16).
    Mescheder et al. 2018 (arXiv:1801.04406), section 4.
    """

    name = "r1"

    def __init__(self, gamma: ganzoo.Varying | Literal["auto"] = 10.0, every: int = 1) -> None:
        super().__init__(every)
        self.gamma = None if isinstance(gamma, str) else _not_negative("gamma", gamma)

    def strength(self, turn: ganzoo.Turn) -> Tensor | float:
        """γ/2. Raises `Incompatible` if it is to follow from a size that the data do not have."""
        if self.gamma is not None:
            return self.gamma.value / 2
        if turn.real.ndim != 4:
            raise ganzoo.Incompatible("penalty r1: gamma=auto is made for pictures: set `penalty.r1.gamma` to a number")
        return 0.0002 * turn.real[0, 0].numel() / turn.batch_size / 2

    def samples(self, turn: ganzoo.Turn) -> tuple[Tensor, Tensor | None]:
        """(N, *S): real samples."""
        return turn.real, turn.given(turn.real)

    def value(self, gradient_NS: Tensor) -> Tensor:
        """E‖∇D(x)‖²."""
        return _mean_squared_norm(gradient_NS)


class R2(_PerSamplePenalty):
    """Penalise D's gradient on generated samples: γ/2 · E‖∇D(G(z))‖².

    gamma: γ, by default the same as for `r1`.
    every: iterations between penalties; above 1 the penalty is a lazy phase of its own, scaled to the same strength
    on average.
    Mescheder et al. 2018 (arXiv:1801.04406), section 4.
    """

    name = "r2"

    def __init__(self, gamma: ganzoo.Varying = 10.0, every: int = 1) -> None:
        super().__init__(every)
        self.gamma = _not_negative("gamma", gamma)

    def strength(self, turn: ganzoo.Turn) -> Tensor:
        """γ/2."""
        return self.gamma.value / 2

    def samples(self, turn: ganzoo.Turn) -> tuple[Tensor, Tensor | None]:
        """(N, *S): generated samples."""
        return turn.fake(), turn.given(turn.fake())

    def value(self, gradient_NS: Tensor) -> Tensor:
        """E‖∇D(G(z))‖²."""
        return _mean_squared_norm(gradient_NS)


class GradientPenalty(_PerSamplePenalty):
    """Hold D's gradient norm to γ between real and generated samples: λ · E(‖∇D(x̂)‖ - γ)² / γ².

    x̂ = ε·x + (1 - ε)·G(z), with an ε of its own for each pair, uniform in [0, 1].
    weight: λ, 10 in the paper.  one_sided: penalise norms above γ only, λ · E max(0, ‖∇D(x̂)‖ - γ)² / γ².
    target: γ, 1 in the paper; Progressive GAN takes 750 for CIFAR-10 (Karras et al. 2018, arXiv:1710.10196).
    every: iterations between penalties; above 1 the penalty is a lazy phase of its own, scaled to the same strength
    on average. Refuses a D with BatchNorm, where a sample's logit depends on all others.
    Gulrajani et al. 2017 (arXiv:1704.00028), equation 3 and section 4.
    """

    name = "gradient-penalty"

    def __init__(
        self, weight: ganzoo.Varying = 10.0, one_sided: bool = False, every: int = 1, target: float = 1.0
    ) -> None:
        super().__init__(every)
        if not target > 0:
            raise ValueError(f"target is positive, not {target:g}")
        self.weight, self.one_sided, self.target = _not_negative("weight", weight), one_sided, target

    def strength(self, turn: ganzoo.Turn) -> Tensor:
        """λ."""
        return self.weight.value

    def samples(self, turn: ganzoo.Turn) -> tuple[Tensor, Tensor | None]:
        """(N, *S): random points on the lines between real and generated samples, and what lies so beside them."""
        real_NS, fake_NS = turn.real, turn.fake()
        epsilon_N = turn.uniform(len(real_NS))
        beside, other = turn.given(real_NS), turn.given(fake_NS)
        if beside is not None and other is not None and beside is not other:
            beside = _between(epsilon_N, beside, other).detach()
        return _between(epsilon_N, real_NS, fake_NS), beside

    def value(self, gradient_NS: Tensor) -> Tensor:
        """E(‖∇D(x̂)‖ / γ - 1)², or its one-sided form."""
        excess_N = torch.linalg.vector_norm(gradient_NS.flatten(1), dim=1) / self.target - 1
        return (excess_N.relu() if self.one_sided else excess_N).square().mean()

    def problems(self, players: Mapping[str, nn.Module], spec: ganzoo.DataSpec | None = None) -> Sequence[str]:
        """What every penalty refuses, and a D with BatchNorm."""
        found = [*super().problems(players, spec)]
        player = players.get(self.role, nn.Identity())
        if any(isinstance(module, _BatchNorm) for module in player.modules()):
            found.append(
                "The penalty gradient-penalty holds D's gradient for each sample, but this D has BatchNorm, which "
                "makes every logit depend on the whole batch: take a D without it, for example with "
                "`--set discriminator.batch_norm=false`."
            )
        return found

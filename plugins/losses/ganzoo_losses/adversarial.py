"""Adversarial losses: each is two functions of D's raw logits, written so that huge logits stay finite.

Logits are (N,), (N, 1, h, w) or (1,); every loss is the mean over all of them. σ is the logistic function, and
softplus(t) = log(1 + exp(t)), so that -log σ(t) = softplus(-t) and -log(1 - σ(t)) = softplus(t).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, softplus

import ganzoo


class _CrossEntropy(ganzoo.AdversarialLoss):
    """D's half of Goodfellow et al. 2014, shared by the two choices for G."""

    def __init__(
        self, smoothing: ganzoo.Varying, n_critic: int, n_generator: int, generator_batch: int, reuse_fake: bool
    ) -> None:
        super().__init__(n_critic, n_generator, generator_batch, reuse_fake)
        self.smoothing = ganzoo.Dial(smoothing)
        if not 0 <= self.smoothing.low <= self.smoothing.high < 1:
            raise ValueError(f"smoothing lies in [0, 1), not {smoothing}: 0.1 gives real samples the target 0.9")

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Cross-entropy with targets 1 - smoothing for real samples and 0 for generated ones."""
        on_real = softplus(-real)
        if self.smoothing.high:
            on_real = on_real + self.smoothing.value * real
        return on_real.mean() + softplus(fake).mean()


class Minimax(_CrossEntropy):
    """The original value function: D minimises -E log σ(D(x)) - E log(1 - σ(D(G(z)))), and G its negative.

    G's gradient vanishes where D is sure of itself; `non-saturating` has no such flat part.
    smoothing: real samples get the target 1 - smoothing, generated ones keep 0 (one-sided; Salimans et al. 2016,
    arXiv:1606.03498).  n_critic, n_generator: updates of D and of G an iteration.
    generator_batch: samples in an update of G, in multiples of the batch.
    reuse_fake: G learns from the samples that D has just judged.
    Goodfellow et al. 2014 (arXiv:1406.2661), equation 1 and algorithm 1, whose k is n_critic.
    """

    def __init__(
        self,
        smoothing: ganzoo.Varying = 0.0,
        n_critic: int = 1,
        n_generator: int = 1,
        generator_batch: int = 1,
        reuse_fake: bool = False,
    ) -> None:
        super().__init__(smoothing, n_critic, n_generator, generator_batch, reuse_fake)

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        """E log(1 - σ(D(G(z)))), unbounded below."""
        return -softplus(fake).mean()


class NonSaturating(_CrossEntropy):
    """Cross-entropy for both: D as in `minimax`, while G minimises -E log σ(D(G(z))).

    smoothing: real samples get the target 1 - smoothing, generated ones keep 0 (one-sided; Salimans et al. 2016,
    arXiv:1606.03498).  n_critic, n_generator: updates of D and of G an iteration.
    generator_batch: samples in an update of G, in multiples of the batch.
    reuse_fake: G learns from the samples that D has just judged.
    Goodfellow et al. 2014 (arXiv:1406.2661), section 3.
    """

    def __init__(
        self,
        smoothing: ganzoo.Varying = 0.0,
        n_critic: int = 1,
        n_generator: int = 1,
        generator_batch: int = 1,
        reuse_fake: bool = False,
    ) -> None:
        super().__init__(smoothing, n_critic, n_generator, generator_batch, reuse_fake)

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        """-E log σ(D(G(z))): the labels are flipped, not smoothed."""
        return softplus(-fake).mean()


class LeastSquares(ganzoo.AdversarialLoss):
    """D minimises ½E(D(x) - b)² + ½E(D(G(z)) - a)², and G minimises ½E(D(G(z)) - c)².

    a, b: D's targets on generated and on real samples.  c: what G wants D to say of its samples. The paper's
    other choice, a = -1, b = 1, c = 0, minimises a Pearson χ² divergence.
    n_critic, n_generator: updates of D and of G an iteration.
    generator_batch: samples in an update of G, in multiples of the batch.
    reuse_fake: G learns from the samples that D has just judged.
    Mao et al. 2017 (arXiv:1611.04076), section 3.
    """

    def __init__(
        self,
        a: float = 0.0,
        b: float = 1.0,
        c: float = 1.0,
        n_critic: int = 1,
        n_generator: int = 1,
        generator_batch: int = 1,
        reuse_fake: bool = False,
    ) -> None:
        super().__init__(n_critic, n_generator, generator_batch, reuse_fake)
        self.a, self.b, self.c = a, b, c

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """½E(D(x) - b)² + ½E(D(G(z)) - a)²."""
        return 0.5 * (real - self.b).square().mean() + 0.5 * (fake - self.a).square().mean()

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        """½E(D(G(z)) - c)²."""
        return 0.5 * (fake - self.c).square().mean()


class Wasserstein(ganzoo.AdversarialLoss):
    """The critic minimises E D(G(z)) - E D(x), and G minimises -E D(G(z)).

    clip: every parameter of the critic is clamped to [-clip, clip] after each of its updates; the paper uses 0.01.
    None leaves the weights alone, for a critic held to Lipschitz functions by other means: the penalty
    `gradient-penalty` (Gulrajani et al. 2017, arXiv:1704.00028), or spectral norm.
    n_critic, n_generator: updates of the critic and of G an iteration; both papers use n_critic 5.
    generator_batch: samples in an update of G, in multiples of the batch.
    reuse_fake: G learns from the samples that D has just judged.
    joint: both learn at once, of the same samples and scores, as Progressive GAN does for CIFAR-10 (Karras et al. 2018,
    arXiv:1710.10196): G follows the critic's gradient backwards, before the critic has moved.
    Arjovsky et al. 2017 (arXiv:1701.07875), algorithm 1.
    """

    def __init__(
        self,
        clip: float | None = None,
        n_critic: int = 1,
        n_generator: int = 1,
        generator_batch: int = 1,
        reuse_fake: bool = False,
        joint: bool = False,
    ) -> None:
        super().__init__(n_critic, n_generator, generator_batch, reuse_fake)
        if joint and (n_critic, n_generator, generator_batch, reuse_fake) != (1, 1, 1, False):
            raise ValueError(
                "joint means one update of both, of one batch: leave out n_critic, n_generator, generator_batch and "
                "reuse_fake"
            )
        self.joint = joint
        if clip is not None and not clip > 0:
            raise ValueError(f"clip is positive, not {clip}: leave it out to clip no weights")
        self.clip = clip

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """E D(G(z)) - E D(x): its negative estimates the Wasserstein-1 distance up to a factor."""
        return fake.mean() - real.mean()

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        """-E D(G(z))."""
        return -fake.mean()

    def phases(self) -> Sequence[ganzoo.Phase]:
        """The critic, then G; or both in one."""
        if not self.joint:
            return super().phases()
        return (ganzoo.Phase("D+G", ("D", "G"), self.joint_phase, after=self.after_critic),)

    def joint_phase(self, turn: ganzoo.Turn) -> Tensor:
        """The critic's loss, whose gradient turns around on its way into G: the game is zero-sum."""
        turn.fake().register_hook(torch.neg)
        return self.discriminator_phase(turn)

    @torch.no_grad()
    def after_critic(self, players: Mapping[str, nn.Module]) -> None:
        """Clamp the critic's parameters, gains and biases included, as algorithm 1 does with all of w."""
        if self.clip is not None:
            parameters = list(players["D"].parameters())
            torch._foreach_clamp_min_(parameters, -self.clip)
            torch._foreach_clamp_max_(parameters, self.clip)


class Hinge(ganzoo.AdversarialLoss):
    """D minimises E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))), and G minimises -E D(G(z)).

    n_critic, n_generator: updates of D and of G an iteration.
    generator_batch: samples in an update of G, in multiples of the batch.
    reuse_fake: G learns from the samples that D has just judged.
    Lim & Ye 2017 (arXiv:1705.02894); Miyato et al. 2018 (arXiv:1802.05957).
    """

    def __init__(
        self, n_critic: int = 1, n_generator: int = 1, generator_batch: int = 1, reuse_fake: bool = False
    ) -> None:
        super().__init__(n_critic, n_generator, generator_batch, reuse_fake)

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """E max(0, 1 - D(x)) + E max(0, 1 + D(G(z)))."""
        return relu(1 - real).mean() + relu(1 + fake).mean()

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        """-E D(G(z))."""
        return -fake.mean()


class Relativistic(ganzoo.AdversarialLoss):
    """D minimises E softplus(D(G(z)) - D(x)) over pairs of a generated and a real sample, G the reverse.

    Only differences count, so D's offset is free, and G learns from real samples too. Converges together with the
    penalties `r1` and `r2`, as in R3GAN.  n_critic, n_generator: updates of D and of G an iteration.
    fresh_real: G's samples are paired with real samples of their own instead of those that D has just learned from, as
    in R3GAN's program; these do not count as images.
    Jolicoeur-Martineau 2018 (arXiv:1807.00734); Huang et al. 2024 (arXiv:2501.05441), section 2.
    """

    needs_real = True

    def __init__(self, n_critic: int = 1, n_generator: int = 1, fresh_real: bool = False) -> None:
        super().__init__(n_critic, n_generator)
        self.fresh_real = fresh_real

    def phases(self) -> Sequence[ganzoo.Phase]:
        """D, then G."""
        of_d, of_g = super().phases()
        return of_d, replace(of_g, fresh=self.fresh_real)

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """E softplus(D(G(z)) - D(x)), the n-th generated sample against the n-th real one."""
        return softplus(fake - real).mean()

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        """E softplus(D(x) - D(G(z)))."""
        return softplus(real - fake).mean()

"""Adversarial losses and gradient penalties. Lazy references only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable

import ganzoo


@ganzoo.hookimpl
def ganzoo_components() -> Iterable[ganzoo.Component]:
    """List this plugin's losses and penalties."""
    goodfellow = "Goodfellow et al. 2014, arXiv:1406.2661"
    mescheder = "Mescheder et al. 2018, arXiv:1801.04406"
    adversarial, penalties = "ganzoo_losses.adversarial", "ganzoo_losses.gradient_penalties"
    return [
        ganzoo.Component(
            "loss",
            "minimax",
            f"{adversarial}:Minimax",
            "The original value function, which saturates for G",
            goodfellow,
        ),
        ganzoo.Component(
            "loss",
            "non-saturating",
            f"{adversarial}:NonSaturating",
            "Cross-entropy (BCE); G maximises the log-probability that its samples are real",
            goodfellow,
        ),
        ganzoo.Component(
            "loss",
            "least-squares",
            f"{adversarial}:LeastSquares",
            "Squared distance of D's output from its targets (LSGAN, MSE)",
            "Mao et al. 2017, arXiv:1611.04076",
        ),
        ganzoo.Component(
            "loss",
            "wasserstein",
            f"{adversarial}:Wasserstein",
            "Difference of the critic's means, with weight clipping or a penalty",
            "Arjovsky et al. 2017, arXiv:1701.07875",
        ),
        ganzoo.Component(
            "loss",
            "hinge",
            f"{adversarial}:Hinge",
            "D's margin of 1 on either side, linear for G",
            "Lim & Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957",
        ),
        ganzoo.Component(
            "loss",
            "relativistic",
            f"{adversarial}:Relativistic",
            "Logistic loss of the difference of paired real and generated logits (RGAN, RpGAN)",
            "Jolicoeur-Martineau 2018, arXiv:1807.00734; Huang et al. 2024, arXiv:2501.05441",
        ),
        ganzoo.Component("penalty", "r1", f"{penalties}:R1", "Squared gradient of D on real samples", mescheder),
        ganzoo.Component("penalty", "r2", f"{penalties}:R2", "Squared gradient of D on generated samples", mescheder),
        ganzoo.Component(
            "penalty",
            "gradient-penalty",
            f"{penalties}:GradientPenalty",
            "Distance of D's gradient norm from 1 between real and generated samples (GP)",
            "Gulrajani et al. 2017, arXiv:1704.00028",
        ),
    ]

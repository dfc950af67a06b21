"""The critic's scores are kept near 0, which a Wasserstein loss leaves open."""

from __future__ import annotations

from torch import Tensor

import ganzoo


class Drift(ganzoo.Penalty):
    """Keep D's logits on real samples from drifting away from 0: ε · E D(x)².

    epsilon: ε.  every: iterations between penalties; above 1 the penalty is a lazy phase of its own.
    Karras et al. 2018 (arXiv:1710.10196), appendix A.1.
    """

    def __init__(self, epsilon: ganzoo.Varying = 1e-3, every: int = 1) -> None:
        super().__init__()
        if every < 1:
            raise ValueError(f"every counts iterations and is at least 1, not {every}")
        self.epsilon, self.every = ganzoo.Dial(epsilon), every
        if not self.epsilon.low >= 0:
            raise ValueError(f"epsilon is at least 0, not {self.epsilon.low:g}")

    def forward(self, turn: ganzoo.Turn) -> Tensor:
        """Return the weighted penalty; E D(x)² is logged as `penalty/critic-drift`."""
        drift = turn.logits(turn.real).square().mean()
        turn.log("penalty/critic-drift", drift)
        return self.epsilon.value * drift

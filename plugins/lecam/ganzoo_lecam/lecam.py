"""The LeCam penalty: D's logits are held near what it lately gave the other kind of sample.

Tseng et al. 2021, arXiv:2104.03310. Written from the paper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

import ganzoo


class LeCam(ganzoo.Penalty):
    """Keep D's logits near moving averages of the other kind's: λ · (E(D(x) - α_F)² + E(D(G(z)) - α_R)²).

    α_R and α_F are moving averages of the mean logit on real and on generated samples; those of the current batch
    are in them. Each update: α ← γ·α + (1 - γ)·mean logit.
    weight: λ; 0.3 suits logits of the size that a hinge loss makes. Losses that let logits grow want much less.
    decay: γ.
    start: updates of D before the penalty sets in; until then α_R and α_F are the means of the current batch, so
    that they begin at D's own level and not at 0.
    Tseng et al. 2021 (arXiv:2104.03310), equations 3 and 4.
    """

    real_average: Tensor
    fake_average: Tensor
    updates: Tensor

    def __init__(self, weight: ganzoo.Varying = 0.3, decay: float = 0.99, start: int = 1000) -> None:
        super().__init__()
        self.weight = ganzoo.Dial(weight)
        if not self.weight.low >= 0:
            raise ValueError(f"weight is at least 0, not {self.weight.low:g}")
        if not 0 <= decay < 1:
            raise ValueError(f"decay lies in [0, 1), not {decay}")
        if start < 0:
            raise ValueError(f"start counts updates of D and is at least 0, not {start}")
        self.decay, self.start = decay, start
        self.register_buffer("real_average", torch.zeros(()))
        self.register_buffer("fake_average", torch.zeros(()))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def forward(self, turn: ganzoo.Turn) -> Tensor:
        """Return the weighted penalty; its unweighted value is logged. The loss's own logits are used again."""
        real, fake = turn.both()
        started = self.updates >= self.start
        real_average = self._follow(self.real_average, real, started)
        fake_average = self._follow(self.fake_average, fake, started)
        self.updates += 1
        distance = (real - fake_average).square().mean() + (fake - real_average).square().mean()
        turn.log("penalty/lecam", distance)
        return torch.where(started, self.weight.value * distance, torch.zeros_like(distance))

    def _follow(self, average: Tensor, logits: Tensor, started: Tensor) -> Tensor:
        """Move the average in place; returns its value, which later updates leave alone."""
        mean = logits.detach().mean()
        # the first average is a batch's mean even if the penalty begins at once
        following = started & (self.updates > 0)
        average.copy_(torch.where(following, self.decay * average + (1 - self.decay) * mean, mean))
        return average.clone()

    def problems(self, players: Mapping[str, nn.Module], spec: ganzoo.DataSpec | None = None) -> Sequence[str]:
        """A game without a player D."""
        if self.role in players:
            return ()
        return (f"The penalty lecam regularises the player {self.role}, but here play {', '.join(players)}.",)

"""What is at stake for D: what its loss says by itself, whatever it judges. No torch here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stakes:
    """What D's loss says by itself, learnt from its values.

    even: what D pays at least while it cannot tell real from generated.  boundary: the score that it then gives to
    both, None if any will do, as for Wasserstein and relativistic losses.  floor: what it pays when it tells them
    without fail, None if that falls without end.  probabilities: True for cross-entropy, whose scores are logits.
    sign: 1 if it pays to score real samples higher, -1 if lower, as for energies.
    """

    even: float
    boundary: float | None
    floor: float | None
    probabilities: bool = False
    sign: int = 1

    def share(self, loss: float) -> float | None:
        """Where a loss lies between the floor, 0, and guessing, 1."""
        return None if self.floor is None else (loss - self.floor) / max(self.even - self.floor, 1e-12)

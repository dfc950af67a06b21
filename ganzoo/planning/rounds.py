"""The rounds of a run: which phases play in which, and how long that takes in all."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..contract import Phase
from ..recording import repeats

Kind = tuple[tuple[str, int], ...]
"""Rounds in which the same phases play as often: their names, and how often each does."""

_HORIZON = 10_000
"""Rounds that are laid out one by one; a longer run goes on as they end."""
_KINDS = 6


@dataclass(frozen=True)
class Length:
    """How long a kind of round takes, and how many real samples it shows."""

    seconds: float
    images: float


class Rounds:
    """Which phases play in which round of a run. order: the kinds of the first rounds."""

    def __init__(self, phases: Sequence[Phase], horizon: int = _HORIZON) -> None:
        self.order: list[Kind] = [
            tuple((phase.name, repeats(phase, number)) for phase in phases if number % phase.every == 0)
            for number in range(horizon)
        ]
        self._often = Counter(self.order)
        self.kinds = [kind for kind, _ in self._often.most_common(_KINDS)]
        """Those worth measuring, the most frequent first."""

    def wanted(self, rounds: int) -> dict[Kind, int]:
        """How many rounds of each kind to time: two, and the others by how often they come."""
        left = max(rounds - 2 * len(self.kinds), 0)
        total = sum(self._often[kind] for kind in self.kinds)
        return {kind: 2 + round(left * self._often[kind] / total) for kind in self.kinds}

    def average(self, values: Mapping[Kind, float]) -> float:
        """The mean over rounds, of the kinds whose value is known."""
        weight = sum(self._often[kind] for kind in values)
        return sum(self._often[kind] * value for kind, value in values.items()) / weight

    def whole(self, lengths: Mapping[Kind, Length], images: int) -> float:
        """Seconds until so many images are seen. A kind not measured takes as long as its updates did in others."""
        seconds = seen = half_seconds = half_seen = 0.0
        known = {**lengths, **{kind: _guess(kind, lengths) for kind in self._often if kind not in lengths}}
        for number, kind in enumerate(self.order):
            if seen >= images:
                return seconds
            seconds, seen = seconds + known[kind].seconds, seen + known[kind].images
            if number == len(self.order) // 2:
                half_seconds, half_seen = seconds, seen
        if seen == half_seen:
            return math.inf  # no phase asks for real samples
        return seconds + max(images - seen, 0) * (seconds - half_seconds) / (seen - half_seen)


def _guess(kind: Kind, lengths: Mapping[Kind, Length]) -> Length:
    updates = sum(_updates(one) for one in lengths)
    seconds, images = (sum(getattr(one, name) for one in lengths.values()) for name in ("seconds", "images"))
    return Length(seconds * _updates(kind) / updates, images * _updates(kind) / updates)


def _updates(kind: Kind) -> int:
    return sum(often for _, often in kind)

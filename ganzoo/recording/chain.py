"""Updates that belong together, because one learns from what another has generated."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from itertools import pairwise
from typing import NamedTuple

from torch import nn

from ..contract import Phase
from .recordings import Stage


class Chain(NamedTuple):
    """Phases of which each learns from what the one before has generated: mostly one alone.

    name: of the phases, joined by "+".  parameters: of the learners, by phase.  stages: makes the stages of one update,
    which hand samples on.
    """

    name: str
    parameters: Sequence[Sequence[nn.Parameter]]
    stages: Callable[[], Sequence[Stage]]


def repeats(phase: Phase, iteration: int) -> int:
    """How often a phase updates in this iteration."""
    return phase.repeats(iteration) if callable(phase.repeats) else phase.repeats


def chained(updates: Sequence[Phase], begun: Container[str] = ()) -> tuple[Phase, ...]:
    """The next update, and the later one that learns from what it generates, if there is one.

    There is none where an update between them changes what was generated from: the same players, or the batch.
    begun: names of those that learn from an earlier one; a penalty's update comes after the one that generates.
    """
    phase, *later = updates
    place = next((n for n, one in enumerate(later) if one.reuses and one.trains != phase.trains), None)
    if place is None or phase in later:
        return (phase,)
    heir, between = later[place], later[:place]
    changed = any(one.trains == heir.trains for one in between) or any(one is two for one, two in pairwise(between))
    return (phase,) if changed or heir.name in begun else (phase, heir)

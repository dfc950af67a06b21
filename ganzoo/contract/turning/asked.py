"""What a turn makes, asks of a discriminator and is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor


@dataclass(frozen=True)
class Judgement:
    """What a discriminator said of a sample: raw float32 logits, detached.

    judge: its role.  sample: (N, *shape), before augmentations.  real: True if the turn gave it as real.
    maker: the role of the generator whose `turn.fake()` it is, None for real and for all other samples.
    """

    judge: str
    sample: Tensor
    logits: Tensor
    real: bool = False
    maker: str | None = None


class Made(NamedTuple):
    """Generated samples, what they were made from, and their labels where they are not those of real samples."""

    sample: Tensor
    source: Tensor
    label: Tensor | None


class Question(NamedTuple):
    """What is asked of a discriminator: `Turn.answer` says what the parts are."""

    judge: str
    sample: Tensor
    label: Tensor | None = None
    given: Tensor | None = None
    augment: bool = True

    @property
    def key(self) -> tuple[str, int, int, int, bool]:
        """What tells it from others as long as its tensors are kept."""
        return self.judge, id(self.sample), id(self.label), id(self.given), self.augment


class Asked(NamedTuple):
    """What was asked of a discriminator, and all that it answered, by head.

    The question is kept with the answer, so that the ids of its tensors stay theirs.
    """

    question: Question
    answers: Mapping[str, Tensor]


class Shown(NamedTuple):
    """What a discriminator gets to see: samples, their labels, and what is given beside them."""

    sample: Tensor
    label: Tensor
    given: Tensor | None


def aligned(sample: Tensor, given: Tensor) -> bool:
    """True for pictures of the same sides, so that a place in one is that place in the other."""
    return sample.ndim == given.ndim == 4 and sample.shape[2:] == given.shape[2:]

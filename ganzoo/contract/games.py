"""Games: losses, the phases in which players learn, and penalties that join them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..public import public
from .networks import Role
from .specs import DataSpec
from .turning.turn import Turn


@public
@dataclass(frozen=True)
class Phase:
    """One kind of update within an iteration.

    trains: the roles that learn, with one optimiser for the tuple; all others are frozen.
    loss: returns a scalar; it never steps an optimiser and never calls backward.
    every: lazy, run each k-th iteration, the loss scaled by k.
    repeats: updates in a row, each with a fresh batch (n_critic); may be a function of the iteration, from 0.
    scale: samples generated in an update, in multiples of the recipe's batch.
    reuses: the first update of an iteration takes over the samples that the last update of the first other team in it
    generated, instead of making new ones: with their graph where their makers learn in this phase, detached where they
    do not. Not where an update in between trains the same learners, or is repeated with a batch of its own.
    fresh: draws real samples of its own, which do not count as images, instead of those of the phases before it.
    after: called with the players once the optimiser has stepped, for projections such as weight clipping.
    """

    name: str
    trains: tuple[str, ...]
    loss: Callable[[Turn], Tensor]
    every: int = 1
    repeats: int | Callable[[int], int] = 1
    scale: int = 1
    reuses: bool = False
    fresh: bool = False
    after: Callable[[Mapping[str, nn.Module]], None] | None = None

    def __post_init__(self) -> None:
        if self.reuses and self.scale != 1:
            raise ValueError(f"phase {self.name} takes over one batch of samples, it cannot have {self.scale} of them")
        if self.reuses and self.fresh:
            raise ValueError(f"phase {self.name} takes over samples made beside real ones, it cannot have fresh ones")


@public
class Loss(nn.Module):
    """Declares who plays and in which phases they learn. Buffers are saved in checkpoints."""

    roles: Mapping[str, Role] = {}
    needs: Mapping[str, type] = {}
    """Runtime protocols that players must satisfy, by role: {"G": StyleSpace}."""
    low_for_real: bool = False
    """True if discriminators give energies, which are low for real samples; False for scores, which are high."""

    def phases(self) -> Sequence[Phase]:
        raise NotImplementedError

    def prepare(self, spec: DataSpec) -> None:
        """Called once, before the game is played: build parts here that need to know what a sample is."""

    def problems(self, players: Mapping[str, nn.Module], spec: DataSpec | None = None) -> Sequence[str]:
        """Reasons why these players cannot learn under this loss from such data, as full sentences.

        `ganzoo check` always gives the spec; `spec` may be left out of an override that does not need it.
        """
        return ()


@public
class AdversarialLoss(Loss):
    """An ordinary two-player loss: subclasses write two functions of raw logits.

    n_critic: updates of D an iteration, each with a fresh batch.  n_generator: the same for G.
    generator_batch: samples in G's updates, in multiples of the recipe's batch.
    reuse_fake: G learns from the samples that D has just judged, as many programs do, instead of from fresh ones as
    algorithm 1 of Goodfellow et al. 2014 has it; that saves a forward pass of G.
    """

    roles: Mapping[str, Role] = {"G": Role("generator"), "D": Role("discriminator")}

    def __init__(
        self, n_critic: int = 1, n_generator: int = 1, generator_batch: int = 1, reuse_fake: bool = False
    ) -> None:
        super().__init__()
        for name, value in (("n_critic", n_critic), ("n_generator", n_generator), ("generator_batch", generator_batch)):
            if value < 1:
                raise ValueError(f"{name} is at least 1, not {value}")
        if generator_batch > 1 and self.needs_real:
            raise ValueError("G's loss pairs generated with real samples: generator_batch must be 1")
        if generator_batch > 1 and reuse_fake:
            raise ValueError("D has judged one batch of generated samples: with reuse_fake, generator_batch must be 1")
        self.n_critic, self.n_generator, self.generator_batch = n_critic, n_generator, generator_batch
        self.reuse_fake = reuse_fake
        self._turn: Turn | None = None

    def log(self, name: str, value: Tensor) -> None:
        """Keep a scalar for the next row of `metrics.jsonl`, from within the two functions alone."""
        if self._turn is not None:
            self._turn.log(name, value)

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """D's loss, a scalar, from its raw logits on real and on generated samples."""
        raise NotImplementedError

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        """G's loss, a scalar, from D's raw logits on generated and on real samples."""
        raise NotImplementedError

    needs_real: bool = False
    """True if `generator` uses the logits on real samples; otherwise it is given those on the fakes, unread."""

    def phases(self) -> Sequence[Phase]:
        return (
            Phase("D", ("D",), self.discriminator_phase, repeats=self.n_critic, after=self.after_critic),
            Phase(
                "G",
                ("G",),
                self.generator_phase,
                repeats=self.n_generator,
                scale=self.generator_batch,
                reuses=self.reuse_fake,
            ),
        )

    after_critic: Callable[[Mapping[str, nn.Module]], None] | None = None
    """Override with a method to project D's weights after each of its updates."""

    def discriminator_phase(self, turn: Turn) -> Tensor:
        """D's loss in one update; override to add what two logits do not say, such as a loss of other heads."""
        real, fake = turn.both()
        # of energies the negative one says how real a sample is
        turn.log("D(real)", torch.sigmoid(-real if self.low_for_real else real).mean())
        turn.log("D(fake)", torch.sigmoid(-fake if self.low_for_real else fake).mean())
        with self._logging(turn):
            return self.discriminator(real, fake)

    def generator_phase(self, turn: Turn) -> Tensor:
        """G's loss in one update, likewise."""
        fake = turn.logits(turn.fake())
        with self._logging(turn):
            return self.generator(fake, turn.logits(turn.real) if self.needs_real else fake)

    @contextmanager
    def _logging(self, turn: Turn) -> Iterator[None]:
        self._turn = turn
        try:
            yield
        finally:
            self._turn = None


@public
class Penalty(nn.Module):
    """A regulariser that joins any adversarial loss. Buffers are saved in checkpoints.

    `every` 1 adds it to the loss of the phase that trains `role`; more makes it a lazy phase of its own.
    """

    role: str = "D"
    every: int = 1
    needs: Mapping[str, type] = {}

    def forward(self, turn: Turn) -> Tensor:
        """Return a scalar, already weighted."""
        raise NotImplementedError

    def prepare(self, spec: DataSpec) -> None:
        """Called once, before the game is played: build parts here that need to know what a sample is."""

    def problems(self, players: Mapping[str, nn.Module], spec: DataSpec | None = None) -> Sequence[str]:
        """Reasons why these players cannot be regularised so on such data, as full sentences."""
        return ()

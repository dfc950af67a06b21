"""The interfaces that plugins implement. `docs/plugins.md` shows each in use.

Shapes: N batch, C channels, H height, W width; a sample's own shape comes from its `Sample`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ..public import public
from .specs import ANY_FIELD, DataSpec

if TYPE_CHECKING:
    from .turn import Turn


@public
class Generator(nn.Module):
    """Makes samples, from latents (`source` None) or from samples of another domain.

    Subclasses take `(source, target, classes, **options)`, where source is the `Sample` translated from or
    None for latents, target the `Sample` to make, and classes the number of classes in the data. A size that
    cannot be made raises `Incompatible` in the constructor.
    """

    conditional: bool = False
    """True if the label changes the sample; set it in the constructor."""

    def sample_latent(self, n: int, device: torch.device) -> Tensor:
        """Draw n latents, (N, ...), from torch's global generator. Latent generators only.

        What is learned belongs into `forward`: latents with gradients go with whole batches only.
        """
        raise NotImplementedError(f"{type(self).__name__} has no latents: it translates samples")

    def truncate(self, latent: Tensor, truncation: float) -> Tensor:
        """Pull latents towards their mean: 1 leaves them, 0 gives the mean sample. Trades variety for fidelity."""
        return latent * truncation

    def truncated(self, source: Tensor, label: Tensor, truncation: float) -> Tensor:
        """Samples from truncated latents; override where the mean is that of something else than the latents."""
        sample: Tensor = self(self.truncate(source, truncation), label)
        return sample

    def forward(self, source: Tensor, label: Tensor) -> Tensor:
        """source: latents (N, ...) or samples (N, *source.shape); label: (N,) int64, zeros if unlabelled.

        Returns (N, *target.shape) within the target's range.
        """
        raise NotImplementedError


@public
class Discriminator(nn.Module):
    """Judges samples. Same constructor as `Generator`; never ends in a sigmoid."""

    judges_batch: bool = False
    """True if it gives one logit for the whole batch, so that a sample has no score of its own."""

    def forward(self, sample: Tensor, label: Tensor) -> Tensor:
        """sample: (N, *target.shape); label: (N,) int64. Returns RAW logits: (N,), (N, 1, h, w), or (1,)."""
        raise NotImplementedError


@public
@dataclass(frozen=True)
class Role:
    """A player in a game. kind: "generator" or "discriminator"; target, source: fields of the data.

    source None means latents; ANY_FIELD the only field of the data.
    """

    kind: str
    target: str = ANY_FIELD
    source: str | None = None


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
    after: called with the players once the optimiser has stepped, for projections such as weight clipping.
    """

    name: str
    trains: tuple[str, ...]
    loss: Callable[[Turn], Tensor]
    every: int = 1
    repeats: int | Callable[[int], int] = 1
    scale: int = 1
    reuses: bool = False
    after: Callable[[Mapping[str, nn.Module]], None] | None = None

    def __post_init__(self) -> None:
        if self.reuses and self.scale != 1:
            raise ValueError(f"phase {self.name} takes over one batch of samples, it cannot have {self.scale} of them")


@public
class Loss(nn.Module):
    """Declares who plays and in which phases they learn. Buffers are saved in checkpoints."""

    roles: Mapping[str, Role] = {}
    needs: Mapping[str, type] = {}
    """Runtime protocols that players must satisfy, by role: {"G": Mapped}."""
    low_for_real: bool = False
    """True if discriminators give energies, which are low for real samples; False for scores, which are high."""

    def phases(self) -> Sequence[Phase]:
        raise NotImplementedError

    def problems(self, players: Mapping[str, nn.Module]) -> Sequence[str]:
        """Reasons why these players cannot learn under this loss, as full sentences."""
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
            Phase("D", ("D",), self._discriminator_phase, repeats=self.n_critic, after=self.after_critic),
            Phase(
                "G",
                ("G",),
                self._generator_phase,
                repeats=self.n_generator,
                scale=self.generator_batch,
                reuses=self.reuse_fake,
            ),
        )

    after_critic: Callable[[Mapping[str, nn.Module]], None] | None = None
    """Override with a method to project D's weights after each of its updates."""

    def _discriminator_phase(self, turn: Turn) -> Tensor:
        real = turn.logits(turn.real)
        fake = turn.logits(turn.fake())
        # of energies the negative one says how real a sample is
        turn.log("D(real)", torch.sigmoid(-real if self.low_for_real else real).mean())
        turn.log("D(fake)", torch.sigmoid(-fake if self.low_for_real else fake).mean())
        return self.discriminator(real, fake)

    def _generator_phase(self, turn: Turn) -> Tensor:
        fake = turn.logits(turn.fake())
        return self.generator(fake, turn.logits(turn.real) if self.needs_real else fake)


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

    def problems(self, players: Mapping[str, nn.Module]) -> Sequence[str]:
        """Reasons why these players cannot be regularised so, as full sentences."""
        return ()


@public
class Augmentation(nn.Module):
    """Changes every sample that D sees, real or generated, differentiably. Built as `(target, **options)`."""

    def forward(self, sample: Tensor) -> Tensor:
        """sample: (N, *target.shape). Returns the same shape and range."""
        raise NotImplementedError

    def observe(self, logits: Tensor) -> None:
        """Called with D's raw logits, detached, each time D learns from a batch of real samples; for controllers.

        Must not synchronise: keep what is learned in buffers, which are saved in checkpoints.
        """

    def values(self) -> Mapping[str, Tensor]:
        """Scalars to log after each `observe`, by name."""
        return {}


@public
class FeatureExtractor(nn.Module):
    """Turns pictures into features, for metrics that compare sets of pictures. Built as `(**options)`.

    Used frozen and in evaluation mode; each picture's features depend on that picture alone.
    """

    dimensions: int
    """F, the number of features; set it in the constructor."""

    def forward(self, image: Tensor) -> Tensor:
        """image: uint8 (N, 3, H, W) of any size; gray pictures come with three equal channels.

        Resizing and normalising are part of the extractor, because they change the features. Returns float32 (N, F).
        """
        raise NotImplementedError


@public
@dataclass(frozen=True)
class Table:
    """Finite samples that fit into memory.

    fields: uint8 (N, H, W, C) pictures, or float32 (N, *shape) values.  labels: (N,) int64 or None.
    flip: mirror each picture left-right with probability 1/2, anew each time it is drawn.
    crop: cut a random window of the spec's size out of larger pictures, anew each time.
    """

    fields: Mapping[str, Tensor]
    labels: Tensor | None = None
    flip: bool = False
    crop: bool = False


@public
@dataclass(frozen=True)
class Drawn:
    """An endless distribution. draw(n, generator) returns float32 (n, *shape) a field and (n,) int64 labels or None."""

    draw: Callable[[int, torch.Generator], tuple[Mapping[str, Tensor], Tensor | None]]


@public
@dataclass(frozen=True)
class Stream:
    """Finite samples read one by one, for sets larger than memory.

    read(index) returns a uint8 (H, W, C) picture or float32 value a field; it runs in worker processes.
    """

    count: int
    read: Callable[[int], Mapping[str, Tensor]]
    labels: Tensor | None = None
    flip: bool = False
    crop: bool = False


@public
@dataclass(frozen=True)
class Unpaired:
    """Fields drawn independently of each other. parts: by field; each holds that one field, its labels are unread."""

    parts: Mapping[str, Table | Stream]


@public
class Dataset(ABC):
    """Real samples. The constructor takes options and reads names and headers at most; `load` reads the data.

    Raise `DataError` for files that are missing or damaged.
    """

    class_names: Sequence[str] = ()
    licence: str | None = None
    count: float | None = None
    """Samples, if that is known before they are read; infinite for a distribution."""
    part_of: str | None = None
    """The data set that these are a selection of, whose learned features suit them too."""

    @property
    @abstractmethod
    def spec(self) -> DataSpec: ...

    @abstractmethod
    def load(self) -> Table | Drawn | Stream | Unpaired: ...


@public
@runtime_checkable
class Density(Protocol):
    """A data set whose probability density is known; previews draw it."""

    def density(self, value: Tensor) -> Tensor:
        """value: (N, D). Returns (N,)."""
        ...


@public
class Callback:
    """Watches a run and may act between iterations; loggers are callbacks. All methods are optional.

    `run` is the `Trainer`: its `images`, `iteration`, `players`, `folder`, `recipe` and `log_values()` are public.
    """

    everywhere: bool = False
    """True if it changes players or the course of training: then each of several processes has one, not the first
    alone. Such a callback acts alike in all."""

    def watches(self, run: Any, phase: Phase) -> bool:
        """True if `on_update` wants to see the update of this phase that comes next; by default all.

        Of updates that hand samples on (`Phase.reuses`) all are asked for before the first.

        Updates that somebody watches are made step by step; all others may be played from a recording, which has no
        turn to show.
        """
        return True

    def on_start(self, run: Any) -> None:
        """Training is about to begin, or to go on after a resume (state is already restored)."""

    def on_update(self, run: Any, phase: Phase, turn: Turn) -> None:
        """A phase's learners have made a step that this callback watches.

        `turn` holds what was generated and judged for it.

        Their gradients are still there. Must not change a player, draw random numbers, or wait for the device.
        """

    def on_iteration(self, run: Any) -> None:
        """An iteration has ended."""

    def on_log(self, run: Any, values: Mapping[str, float]) -> None:
        """A row of `metrics.jsonl`: means since the row before."""

    def on_preview(self, run: Any, path: Any) -> None:
        """A picture of the fixed samples was written to `path`."""

    def on_end(self, run: Any) -> None:
        """All images are trained."""

    def close(self) -> None:
        """The run is over, be it finished, stopped or failed: release what `on_start` took."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold of this callback: tensors, numbers, strings, lists and dicts."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""


@public
@dataclass(frozen=True)
class Batch:
    """Real samples on the training device. fields: float32 (N, *shape) each; label: (N,) int64."""

    fields: Mapping[str, Tensor]
    label: Tensor = field(repr=False)

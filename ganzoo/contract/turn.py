"""What a loss sees of one update: the players, a batch, and what they make of each other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import Incompatible
from ..public import public
from .augmentation import Augmentation
from .data import Batch
from .networks import Role
from .specs import DataSpec


@dataclass(frozen=True)
class Judgement:
    """What a discriminator said of a sample: raw float32 logits, detached.

    judge: its role.  sample: (N, *shape), before augmentations.  real: True if it is a field of the turn's batch.
    maker: the role of the generator whose `turn.fake()` it is, None for real and for all other samples.
    """

    judge: str
    sample: Tensor
    logits: Tensor
    real: bool = False
    maker: str | None = None


@dataclass
class Draws:
    """What is drawn at once for all parts of an update, in the order in which a part asks for it.

    values: drawn so far.  makers: what drew them; values that were there beforehand have none.
    """

    values: list[Tensor] = field(default_factory=list)
    makers: list[Callable[[], Tensor]] = field(default_factory=list)

    def get(self, number: int, make: Callable[[], Tensor]) -> Tensor:
        """The draw of this number, made now if no other part has asked for it."""
        if number == len(self.values):
            self.makers.append(make)
            self.values.append(make())
        return self.values[number]


@dataclass(frozen=True)
class Share:
    """Which part of an update a turn computes: number `index` of `count` equal ones.

    batch: real samples in the part.  draws: of the whole update, kept for its other parts.
    """

    batch: int
    index: int = 0
    count: int = 1
    draws: Draws = field(default_factory=Draws)

    def of(self, whole: Tensor) -> Tensor:
        """This part's rows of what was drawn for all: of each whole batch in it, those that belong to the part."""
        blocks = whole.view(-1, self.count, self.batch, *whole.shape[1:])
        return blocks[:, self.index].flatten(0, 1)


@public
class Turn:
    """One update of one phase, or a part of it where the batch is split.

    players: networks by role.  learners: the roles that learn in this phase.
    size: samples to generate, the batch's in multiples of the phase's scale.  device: where they live.
    keeps: roles whose samples a later turn learns from, so that they have a graph; None if no turn takes any over.
    kept: samples for that turn, by role.  taken: those that this one took over.
    """

    def __init__(
        self,
        players: Mapping[str, nn.Module],
        learners: Sequence[str],
        context: TurnContext,
        draw: Callable[[], Batch],
        size: int,
        share: Share | None = None,
        keeps: Collection[str] | None = None,
        taken: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.players = players
        self.learners = tuple(learners)
        self.size = size
        self.device = context.device
        self._context = context
        self._draw = draw
        self._share = share or Share(size)  # alone, and not scaled
        self._asked = 0
        self._batch: Batch | None = None
        self._real: dict[str, Tensor] = {}
        self._label: Tensor | None = None
        self._keeps = keeps
        self.kept: dict[str, Tensor] = {}
        self._fakes: dict[str, Tensor] = dict(taken or {})
        self._logits: dict[tuple[str, int, int | None], tuple[Tensor, Tensor | None, Tensor]] = {}

    @property
    def batch(self) -> Batch:
        """Real samples, drawn when first asked for; only these count as images."""
        if self._batch is None:
            self._batch = self._draw()
        return self._batch

    @property
    def label(self) -> Tensor:
        """(size,) int64: the batch's, repeated in a larger update; zeros if the data are unlabelled."""
        if self._label is None:
            if self._context.spec.classes == 0:
                self._label = self._context.no_labels(self.size)
            else:
                label = self.batch.label
                self._label = label if len(label) == self.size else label.repeat(self.size // len(label))
        return self._label

    @property
    def batch_size(self) -> int:
        """Real samples in the whole update, of all processes and parts."""
        return self._share.batch * self._share.count

    @property
    def real(self) -> Tensor:
        """Real samples of the only field, as `field` gives them. Raises `Incompatible` if there are several."""
        fields = self.batch.fields
        if len(fields) != 1:
            names = ", ".join(fields)
            raise Incompatible(f"turn.real is the data's only field, these have {names}: take turn.field(name)")
        (name,) = fields
        return self.field(name)

    def field(self, name: str) -> Tensor:
        """Real samples of the named field, or of the only one for ANY_FIELD, once a turn.

        Those that a discriminator judges are as the augmentations' `real` makes them.
        """
        name = self._context.spec.field(name)
        if name not in self._real:
            self._real[name] = self._context.as_real(name, self.batch.fields[name])
        return self._real[name]

    def _is_real(self, sample: Tensor) -> bool:
        fields = [*self._batch.fields.values(), *self._real.values()] if self._batch else ()
        return any(sample is one for one in fields)

    def fake(self, role: str = "G") -> Tensor:
        """Samples by the generator in `role`, made once a turn; detached unless it learns in this phase."""
        if role not in self._fakes:
            source = self._context.roles[role].source
            given = None if source is None else self.field(source)
            if self._keeps is not None and role in self._keeps and role not in self.learners:
                self.kept[role] = self._make(role, given, self.label, learns=True)
                self._fakes[role] = self.kept[role].detach()
            else:
                self._fakes[role] = self.generate(role, given)
                if self._keeps is not None:
                    self.kept[role] = self._fakes[role].detach()
        return self._fakes[role]

    def generate(self, role: str, source: Tensor | None = None, label: Tensor | None = None) -> Tensor:
        """Run the generator in `role` on `source`, by default on fresh latents."""
        return self._make(role, source, self.label if label is None else label, learns=role in self.learners)

    def _make(self, role: str, source: Tensor | None, label: Tensor, learns: bool) -> Tensor:
        with torch.set_grad_enabled(learns and torch.is_grad_enabled()):
            if source is None:
                source = self.latent(role)
            with self._context.autocast():
                sample: Tensor = self.players[role](source, label)
            return sample.float()

    def latent(self, role: str = "G") -> Tensor:
        """A batch of fresh latents for the generator in `role`."""
        player, device = self.players[role], self.device
        return self._shared(lambda n: player.sample_latent(n, device), self.size)  # type: ignore[operator]

    def uniform(self, n: int) -> Tensor:
        """(n,) numbers from [0, 1), one a sample, n being a multiple of the batch.

        As with latents, the update draws the same numbers however many processes or parts it is split into.
        """
        device = self.device
        return self._shared(lambda count: torch.rand(count, device=device), n)

    def _shared(self, draw: Callable[[int], Tensor], n: int) -> Tensor:
        """n rows of what is drawn for the whole update at once. draw: kept for later updates, so it holds no turn."""
        if self._share.count == 1:
            return draw(n)
        shared, device, whole = self._context.shared_draws, self.device, n * self._share.count

        def make() -> Tensor:
            with shared(device):
                return draw(whole)

        drawn = self._share.draws.get(self._asked, make)
        self._asked += 1
        return self._share.of(drawn)

    def logits(self, sample: Tensor, role: str = "D", label: Tensor | None = None) -> Tensor:
        """Raw float32 logits of the discriminator in `role`, which sees `sample` through the augmentations.

        Remembered within the turn: asked again for the same tensors, it gives the same logits and graph.
        """
        key = (role, id(sample), None if label is None else id(label))
        if key not in self._logits:
            # the tensors are kept with the answer, so that their ids stay theirs
            self._logits[key] = (sample, label, self._judge(sample, role, self._label_of(sample, label)))
        return self._logits[key][2]

    def _label_of(self, sample: Tensor, label: Tensor | None) -> Tensor:
        if label is not None or len(sample) == self.size:
            return self.label if label is None else label
        return self.label[: len(sample)]

    def _judge(self, sample: Tensor, role: str, label: Tensor) -> Tensor:
        seen = sample
        for augmentation in self._context.augmentations:
            seen = augmentation(seen)
        with self._context.autocast():
            raw: Tensor = self.players[role](seen, label)
        logits = raw.float()
        if role in self.learners and self._is_real(sample):
            for augmentation in self._context.augmentations:
                augmentation.observe(logits.detach())
                for name, value in augmentation.values().items():
                    self.log(name, value)
        return logits

    @property
    def images(self) -> Tensor:
        """A 0-dim int64 tensor: real images shown before this iteration, by all processes."""
        return self._context.images

    @property
    def progress(self) -> Tensor:
        """A 0-dim float32 tensor: the same as a share of the recipe's images, in [0, 1]."""
        return self._context.progress

    @property
    def drawn(self) -> Batch | None:
        """The batch if somebody has asked for it; asking here draws none."""
        return self._batch

    @property
    def generated(self) -> dict[str, Tensor]:
        """What `fake` has made so far, by role, detached."""
        return {role: sample.detach() for role, sample in self._fakes.items()}

    @property
    def judgements(self) -> list[Judgement]:
        """What `logits` has answered so far."""
        return [
            Judgement(
                role,
                sample.detach(),
                logits.detach(),
                self._is_real(sample),
                next((maker for maker, fake in self._fakes.items() if sample is fake), None),
            )
            for (role, *_), (sample, _, logits) in self._logits.items()
        ]

    def autocast(self) -> AbstractContextManager[object]:
        """The precision that players compute in, for a penalty that runs one itself."""
        return self._context.autocast()

    def log(self, name: str, value: Tensor) -> None:
        """Keep a scalar for the next row of `metrics.jsonl`, which gets the mean. Never synchronises."""
        # buffers and parameters may have changed by the time that it is added up
        self._context.log(name, value.detach() if value.grad_fn and value._base is None else value.clone())


class TurnContext:
    """What stays the same from turn to turn, and the time, which `tell` sets between iterations.

    shared_draws: within it, torch draws what all processes draw alike.  total: images of the run.
    """

    def __init__(
        self,
        spec: DataSpec,
        roles: Mapping[str, Role],
        augmentations: Sequence[Augmentation],
        device: torch.device,
        autocast: Callable[[], AbstractContextManager[object]],
        log: Callable[[str, Tensor], None],
        shared_draws: Callable[[torch.device], AbstractContextManager[Any]] = nullcontext,
        total: int = 1,
    ) -> None:
        self.spec = spec
        self.roles = roles
        self.augmentations = augmentations
        self.device = device
        self.autocast = autocast
        self.log = log
        self.shared_draws = shared_draws
        self._no_labels: dict[int, Tensor] = {}
        self._judged = {spec.field(role.target) for role in roles.values() if role.kind == "discriminator"}
        self._seen, self._total = 0, total
        self._images: Tensor | None = None
        self._progress: Tensor | None = None

    def as_real(self, field: str, sample: Tensor) -> Tensor:
        """Real samples of a field as the augmentations want them to be; the same tensor where nobody judges them."""
        if field in self._judged:
            for augmentation in self.augmentations:
                sample = augmentation.real(sample)
        return sample

    def tell(self, images: int) -> None:
        """So many images were shown. Tensors that nobody has asked for are not made."""
        self._seen = images
        if self._images is not None:
            self._images.fill_(images)
        if self._progress is not None:
            self._progress.fill_(min(images / self._total, 1.0))

    @property
    def images(self) -> Tensor:
        """0-dim int64; the same tensor each time, so that recorded updates see it change."""
        if self._images is None:
            self._images = torch.tensor(self._seen, device=self.device)
        return self._images

    @property
    def progress(self) -> Tensor:
        """0-dim float32; the same tensor each time."""
        if self._progress is None:
            self._progress = torch.tensor(min(self._seen / self._total, 1.0), device=self.device)
        return self._progress

    def no_labels(self, n: int) -> Tensor:
        """(n,) zeros, for players that read none; the same tensor each time."""
        if n not in self._no_labels:
            self._no_labels[n] = torch.zeros(n, dtype=torch.int64, device=self.device)
        return self._no_labels[n]

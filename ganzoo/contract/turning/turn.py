"""What a loss sees of one update: the players, a batch, and what they make of each other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from ...errors import Incompatible
from ...public import public
from ..data import Batch
from ..networks import LOGIT, latent_role
from ..specs import Sample
from .asked import Asked, Judgement, Made, Question, Shown, aligned
from .context import TurnContext
from .shares import Share


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
        taken: Mapping[str, Made] | None = None,
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
        self.kept: dict[str, Made] = {}
        self._fakes = {role: made.sample for role, made in (taken or {}).items()}
        self._sources = {role: made.source for role, made in (taken or {}).items()}
        self._fake_label = next((made.label for made in (taken or {}).values()), None)
        self._marked: list[Tensor] = []
        self._asked_of: dict[tuple[str, int, int, int, bool], Asked] = {}

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
    def fake_label(self) -> Tensor:
        """(size,) int64: what `fake` is asked for: the turn's labels, or, if the recipe says so, uniform ones."""
        classes, device = self._context.spec.classes, self.device
        if not self._context.uniform_labels or not classes:
            return self.label
        if self._fake_label is None:
            self._fake_label = self._shared(lambda n: torch.randint(classes, (n,), device=device), self.size)
        return self._fake_label

    @property
    def batch_size(self) -> int:
        """Real samples in the whole update, of all processes and parts."""
        return self._share.batch * self._share.count

    @property
    def real(self) -> Tensor:
        """Real samples of what D judges, or of the only field. Raises `Incompatible` if nobody says of which."""
        fields, judge = self.batch.fields, self._context.roles.get("D")
        if judge is not None and (len(fields) > 1 or latent_role(judge.target)):
            return self.field(judge.target)
        if len(fields) != 1:
            names = ", ".join(fields)
            raise Incompatible(f"turn.real is the data's only field, these have {names}: take turn.field(name)")
        (name,) = fields
        return self.field(name)

    def field(self, name: str | Sample) -> Tensor:
        """Real samples of the named field, of the only one for ANY_FIELD; for "latent:G" what `fake("G")` is made from.

        Made once a turn. Those that a discriminator judges are as the augmentations' `real` makes them. Raises
        `Incompatible` for a `Sample`, which the data do not have.
        """
        if isinstance(name, Sample):
            raise Incompatible(f"samples of {name} are no field of the data: the loss itself has to make them")
        maker = latent_role(name)
        if maker is not None:
            return self.as_real(self.source(maker))
        name = self._context.spec.field(name)
        if name not in self._real:
            self._real[name] = self._context.as_real(name, self.batch.fields[name])
        return self._real[name]

    def as_real(self, sample: Tensor) -> Tensor:
        """Mark samples that stand for real ones, such as real samples with noise: health and controllers then know."""
        if not self._is_real(sample):
            self._marked.append(sample)
        return sample

    def _is_real(self, sample: Tensor) -> bool:
        fields = [*self._batch.fields.values(), *self._real.values()] if self._batch else ()
        return any(sample is one for one in (*fields, *self._marked))

    def source(self, role: str = "G") -> Tensor:
        """What `fake(role)` is made from, drawn once a turn: latents (N, ...), or samples of its source."""
        if role not in self._sources:
            place = self._context.roles[role].source
            if isinstance(place, Sample):
                raise Incompatible(f"what {role} reads is no field of the data: call turn.generate('{role}', source)")
            with torch.set_grad_enabled(self._has_graph(role) and torch.is_grad_enabled()):
                self._sources[role] = self.latent(role) if place is None else self.field(place)
        return self._sources[role]

    def _has_graph(self, role: str) -> bool:
        """True if what the role makes is learned from, now or in the turn that takes it over."""
        return role in self.learners or (self._keeps is not None and role in self._keeps)

    def fake(self, role: str = "G") -> Tensor:
        """Samples by the generator in `role`, made once a turn; detached unless it learns in this phase."""
        if role not in self._fakes:
            label, source = self.fake_label, self.source(role)
            sample = self._make(role, source, label, learns=self._has_graph(role))
            self._fakes[role] = sample if role in self.learners else sample.detach()
            if self._keeps is not None:
                self.kept[role] = Made(sample if role in self._keeps else sample.detach(), source, self._fake_label)
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

    def logits(
        self,
        sample: Tensor,
        role: str = "D",
        label: Tensor | None = None,
        given: Tensor | None = None,
        augment: bool = True,
    ) -> Tensor:
        """Raw float32 logits of the discriminator in `role`, which sees `sample` through the augmentations.

        label: by default the turn's, and of `fake` what it was asked for.  given: what a discriminator that judges
        pairs sees beside each sample, by default what `given` says.  augment: False shows the sample as it is, which
        may be another view of it.
        Remembered within the turn: asked again for the same tensors, it gives the same logits and graph.
        """
        return self.answer(sample, LOGIT, role, label, given, augment)

    def answer(
        self,
        sample: Tensor,
        head: str,
        role: str = "D",
        label: Tensor | None = None,
        given: Tensor | None = None,
        augment: bool = True,
    ) -> Tensor:
        """What the discriminator in `role` answers under a head that it declares, float32 (N, *shape).

        All heads come from one pass, that of the logits, remembered with them. Raises `Incompatible` without that head.
        """
        question = Question(role, sample, label, given, augment)
        if question.key not in self._asked_of:
            self._ask(question)
        answers = self._asked_of[question.key].answers
        if head not in answers:
            raise Incompatible(
                f"the loss asks {role} for '{head}', which {type(self.players[role]).__name__} does not answer, only "
                f"{', '.join(answers)}: take a discriminator with a head '{head}'"
            )
        return answers[head]

    def both(self, role: str = "D", real: Tensor | None = None, fake: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """`logits` of real and of generated samples, by default `real` and `fake()`.

        They are of one pass, if the discriminator says that it `judges_apart`.
        """
        samples = self.real if real is None else real, self.fake() if fake is None else fake
        group = getattr(self.players[role], "judges_apart", 0)
        if group and not any(len(one) % group for one in samples):
            questions = [Question(role, one) for one in samples]
            if not any(one.key in self._asked_of for one in questions):
                self._ask(*questions)
        on_real, on_fake = (self.logits(one, role) for one in samples)
        return on_real, on_fake

    def _ask(self, *questions: Question) -> None:
        """Ask one discriminator in one pass, and remember what it answers."""
        role, shown = questions[0].judge, [self._shown(one) for one in questions]
        for question, answers in zip(questions, self._judge(role, shown), strict=True):
            if role in self.learners and self._is_real(question.sample):
                self._observe(answers[LOGIT].detach(), question.augment)
            self._asked_of[question.key] = Asked(question, answers)

    def given(self, sample: Tensor, role: str = "D") -> Tensor | None:
        """What the discriminator in `role` sees beside a sample unless it is told otherwise; None if nothing.

        Rows of a field come in the order of the batch. Of latents, a generated sample has those that it was made from,
        and a real one what an encoder in the game makes of it. Raises `Incompatible` where neither is so.
        """
        part = self._context.roles.get(role)
        place = part.given if part else None
        if part is None or place is None:
            return None
        if isinstance(place, str) and latent_role(place) is None:
            rows, n = self.field(place), len(sample)
            if n == len(rows):
                return rows
            return rows[:n] if n < len(rows) else rows.repeat(n // len(rows), *[1] * (rows.ndim - 1))
        maker = latent_role(place)
        if maker is not None and sample is self._fakes.get(maker):
            return self.source(maker)
        if self._is_real(sample):
            for name, one in self._context.roles.items():
                encodes = one.kind == "generator" and one.target == place
                if encodes and one.source == part.target:
                    return self.fake(name)
        raise Incompatible(
            f"{role} judges each sample with {place}, and nobody says which: call turn.logits(…, '{role}', given=…)"
        )

    def _label_of(self, sample: Tensor, label: Tensor | None) -> Tensor:
        if label is None and any(sample is fake for fake in self._fakes.values()):
            return self.fake_label
        if label is not None or len(sample) == self.size:
            return self.label if label is None else label
        return self.label[: len(sample)]

    def _shown(self, question: Question) -> Shown:
        """What the discriminator sees of a question: through the augmentations, unless it is to be without them."""
        role, sample, label, given, augment = question
        seen, beside = sample, self.given(sample, role) if given is None else given
        for augmentation in self._context.augmentations if augment else ():
            if beside is not None and aligned(seen, beside):
                seen, beside = augmentation.together(seen, beside)
            else:
                seen = augmentation(seen)
        return Shown(seen, self._label_of(sample, label), beside)

    def _judge(self, role: str, shown: Sequence[Shown]) -> list[Mapping[str, Tensor]]:
        """All heads of what is shown, in one pass."""
        (sample, label, beside), *others = shown
        if others:
            sample, label = torch.cat([one.sample for one in shown]), torch.cat([one.label for one in shown])
            pairs = [one.given for one in shown if one.given is not None]
            beside = torch.cat(pairs) if pairs else None
        judge = self.players[role]
        with self._context.autocast():
            raw = judge(sample, label) if beside is None else judge(sample, label, beside)
        answers = {LOGIT: raw.float()} if isinstance(raw, Tensor) else {head: one.float() for head, one in raw.items()}
        if not others:
            return [answers]
        parts = {head: one.split([len(each.sample) for each in shown]) for head, one in answers.items()}
        return [{head: part[number] for head, part in parts.items()} for number in range(len(shown))]

    def _observe(self, logits: Tensor, augment: bool) -> None:
        """Tell the augmentations what D said of real samples that it learns from."""
        for augmentation in self._context.augmentations if augment else ():
            augmentation.processes = self._context.processes
            augmentation.parts = self._share.count // self._context.processes
            augmentation.observe(logits)
            for name, value in augmentation.values().items():
                self.log(name, value)

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
                asked.judge,
                asked.sample.detach(),
                answers[LOGIT].detach(),
                self._is_real(asked.sample),
                next((maker for maker, fake in self._fakes.items() if asked.sample is fake), None),
            )
            for asked, answers in self._asked_of.values()
        ]

    def counterpart(self, role: str) -> Tensor | None:
        """Real samples of what the generator in `role` makes, as far as the turn has them; asking here draws none.

        Where the augmentations have made them other ones, as for a growing generator, these.
        """
        place = self._context.roles[role].target
        maker = latent_role(place)
        if maker is not None:
            return self._sources.get(maker)
        if self._batch is None or isinstance(place, Sample):
            return None
        name = self._context.spec.field(place)
        return self._real.get(name, self._batch.fields[name])

    def autocast(self) -> AbstractContextManager[object]:
        """The precision that players compute in, for a penalty that runs one itself."""
        return self._context.autocast()

    def log(self, name: str, value: Tensor) -> None:
        """Keep a scalar for the next row of `metrics.jsonl`, which gets the mean. Never synchronises."""
        # buffers and parameters may have changed by the time that it is added up
        self._context.log(name, value.detach() if value.grad_fn and value._base is None else value.clone())

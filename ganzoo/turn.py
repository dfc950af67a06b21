"""What a loss sees of one update: the players, a batch, and what they make of each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from .interfaces import Batch, Role
from .specs import DataSpec


class Turn:
    """One update of one phase.

    players: networks by role.  learners: the roles that learn in this phase.
    size: samples in a batch.  device: where they live.
    """

    def __init__(
        self,
        players: Mapping[str, nn.Module],
        learners: Sequence[str],
        context: TurnContext,
        draw: Callable[[], Batch],
        size: int,
    ) -> None:
        self.players = players
        self.learners = tuple(learners)
        self.size = size
        self.device = context.device
        self._context = context
        self._draw = draw
        self._fakes: dict[str, Tensor] = {}

    @property
    def batch(self) -> Batch:
        """Real samples, drawn when first asked for; only these count as images."""
        return self._draw()

    @property
    def label(self) -> Tensor:
        """(N,) int64; zeros if the data are unlabelled."""
        if self._context.spec.classes == 0:
            return torch.zeros(self.size, dtype=torch.int64, device=self.device)
        return self.batch.label

    @property
    def real(self) -> Tensor:
        """Real samples of the only field."""
        (sample,) = self.batch.fields.values()
        return sample

    def field(self, name: str) -> Tensor:
        """Real samples of the named field, or of the only one for ANY_FIELD."""
        return self.batch.fields[self._context.spec.field(name)]

    def fake(self, role: str = "G") -> Tensor:
        """Samples by the generator in `role`, made once a turn; detached unless it learns in this phase."""
        if role not in self._fakes:
            source = self._context.roles[role].source
            self._fakes[role] = self.generate(role, None if source is None else self.field(source))
        return self._fakes[role]

    def generate(self, role: str, source: Tensor | None = None, label: Tensor | None = None) -> Tensor:
        """Run the generator in `role` on `source`, by default on fresh latents."""
        player = self.players[role]
        label = self.label if label is None else label
        with torch.set_grad_enabled(role in self.learners and torch.is_grad_enabled()):
            if source is None:
                source = self.latent(role)
            with self._context.autocast():
                sample: Tensor = player(source, label)
            return sample.float()

    def latent(self, role: str = "G") -> Tensor:
        """A batch of fresh latents for the generator in `role`."""
        latent: Tensor = self.players[role].sample_latent(self.size, self.device)  # type: ignore[operator]
        return latent

    def logits(self, sample: Tensor, role: str = "D", label: Tensor | None = None) -> Tensor:
        """Raw float32 logits of the discriminator in `role`, which sees `sample` through the augmentations."""
        for augmentation in self._context.augmentations:
            sample = augmentation(sample)
        with self._context.autocast():
            logits: Tensor = self.players[role](sample, self.label if label is None else label)
        return logits.float()

    def log(self, name: str, value: Tensor) -> None:
        """Keep a scalar for the next row of `metrics.jsonl`, which gets the mean. Never synchronises."""
        self._context.log(name, value.detach())


class TurnContext:
    """What stays the same from turn to turn."""

    def __init__(
        self,
        spec: DataSpec,
        roles: Mapping[str, Role],
        augmentations: Sequence[nn.Module],
        device: torch.device,
        autocast: Callable[[], AbstractContextManager[object]],
        log: Callable[[str, Tensor], None],
    ) -> None:
        self.spec = spec
        self.roles = roles
        self.augmentations = augmentations
        self.device = device
        self.autocast = autocast
        self.log = log

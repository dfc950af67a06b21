"""What stays the same from turn to turn, and the time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from ..augmentation import Augmentation
from ..networks import Role, latent_role
from ..specs import DataSpec


class TurnContext:
    """What stays the same from turn to turn, and the time, which `tell` sets between iterations.

    shared_draws: within it, torch draws what all processes draw alike.  total: images of the run.
    processes: that train together.
    uniform_labels: generated samples get labels of their own instead of those of real ones.
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
        processes: int = 1,
        uniform_labels: bool = False,
    ) -> None:
        self.spec = spec
        self.uniform_labels = uniform_labels
        self.roles = roles
        self.augmentations = augmentations
        self.device = device
        self.autocast = autocast
        self.log = log
        self.shared_draws = shared_draws
        self.processes = processes
        self._no_labels: dict[int, Tensor] = {}
        judged = [role.target for role in roles.values() if role.kind == "discriminator"]
        self._judged = {spec.field(one) for one in judged if isinstance(one, str) and latent_role(one) is None}
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

"""A trained generator that can be sampled, shown and shared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from . import pictures
from .config import Config
from .errors import ModelError
from .sampling import draw_latents, generate, quietly

if TYPE_CHECKING:
    from PIL import Image

    from .publish import Publication


class Model:
    """A trained generator that can be sampled.

    generator: the network, in evaluation mode.  config: what it is and how it was made.  target: the `Sample` it makes.
    folder: the model folder that it was loaded from.
    """

    def __init__(self, generator: nn.Module, config: Config, folder: Path) -> None:
        self.generator = generator
        self.config = config
        self.target = config.target.sample()
        self.folder = folder

    def sample(
        self,
        n: int,
        seed: int | None = None,
        label: int | str | Sequence[int] | None = None,
        truncation: float | None = None,
    ) -> Tensor:
        """Draw n samples.

        seed: makes the draw repeatable.  label: a class number or name, or one number a sample; by default each
        class in turn.  truncation: 1 leaves latents as they are, less trades variety for fidelity.
        Returns float32 (n, *target.shape) on the CPU, in the target's range. Raises `ModelError`.
        """
        if n < 1:
            raise ModelError(f"cannot draw {n} samples: ask for at least 1")
        labels = self._labels(n, label)
        with quietly(self.generator, seed):
            return generate(self.generator, self._latents(n, truncation), labels)

    def interpolate(
        self, n: int = 8, steps: int = 16, seed: int | None = None, label: int | str | Sequence[int] | None = None
    ) -> Tensor:
        """Walk through n latents and back to the first, `steps` samples from each to the next, along great circles.

        Returns float32 (n * steps, *target.shape), as `sample` does.
        """
        with quietly(self.generator, seed):
            corners = self._latents(n, None)
            pairs = zip(corners, corners.roll(-1, 0), strict=True)
            walk = torch.stack([slerp(a, b, step / steps) for a, b in pairs for step in range(steps)])
            if label is None and getattr(self.generator, "conditional", False):
                label = 0
            return generate(self.generator, walk, self._labels(len(walk), label))

    def images(self, n: int, **options: Any) -> list[Image.Image]:
        """Draw n pictures; the options are those of `sample`. Raises `ModelError` if samples are no pictures."""
        if not self.target.is_image:
            raise ModelError(f"this model makes values of shape {self.target.shape}, not pictures: use sample()")
        return pictures.to_images(self.sample(n, **options), self.target)

    def push(self, repo_id: str, token: str | None = None, **options: Any) -> Publication:
        """Publish the model's folder as "user/name" on the Hugging Face Hub.

        options: the fields of `publish.PushOptions`. Returns the commit that holds it. Raises `HubError`.
        """
        from .publish import PushOptions, push

        return push(self.folder, repo_id, PushOptions(**options), token)

    def _latents(self, n: int, truncation: float | None) -> Tensor:
        if self.config.source is not None:
            raise ModelError("this model translates samples: it has no latents to draw")
        latents = draw_latents(self.generator, n)
        if truncation is None:
            return latents
        truncated: Tensor = self.generator.truncate(latents, truncation)  # type: ignore[operator]
        return truncated

    def _labels(self, n: int, label: int | str | Sequence[int] | None) -> Tensor:
        classes, names = self.config.classes, self.config.class_names
        conditional = getattr(self.generator, "conditional", False)
        if label is not None and not conditional:
            raise ModelError("this model was trained without labels: leave the label out")
        if label is None:
            return torch.arange(n) % (classes if conditional else 1)
        if isinstance(label, str) and label in names:
            label = names.index(label)
        try:
            labels = torch.as_tensor([int(label)] * n if isinstance(label, int | str) else list(label))
        except ValueError:
            labels = torch.tensor([-1])
        if len(labels) != n or labels.min() < 0 or labels.max() >= classes:
            raise ModelError(
                f"label {label} is none of the {classes} classes: {', '.join(names) or f'0-{classes - 1}'}"
            )
        return labels


def slerp(a: Tensor, b: Tensor, share: float) -> Tensor:
    """The point at `share` of the great circle from a to b; a straight line where they are parallel or 1-D."""
    norms = (a.norm() * b.norm()).clamp_min(1e-12)
    angle = torch.acos(((a * b).sum() / norms).clamp(-1, 1))
    if a.numel() < 3 or angle.sin() < 1e-4:
        return a + (b - a) * share
    return (torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b) / angle.sin()

"""What happens to samples on their way to D.

Shapes: N batch; a sample's own shape comes from its `Sample`.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from ..public import public


@public
class Augmentation(nn.Module):
    """Changes every sample that D sees, real or generated, differentiably. Built as `(target, **options)`."""

    processes: int = 1
    """How many train together; each observes its own share of a batch alone. Set before each `observe`."""
    parts: int = 1
    """How many parts a process's share is computed in; each is observed by itself. Set before each `observe`."""

    def forward(self, sample: Tensor) -> Tensor:
        """sample: (N, *target.shape). Returns the same shape and range."""
        raise NotImplementedError

    def real(self, sample: Tensor) -> Tensor:
        """What is done to real samples alone, before everything else: a loss gets them so. By default nothing.

        sample: (N, *target.shape). Returns the same shape and range. Cross-fading of growing players is such a change.
        """
        return sample

    def together(self, sample: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
        """The same for a sample that D sees beside a picture of the same sides, so that what moves moves in both.

        sample: (N, C, H, W).  given: (N, C', H, W), of any range. By default the sample alone is changed: override
        where pixels move, are turned or blanked. What D is given otherwise, such as latents, never comes here.
        """
        return self(sample), given

    def observe(self, logits: Tensor) -> None:
        """Called with D's raw logits, detached, each time D learns from a batch of real samples; for controllers.

        Must not synchronise: keep what is learned in buffers, which are saved in checkpoints, and of which those that
        hold floats are averaged over processes after each update. What is counted here is counted `processes` times.
        """

    def values(self) -> Mapping[str, Tensor]:
        """Scalars to log after each `observe`, by name."""
        return {}

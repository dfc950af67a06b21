"""What turns pictures into features for metrics."""

from __future__ import annotations

from torch import Tensor, nn

from ..public import public


@public
class FeatureExtractor(nn.Module):
    """Turns pictures into features, for metrics that compare sets of pictures. Built as `(**options)`.

    Used frozen and in evaluation mode; each picture's features depend on that picture alone.
    """

    dimensions: int
    """F, the number of features; set it in the constructor."""

    differentiable: bool = False
    """True if it also takes float32 pictures with values in [0, 255], through which gradients reach what made them.

    Losses and penalties build such extractors with `ganzoo.build` and feed them `Sample.pixels`."""

    def forward(self, image: Tensor) -> Tensor:
        """image: uint8 (N, 3, H, W) of any size; gray pictures come with three equal channels.

        Resizing and normalising are part of the extractor, because they change the features. Returns float32 (N, F).
        """
        raise NotImplementedError

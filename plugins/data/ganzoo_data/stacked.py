"""Stacked MNIST: three digits as the three colours of a picture, 1,000 combinations to count modes by.

Metz et al. 2017, "Unrolled Generative Adversarial Networks" (arXiv:1611.02163), section 3.3.1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from .idx import Mnist

COUNT = 128_000
"""Pictures; as many as it has become the custom to draw of a generator for counting its modes."""


class StackedMnist(Mnist):
    """128,000 pictures of three random digits of MNIST, 28x28, in red, green and blue; the class is their number.

    Which digits meet is drawn once and is always the same.
    split: train or test digits.  root: folder of MNIST's files.  Other options: `View`.
    """

    hub_name = None
    shape = (3, 28, 28)
    names = tuple(f"{number:03}" for number in range(1000))

    def __init__(
        self,
        split: Literal["train", "test"] = "train",
        root: str | None = None,
        size: int | str | None = None,
        gray: bool | None = None,
        flip: bool = False,
        classes: list[int] | list[str] | None = None,
        limit: int | None = None,
    ) -> None:
        super().__init__(split, root, size, gray, flip, classes, limit)

    def read(self, files: list[Path]) -> tuple[Tensor, Tensor]:
        digits, labels = super().read(files)
        rows_N3 = torch.randint(len(digits), (COUNT, 3), generator=torch.Generator().manual_seed(0))
        number = (labels[rows_N3] * torch.tensor([100, 10, 1])).sum(dim=1)
        return digits[rows_N3, :, :, 0].permute(0, 2, 3, 1).contiguous(), number

"""A tenth of Fashion-MNIST inside the package, so that everything can be tried offline."""

from __future__ import annotations

from importlib import resources

import numpy as np
import torch

import ganzoo

from .idx import FashionMnist
from .view import View


class FashionMini(ganzoo.Dataset):
    """10,000 training pictures of Fashion-MNIST, 1,000 of each class, 28x28 gray. Options: `View`."""

    licence = "MIT"
    part_of = "fashion-mnist"

    def __init__(
        self,
        size: int | str | None = None,
        gray: bool | None = None,
        flip: bool = False,
        classes: list[int] | list[str] | None = None,
        limit: int | None = None,
    ) -> None:
        self.view = View(size=size, gray=gray, flip=flip, classes=classes, limit=limit)
        self.class_names = tuple(FashionMnist.names[number] for number in self.view.numbers(FashionMnist.names))

        every = 1000 * len(self.class_names)
        self.count = every if limit is None else min(limit, every)

    @property
    def spec(self) -> ganzoo.DataSpec:
        return self.view.spec(FashionMnist.shape, FashionMnist.names)

    def load(self) -> ganzoo.Table:
        with resources.files(__package__).joinpath("fashion_mini.npz").open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            images, labels = torch.from_numpy(arrays["images"]), torch.from_numpy(arrays["labels"])
        return self.view.table(images.unsqueeze(-1), labels.long(), FashionMnist.names)

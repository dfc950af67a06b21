"""Pictures for the plain loops: through PIL and a DataLoader as tutorials read them, or gathered from one tensor.

Shapes: N pictures, H height, W width, C channels, B batch.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms


class Endless(Dataset[tuple[Tensor, int]]):
    """Pictures as torchvision's MNIST hands them out: a row of a tensor made a PIL image, transformed; and its label.

    images_NHWC: uint8.  length: of an epoch, through which the pictures are repeated.  resize: side, or None.
    """

    def __init__(self, images_NHWC: Tensor, length: int, resize: int | None = None) -> None:
        self._images, self._length = images_NHWC, length
        self._labels = torch.zeros(len(images_NHWC), dtype=torch.int64)
        channels = images_NHWC.shape[-1]
        steps = [transforms.Resize(resize)] if resize else []
        normalise = transforms.Normalize([0.5] * channels, [0.5] * channels)
        self._transform = transforms.Compose([*steps, transforms.ToTensor(), normalise])

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        row = index % len(self._images)
        picture, label = self._images[row].numpy(), int(self._labels[row])
        return self._transform(Image.fromarray(picture.squeeze(-1) if picture.shape[-1] == 1 else picture)), label


def endless_batches(pictures: Endless, batch: int, workers: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Shuffled epochs of a DataLoader, one after the other: float32 (B, C, H, W) in [-1, 1], and labels."""
    loader = DataLoader(pictures, batch_size=batch, shuffle=True, num_workers=workers, drop_last=True)
    while True:
        yield from loader


def gathered(images_NHWC: Tensor, batch: int) -> Iterator[Tensor]:
    """Shuffled epochs by index: float32 (B, C, H, W) in [-1, 1], in channels-last memory."""
    while True:
        order = torch.randperm(len(images_NHWC), device=images_NHWC.device)
        for index in order[: len(order) // batch * batch].view(-1, batch):
            yield images_NHWC.index_select(0, index).permute(0, 3, 1, 2).float().mul_(2 / 255).sub_(1)

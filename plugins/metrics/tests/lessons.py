"""Labelled pictures that are easily told apart."""

from __future__ import annotations

from types import SimpleNamespace

import torch


def bright_and_dark(side: int = 12, count: int = 256) -> SimpleNamespace:
    """Class 1 has a bright left half, class 0 a bright right half, under noise."""
    generator = torch.Generator().manual_seed(0)

    def draw(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        label = torch.randint(2, (n,), generator=generator)
        image = torch.randint(0, 100, (n, 3, side, side), generator=generator)
        left = (torch.arange(side) < side // 2).expand(n, 1, side, side)
        image = image + 150 * torch.where(label.bool().view(-1, 1, 1, 1), left, ~left)
        return image.to(torch.uint8), label

    image, label = draw(count)
    test_image, test_label = draw(count // 2)
    return SimpleNamespace(
        image=image, label=label, test_image=test_image, test_label=test_label, classes=2, source="bright and dark"
    )

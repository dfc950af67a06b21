"""The history of generated pictures that CycleGAN's discriminators learn from.

Shrivastava et al. 2017, "Learning from Simulated and Unsupervised Images through Adversarial Training"
(arXiv:1612.07828), section 2.3, in the form of Zhu et al. 2017 (arXiv:1703.10593), section 4: D sees the last 50
generated pictures mixed with new ones, so that it does not forget what G used to make.

Shapes: N batch; a sample's own shape comes from its field.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class HistoryPool(nn.Module):
    """Keeps generated samples and hands out old ones in the place of new ones.

    capacity: how many are kept; 0 hands out every sample as it comes.
    Saved in checkpoints as extra state, since the samples' shape is not known before the first. What it hands out is
    decided in Python, so it cannot be part of a recorded update.
    """

    capturable = False

    def __init__(self, capacity: int) -> None:
        super().__init__()
        if capacity < 0:
            raise ValueError(f"the history holds 0 samples or more, not {capacity}")
        self.capacity = capacity
        self._samples: list[Tensor] = []

    def __len__(self) -> int:
        return len(self._samples)

    @torch.no_grad()
    def forward(self, fake: Tensor) -> Tensor:
        """fake: new samples (N, *shape). Returns as many for D to judge, detached, on the same device.

        Until the pool is full each sample is kept and handed out. From then on, with probability 1/2 each, a random
        old one is handed out and replaced by the new one, or else the new one is handed out and not kept. The choices
        come from torch's global generator on the CPU.
        """
        if self.capacity == 0:
            return fake.detach()
        # a layout of its own: convolutions may round differently by layout, and a checkpoint keeps the values alone
        return torch.stack([self._exchange(one.clone(memory_format=torch.contiguous_format)) for one in fake.detach()])

    def _exchange(self, new: Tensor) -> Tensor:
        if len(self._samples) < self.capacity:
            self._samples.append(new)
            return new
        if torch.rand(()).item() < 0.5:
            return new
        place = int(torch.randint(self.capacity, ()).item())
        old, self._samples[place] = self._samples[place], new
        return old.to(new.device)

    def get_extra_state(self) -> dict[str, Any]:
        """The samples kept, for a checkpoint."""
        return {"samples": list(self._samples)}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Take back what `get_extra_state` gave; samples move to the device of the next ones when they are used."""
        self._samples = list(state["samples"])

"""What a run logs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class Meter:
    """Running means of logged scalars, kept on the device until somebody reads them."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._new: dict[str, Tensor] = {}
        self.counts: Counter[str] = Counter()

    def add(self, name: str, value: Tensor) -> None:
        if name in self._new:
            self.settle()
        self._new[name] = value.detach() if value.dim() == 0 else value.detach().reshape(())
        self.counts[name] += 1

    def count(self, logged: Mapping[str, int]) -> None:
        """What something else has added to the sums, and how often."""
        for name, times in logged.items():
            self.counts[name] += times

    @property
    def sums(self) -> list[Tensor]:
        """The sums' own memory."""
        return list(self._sums.values())

    def drop(self) -> None:
        """Forget what was added since the last `settle`; its counts are the caller's."""
        self._new.clear()

    def take(self) -> dict[str, Tensor]:
        """What was added since the last `settle`, for somebody else to add up; it is counted."""
        taken = dict(self._new)
        self._new.clear()
        return taken

    def keep_in(self, sums: Mapping[str, Tensor]) -> None:
        """Keep the sums of these names in memory of the caller's, which holds what they are so far."""
        self.settle()
        self._sums.update(sums)

    def sum_of(self, name: str) -> float:
        """The sum so far; 0 for what was never added."""
        return self._sums[name].item() if name in self._sums else 0.0

    def settle(self) -> None:
        """Add what is new to the sums, all in one operation."""
        for name, value in self._new.items():
            if name not in self._sums:
                self._sums[name] = torch.zeros((), device=value.device)
        if self._new:
            torch._foreach_add_([self._sums[name] for name in self._new], list(self._new.values()))
            self._new.clear()

    def means(self) -> dict[str, float]:
        """Read all means at once; the only place where logging waits for the device."""
        self.settle()
        if not self.counts:
            return {}
        values = torch.stack([self._sums[name] for name in self.counts]).tolist()
        return {name: value / count for (name, count), value in zip(self.counts.items(), values, strict=True)}

    def clear(self) -> None:
        """Begin anew, in the same memory: recorded updates add to it."""
        self._new.clear()
        if self._sums:
            torch._foreach_zero_(list(self._sums.values()))
        self.counts.clear()

    def state_dict(self) -> dict[str, Any]:
        self.settle()
        return {"sums": {name: self._sums[name] for name in self.counts}, "counts": dict(self.counts)}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        self._new.clear()
        self._sums = {name: total.to(device) for name, total in state["sums"].items()}
        self.counts = Counter(state["counts"])

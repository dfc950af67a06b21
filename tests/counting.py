"""Which operations reach torch's kernels."""

from __future__ import annotations

from collections import Counter

from torch.utils._python_dispatch import TorchDispatchMode


class Operations(TorchDispatchMode):
    """counts: of all operations that are made within, by name, as "aten::clone"."""

    def __init__(self) -> None:
        super().__init__()
        self.counts = Counter[str]()

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        self.counts[operation._schema.name] += 1
        return operation(*arguments, **(options or {}))

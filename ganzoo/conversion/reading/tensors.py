"""PyTorch's tensors as NumPy arrays, from their storages and what a pickle says of their place in them.

No torch here. bfloat16, which NumPy does not know, becomes float32 of the same values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import printable
from .arrays import view
from .machine import Rebuild
from .parts import Budget, Reference, Refused, Stub, exactly, shown, wholes

TYPES: Mapping[str, str] = {
    "torch.DoubleStorage": "f8", "torch.FloatStorage": "f4", "torch.HalfStorage": "f2", "torch.BFloat16Storage": "u2",
    "torch.LongStorage": "i8", "torch.IntStorage": "i4", "torch.ShortStorage": "i2", "torch.CharStorage": "i1",
    "torch.ByteStorage": "u1", "torch.BoolStorage": "b1",
}  # fmt: skip
"""NumPy's type of each storage's numbers; of bfloat16 their bits."""

_BRAIN_FLOAT = "torch.BFloat16Storage"
_DTYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")

CLASSES = frozenset({f"torch.{name}" for name in (*_DTYPES, "device", "strided", "contiguous_format", "Tensor")}) | {
    *TYPES,
    "torch.storage.UntypedStorage",
    "torch.nn.parameter.Parameter",
    "torch.nn.modules.",
    "torch.optim.",
    "torch.torch_version.TorchVersion",
}
"""Names that stand beside tensors; objects of such classes become stubs."""


@dataclass(frozen=True)
class Storage:
    """Numbers in a row. values: (N,), read-only, those of bfloat16 as float32."""

    values: np.ndarray


def itemsize(kind: Any) -> int:
    """Bytes of one number of a storage of that class, else `Refused`."""
    if not isinstance(kind, Reference) or kind.name not in TYPES:
        raise Refused(f"it has a storage of type {shown(kind)}: plain numbers are read")
    return np.dtype(TYPES[kind.name]).itemsize


def storage(kind: Reference, data: memoryview, budget: Budget, big_endian: bool = False) -> Storage:
    """A storage that looks at its bytes, of which there must be a whole number of items."""
    size = itemsize(kind)
    if len(data) % size:
        raise Refused(f"a storage of {len(data)} bytes holds no whole number of {printable(kind.name)}'s items")
    dtype = np.dtype(f"{'>' if big_endian else '<'}{TYPES[kind.name]}")
    values = view(data, dtype, (len(data) // size,), "C", budget)
    if kind.name == _BRAIN_FLOAT:
        budget.copy(2 * len(data))
        values = (values.astype(np.uint32) << 16).view(np.float32)
        values.flags.writeable = False
    return Storage(values)


def tensor(arguments: tuple[Any, ...], _: Budget) -> np.ndarray:
    """A tensor as a view of its storage. One that reads beyond it, or has more values than it, is refused."""
    exactly(arguments, (4, 5, 6, 7), "torch's _rebuild_tensor")
    held, offset, size, stride = arguments[:4]
    if not isinstance(held, Storage):
        raise Refused(f"a tensor's storage is {shown(held)}")
    shape, steps = wholes(size, "a tensor's size"), wholes(stride, "a tensor's stride")
    (start,) = wholes((offset,), "a tensor's offset")
    if len(shape) != len(steps):
        raise Refused(f"a tensor has {len(shape)} axes and {len(steps)} strides")
    values, count = held.values, math.prod(shape)
    last = start + sum((length - 1) * step for length, step in zip(shape, steps, strict=True))
    if count == 0:
        return np.zeros([min(one, 2**20) for one in shape], values.dtype)
    if count > len(values) or last >= len(values):
        raise Refused(f"a tensor of size {shape} reads beyond its storage of {len(values)} values")
    width = values.itemsize
    return np.lib.stride_tricks.as_strided(
        values[start:], shape, tuple(step * width for step in steps), writeable=False
    )


def _parameter(arguments: tuple[Any, ...], _: Budget) -> Any:
    value = exactly(arguments, (1, 2, 3, 4), "torch's _rebuild_parameter")[0]
    if not isinstance(value, np.ndarray):
        raise Refused(f"a parameter holds {shown(value)}")
    return value


def _size(arguments: tuple[Any, ...], _: Budget) -> tuple[int, ...]:
    return wholes(exactly(arguments, 1, "torch.Size")[0], "a torch.Size")


def _device(arguments: tuple[Any, ...], _: Budget) -> Stub:
    return Stub("torch.device", arguments)


def rebuild(nested: Callable[[bytes, Budget], Any]) -> Mapping[str, Rebuild]:
    """What tensors are made by. nested: reads the file of a storage that stands within a pickle."""

    def from_bytes(arguments: tuple[Any, ...], budget: Budget) -> Storage:
        (data,) = exactly(arguments, 1, "torch's _load_from_bytes")
        found = nested(data, budget) if isinstance(data, bytes) else None
        if not isinstance(found, Storage):
            raise Refused(f"a storage within it is {shown(data if found is None else found)}")
        return found

    return {
        "torch._utils._rebuild_tensor": tensor,
        "torch._utils._rebuild_tensor_v2": tensor,
        "torch._utils._rebuild_parameter": _parameter,
        "torch._utils._rebuild_parameter_with_state": _parameter,
        "torch.storage._load_from_bytes": from_bytes,
        "torch.Size": _size,
        "torch.device": _device,
    }

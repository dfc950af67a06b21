"""Where finite samples stay while they are trained on: whole on the training device, or read batch by batch.

This is the one place that decides, and what a run learns does not depend on what it decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from ..compute import memory
from ..contract import Stream, Table
from ..errors import DataError

RESIDENT_SHARE = 0.5
"""Of the free memory of the training device: what samples may take of it unless a recipe says otherwise."""
_CPU = torch.device("cpu")
_UNKNOWN = 4_000_000_000
"""Bytes that are taken to be free where nobody says."""


@runtime_checkable
class Decodable(Protocol):
    """What reads a `Stream` if it can also give all of its samples at once, the same as one by one."""

    nbytes: int
    """Of all samples together."""

    def everything(self) -> Mapping[str, Tensor]:
        """uint8 or uint16 (N, H, W, C) pictures or float32 (N, *shape) values a field, N being the stream's `count`."""
        ...


@runtime_checkable
class Mappable(Decodable, Protocol):
    """Decodable samples that may lie on the disk once they are decoded."""

    mapped: bool
    """True if `everything` maps them from there, so that they need no memory of the computer's."""


@dataclass(frozen=True)
class TableRows:
    """Reads a table as a stream."""

    fields: Mapping[str, Tensor]

    def __call__(self, index: int) -> Mapping[str, Tensor]:
        return {name: tensor[index] for name, tensor in self.fields.items()}


def settle(
    samples: Table | Stream, device: torch.device, share: float = RESIDENT_SHARE, processes: int = 1
) -> Table | Stream:
    """The same samples as a table if they are to be resident on the device, as a stream if not.

    share: of the device's free memory that samples may take, and of the computer's, through which they get there.
    processes: that train together, on the CPU in the same memory. A table is in the memory of the CPU already, so
    that there it stays one unless share is 0. Raises `DataError` if the fields of a table have different numbers of
    samples.
    """
    room = share * free_memory(device) / (processes if device.type == "cpu" else 1)
    if isinstance(samples, Table):
        count = _count(samples)
        held = device.type == "cpu" and share > 0
        if held or sum(tensor.nbytes for tensor in samples.fields.values()) <= room:
            return samples
        return Stream(count, TableRows(samples.fields), samples.labels, samples.flip, samples.crop)
    read = samples.read
    if isinstance(read, Decodable) and read.nbytes <= room and _gets_there(read, device, share, processes):
        return Table(read.everything(), samples.labels, samples.flip, samples.crop)
    return samples


def _gets_there(read: Decodable, device: torch.device, share: float, processes: int) -> bool:
    """True if decoded samples have room in the computer's memory on their way to the device, or need none."""
    if device.type == "cpu" or read.nbytes <= share * free_memory(_CPU) / processes:
        return True
    return isinstance(read, Mappable) and read.mapped


def _count(table: Table) -> int:
    counts = {name: len(tensor) for name, tensor in table.fields.items()}
    if len(set(counts.values())) != 1:
        raise DataError(f"the fields have different numbers of samples: {counts}")
    return next(iter(counts.values()))


def free_memory(device: torch.device) -> int:
    """Bytes that can still be taken on a device: as `memory.room`, and Apple's own word for an Apple GPU."""
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory()) - int(torch.mps.driver_allocated_memory())
    found = memory.room(device)
    return _UNKNOWN if found is None else found.free

"""Real samples: what a data set offers, and the forms in which they come.

Shapes: N samples, C channels, H height, W width, D values.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from ..public import public
from .specs import DataSpec


@public
@dataclass(frozen=True)
class Table:
    """Finite samples that fit into memory.

    fields: uint8 or uint16 (N, H, W, C) pictures, or float32 (N, *shape) values.  labels: (N,) int64 or None.
    flip: mirror each picture left-right with probability 1/2, anew each time it is drawn.
    crop: cut a random window of the spec's size out of larger pictures, anew each time.
    """

    fields: Mapping[str, Tensor]
    labels: Tensor | None = None
    flip: bool = False
    crop: bool = False


@public
@dataclass(frozen=True)
class Drawn:
    """An endless distribution. draw(n, generator) returns float32 (n, *shape) a field and (n,) int64 labels or None."""

    draw: Callable[[int, torch.Generator], tuple[Mapping[str, Tensor], Tensor | None]]


@public
@dataclass(frozen=True)
class Stream:
    """Finite samples read one by one, for sets larger than memory.

    read(index) returns a uint8 or uint16 (H, W, C) picture or float32 value a field; it runs in worker processes.
    """

    count: int
    read: Callable[[int], Mapping[str, Tensor]]
    labels: Tensor | None = None
    flip: bool = False
    crop: bool = False


@public
@dataclass(frozen=True)
class Unpaired:
    """Fields drawn independently of each other. parts: by field; each holds that one field, its labels are unread."""

    parts: Mapping[str, Table | Stream]


@public
@dataclass(frozen=True)
class Survey:
    """What the picture files of a data set are, each looked at whole.

    sizes: how many have which height and width.  kinds: how many are stored how, as "colour with alpha".
    broken: why each file that cannot be read cannot, by its name.
    """

    sizes: Mapping[tuple[int, int], int]
    kinds: Mapping[str, int]
    broken: Mapping[str, str]


@public
class Dataset(ABC):
    """Real samples. The constructor takes options and reads names and headers at most; `load` reads the data.

    Raise `DataError` for files that are missing or damaged.
    """

    class_names: Sequence[str] = ()
    licence: str | None = None
    count: float | None = None
    """Samples, if that is known before they are read; infinite for a distribution."""
    part_of: str | None = None
    """The data set that these are a selection of, whose learned features suit them too."""
    hub_name: str | None = None
    """Of published data, their name on the Hugging Face Hub, under which results are stated there."""

    @property
    @abstractmethod
    def spec(self) -> DataSpec: ...

    @abstractmethod
    def load(self) -> Table | Drawn | Stream | Unpaired: ...

    def survey(self) -> Survey | None:
        """Look at every picture file, for `ganzoo data`; None for data that are no picture files."""
        return None


@public
@runtime_checkable
class Density(Protocol):
    """A data set whose probability density is known; previews draw it."""

    def density(self, value: Tensor) -> Tensor:
        """value: (N, D). Returns (N,)."""
        ...


@public
@dataclass(frozen=True)
class Batch:
    """Real samples on the training device. fields: float32 (N, *shape) each; label: (N,) int64."""

    fields: Mapping[str, Tensor]
    label: Tensor = field(repr=False)

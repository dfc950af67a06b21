"""A pack: encoded pictures, their labels and class names in one .zip, to be read in any order by several processes."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .files import damage_of, shown
from .sources import Source, ZipSource

_ABOUT, _LABELS = "about.json", "labels.npy"


class Pack(ZipSource):
    """A pack that `write_pack` wrote. Raises `DataError` if it is damaged."""

    def names(self) -> list[str]:
        """The pictures, in the order in which they were written."""
        return sorted(name for name in super().names() if name not in (_ABOUT, _LABELS))

    @cached_property
    def _about(self) -> dict[str, Any]:
        with damage_of(self.path):
            about: dict[str, Any] = json.loads(self.read(_ABOUT))
            return about

    @property
    def classes(self) -> list[str]:
        """Names of the classes."""
        return [shown(name) for name in self._about["classes"]]

    @property
    def licence(self) -> str | None:
        """As the data set's publisher states it."""
        return self._about["licence"]  # type: ignore[no-any-return]

    @property
    def labels(self) -> Tensor:
        """(N,) int64, zeros without classes."""
        with damage_of(self.path):
            return torch.from_numpy(np.load(io.BytesIO(self.read(_LABELS)), allow_pickle=False))


class Rows(Source):
    """A few encoded pictures in memory. path: where they come from, for messages."""

    def __init__(self, path: Path, pictures: dict[str, bytes]) -> None:
        super().__init__(path)
        self._pictures = pictures

    def names(self) -> list[str]:
        return list(self._pictures)

    def read(self, name: str) -> bytes:
        return self._pictures[name]


def write_pack(path: Path, rows: Iterable[tuple[bytes, int]], classes: Sequence[str], licence: str | None) -> None:
    """Write pictures as they come, with their class numbers, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    labels = []
    try:
        with zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as file:
            for number, (data, label) in enumerate(rows):
                file.writestr(f"{number:09d}", data)
                labels.append(label)
            buffer = io.BytesIO()
            np.save(buffer, np.array(labels, dtype=np.int64))
            file.writestr(_LABELS, buffer.getvalue())
            file.writestr(_ABOUT, json.dumps({"classes": list(classes), "licence": licence}))
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)

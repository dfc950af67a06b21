"""Parquet files of pictures as the Hub's data sets have them: which hold a split, which columns, and their rows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ganzoo

from .files import last_line, shown

_BATCH_ROWS = 128


@dataclass(frozen=True)
class Columns:
    """image: the column of pictures.  label: that of class numbers, or None.  classes: their names."""

    image: str
    label: str | None
    classes: tuple[str, ...]


def shards_of(files: Iterable[str], split: str) -> list[str]:
    """The parquet files of a split, in order: data/train-00000-of-00002.parquet, train/0000.parquet and the like.

    Of several configurations, which lie in folders of their own, the first. Raises `DataError` for an unknown split.
    """
    word = re.compile(rf"(^|[/_.-]){re.escape(split)}([/_.-]|$)")
    parquet = sorted(name for name in files if name.endswith(".parquet"))
    shards = [name for name in parquet if word.search(name.removesuffix(".parquet"))]
    if parquet and not shards:
        raise ganzoo.DataError(
            f"there is no split '{split}' among {', '.join(map(shown, parquet[:8]))}: name one with data.split"
        )
    first = min((name.rpartition("/")[0] for name in shards), default="")  # of several configurations
    return [name for name in shards if name.rpartition("/")[0] == first]


def columns_of(path: Path, image: str | None, label: str | None) -> Columns:
    """The columns to read, found by the types of features that the file states, or by how pictures are stored.

    image, label: insist on these. Raises `DataError` if there is no such column.
    """
    with _damage(path):
        schema = _parquet().ParquetFile(path).schema_arrow
        stated = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = stated.get("info", {}).get("features", {})
        types = {name: feature.get("_type") for name, feature in features.items() if isinstance(feature, dict)}
        names_of = {name: _class_names(features[name]) for name, kind in types.items() if kind == "ClassLabel"}
    pictures = [name for name in schema.names if types.get(name) == "Image" or _holds_bytes(schema.field(name).type)]
    labels = [name for name in schema.names if types.get(name) == "ClassLabel"]
    for wanted, known, what in ((image, pictures, "pictures"), (label, labels, "class labels")):
        if wanted is not None and wanted not in known:
            raise ganzoo.DataError(
                f"{shown(path.name)} has no column '{wanted}' of {what}: {what} are in "
                f"{', '.join(map(shown, known)) or 'no column'}"
            )
    if not pictures:
        columns = ", ".join(map(shown, schema.names))
        raise ganzoo.DataError(f"{shown(path.name)} has no column of pictures: its columns are {columns}")
    chosen = label or (labels[0] if labels else None)
    classes = names_of[chosen] if chosen else ()
    return Columns(image or pictures[0], chosen if classes else None, classes)


def rows(path: Path, columns: Columns) -> Iterator[tuple[bytes, int]]:
    """Each row's picture, encoded as it is stored, and its class number, 0 without labels; few are held at once.

    Rows without a picture or with an unknown class (-1 marks those of a hidden test set) are left out.
    """
    wanted = [columns.image, *([columns.label] if columns.label else [])]
    with _damage(path):
        batches = _parquet().ParquetFile(path).iter_batches(_BATCH_ROWS, columns=wanted)
    while True:
        with _damage(path):
            found = _pictures(next(batches, None), columns)
        if found is None:
            return
        yield from found


def _pictures(batch: Any, columns: Columns) -> list[tuple[bytes, int]] | None:
    """The pictures and class numbers of a batch's rows; None for no batch."""
    if batch is None:
        return None
    pictures = batch.column(columns.image).to_pylist()
    labels = batch.column(columns.label).to_pylist() if columns.label else [0] * len(pictures)
    found = []
    for picture, label in zip(pictures, labels, strict=True):
        data = picture.get("bytes") if isinstance(picture, dict) else picture
        if data and label is not None and 0 <= label < max(1, len(columns.classes)):
            if not isinstance(data, bytes) or not isinstance(label, int):
                raise ValueError("a row holds no bytes of a picture, or no class number")
            found.append((data, label))
    return found


def _class_names(feature: Mapping[str, Any]) -> tuple[str, ...]:
    names = feature.get("names") or ()
    if not isinstance(names, list | tuple):
        raise ValueError("the names of its classes are no list")
    return tuple(map(shown, names))


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """pyarrow raises anything on damaged files, and what strangers state in one may have any form."""
    try:
        yield
    except ganzoo.DataError:
        raise
    except Exception as error:
        raise ganzoo.DataError(f"{shown(path)} is damaged ({last_line(error)}): delete it and get it again") from error


def _holds_bytes(kind: Any) -> bool:
    """True for the struct {bytes, path} that pictures are stored as."""
    return str(kind).startswith("struct<") and "bytes: binary" in str(kind)


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ganzoo.DataError("data of the Hub in parquet files need pyarrow: pip install pyarrow") from error
    return pyarrow.parquet

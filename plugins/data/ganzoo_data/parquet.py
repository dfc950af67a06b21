"""Parquet files of pictures as the Hub's data sets have them: which hold a split, which columns, and their rows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ganzoo

from .files import damage_of, shown

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
    with damage_of(path):
        schema = _parquet().ParquetFile(path).schema_arrow
    stated = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features = stated.get("info", {}).get("features", {})
    types = {name: feature.get("_type") for name, feature in features.items() if isinstance(feature, dict)}
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
    classes = tuple(map(shown, features[chosen].get("names", ()))) if chosen else ()
    return Columns(image or pictures[0], chosen if classes else None, classes)


def rows(path: Path, columns: Columns) -> Iterator[tuple[bytes, int]]:
    """Each row's picture, encoded as it is stored, and its class number, 0 without labels; few are held at once.

    Rows without a picture or with an unknown class (-1 marks those of a hidden test set) are left out.
    """
    wanted = [columns.image, *([columns.label] if columns.label else [])]
    with damage_of(path):
        for batch in _parquet().ParquetFile(path).iter_batches(_BATCH_ROWS, columns=wanted):
            pictures = batch.column(columns.image).to_pylist()
            labels = batch.column(columns.label).to_pylist() if columns.label else [0] * len(pictures)
            for picture, label in zip(pictures, labels, strict=True):
                data = picture.get("bytes") if isinstance(picture, dict) else picture
                if data and label is not None and 0 <= label < max(1, len(columns.classes)):
                    yield data, label


def _holds_bytes(kind: Any) -> bool:
    """True for the struct {bytes, path} that pictures are stored as."""
    return str(kind).startswith("struct<") and "bytes: binary" in str(kind)


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ganzoo.DataError(
            "data of the Hub in parquet files need pyarrow: pip install 'ganzoo[hub-data]'"
        ) from error
    return pyarrow.parquet

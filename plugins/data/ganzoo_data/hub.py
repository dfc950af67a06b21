"""Pictures from a data set on the Hugging Face Hub: parquet files, or picture files in folders or a .zip.

Parquet files are read straight, without the library `datasets`, and packed once into a .zip: rows can then be read in
any order, by several processes, and nothing larger than a few rows is ever held in memory.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Literal

from torch import Tensor

import ganzoo

from .files import data_root
from .folder import class_folders, numbered, taken
from .pack import Pack, Rows, write_pack
from .parquet import columns_of, rows, shards_of
from .pictures import Pictures
from .sources import FolderSource, Source, open_source, pictures_among
from .view import View

_LOG = logging.getLogger("ganzoo.data")
_SHOWN = 32


class Hub(ganzoo.Dataset):
    """Pictures of a data set on the Hub; a column or folders of classes are labels.

    The names of classes and the size of pictures are taken from the first file, which is downloaded for that. Without
    network, what was packed last is used.

    path: user/name or user/name@revision.  split: as the data set calls it.
    image, label: columns of a parquet file, by default the first of pictures and the first of classes.
    root: where packed data are kept, by default GANZOO_DATA or ~/.cache/ganzoo/data.
    strict: refuse a broken picture instead of skipping it.
    resident_bytes: pictures that take more than this, decoded, are read in training, unless the device has room.
    Other options: `View`.

    Raises `DataError` if there are no pictures, `HubError` if the Hub does not give them.
    """

    def __init__(
        self,
        path: str,
        split: str = "train",
        image: str | None = None,
        label: str | None = None,
        size: int | str | None = None,
        crop: bool = True,
        gray: bool | None = None,
        flip: bool = False,
        classes: list[int] | list[str] | None = None,
        limit: int | None = None,
        alpha: bool = False,
        bits: Literal[8, 16] = 8,
        root: str | None = None,
        strict: bool = False,
        resident_bytes: int = 2_000_000_000,
    ) -> None:
        self.view = View(size, crop, gray, flip, classes, limit, alpha, bits)
        self._strict, self._resident_bytes = strict, resident_bytes
        self._folder = data_root(root) / "hub"
        self._key = "--".join(_plain(word) for word in (split, image or "", label or ""))
        self._shards: list[str] = []
        try:
            self._repository = ganzoo.HubRepository(path, kind="dataset")
        except ganzoo.HubError as error:
            self._take_last_pack(path, error)
        else:
            self.licence = self._repository.licence
            self._take(path, split, image, label)
        self.class_names = tuple(self._names[number] for number in self.view.numbers(self._names))

    def _take(self, path: str, split: str, image: str | None, label: str | None) -> None:
        """Find out where the pictures are; the first parquet file tells columns and classes, unless a pack does."""
        self._shards = shards_of(self._repository.sizes, split)
        self._pack = self._folder / f"{_plain(self._repository.repo_id)}--{self._key}--{self._repository.commit}.zip"
        if self._shards and self._pack.exists():
            self._names = Pack(self._pack).classes
        elif self._shards:
            self._columns = columns_of(self._first_shard(), image, label)
            self._names = list(self._columns.classes)
        else:
            self._source, self._files, self._numbers, self._names = self._picture_files(path, split)

    def _take_last_pack(self, path: str, error: ganzoo.HubError) -> None:
        """Without network, use what was packed last."""
        packs = self._folder.glob(f"{_plain(path.partition('@')[0])}--{self._key}--*.zip")
        last = max(packs, key=lambda pack: pack.stat().st_mtime, default=None)
        if last is None:
            raise error
        _LOG.warning("%s: using %s", error, last)
        self._pack, self._shards = last, [last.name]
        self._names, self.licence = Pack(last).classes, Pack(last).licence

    def _first_shard(self) -> Path:
        return self._repository.download(self._shards[:1]) / self._shards[0]

    def _picture_files(self, path: str, split: str) -> tuple[Source, Sequence[str], Tensor | None, list[str]]:
        """Where pictures that lie singly or in a .zip are, their names, class numbers and class names."""
        every = list(self._repository.sizes)
        inside = [name for name in every if split in Path(name).with_suffix("").parts]
        names = inside or (every if split == "train" else [])
        zips = [name for name in names if name.endswith(".zip")]
        source: Source
        if zips:
            source = open_source(self._repository.download(zips[:1]) / zips[0])
            files: Sequence[str] = source.pictures()
        else:
            files = pictures_among(names)
            source = FolderSource(self._repository.download(files)) if files else FolderSource(Path())
        if not files:
            raise ganzoo.DataError(f"data set {path} has no parquet files or pictures of a split '{split}'")
        return source, files, *numbered(class_folders(files))

    @cached_property
    def spec(self) -> ganzoo.DataSpec:
        if self._shards and not self._pack.exists():
            first = self._first_shard()
            shown = {
                f"row {number}": data for number, (data, _) in enumerate(islice(rows(first, self._columns), _SHOWN))
            }
            pictures = self._pictures(Rows(first, shown), list(shown), None)
        else:
            pictures = self._chosen()
        return ganzoo.DataSpec({"image": ganzoo.Sample(pictures.shape())}, len(self.class_names))

    def load(self) -> ganzoo.Table | ganzoo.Stream:
        if self._shards and not self._pack.exists():
            folder = self._repository.download(self._shards)
            every = chain.from_iterable(rows(folder / shard, self._columns) for shard in self._shards)
            write_pack(self._pack, every, self._names, self.licence)
        return self._chosen().load()

    def _chosen(self) -> Pictures:
        """The pictures that the view chooses of all."""
        if self._shards:
            source: Source = Pack(self._pack)
            files: Sequence[str] = source.names()
            numbers: Tensor | None = source.labels
        else:
            source, files, numbers = self._source, self._files, self._numbers
        chosen, labels = self.view.rows(numbers if self._names else None, len(files), self._names)
        return self._pictures(source, taken(files, chosen), labels)

    def _pictures(self, source: Source, names: Sequence[str], labels: Tensor | None) -> Pictures:
        return Pictures(source, names, labels, self.view, self._strict, self._resident_bytes)


def _plain(word: str) -> str:
    """A part of a file's name."""
    return re.sub(r"[^\w.-]", "--", word)

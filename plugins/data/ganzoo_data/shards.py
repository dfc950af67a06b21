"""The user's own pictures in many archives, as WebDataset writes them."""

from __future__ import annotations

import glob
import logging
import os
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import torch

import ganzoo

from .cache import keep_arrays, kept_arrays
from .files import last_line, shown
from .folder import PictureFiles, class_folders, numbered
from .names import Names
from .progress import bar
from .sources import WORTH_KEEPING, Archives, index_path, is_hidden
from .view import View

_LOG = logging.getLogger("ganzoo.data")
PICTURES = ("jpg", "jpeg", "png", "webp")
"""Extensions of pictures; of several pictures of one sample the first of these counts."""
_LABEL = "cls"
_MOST_CLASSES = 1_000_000
_MOST_NAMES = 100_000
_BRACES = re.compile(r"\{([^{}]*)\}")


class Shards(PictureFiles):
    """Pictures in .tar or .zip archives: each of their files is a part of the sample that it is named after.

    A sample's key is a file's name up to the first dot, and what follows says what the file is: jpg, jpeg, png or
    webp the picture, cls its class as a whole number. Other files are left out. Without any cls, sub-folders inside
    the archives are classes by the rule of `Folder`.

    path: an archive, a folder of them, or a pattern: train-{000..099}.tar, train-*.tar.
    labels: True insists on classes, False ignores them, None takes them if there are any.
    strict: refuse a broken picture; false skips it, or puts the next of its class in its place.
    resident_bytes: as `Folder`.  Other options: `View`.

    Raises `DataError` if an archive is missing or damaged, or if there is no picture.
    """

    def __init__(
        self,
        path: str,
        size: int | str | None = None,
        crop: bool = True,
        gray: bool | None = None,
        flip: bool = False,
        classes: list[int] | list[str] | None = None,
        limit: int | None = None,
        alpha: bool = False,
        bits: Literal[8, 16] = 8,
        labels: bool | None = None,
        strict: bool = True,
        resident_bytes: int = 2_000_000_000,
    ) -> None:
        view = View(size, crop, gray, flip, classes, limit, alpha, bits)
        source = _Samples(Path(path).expanduser(), archives_of(path))
        names, numbers = source.samples(labels is not False)
        if not names:
            raise ganzoo.DataError(f"there is no picture in {path}: a file of each sample has to end in .{PICTURES[0]}")
        every, class_names = (None, []) if labels is False else source.classes(names, numbers)
        if labels and every is None:
            raise ganzoo.DataError(f"data.labels is true, but {path} has neither .{_LABEL} files nor class sub-folders")
        self._choose(source, names, every, class_names, view, strict, resident_bytes)


class _Samples(Archives):
    """Archives whose files belong together by their names."""

    def samples(self, labelled: bool) -> tuple[Names, np.ndarray]:
        """The picture of each sample, and its class, (N,) int64, or -1; found once and kept.

        labelled: False reads no classes.
        """
        path = index_path("labelled" if labelled else "samples", *self.archives)
        kept = kept_arrays(path)
        if kept is not None and np.array_equal(kept.get("stamps", ()), self.stamps):
            return Names(kept["text"], kept["ends"]), kept["labels"]
        pictures, labels = [], []
        with bar("reading classes", len(self.index.names)) as advance:
            for files in _by_key(self.index.names):
                picture = next((files[kind] for kind in PICTURES if kind in files), None)
                if picture is not None:
                    pictures.append(picture[1])
                    labels.append(self._class(*files[_LABEL]) if labelled and _LABEL in files else -1)
                advance(len(files))
        names, numbers = Names.of(pictures), np.array(labels, dtype=np.int64)
        self._tell_left_out(len(names))
        if len(names) >= WORTH_KEEPING:
            keep_arrays(path, {"text": names.text, "ends": names.ends, "labels": numbers, "stamps": self.stamps})
        return names, numbers

    def _class(self, row: int, name: str) -> int:
        try:
            text = self.read_row(row, name).strip()
        except Exception as error:  # zlib and zipfile raise anything on damaged bytes
            raise ganzoo.DataError(
                f"{self.where(name)} is broken: {last_line(error)}; get it again, or ignore classes with "
                "--set data.labels=false"
            ) from error
        if not text.isdigit() or int(text) >= _MOST_CLASSES:
            found = shown(text[:20].decode("ascii", "backslashreplace"))
            raise ganzoo.DataError(
                f"{self.where(name)} holds '{found}', which is no class: write a whole number from 0 into it, "
                "or ignore classes with --set data.labels=false"
            )
        return int(text)

    def _tell_left_out(self, count: int) -> None:
        other = [
            name for name in self.index.names if (kind := _kind(name)) not in PICTURES
            and kind.rpartition(".")[2] in PICTURES and not is_hidden(name)
        ]  # fmt: skip
        if other:
            _LOG.warning(
                "left out %d files such as %s: with two endings they are other parts of the %d samples",
                len(other), self.where(other[0]), count,
            )  # fmt: skip

    def classes(self, names: Names, numbers: np.ndarray) -> tuple[torch.Tensor | None, list[str]]:
        """Class numbers, (N,) int64, and class names: from the .cls files, else from folders; None without either."""
        if len(numbers) and (numbers < 0).all():
            return numbered(class_folders([self.within(name) for name in names]))
        without = np.flatnonzero(numbers < 0)
        if len(without):
            raise ganzoo.DataError(
                f"{self.where(names[int(without[0])])} has no .{_LABEL} file, and others have one: add it, or ignore "
                "classes with --set data.labels=false"
            )
        return torch.from_numpy(numbers), [str(number) for number in range(int(numbers.max(initial=-1)) + 1)]


def _by_key(names: Names) -> Iterator[dict[str, tuple[int, str]]]:
    """The files of each sample, row and name, by what they are; those of one key follow one another in order."""
    key, files = None, dict[str, tuple[int, str]]()
    for row, name in enumerate(names):
        if is_hidden(name):
            continue
        kind = _kind(name)
        this = name[: len(name) - len(kind)]
        if this != key:
            if files:
                yield files
            key, files = this, {}
        files[kind] = row, name
    if files:
        yield files


def _kind(name: str) -> str:
    """What follows the first dot of a file's name, in small letters."""
    return name.rpartition("/")[2].partition(".")[2].lower()


def archives_of(pattern: str) -> list[Path]:
    """The archives that a path, folder or pattern names, in order of name. Raises `DataError` for missing ones."""
    whole = Path(pattern).expanduser()
    if os.path.isdir(whole):  # unlike a path's own method, it takes names of any length
        found = [path for path in sorted(whole.iterdir()) if path.suffix.lower() in (".tar", ".zip")]
        if not found:
            raise ganzoo.DataError(f"there is no .tar or .zip in {pattern}: for pictures that lie singly, use folder:")
        return found
    named = [str(whole)]
    if not os.path.exists(whole):
        named = list(islice(_unfolded(str(whole)), _MOST_NAMES + 1))
    if len(named) > _MOST_NAMES:
        raise ganzoo.DataError(f"{shown(pattern)} names more than {_MOST_NAMES:,} archives: give the folder of them")
    paths: list[Path] = []
    for name in named:
        several = any(character in name for character in "*?[") and not os.path.exists(name)
        paths += [Path(one) for one in sorted(glob.glob(name))] if several else [Path(name)]
    missing = [path for path in paths if not os.path.isfile(path)]
    if not paths or missing == paths:
        raise ganzoo.DataError(
            f"there is no {shown(pattern)}: give a .tar or .zip, a folder of them, or a pattern such as "
            "train-{000..099}.tar"
        )
    if missing:
        raise ganzoo.DataError(f"{missing[0]} is not there, one of {len(missing)} that {pattern} names: get it first")
    for path in paths:
        if path.suffix.lower() not in (".tar", ".zip"):
            packed = path.suffix.lower() in (".gz", ".tgz", ".xz", ".zst", ".bz2")
            way = "unpack it, pictures are small already" if packed else "give archives"
            raise ganzoo.DataError(f"{shown(path)} is neither a .tar nor a .zip: {way}")
    return paths


def _unfolded(pattern: str) -> Iterator[str]:
    """{000..099} and {a,b} written out."""
    braces = _BRACES.search(pattern)
    if braces is None:
        yield pattern
        return
    inside = re.fullmatch(r"(\d{1,18})\.\.(\d{1,18})", braces[1])
    words: Iterable[str] = braces[1].split(",")
    if inside:
        words = (str(n).zfill(len(inside[1])) for n in range(int(inside[1]), int(inside[2]) + 1))
    for word in words:
        yield from _unfolded(pattern[: braces.start()] + word + pattern[braces.end() :])

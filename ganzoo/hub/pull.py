"""Models from the Hugging Face Hub into folders of their own, and a search for them."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import torch

from ..errors import HubError, ModelError, printable
from ..models import Reference, is_reference, load_model, refuse_other_weights, trained
from .hubclient import ask, connect
from .hubsnapshot import look_up, refuse_stray_paths
from .lookup import download, hub_reference, local_folder, model_folder, refuse_large_config

_WANTED = re.compile(
    r"README\.md|config\.json|evaluation\.json|samples\.png|(model|discriminator)\.safetensors"
    r"|\.eval_results/[A-Za-z0-9_-]+\.yaml|run/(recipe\.toml|metrics\.jsonl|samples/[0-9]+\.png)"
)
"""What `push` publishes; whatever else a repository holds is left where it is."""


def pull(reference: Reference, out: Path | None = None, token: str | None = None) -> Path:
    """Bring a model into a folder, by default one of its name here: whole, verified and loadable, or not at all.

    Returns the folder. Raises `HubError`, or `ModelError` for a model that does not load or a folder that is in use.
    """
    out = out or Path(reference.repo_id.rpartition("/")[2])
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ModelError(f"{out} exists already: choose another --out, or remove it")
    api = connect(token)
    snapshot = look_up(api, reference)
    refuse_stray_paths(snapshot)
    refuse_other_weights(str(reference), snapshot.files)
    refuse_large_config(snapshot)
    names = sorted(name for name in snapshot.files if _WANTED.fullmatch(name))
    folder = download(api, snapshot, names)
    try:
        # of its own name, so that two that pull at once do not write into each other's
        beside = Path(mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=_made(out.absolute().parent)))
    except OSError as error:
        raise ModelError(f"{out} cannot be written: {error.strerror or error}") from error
    try:
        for name in names:
            (beside / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, beside / name)
        load_model(beside, torch.device("cpu"))
        _take_place(beside, out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return out


@contextmanager
def whole_folder(model: str, token: str | None = None) -> Iterator[Path]:
    """MODEL's folder; one on the Hub is brought here whole, with its card and pictures, for as long as it is used."""
    if local_folder(model) is not None or model in trained() or not is_reference(model):
        yield model_folder(model, token=token)
        return
    reference = hub_reference(model)
    with TemporaryDirectory(prefix="ganzoo-") as beside:
        yield pull(reference, Path(beside) / "model", token)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _take_place(beside: Path, out: Path) -> None:
    """Rename a whole folder to what it is to be called, unless another process was faster."""
    umask = os.umask(0)
    os.umask(umask)
    beside.chmod(0o777 & ~umask)  # a temporary folder is its owner's alone
    try:
        if out.exists():
            out.rmdir()
        beside.rename(out)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise ModelError(f"{out} was made meanwhile by another process: it was left as it is") from error
        raise ModelError(f"{out} cannot be written: {error.strerror or error}") from error


@dataclass(frozen=True)
class Found:
    """A model on the Hub that was made with ganzoo. updated: the date of its last commit, if the Hub says."""

    repo_id: str
    tags: tuple[str, ...]
    downloads: int
    likes: int
    updated: str | None


def search(text: str | None = None, limit: int = 50, token: str | None = None) -> list[Found]:
    """Models on the Hub tagged ganzoo whose name holds the text, the most downloaded first. Raises `HubError`."""
    api = connect(token)

    def models() -> list[Any]:
        return list(api.list_models(filter="ganzoo", search=text, sort="downloads", limit=limit))

    return [_found(one) for one in ask(api, Reference("the Hub"), "cannot be searched", models)]


def _found(model: Any) -> Found:
    """What is shown of a model; a server may have answered anything."""
    name, tags, updated = model.id, model.tags, model.last_modified
    if not isinstance(name, str):
        raise HubError(f"the Hub cannot be searched: it names a model {printable(repr(name), 60)}, which is no name")
    return Found(
        name,
        tuple(tag for tag in (tags if isinstance(tags, list) else ()) if isinstance(tag, str)),
        _count(model.downloads),
        _count(model.likes),
        updated.date().isoformat() if isinstance(updated, datetime) else None,
    )


def _count(stated: object) -> int:
    return stated if type(stated) is int else 0

"""Models from the Hugging Face Hub into folders of their own, and a search for them."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .errors import ModelError
from .hub import download, look_up, refuse_stray_paths
from .hubclient import Reference, connect, explained
from .modelfolder import load_model
from .weights import refuse_other_weights

_WANTED = re.compile(
    r"README\.md|config\.json|evaluation\.json|samples\.png|(model|discriminator)\.safetensors"
    r"|run/(recipe\.toml|metrics\.jsonl|samples/[0-9]+\.png)"
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
    names = sorted(name for name in snapshot.files if _WANTED.fullmatch(name))
    folder = download(api, snapshot, names)
    beside = out.with_name(f".{out.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        for name in names:
            (beside / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, beside / name)
        load_model(beside, torch.device("cpu"))
        if out.exists():
            out.rmdir()
        beside.rename(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return out


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
    with explained(api, Reference("the Hub"), "cannot be searched"):
        models: list[Any] = list(api.list_models(filter="ganzoo", search=text, sort="downloads", limit=limit))
    return [
        Found(
            one.id,
            tuple(one.tags or ()),
            one.downloads or 0,
            one.likes or 0,
            one.last_modified.date().isoformat() if one.last_modified else None,
        )
        for one in models
    ]

"""Models on the Hugging Face Hub: looked up, downloaded, verified, found again without network. No torch here.

The Hub's client checks a download's size, not its content: here every file is compared with the hash that the Hub
states, and what was verified is noted beside it in the cache, so that a load without network is verified too.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .config import CONFIG, read_config
from .errors import HubError, ModelError, printable
from .files import content_hash, file_hash, git_hash, write_atomically
from .hubclient import Reference, Unreachable, connect, explained, is_reference, parse_reference
from .weights import WEIGHTS, refuse_other_weights

if TYPE_CHECKING:
    from huggingface_hub import HfApi

log = logging.getLogger("ganzoo")
_LOADED = (CONFIG, WEIGHTS)
_TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True)
class Stated:
    """What the Hub states of one file. sha256: None for small files, which have git's hash only."""

    size: int
    git: str
    sha256: str | None

    def fits(self, content: Path | bytes) -> bool:
        """True if the content has the hash that is stated."""
        return content_hash(content) == self.sha256 if self.sha256 else git_hash(content) == self.git


@dataclass(frozen=True)
class Snapshot:
    """A repository at one commit. private: whether only some may see it.  licence: as its card states it."""

    reference: Reference
    files: Mapping[str, Stated]
    private: bool = False
    licence: str | None = None


def model_folder(model: str | Path, revision: str | None = None, token: str | None = None) -> Path:
    """The model folder that "MODEL" means: a run folder, a model folder, or a model on the Hub.

    revision, token: for the Hub. Raises `ModelError`, `UsageError` or `HubError`.
    """
    found, folder = local_folder(model), Path(model)
    if found is not None:
        return found
    if folder.is_dir() and any(folder.iterdir()):
        refuse_other_weights(str(model), [path.name for path in folder.iterdir()])
        raise ModelError(f"{model} holds no model: neither {CONFIG} nor model/{CONFIG} is there")
    if not is_reference(str(model)):
        raise ModelError(f"there is no model '{model}': give a run folder, a model folder or user/name on the Hub")
    return fetch(parse_reference(str(model), revision), token)


def local_folder(model: str | Path) -> Path | None:
    """The model folder that a run folder holds, or that the path itself is; None if there is none."""
    candidates = (Path(model) / "model", Path(model))
    return next((folder for folder in candidates if (folder / CONFIG).exists()), None)


def fetch(reference: Reference, token: str | None = None) -> Path:
    """The folder in the cache that holds a model's config and weights, downloaded if need be, and verified.

    A commit that lies in the cache is not asked for again; without network, nor is anything else that does.
    Raises `HubError`, or `ModelError` for a repository that holds no such model.
    """
    if reference.is_pinned and (folder := cached(reference, _LOADED)):
        return folder
    api = connect(token)
    try:
        snapshot = look_up(api, reference)
    except Unreachable as error:
        folder = cached(reference, _LOADED)
        if folder is None:
            raise Unreachable(f"{error}; and it is not in the cache") from error
        log.warning("%s: using commit %s from the cache", error, folder.name[:12])
        return folder
    refuse_stray_paths(snapshot)
    refuse_other_weights(str(reference), snapshot.files)
    folder = cached(snapshot.reference, _LOADED)
    if folder is None:
        read_config(download(api, snapshot, [CONFIG]))  # a bad one spares the download of the weights
        folder = download(api, snapshot, [WEIGHTS])
    _point(reference, folder)
    return folder


def look_up(api: HfApi, reference: Reference) -> Snapshot:
    """Ask the Hub for the commit that a reference means, and its files. Raises `HubError`."""
    with explained(api, reference, "cannot be looked up"):
        info: Any = api.repo_info(
            reference.repo_id,
            revision=reference.revision,
            repo_type=reference.kind,
            files_metadata=True,
            timeout=_TIMEOUT_SECONDS,
        )
        files = {
            one.rfilename: Stated(one.size or 0, one.blob_id or "", one.lfs.sha256 if one.lfs else None)
            for one in info.siblings or ()
        }
        licence = info.card_data.get("license") if info.card_data else None
        return Snapshot(
            replace(reference, revision=info.sha),
            files,
            bool(info.private),
            licence if isinstance(licence, str) else None,
        )


def refuse_stray_paths(snapshot: Snapshot) -> None:
    """Raise `HubError` if any file would land outside the folder that it is written to."""
    for name in snapshot.files:
        parts = name.split("/")
        if "\\" in name or ":" in name or not name.isprintable() or {"", ".", "..", ".git"} & set(parts):
            raise HubError(
                f"{snapshot.reference} has a file named '{printable(name)}', which leaves its folder: refused"
            )


def download(api: HfApi, snapshot: Snapshot, names: Iterable[str]) -> Path:
    """Bring files of a snapshot into the cache, each compared with what the Hub states.

    Returns the folder that holds them. A file that differs is removed, so that the next try gets it anew.
    Raises `HubError`.
    """
    reference, folder = snapshot.reference, Path()
    for name in names:
        if name not in snapshot.files:
            raise HubError(f"{reference} has no file {printable(name)}")
        with explained(api, reference, f"cannot be downloaded ({printable(name)})"):
            found = api.hf_hub_download(reference.repo_id, name, revision=reference.revision, repo_type=reference.kind)
        path = Path(found)
        folder = path.parents[name.count("/")]
        if not _is_as_stated(path, snapshot.files[name]):
            _remove(path)
            raise HubError(
                f"{reference}: {printable(name)} is not what the Hub states, its hash differs: removed it, try again"
            )
        _note(folder, name, file_hash(path))
    return folder


def cached(reference: Reference, names: Iterable[str]) -> Path | None:
    """The cache's folder of a reference if it holds these files and they still are what was verified, else None.

    Asks nobody. Raises `HubError` if a file was changed since.
    """
    from huggingface_hub import try_to_load_from_cache

    folder = None
    for name in names:
        found = try_to_load_from_cache(reference.repo_id, name, revision=reference.revision, repo_type=reference.kind)
        if not isinstance(found, str):
            return None
        path = Path(found)
        folder = path.parents[name.count("/")]
        verified = _noted(folder).get(name)
        if verified is None:
            return None
        if file_hash(path) != verified:
            _remove(path)
            raise HubError(f"{reference}: {printable(name)} was changed in the cache: removed it, try again")
    return folder


def _is_as_stated(path: Path, stated: Stated) -> bool:
    return path.stat().st_size == stated.size and stated.fits(path)


def _remove(path: Path) -> None:
    """Remove a file from the cache with all that its links lead to, as far as they stay in the cache."""
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE).resolve()
    link: Path | None = path
    while link is not None and link.parent.resolve().is_relative_to(cache):
        path = link
        link = path.parent / os.readlink(path) if path.is_symlink() else None
        path.unlink(missing_ok=True)


def _note_of(folder: Path) -> Path:
    """Where it is noted what was verified; it goes with the repository's folder when the cache is cleared."""
    return folder.parents[1] / "ganzoo" / f"{folder.name}.json"


def _noted(folder: Path) -> dict[str, str]:
    try:
        noted = json.loads(_note_of(folder).read_bytes())
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}


def _note(folder: Path, name: str, sha256: str) -> None:
    path = _note_of(folder)
    _write_to_cache(path, json.dumps({**_noted(folder), name: sha256}))


def _point(reference: Reference, folder: Path) -> None:
    """Remember which commit a branch or tag means, where the Hub's client looks for it too."""
    if not reference.is_pinned:
        _write_to_cache(folder.parents[1] / "refs" / (reference.revision or "main"), folder.name)


def _write_to_cache(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.encode())
    except OSError:
        pass  # a cache that this user only reads: the next load asks the Hub again

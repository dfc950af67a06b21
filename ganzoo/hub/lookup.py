"""Models on the Hugging Face Hub: looked up, downloaded, verified, found again without network. No torch here.

The Hub's client checks a download's size, not its content: here every file is compared with the hash that the Hub
states, and what was verified is noted beside it in the cache, so that a load without network is verified too.
"""

from __future__ import annotations

import difflib
import json
import logging
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import HubError, ModelError, printable
from ..files import RUNS, file_hash, write_atomically
from ..models import (
    CONFIG,
    MAX_BYTES,
    WEIGHTS,
    Reference,
    Trained,
    is_reference,
    parse_reference,
    read_config,
    refuse_other_weights,
    trained,
)
from .hubclient import Unreachable, ask, connect
from .hubguard import Allowance
from .hubsnapshot import Snapshot, Stated, leaves_folder, look_up, refuse_stray_paths

if TYPE_CHECKING:
    from huggingface_hub import HfApi

log = logging.getLogger("ganzoo")
_LOADED = (CONFIG, WEIGHTS)


def model_folder(model: str | Path, revision: str | None = None, token: str | None = None) -> Path:
    """The model folder that "MODEL" means: a run folder, a model folder, a name of ours, or a model on the Hub.

    revision, token: for the Hub. Raises `ModelError`, `UsageError` or `HubError`.
    """
    found, folder = local_folder(model), Path(model)
    if found is not None:
        return found
    if named := trained().get(str(model)):
        return _folder_of_ours(named, token)
    if folder.is_dir() and any(folder.iterdir()):
        refuse_other_weights(str(model), [path.name for path in folder.iterdir()])
        raise ModelError(f"{model} holds no model: neither {CONFIG} nor model/{CONFIG} is there")
    return fetch(hub_reference(str(model), revision), token)


def _folder_of_ours(named: Trained, token: str | None) -> Path:
    """Where a model lies that ganzoo comes with, with the weights that the index states."""
    folder = named.folder()
    if folder is None and named.published is not None:
        folder = fetch(named.published, token)
        named.compare(folder)
    if folder is None and named.where == "bundled":
        raise ModelError(f"{named.name} is missing in this installation of ganzoo: install it anew")
    if folder is None:
        raise ModelError(
            f"{named.name} is too large for the package and lies in a checkout of ganzoo only, under model_cards/: "
            f"train it with `ganzoo train {named.recipe}`"
        )
    return folder


def hub_reference(model: str, revision: str | None = None) -> Reference:
    """The model on the Hub that "MODEL" means, if no folder of that name holds one. Asks nobody.

    Raises `UsageError`, or `ModelError` for what looks like a mistyped folder, or one to come: beside models that are
    here, or where `ganzoo train` puts runs.
    """
    folder = Path(model)
    beside = {one.name: str(one) for one in sorted(folder.parent.glob("*/")) if local_folder(one)}
    known = beside if "/" in model else {name: name for name in trained()} | beside
    near = difflib.get_close_matches(folder.name, known, n=1)
    hint = f" (did you mean '{known[near[0]]}'?)" if near else ""
    if not is_reference(model):
        raise ModelError(
            f"there is no model '{model}'{hint}: give a run folder, a model folder, a name that `ganzoo models` shows "
            "or user/name on the Hub"
        )
    if (beside or folder.parts[0] == RUNS) and "@" not in model and not revision:
        if beside and not hint:
            hint = f"; {folder.parent} has {', '.join(list(beside.values())[:5])}"
        raise ModelError(f"there is no folder {model}{hint}; for a model of that name on the Hub write {model}@main")
    return parse_reference(model, revision)


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
        refuse_large_config(snapshot)
        read_config(download(api, snapshot, [CONFIG]))  # a bad one spares the download of the weights
        folder = download(api, snapshot, [WEIGHTS])
    _point(reference, folder)
    return folder


def refuse_large_config(snapshot: Snapshot) -> None:
    """Raise `ModelError` for a config that would not be read, before it is downloaded."""
    if CONFIG in snapshot.files and snapshot.files[CONFIG].size > MAX_BYTES:
        size = snapshot.files[CONFIG].size
        raise ModelError(f"{snapshot.reference}: {CONFIG} has {size:,} bytes: more than {MAX_BYTES:,} are not read")


def download(api: HfApi, snapshot: Snapshot, names: Iterable[str]) -> Path:
    """Bring files of a snapshot into the cache, each compared with what the Hub states.

    Returns the folder that holds them. A file that differs is removed, so that the next try gets it anew.
    Raises `HubError`.
    """
    reference, folder = snapshot.reference, Path()
    for name in names:
        if name not in snapshot.files or leaves_folder(name):
            raise HubError(f"{reference} has no file {printable(name)}")
        path = _downloaded(api, reference, name, snapshot.files[name].size)
        folder = path.parents[name.count("/")]
        if not _is_as_stated(path, snapshot.files[name]):
            _remove(path)
            raise HubError(
                f"{reference}: {printable(name)} is not what the Hub states, its hash differs: removed it, try again"
            )
        _note(folder, name, file_hash(path))
    return folder


def _downloaded(api: HfApi, reference: Reference, name: str, size: int) -> Path:
    """Where the client put a file, which is to have that many bytes."""
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    free = shutil.disk_usage(next(one for one in (cache, *cache.absolute().parents) if one.exists())).free
    if size > free > 0 and not _lies_in_cache(reference, name):
        raise HubError(f"{reference}: {printable(name)} has {size:,} bytes, and {free:,} are free in {cache}")

    def found() -> str:
        path = api.hf_hub_download(reference.repo_id, name, revision=reference.revision, repo_type=reference.kind)
        return str(path)

    allowance = Allowance.for_file(size, reference.revision)
    return Path(ask(api, reference, f"cannot be downloaded ({printable(name)})", found, allowance))


def _lies_in_cache(reference: Reference, name: str) -> str | None:
    """Where the client has a file of a reference in the cache, if it has it."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(reference.repo_id, name, revision=reference.revision, repo_type=reference.kind)
    return found if isinstance(found, str) else None


def cached(reference: Reference, names: Iterable[str]) -> Path | None:
    """The cache's folder of a reference if it holds these files and they still are what was verified, else None.

    Asks nobody. Raises `HubError` if a file was changed since.
    """
    folder = None
    for name in names:
        found = None if leaves_folder(name) else _lies_in_cache(reference, name)
        if found is None:
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

"""Where a trained model to start from lies, with its discriminator: in a folder, in the package, or on the Hub."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..models import DISCRIMINATOR, Reference, is_reference
from ..training import StartingPoint
from .hubclient import Unreachable, connect
from .hubsnapshot import look_up
from .lookup import cached, download, fetch, hub_reference, local_folder, model_folder


def starting_point(model: str, token: str | None = None) -> StartingPoint:
    """The files of the model that `--init` names. Raises `ModelError`, `UsageError` or `HubError`."""
    if local_folder(model) is not None or not is_reference(model) or Path(model).is_dir():
        folder = model_folder(model)
        judge = folder / DISCRIMINATOR
        return StartingPoint(model, folder, judge if judge.exists() else None)
    reference = hub_reference(model)
    folder = fetch(reference, token)
    commit = replace(reference, revision=folder.name)
    return StartingPoint(model, folder, _discriminator(commit, token), commit.repo_id, commit.revision)


def _discriminator(commit: Reference, token: str | None) -> Path | None:
    """The discriminator's file, downloaded if need be and verified; None if there is none."""
    folder = cached(commit, (DISCRIMINATOR,))
    if folder is None:
        api = connect(token)
        try:
            snapshot = look_up(api, commit)
        except Unreachable:
            return None
        if DISCRIMINATOR not in snapshot.files:
            return None
        folder = download(api, snapshot, (DISCRIMINATOR,))
    return folder / DISCRIMINATOR

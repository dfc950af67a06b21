"""What the Hub says of a repository: its commit, its files with their sizes and hashes. Believed only if it can be.

A hostile or broken server may answer anything. Whatever does not have the form that it must have is refused here, so
that the modules above can make file names of commits and compare files with hashes. No torch here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import HubError, printable
from ..files import content_hash, git_hash
from ..models import COMMIT, Reference
from .hubclient import ask

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_SHA256 = re.compile(r"[0-9a-f]{64}")
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


def look_up(api: HfApi, reference: Reference) -> Snapshot:
    """Ask the Hub for the commit that a reference means, and its files. Raises `HubError`."""

    def info() -> Any:
        return api.repo_info(
            reference.repo_id,
            revision=reference.revision,
            repo_type=reference.kind,
            files_metadata=True,
            timeout=_TIMEOUT_SECONDS,
        )

    found = ask(api, reference, "cannot be looked up", info)
    commit = checked_commit(found.sha, reference)
    if reference.is_pinned and commit != reference.revision:
        raise HubError(f"{reference} cannot be looked up: the Hub answers with commit {commit[:12]}")
    files = dict(_stated(one, reference) for one in found.siblings or ())
    licence = getattr(found.card_data, "license", None)
    return Snapshot(
        replace(reference, revision=commit),
        files,
        bool(found.private),
        printable(licence) if isinstance(licence, str) else None,
    )


def checked_commit(commit: object, reference: Reference) -> str:
    """The name of a commit that a server gave. Raises `HubError` for anything but 40 hex digits."""
    if not isinstance(commit, str) or not COMMIT.fullmatch(commit):
        raise HubError(f"{reference}: the Hub names the commit {printable(repr(commit), 60)}, which is none")
    return commit


def _stated(sibling: Any, reference: Reference) -> tuple[str, Stated]:
    name, size, git, lfs = sibling.rfilename, sibling.size, sibling.blob_id, sibling.lfs
    sha256 = lfs.sha256 if lfs else None
    if (
        isinstance(name, str)
        and (size is None or (type(size) is int and size >= 0))
        and (git is None or (isinstance(git, str) and COMMIT.fullmatch(git)))
        and (sha256 is None or (isinstance(sha256, str) and _SHA256.fullmatch(sha256)))
    ):
        return name, Stated(size or 0, git or "", sha256)
    raise HubError(
        f"{reference} cannot be looked up: what the Hub states of its file {printable(repr(name), 60)} makes no sense"
    )


def leaves_folder(name: str) -> bool:
    """True if a file of that name would land outside the folder that it is written to, or in git's own."""
    return "\\" in name or ":" in name or "\0" in name or bool({"", ".", "..", ".git"} & set(name.split("/")))


def refuse_stray_paths(snapshot: Snapshot) -> None:
    """Raise `HubError` if any file would land outside the folder that it is written to."""
    for name in snapshot.files:
        if leaves_folder(name) or not name.isprintable():
            raise HubError(
                f"{snapshot.reference} has a file named '{printable(name)}', which leaves its folder: refused"
            )

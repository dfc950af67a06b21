"""Names on the Hugging Face Hub, how a model is published there, and what came of it. No torch here."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import UsageError, printable

_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Reference:
    """A repository on the Hub, and a branch, tag or commit of it; None is its main branch.

    kind: "model", "dataset" or "space".
    """

    repo_id: str
    revision: str | None = None
    kind: str = "model"

    def __str__(self) -> str:
        return f"{self.repo_id}@{self.revision}" if self.revision else self.repo_id

    @property
    def is_pinned(self) -> bool:
        """True if the revision is a commit, which never changes."""
        return bool(self.revision and COMMIT.fullmatch(self.revision))

    def url(self, endpoint: str) -> str:
        """The page of the repository."""
        return f"{endpoint}/{'' if self.kind == 'model' else f'{self.kind}s/'}{self.repo_id}"


def is_reference(text: str) -> bool:
    """True if the text looks like "user/name" or "user/name@revision"."""
    return _ID.fullmatch(text.partition("@")[0]) is not None


def parse_reference(text: str, revision: str | None = None, kind: str = "model") -> Reference:
    """Read "user/name" or "user/name@revision". Raises `UsageError` for anything else, or for two revisions."""
    repo_id, at, stated = text.partition("@")
    if not is_reference(text) or ".." in repo_id or "--" in repo_id:
        raise UsageError(f"'{printable(text)}' is no name on the Hub: write user/name or user/name@revision")
    if (at and not stated) or (stated and revision and stated != revision):
        raise UsageError(f"'{printable(text)}' with revision {revision}: name one revision")
    chosen = stated or revision
    if chosen and (".." in chosen or not re.fullmatch(r"\w[\w./-]*", chosen, re.ASCII)):
        raise UsageError(f"'{printable(chosen)}' is no revision: name a branch, tag or commit")
    return Reference(repo_id, chosen, kind)


@dataclass(frozen=True)
class PushOptions:
    """How to publish.

    private: make a new repository private; one that exists and is public is refused.
    revision: the branch to commit to, made if it does not exist; by default main.
    tag: to put on the commit; one that exists is never moved.  message: of the commit.
    without_discriminator: leave `discriminator.safetensors` out, without which nobody can train the model further.
    with_run: add the run's recipe, metrics and previews under `run/`.
    parent: refuse unless the branch still is at this commit.
    """

    private: bool = False
    revision: str | None = None
    tag: str | None = None
    message: str | None = None
    without_discriminator: bool = False
    with_run: bool = False
    parent: str | None = None


@dataclass(frozen=True)
class Publication:
    """A commit on the Hub. oid: its name.  changed: the files that it changed; none if nothing had to be sent."""

    repo_id: str
    oid: str
    url: str
    changed: tuple[str, ...]

"""Names of repositories on the Hugging Face Hub. No torch here."""

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

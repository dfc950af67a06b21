"""How a model is published, and what came of it. No torch here."""

from __future__ import annotations

from dataclasses import dataclass


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

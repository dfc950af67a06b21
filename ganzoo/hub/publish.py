"""Model folders to the Hugging Face Hub: one commit of what changed, on top of the commit that was looked at."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..errors import HubError, ModelError, UsageError, printable
from ..files import readable, write_atomically
from ..models import (
    CARD,
    CONFIG,
    DISCRIMINATOR,
    EVALUATION,
    SAMPLES,
    WEIGHTS,
    Publication,
    PushOptions,
    Reference,
    load_model,
    parse_reference,
    read_card,
    render,
    shared,
)
from .evalresults import EVAL_RESULTS, eval_results
from .hubclient import Missing, ask, connect
from .hubguard import METADATA, PATIENCE, SLOWEST, Allowance
from .hubsnapshot import Snapshot, checked_commit, look_up
from .lookup import download

if TYPE_CHECKING:
    from huggingface_hub import HfApi

log = logging.getLogger("ganzoo")
Content = Path | bytes


def push(folder: Path, repo_id: str, options: PushOptions | None = None, token: str | None = None) -> Publication:
    """Publish a model folder as "user/name".

    The folder is loaded first, as everybody will load it. Its card is renewed, with the edits of the card that lies
    there and of the one on the Hub. What the Hub has already is not sent; without a change there is no commit.
    Raises `ModelError` for a folder that does not load, `HubError`.
    """
    options = options or PushOptions()
    api, reference = connect(token), parse_reference(repo_id, options.revision)
    if reference.is_pinned or "@" in repo_id:
        raise UsageError(f"cannot push to {reference}: name the branch as revision, a commit cannot be changed")
    config = shared(load_model(folder, torch.device("cpu")).config)
    contents: dict[str, Content | None] = {WEIGHTS: folder / WEIGHTS, CONFIG: config.to_json()}
    for name in (SAMPLES, EVALUATION, DISCRIMINATOR):
        contents[name] = folder / name if (folder / name).exists() else None
    if options.without_discriminator:
        contents[DISCRIMINATOR] = None
    contents[EVAL_RESULTS] = eval_results(config, reference, api.endpoint)
    contents |= _of_run(folder) if options.with_run else {}
    head = prepare(api, reference, options.private)
    earlier = [read_card(path) for path in [folder / CARD] if path.exists()]
    if CARD in head.files:
        earlier.append(read_card(download(api, head, [CARD]) / CARD))
    card = render(config, repo_id, contents[SAMPLES] is not None, earlier).encode()
    published = commit(api, replace(reference, revision=options.revision), head, {**contents, CARD: card}, options)
    _tell_discriminator(contents[DISCRIMINATOR], options)
    if not (folder / CARD).is_symlink():  # a link leads into the Hub's cache, which is not to be written
        write_atomically(folder / CARD, card)
    return published


def prepare(api: HfApi, reference: Reference, private: bool, sdk: str | None = None) -> Snapshot:
    """The branch to push to, made together with its repository where they do not exist. Raises `HubError`.

    sdk: of a new Space.
    """
    main = replace(reference, revision=None)
    try:
        head = look_up(api, main)
    except Missing:
        ask(
            api, reference, "cannot be created",
            lambda: api.create_repo(
                reference.repo_id, repo_type=reference.kind, private=private or None, exist_ok=True, space_sdk=sdk
            ),
        )  # fmt: skip
        head = look_up(api, main)
    if private and not head.private:
        raise HubError(
            f"{reference.repo_id} exists and is public: make it private in its settings, or leave --private out"
        )
    if reference.revision is None:
        return head
    try:
        return look_up(api, reference)
    except Missing:
        ask(
            api, reference, "cannot be created as a branch",
            lambda: api.create_branch(
                reference.repo_id, branch=str(reference.revision), revision=head.reference.revision,
                repo_type=reference.kind, exist_ok=True,
            ),
        )  # fmt: skip
        return look_up(api, reference)


def commit(
    api: HfApi, reference: Reference, head: Snapshot, contents: Mapping[str, Content | None], options: PushOptions
) -> Publication:
    """Commit what differs from the head, if anything does, and put the tag on it. Raises `HubError`.

    contents: files by name; one that is None is not to be there, lest what belonged to earlier weights stays.
    """
    at = str(head.reference.revision)
    if options.parent and options.parent != at:
        raise HubError(f"{reference} is at commit {at[:12]}, not at {options.parent[:12]}: look at what is new first")
    changed = [name for name, content in contents.items() if not _is_there(head, name, content)]
    _refuse_taken_tag(api, reference, options.tag, None if changed else at)
    oid = at
    if changed:
        new = {name: contents[name] for name in changed}
        oid = _create(api, reference, new, options.message or f"Push {reference.kind} with ganzoo", at)
    if options.tag:
        tag = options.tag
        ask(
            api, reference, f"cannot be tagged {tag}",
            lambda: api.create_tag(reference.repo_id, tag=tag, revision=oid, repo_type=reference.kind, exist_ok=True),
        )  # fmt: skip
    return Publication(reference.repo_id, oid, f"{reference.url(api.endpoint)}/tree/{oid}", tuple(changed))


def _is_there(head: Snapshot, name: str, content: Content | None) -> bool:
    """True if a file is as it is to be."""
    if content is None or name not in head.files:
        return (content is None) == (name not in head.files)
    return head.files[name].fits(content)


def _create(api: HfApi, reference: Reference, contents: Mapping[str, Content | None], message: str, parent: str) -> str:
    """Commit files on top of a commit. Returns the new commit."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    size = sum(_size(one) for one in contents.values() if one is not None)

    def commit() -> object:
        return api.create_commit(
            reference.repo_id,
            [
                CommitOperationDelete(name) if content is None else CommitOperationAdd(name, content)
                for name, content in contents.items()
            ],
            commit_message=message,
            revision=reference.revision,
            repo_type=reference.kind,
            parent_commit=parent,
        ).oid

    allowance = Allowance(METADATA, PATIENCE + size / SLOWEST)
    with warnings.catch_warnings(record=True) as told:  # the client hands on what the server says of the card
        oid = ask(api, reference, "cannot be pushed", commit, allowance)
    for one in told:
        log.warning("%s", printable(" ".join(str(one.message).split()), 300))
    return checked_commit(oid, reference)


def _refuse_taken_tag(api: HfApi, reference: Reference, tag: str | None, oid: str | None) -> None:
    """Raise `HubError` if the tag exists on another commit than oid, before anything is sent."""
    if tag is None:
        return

    def refs() -> dict[str, object]:
        found = api.list_repo_refs(reference.repo_id, repo_type=reference.kind)
        return {one.name: one.target_commit for one in found.tags}

    tags = ask(api, reference, "cannot be looked up", refs)
    if tags.get(tag, oid) != oid:
        taken = checked_commit(tags[tag], reference)
        raise HubError(f"{reference.repo_id} has the tag {tag} on commit {taken[:12]} already: choose another")


def _size(content: Content) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def _tell_discriminator(content: Content | None, options: PushOptions) -> None:
    """Say what it costs and what it is for, or what is missing without it."""
    if content is not None:
        log.info(
            "%s goes along, %s: training on with --init needs it, sampling never loads it; --without-discriminator "
            "leaves it out", DISCRIMINATOR, readable(_size(content)),
        )  # fmt: skip
    elif not options.without_discriminator:
        log.info("there is no %s: whoever trains this model further begins with a new one", DISCRIMINATOR)


def _of_run(folder: Path) -> dict[str, Content]:
    """What tells of the run that a model folder belongs to. Raises `ModelError` if there is none."""
    run = folder.parent
    if not (run / "recipe.toml").exists():
        raise ModelError(f"{folder} belongs to no run: push the run folder to add the run")
    files = [run / "recipe.toml", run / "metrics.jsonl", *sorted((run / "samples").glob("[0-9]*.png"))]
    return {f"run/{path.relative_to(run).as_posix()}": path for path in files if path.exists()}

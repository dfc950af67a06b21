"""The page of a model as a static Space on the Hugging Face Hub, which needs no computer of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ...errors import UsageError
from ...hub import commit, connect, hub_reference, local_folder, look_up, prepare, whole_folder
from ...models import (
    CARD,
    Config,
    Publication,
    PushOptions,
    Reference,
    is_reference,
    licence_fields,
    load_model,
    parse_reference,
    trained,
    written,
)
from .. import refuse_libraries
from .runtime import Runtime
from .writing import page_files


def push_page(
    model: str, repo_id: str | None, options: PushOptions, runtime: Runtime, token: str | None = None
) -> Publication:
    """Publish the page of a model as a static Space.

    model: on the Hub, then the page is of that very commit; or a run folder, a model folder or one of ours.
    repo_id: "user/name" of the Space, by default the name of the model. Raises `UsageError`, `ModelError`, `HubError`.
    """
    refuse_libraries()
    if options.without_discriminator or options.with_run:
        raise UsageError("a page only samples: leave --without-discriminator and --with-run out")
    on_hub = local_folder(model) is None and model not in trained() and is_reference(model)
    if repo_id is None and not on_hub:
        raise UsageError(f"name the Space as user/name: {model} is not on the Hub")
    api = connect(token)
    published = look_up(api, hub_reference(model)).reference if on_hub else None
    reference = parse_reference(repo_id or str(published and published.repo_id), options.revision, "space")
    with whole_folder(str(published or model), token) as folder:
        loaded = load_model(folder, torch.device("cpu"))
        name = published.repo_id if published else Path(model).name
        contents: dict[str, Any] = dict(page_files(loaded, name, runtime))
        contents[CARD] = _card(loaded.config, name, published).encode()
        head = prepare(api, reference, options.private, sdk="static")
        return commit(api, reference, head, contents, options)


def _card(config: Config, name: str, published: Reference | None) -> str:
    """The Space's own card: metadata that the Hub reads, and a line for people."""
    metadata = {
        "title": f"{name.rpartition('/')[2]} · ganzoo",
        "sdk": "static",
        "app_file": "index.html",
        **({"models": [published.repo_id]} if published else {}),
        **(licence_fields(config.licence.weights) if config.licence.weights else {}),
        "tags": ["ganzoo", "gan"],
    }
    return f"{written(metadata)}\nSamples of a generative adversarial network, made in the visitor's browser.\n"

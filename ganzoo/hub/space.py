"""A Space on the Hugging Face Hub: a page on which anybody samples a model."""

from __future__ import annotations

from typing import Any

import jinja2

from ..errors import ModelError, UsageError
from ..models import (
    CARD,
    CONFIG,
    WEIGHTS,
    Config,
    Publication,
    PushOptions,
    Reference,
    is_reference,
    licence_fields,
    parse_reference,
    read_config,
    shared,
    written,
)
from ..registry.registry import registry
from ..version import DISTRIBUTION, __version__
from .hubclient import connect
from .hubsnapshot import look_up
from .lookup import fetch, hub_reference, local_folder
from .publish import Content, commit, prepare

GRADIO = "6.31.0"
"""The version that the page was tried with."""
_FILES = {"app.py": "app.py.jinja", "requirements.txt": "requirements.txt.jinja", CARD: "README.md.jinja"}


def push_space(model: str, repo_id: str | None, options: PushOptions, token: str | None = None) -> Publication:
    """Publish a Space that samples a model.

    model: on the Hub, then the page loads that very commit; or a run or model folder, then the model goes along.
    repo_id: "user/name" of the Space, by default the name of the model. Raises `UsageError`, `ModelError`, `HubError`.
    """
    api, folder = connect(token), local_folder(model)
    if options.without_discriminator or options.with_run:
        raise UsageError("a Space only samples: leave --without-discriminator and --with-run out")
    if folder is None and not is_reference(model):
        raise UsageError(f"there is no model '{model}': give a run folder, a model folder or user/name on the Hub")
    if folder is None:
        pinned = look_up(api, hub_reference(model)).reference
        contents = pages(read_config(fetch(pinned, token)), pinned)
        repo_id = repo_id or pinned.repo_id
    else:
        config = read_config(folder)
        contents = pages(config, None)
        contents |= {f"model/{CONFIG}": shared(config).to_json(), f"model/{WEIGHTS}": folder / WEIGHTS}
    if repo_id is None:
        raise UsageError(f"name the Space as user/name: {model} is a folder")
    reference = parse_reference(repo_id, options.revision, "space")
    head = prepare(api, reference, options.private, sdk="gradio")
    return commit(api, reference, head, contents, options)


def pages(config: Config, published: Reference | None) -> dict[str, Content]:
    """The Space's files by name. published: the model's commit on the Hub; None if it lies beside the page.

    What the page installs is what provides the generator here: the package that a model's author claims may be
    anybody's. Raises `UsageError` for a model that translates, `ModelError` for one whose plugin is not here.
    """
    if config.source is not None:
        raise UsageError("this model translates pictures: Spaces are written for models with latents only")
    plugin = registry().provider("generator", config.generator)
    if plugin is None:
        raise ModelError(
            f"no installed plugin has the generator '{config.generator}', so it is not known what the Space needs; the "
            f"model's author claims {config.plugin.distribution}: install it if you trust it, and push again"
        )
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ganzoo.hub", "templates/space"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        keep_trailing_newline=True,
    )
    environment.filters["topython"] = repr
    name = published.repo_id if published else "this model"
    title = f"{name.rpartition('/')[2]} · ganzoo"
    metadata = {
        "title": title,
        "sdk": "gradio",
        "sdk_version": GRADIO,
        "app_file": "app.py",
        **({"models": [published.repo_id]} if published else {}),
        **(licence_fields(config.licence.weights) if config.licence.weights else {}),
        "tags": ["ganzoo", "gan"],
    }
    facts: dict[str, Any] = {
        "metadata": written(metadata),
        "title": title,
        "model": published.repo_id if published else "model",
        "revision": published.revision if published else None,
        "introduction": f"Samples of {name}, a generative adversarial network: generator {config.generator}.",
        "version": __version__,
        "distributions": [one for one in [plugin.distribution] if one != DISTRIBUTION],
    }
    return {file: environment.get_template(template).render(facts).encode() for file, template in _FILES.items()}

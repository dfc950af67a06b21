"""`README.md` of a model folder: the card, which is also the Hub's metadata. What a user edited in it stays."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jinja2
import tomli_w

from ...errors import GanzooError, ModelError
from ...files import read_bounded, write_atomically
from ...recipes import command_for
from ...registry import Plugin, is_same_distribution
from ...registry.registry import registry
from ...version import DISTRIBUTION
from ..config import Config, Metric, PluginConfig, read_config
from ..views.samplefiles import suffix_of
from . import frontmatter, sections
from .frontmatter import CARD, conditional
from .markdown import code, escaped, python_string, shell_word

_MAX_BYTES = 2**20


def write_card(folder: Path, model: str | None = None) -> None:
    """Write `README.md` into a model folder, keeping what a user changed in the one that lies there.

    model: what a reader passes to `ganzoo.load`, by default the folder. Raises `ModelError`.
    """
    path = folder / CARD
    earlier = [read_card(path)] if path.exists() else []
    card = render(read_config(folder), model or str(folder), (folder / "samples.png").exists(), earlier)
    write_atomically(path, card.encode())


def read_card(path: Path) -> str:
    """The text of a card. Raises `ModelError` for one that is no text, or too long to be a card."""
    try:
        return read_bounded(path, _MAX_BYTES).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} is no UTF-8: byte {error.start} is none") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror or error})") from error


def render(config: Config, model: str, samples: bool, earlier: Sequence[str] = ()) -> str:
    """The card of a model.

    model: what a reader passes to `ganzoo.load`.  samples: whether the folder has `samples.png`.
    earlier: cards whose edits are kept, the one that weighs most first.
    Raises `ModelError` if the metadata of one are no valid YAML.
    """
    split = [frontmatter.split(document) for document in earlier]
    metadata: dict[str, Any] = {}
    for before, _ in reversed(split):
        metadata |= before
    metadata = frontmatter.metadata_of(config, model.rpartition("/")[2], metadata)
    stated = metadata["license"]
    body = _body(config, model, samples, stated if isinstance(stated, str) else ", ".join(stated))
    return f"{frontmatter.written(metadata)}\n{sections.merge(body, [text for _, text in split])}"


def shared(config: Config) -> Config:
    """The config as it is published: without paths of this machine, and with the plugin that really is needed."""
    plugin = registry().provider("generator", config.generator)
    if plugin is None or is_same_distribution(plugin.distribution, config.plugin.distribution):
        return replace(config, recipe=shared_recipe(config))
    true = PluginConfig(plugin.name, plugin.distribution, plugin.version)
    return replace(config, recipe=shared_recipe(config), plugin=true)


def _body(config: Config, model: str, samples: bool, license: str) -> str:
    """The generated sections, with markers that have no hash yet."""
    loader = jinja2.PackageLoader("ganzoo.models.cards")
    environment = jinja2.Environment(loader=loader, autoescape=False, undefined=jinja2.StrictUndefined)
    environment.filters |= {"escaped": escaped, "code": code, "topython": python_string}
    recipe, plugin = _without_null(shared_recipe(config)), registry().provider("generator", config.generator)
    return environment.get_template("card.md.jinja").render(
        title=model.rpartition("/")[2],
        model=model,
        word=shell_word(model),
        samples=samples,
        summary=_summary(config),
        install=" ".join(dict.fromkeys([DISTRIBUTION, *([plugin.distribution] if plugin else [])])),
        claimed=None if plugin else config.plugin.distribution,
        generator=config.generator,
        pictures=config.target.sample().is_image,
        file=(suffix_of(config.target.sample()) if config.target.view else None) or ".png",
        shape=tuple(config.target.shape),
        conditional=conditional(config),
        translations=config.translations,
        classes=", ".join(map(escaped, config.class_names)) or f"0 to {config.classes - 1}",
        facts=_facts(config, plugin),
        parent=config.parent,
        command=_command(recipe) if recipe else None,
        recipe=_toml(recipe),
        metrics=[asdict(one) | {"provenance": _provenance(one)} for one in config.metrics],
        weights=config.licence.weights or (license if license != "unknown" else None),
        licence=config.licence,
        data=_data_name(config),
    )


def shared_recipe(config: Config) -> dict[str, Any]:
    """The recipe with the last part only of paths on the machine it was trained on; two paths are joined by a colon."""
    recipe: dict[str, Any] = json.loads(json.dumps(config.recipe))
    data = recipe.get("data")
    if isinstance(data, dict) and data.get("name") != "hub" and isinstance(data.get("path"), str):
        data["path"] = ":".join(Path(one).name for one in data["path"].split(":"))
    start = recipe.get("init")
    if config.parent is not None and isinstance(start, dict) and config.parent.repository is None:
        start["model"] = config.parent.model
    return recipe


def _toml(recipe: dict[str, Any]) -> str:
    """TOML with lists of plain values on one line, and without empty tables."""
    text = tomli_w.dumps({key: value for key, value in recipe.items() if value != {}})
    return re.sub(
        r"\[\n((?:    [^\[\]{}\n]*,\n)+)\]", lambda match: f"[{' '.join(match[1].split()).rstrip(',')}]", text
    ).strip()


def _without_null(value: Any) -> Any:
    """A stranger's recipe may hold null, which TOML does not know."""
    if isinstance(value, dict):
        return {key: _without_null(one) for key, one in value.items() if one is not None}
    return [_without_null(one) for one in value if one is not None] if isinstance(value, list) else value


def _command(recipe: dict[str, Any]) -> str:
    """The command that trains the recipe, on one line; if none does, one that takes it from a file."""
    try:
        command = command_for(recipe, registry())
    except GanzooError:
        command = ""
    if command and command.isprintable():
        return command
    return f"ganzoo train {shell_word(str(recipe.get('name', 'recipe')) + '.toml')}  # the recipe in full, below"


def _summary(config: Config) -> str:
    makes = config.target.sample().looks.noun
    loss = config.recipe.get("loss")
    by = f", trained with the {escaped(loss['name'])} loss" if isinstance(loss, dict) and "name" in loss else ""
    size = "×".join(map(str, config.target.shape))
    if not config.recipe:
        return f"A generative adversarial network that makes {makes} ({size}), converted from {_origin(config)}."
    return (
        f"A generative adversarial network that makes {makes} ({size}) like those of {_data_name(config)}: "
        f"generator {escaped(config.generator)}{by}. Made with ganzoo."
    )


def _origin(config: Config) -> str:
    """Whose weights they were, of a model without a recipe."""
    return escaped(config.training.get("converted from") or "a program that it does not name")


def _data_name(config: Config) -> str:
    data = shared_recipe(config).get("data")
    if not config.recipe:
        return "which are not known here"
    if not isinstance(data, dict):
        return "data that its recipe does not name"
    return escaped(":".join(str(data[key]) for key in ("name", "path") if key in data))


def _facts(config: Config, plugin: Plugin | None) -> list[tuple[str, Any]]:
    facts = [
        (name, f"{fact:,}" if type(fact) is int and name != "seed" else fact) for name, fact in config.training.items()
    ]
    stated = config.plugin
    known = plugin is not None and is_same_distribution(plugin.distribution, stated.distribution)
    origin = f"{stated.distribution} {stated.version}, plugin {stated.name}"
    facts.append(("generator from", origin if known else f"its author claims: {origin}"))
    return [(name, fact) for name, fact in facts if fact is not None]


def _provenance(metric: Metric) -> str:
    return ", ".join(f"{escaped(key)} {escaped(str(value))}" for key, value in metric.provenance.items())


def card_text(card: str) -> str:
    """A card as it is read: without metadata and the markers of its sections. Raises `ModelError`."""
    return "\n\n".join(section.text for section in sections.parse(frontmatter.split(card)[1]))

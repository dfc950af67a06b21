"""`README.md` of a model folder: the card, which is also the Hub's metadata. What a user edited in it stays."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jinja2
import tomli_w
import yaml  # type: ignore[import-untyped]

from . import sections
from .command import command_for
from .config import Config, LicenceConfig, Metric, read_config
from .errors import GanzooError, ModelError
from .files import read_bounded, write_atomically
from .registry import registry

CARD = "README.md"
_MAX_BYTES = 2**20
_FRONT_MATTER = re.compile(r"\A\s*---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_OURS = ("library_name", "pipeline_tag", "base_recipe", "model-index")
_MARKDOWN = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>|"})


def write_card(folder: Path, model: str | None = None) -> None:
    """Write `README.md` into a model folder, keeping what a user changed in the one that lies there.

    model: what a reader passes to `ganzoo.load`, by default the folder. Raises `ModelError`.
    """
    path = folder / CARD
    try:
        earlier = [read_bounded(path, _MAX_BYTES).decode("utf-8")] if path.exists() else []
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({getattr(error, 'strerror', None) or error}): mend it") from error
    card = render(read_config(folder), model or str(folder), (folder / "samples.png").exists(), earlier)
    write_atomically(path, card.encode())


def render(config: Config, model: str, samples: bool, earlier: Sequence[str] = ()) -> str:
    """The card of a model.

    model: what a reader passes to `ganzoo.load`.  samples: whether the folder has `samples.png`.
    earlier: cards whose edits are kept, the one that weighs most first.
    Raises `ModelError` if the metadata of one are no valid YAML.
    """
    split = [_split(document) for document in earlier]
    metadata: dict[str, Any] = {}
    for before, _ in reversed(split):
        metadata |= before
    metadata = _metadata(config, model.rpartition("/")[2], metadata)
    body = _body(config, model, samples, metadata["license"])
    front = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True, width=120)
    return f"---\n{front}---\n\n{sections.merge(body, [text for _, text in split])}"


def _split(document: str) -> tuple[dict[str, Any], str]:
    """The metadata of a card and its text."""
    match = _FRONT_MATTER.match(document)
    if not match:
        return {}, document
    try:
        metadata = yaml.safe_load(match[1]) or {}
    except yaml.YAMLError as error:
        raise ModelError(f"{CARD}: its metadata are no valid YAML ({str(error).splitlines()[0]}): mend them") from error
    if not isinstance(metadata, dict):
        raise ModelError(f"{CARD}: its metadata must be a mapping of names to values: mend them")
    return metadata, document[match.end() :]


def _metadata(config: Config, name: str, before: dict[str, Any]) -> dict[str, Any]:
    """What the Hub reads. Keys that are not generated stay as the user left them; tags are joined."""
    recipe = config.recipe
    parts = [part.get("name") for key in ("generator", "loss") if isinstance(part := recipe.get(key), dict)]
    ours = ["ganzoo", "gan", *filter(None, parts), *(["conditional"] if _conditional(config) else [])]
    theirs = before.get("tags") if isinstance(before.get("tags"), list) else []
    metadata = {
        "license": _identifier(config.licence.weights) or before.get("license") or "unknown",
        "library_name": "ganzoo",
        "pipeline_tag": _task(config),
        "tags": list(dict.fromkeys([*ours, *(theirs or [])])),
        "datasets": before.get("datasets") or _datasets(config),
        "base_recipe": recipe.get("name"),
        "model-index": _model_index(config, name),
    }
    kept = {key: value for key, value in before.items() if key not in metadata and key not in _OURS}
    return {key: value for key, value in metadata.items() if value} | kept


def _identifier(licence: str | None) -> str | None:
    return licence.lower() if licence else None


def _task(config: Config) -> str | None:
    if len(config.target.shape) != 3:
        return None
    return "unconditional-image-generation" if config.source is None else "image-to-image"


def _datasets(config: Config) -> list[str]:
    """A published data set by name; a path of the user's own tells nobody anything."""
    data = config.recipe.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("name"), str):
        return []
    if data["name"] == "hub":
        return [str(data.get("path")).partition("@")[0]]
    return [] if "path" in data else [str(data["name"])]


def _model_index(config: Config, name: str) -> list[dict[str, Any]] | None:
    by_data: dict[tuple[str, str], list[Metric]] = {}
    for metric in config.metrics:
        by_data.setdefault((metric.data, metric.split), []).append(metric)
    results = [
        {
            "task": {"type": _task(config) or "other"},
            "dataset": {"type": data, "name": data, "split": split},
            "metrics": [
                {"type": one.name, "value": one.value, "args": {"samples": one.samples, **one.provenance}}
                for one in metrics
            ],
        }
        for (data, split), metrics in by_data.items()
    ]
    return [{"name": name, "results": results}] if results else None


def _body(config: Config, model: str, samples: bool, license: str) -> str:
    """The generated sections, with markers that have no hash yet."""
    licence = LicenceConfig(license if license != "unknown" else None, config.licence.data, config.licence.credit)
    loader = jinja2.PackageLoader("ganzoo")
    environment = jinja2.Environment(loader=loader, autoescape=False, undefined=jinja2.StrictUndefined)
    recipe = shared_recipe(config)
    return environment.get_template("card.md.jinja").render(
        title=model.rpartition("/")[2],
        model=model,
        samples=samples,
        summary=_summary(config),
        install=" ".join(dict.fromkeys(["ganzoo", config.plugin.distribution])),
        pictures=len(config.target.shape) == 3,
        shape=tuple(config.target.shape),
        conditional=_conditional(config),
        translations=config.translations,
        classes=", ".join(_escaped(one) for one in config.class_names) or f"0 to {config.classes - 1}",
        command=_command(recipe),
        facts=_facts(config),
        recipe=_toml(recipe),
        metrics=[asdict(one) | {"provenance": _provenance(one)} for one in config.metrics],
        licence=licence,
        data=_data_name(config),
    )


def shared_recipe(config: Config) -> dict[str, Any]:
    """The recipe with the last part only of paths on the machine it was trained on; two paths are joined by a colon."""
    recipe: dict[str, Any] = json.loads(json.dumps(config.recipe))
    data = recipe.get("data")
    if isinstance(data, dict) and data.get("name") != "hub" and isinstance(data.get("path"), str):
        data["path"] = ":".join(Path(one).name for one in data["path"].split(":"))
    return recipe


def _toml(recipe: dict[str, Any]) -> str:
    """TOML with lists of plain values on one line, and without empty tables."""
    text = tomli_w.dumps({key: value for key, value in recipe.items() if value != {}})
    return re.sub(
        r"\[\n((?:    [^\[\]{}\n]*,\n)+)\]", lambda match: f"[{' '.join(match[1].split()).rstrip(',')}]", text
    ).strip()


def _command(recipe: dict[str, Any]) -> str:
    """The command that trains the recipe; if none does, one that takes it from a file."""
    try:
        return command_for(recipe, registry())
    except GanzooError:
        return f"ganzoo train {recipe.get('name', 'recipe')}.toml  # the recipe in full, below"


def _summary(config: Config) -> str:
    makes = "pictures" if len(config.target.shape) == 3 else "values"
    loss = config.recipe.get("loss")
    by = f", trained with the {_escaped(loss['name'])} loss" if isinstance(loss, dict) and "name" in loss else ""
    size = "×".join(map(str, config.target.shape))
    return (
        f"A generative adversarial network that makes {makes} ({size}) like those of {_data_name(config)}: "
        f"generator {_escaped(config.generator)}{by}. Made with ganzoo."
    )


def _data_name(config: Config) -> str:
    data = shared_recipe(config).get("data")
    if not isinstance(data, dict):
        return "data that its recipe does not name"
    return _escaped(":".join(str(data[key]) for key in ("name", "path") if key in data))


def _facts(config: Config) -> list[tuple[str, str]]:
    facts = [
        (name, f"{fact:,}" if type(fact) is int and name != "seed" else fact) for name, fact in config.training.items()
    ]
    plugin = config.plugin
    facts.append(("generator from", f"{plugin.distribution} {plugin.version}, plugin {plugin.name}"))
    return [(_escaped(name), _escaped(str(fact))) for name, fact in facts if fact is not None]


def _provenance(metric: Metric) -> str:
    return ", ".join(f"{_escaped(key)} {_escaped(str(value))}" for key, value in metric.provenance.items())


def _conditional(config: Config) -> bool:
    return config.classes > 0 and config.options.get("conditional") is True


def _escaped(value: Any) -> str:
    """Text that Markdown shows as it is."""
    return str(value).translate(_MARKDOWN)

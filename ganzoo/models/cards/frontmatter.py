"""The metadata on top of a card, which the Hub reads: YAML between two lines of dashes. No torch here."""

from __future__ import annotations

import re
from typing import Any

import yaml  # type: ignore[import-untyped]

from ...errors import ModelError, did_you_mean, printable
from ..config import Config, Metric
from ..publication import is_reference

CARD = "README.md"
_LICENCES = """
    afl-3.0 agpl-3.0 apache-2.0 apple-amlr apple-ascl artistic-2.0 bigcode-openrail-m bigscience-bloom-rail-1.0
    bigscience-openrail-m bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc-by-2.0 cc-by-2.5
    cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0
    cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0
    cdla-permissive-2.0 cdla-sharing-1.0 creativeml-openrail-m deepfloyd-if-license ecl-2.0 epl-1.0 epl-2.0
    etalab-2.0 eupl-1.1 eupl-1.2 fair-noncommercial-research-license gemma gfdl gpl gpl-2.0 gpl-3.0 grok2-community
    h-research intel-research isc lgpl lgpl-2.1 lgpl-3.0 lgpl-lr llama2 llama3 llama3.1 llama3.2 llama3.3 llama4
    lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1 openmdw-1.0 openrail openrail++ osl-3.0 other pddl
    postgresql unknown unlicense wtfpl zlib
"""
LICENCES = frozenset(_LICENCES.split())
"""What the Hub takes as `license`; anything else is "other", with its name beside it."""

_FRONT_MATTER = re.compile(r"\A\s*---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_OURS = ("library_name", "pipeline_tag", "base_recipe", "model-index")
_WORD = re.compile(r"[A-Za-z0-9][\w.+-]{0,99}", re.ASCII)


def split(document: str) -> tuple[dict[str, Any], str]:
    """The metadata of a card and its text. Raises `ModelError` for metadata that cannot be read."""
    match = _FRONT_MATTER.match(document)
    if not match:
        return {}, document
    try:
        found = yaml.safe_load(match[1]) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = printable((str(error).splitlines() or ["?"])[0])
        raise ModelError(f"{CARD}: its metadata are no valid YAML ({reason}): mend them") from error
    if not isinstance(found, dict):
        raise ModelError(f"{CARD}: its metadata must be a mapping of names to values: mend them")
    return found, document[match.end() :]


def written(metadata: dict[str, Any]) -> str:
    """The metadata between their dashes."""
    return f"---\n{yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True, width=120)}---\n"


def metadata_of(config: Config, name: str, before: dict[str, Any]) -> dict[str, Any]:
    """What the Hub reads. before: keys that are not generated stay as the user left them; tags are joined."""
    recipe = config.recipe
    parts = [part.get("name") for key in ("generator", "loss") if isinstance(part := recipe.get(key), dict)]
    ours = ["ganzoo", "gan", *filter(_is_word, parts), *(["conditional"] if conditional(config) else [])]
    tags = before.get("tags")
    theirs = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    metadata = {
        **_licence_fields(config, before),
        "library_name": "ganzoo",
        "pipeline_tag": _task(config),
        "tags": list(dict.fromkeys([*ours, *theirs])),
        "datasets": before.get("datasets") or _datasets(config),
        **_parent_fields(config, before),
        "base_recipe": recipe.get("name") if _is_word(recipe.get("name")) else None,
        "model-index": _model_index(config, name),
    }
    stale = () if metadata["license"] == "other" else ("license_name", "license_link")
    kept = {key: value for key, value in before.items() if key not in (*metadata, *_OURS, *stale)}
    return {key: value for key, value in metadata.items() if value} | kept


def licence_fields(licence: str | None) -> dict[str, str]:
    """The Hub's keys for a licence: `license`, and `license_name` for one that it does not know."""
    if not licence:
        return {"license": "unknown"}
    if licence.lower() in LICENCES:
        return {"license": licence.lower()}
    name = re.sub(r"[^a-z0-9.]+", "-", licence.lower()).strip("-.")[:100]
    return {"license": "other", "license_name": name or "see-card"}


def unknown_licence(licence: str) -> str | None:
    """What to tell whoever states a licence that the Hub does not know, or None."""
    if licence.lower() in LICENCES:
        return None
    hint = did_you_mean(licence.lower(), LICENCES)
    return f"the Hub knows no licence '{printable(licence)}'{hint}: its metadata say 'other', with that name"


def conditional(config: Config) -> bool:
    """True if a class can be chosen."""
    return config.classes > 0 and config.options.get("conditional") is True


def _licence_fields(config: Config, before: dict[str, Any]) -> dict[str, Any]:
    """That of the config, else what a user wrote into the card: one licence, or a list of several."""
    earlier = before.get("license")
    several = isinstance(earlier, list) and all(isinstance(one, str) for one in earlier)
    if config.licence.weights or not earlier or not (several or isinstance(earlier, str)):
        return licence_fields(config.licence.weights)
    return {"license": earlier}


def _parent_fields(config: Config, before: dict[str, Any]) -> dict[str, Any]:
    """The model on the Hub that this one was made from: the user's own word, or what training started from."""
    if before.get("base_model"):
        return {"base_model": before["base_model"], "base_model_relation": before.get("base_model_relation")}
    if config.parent is None or config.parent.repository is None:
        return {}
    return {"base_model": config.parent.repository, "base_model_relation": "finetune"}


def _is_word(value: object) -> bool:
    """False for anything but a plain name: what a stranger's recipe holds may be anything."""
    return isinstance(value, str) and _WORD.fullmatch(value) is not None


def _task(config: Config) -> str | None:
    if not config.target.sample().is_image:
        return None
    return "unconditional-image-generation" if config.source is None else "image-to-image"


def _datasets(config: Config) -> list[str]:
    """A published data set by name; a path of the user's own tells nobody anything."""
    data = config.recipe.get("data")
    if not isinstance(data, dict) or not _is_word(data.get("name")):
        return []
    if data["name"] == "hub":
        name = str(data.get("path")).partition("@")[0]
        return [name] if is_reference(name) else []
    return [] if "path" in data else [str(data["name"])]


def _model_index(config: Config, name: str) -> list[dict[str, Any]] | None:
    by_data: dict[tuple[str, str], list[Metric]] = {}
    for metric in config.metrics:
        by_data.setdefault((metric.data, metric.split), []).append(metric)
    results = [
        {
            "task": {"type": _task(config) or "other"},
            "dataset": {"type": data, "name": data, "split": part},
            "metrics": [
                {"type": one.name, "value": one.value, "args": {"samples": one.samples, **one.provenance}}
                for one in metrics
            ],
        }
        for (data, part), metrics in by_data.items()
    ]
    return [{"name": name, "results": results}] if results else None

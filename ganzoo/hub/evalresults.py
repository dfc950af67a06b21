"""A model's numbers in the form that the Hub reads now, `.eval_results/*.yaml`; the card has the older model-index.

The Hub shows a number beside others of the same data set if that is a benchmark there, and only there; an entry names
the data set by its name on the Hub, so numbers against data that are not on it stay in the card alone.
Format: huggingface.co/docs/hub/eval-results.
"""

from __future__ import annotations

from typing import Any

import yaml  # type: ignore[import-untyped]

from ..contract import Dataset
from ..errors import GanzooError
from ..models import EVALUATION, Config, Metric, Reference, is_reference
from ..registry.registry import registry

EVAL_RESULTS = ".eval_results/ganzoo.yaml"


def eval_results(config: Config, reference: Reference, endpoint: str) -> bytes | None:
    """The file's content; None if no number was measured against data that are on the Hub."""
    source = {"url": f"{reference.url(endpoint)}/blob/{reference.revision or 'main'}/{EVALUATION}", "name": EVALUATION}
    entries = [_entry(one, name, source) for one in config.metrics if (name := _on_the_hub(one.data))]
    return yaml.safe_dump(entries, sort_keys=False, allow_unicode=True, width=120).encode() if entries else None


def _entry(metric: Metric, dataset: str, source: dict[str, str]) -> dict[str, Any]:
    repository, _, revision = dataset.partition("@")
    told = {"split": metric.split, "samples": metric.samples, **metric.provenance}
    return {
        "dataset": {"id": repository, "task_id": metric.name, **({"revision": revision} if revision else {})},
        "value": metric.value,
        "source": source,
        "notes": ", ".join(f"{key} {value}" for key, value in told.items() if value is not None),
    }


def _on_the_hub(data: str) -> str | None:
    """The name there of the data that a metric names, as "user/name" or "user/name@revision"."""
    name, _, path = data.partition(":")
    if name == "hub":
        return path if is_reference(path) else None
    if path:
        return None
    try:
        cls: type[Dataset] = registry().load("dataset", name)
    except GanzooError:
        return None
    return cls.hub_name

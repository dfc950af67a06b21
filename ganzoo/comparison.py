"""Which numbers may stand beside each other, and which model is better. No torch here.

Numbers that were measured against other data, with other features or other counts say nothing about each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .config import Metric
from .metricnames import BETTER

COMPARED = (
    "features", "features hash", "real samples", "size", "resize", "seeds", "subset size", "splits", "neighbours",
    "space", "projections",
)  # fmt: skip
"""Facts in which two numbers must agree to be compared."""

Terms = tuple[Any, ...]


def terms(metric: Metric) -> Terms:
    """What a number was measured against and how: numbers are comparable if these are equal."""
    facts = tuple(metric.provenance.get(key) for key in COMPARED)
    return (metric.name, metric.data, metric.split, metric.samples, *facts)


def is_better(name: str, value: float, than: float) -> bool:
    """Whether a value of a metric is better than another; False if the metric has no better."""
    return value < than if BETTER[name] == "lower" else BETTER[name] == "higher" and value > than


def columns(results: Mapping[str, Sequence[Metric]]) -> dict[Terms, dict[str, Metric]]:
    """Comparable numbers together, {terms: {model: metric}}, in the order in which they were measured."""
    found: dict[Terms, dict[str, Metric]] = {}
    for model, metrics in results.items():
        for metric in metrics:
            found.setdefault(terms(metric), {})[model] = metric
    order = list(dict.fromkeys(metric.name for metrics in results.values() for metric in metrics))
    return dict(sorted(found.items(), key=lambda item: order.index(item[0][0])))


def differences(results: Mapping[str, Sequence[Metric]], name: str) -> str | None:
    """In one line, why models cannot be ranked by a metric; None if they can."""
    numbers = {model: next((one for one in metrics if one.name == name), None) for model, metrics in results.items()}
    first_model, first = next(iter(numbers.items()))
    for model, metric in numbers.items():
        if first is None or metric is None:
            return f"{model if metric is None else first_model} has no {name}"
        if terms(metric) != terms(first):
            told = [
                f"{what} {_shown(here)} and {_shown(there)}"
                for what, here, there in _facts(first, metric)
                if here != there
            ]
            return f"{name} of {first_model} and {model} was measured differently: {'; '.join(told)}"
    return None


def _facts(a: Metric, b: Metric) -> list[tuple[str, Any, Any]]:
    named = [(key, getattr(a, key), getattr(b, key)) for key in ("data", "split", "samples")]
    return named + [(key, a.provenance.get(key), b.provenance.get(key)) for key in COMPARED]


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)

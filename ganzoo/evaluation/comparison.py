"""Which numbers may stand beside each other, and which model is better. No torch here.

Numbers that were measured against other data, with other features or other counts say nothing about each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..contract import BETTER
from ..models import Metric

COMPARED = (
    "features", "features hash", "real samples", "size", "resize", "seeds", "subset size", "splits", "neighbours",
    "space", "projections", "least share",
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


def places(numbers: Mapping[str, Metric]) -> dict[str, int]:
    """Models in order of a metric that ranks them, the best first, with their places; what is equal shares one.

    Values are equal if their first four digits are, which are shown.
    """
    (name,) = {metric.name for metric in numbers.values()}
    value = {model: float(f"{metric.value:.4g}") for model, metric in numbers.items()}
    order = sorted(value, key=lambda model: value[model], reverse=BETTER[name] == "higher")
    return {model: 1 + sum(is_better(name, other, value[model]) for other in value.values()) for model in order}


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
    data = {model: ", ".join(dict.fromkeys(metric.data for metric in metrics)) for model, metrics in results.items()}
    if len(set(data.values())) > 1:
        return "other data: " + "; ".join(f"{model} was measured against {one}" for model, one in data.items())
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

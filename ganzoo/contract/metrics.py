"""What metrics are called in `metrics.jsonl`, and which of their values are better. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from ..errors import RecipeError, did_you_mean

EVALUATED = "eval/"
"""What the names of evaluations begin with in `metrics.jsonl`."""

BETTER: Mapping[str, Literal["lower", "higher"] | None] = {
    "fid": "lower",
    "kid": "lower",
    "inception-score": "higher",
    "precision": "higher",
    "recall": "higher",
    "density": "higher",
    "coverage": "higher",
    "sliced-wasserstein": "lower",
    "wasserstein-1": "lower",
    "mean-distance": "lower",
    "std-distance": "lower",
    "spectrum-distance": "lower",
    "margins-distance": "lower",
    "correlations-distance": "lower",
    "modes-recovered": "higher",
    "share-within-3-sigma": "higher",
    "mean": None,
    "std": None,
}
"""Every metric, and which of its values are better; None for those that should be the data's own."""


def watched(wanted: str, option: str = "checkpoints.best") -> tuple[str, Literal["lower", "higher"]]:
    """The name in `metrics.jsonl` of a value that a recipe watches, and which of its values are better.

    wanted: a metric whose direction is known, such as "fid", or "lower NAME" or "higher NAME" for any other value.
    option: of the recipe, for the error.
    Raises `RecipeError` if the direction is neither known nor given.
    """
    direction, _, name = wanted.rpartition(" ")
    metric = name.removeprefix(EVALUATED)
    better = BETTER.get(metric) if not direction else "lower" if direction == "lower" else "higher"
    if better is None:
        near = did_you_mean(metric, (one for one, known in BETTER.items() if known))
        raise RecipeError(
            f"{option} = {wanted!r}: which values of {name} are better is not known{near}: "
            f"write 'lower {name}' or 'higher {name}'"
        )
    return f"{EVALUATED}{metric}" if metric in BETTER else name, better

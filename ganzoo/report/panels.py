"""Which curves a report shows, and beside which others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..evaluation import spread
from ..health import Finding, History
from .charts import Chart, Mark, Points

_GROUPS = [
    ("Losses", "", r"loss/(.+)", {}),
    ("Probabilities", "that D gives to real and to generated samples; 0.5 is undecided",
     r"(D\w*\((?:real|fake)\))", {"unit": True, "level": 0.5}),
    ("Telling real from generated", "separation: share of pairs in which D knows the real sample",
     r"health/(D\w*/(?:separation|accuracy\(real\)|accuracy\(fake\)|held_out))", {"unit": True, "level": 0.5}),
    ("Variety", "of generated samples in units of the data's",
     r"health/(G\w*/(?:spread|distinct))", {"level": 1.0}),
    ("Discrepancy", "of generated from real samples, pixel by pixel: 0 equal, 1 far",
     r"health/(G\w*/discrepancy)", {"unit": True}),
    ("Gradients", "norm over all weights", r"health/(\w+/gradient)", {"log": True}),
    ("Movement", "distance of weights from their first values, in units of their norm", r"health/(\w+/moved)", {}),
    ("Scores", "of D on average, raw", r"health/(D\w*/logit\((?:real|fake)\))", {}),
    ("Slope", "change of D's score per unit of distance between samples", r"health/(D\w*/slope)", {}),
    ("Penalties", "", r"penalty/(.+)", {}),
]  # fmt: skip
_MOST_CURVES = 8
_COMPARED = r"loss/.+|D\w*\(.+\)|health/(?:G\w*/spread|D\w*/separation)"


def panels(history: History) -> list[Chart]:
    """The charts of one run: known groups first, then whatever else was logged, by the part before the slash."""
    names = history.names()
    charts, taken = [], set()
    for title, about, pattern, options in _GROUPS:
        matches = [(name, match[1]) for name in names if (match := re.fullmatch(pattern, name))]
        taken |= {name for name, _ in matches}
        for some in _chunks(matches):
            curves = {label.replace("/", " "): history.curve(name) for name, label in some}
            charts.append(Chart(title, curves, about, **options))  # type: ignore[arg-type]
    rest: dict[str, list[tuple[str, str]]] = {}
    for name in names:
        if name not in taken:
            group, _, label = name.rpartition("/")
            rest.setdefault(group or name, []).append((name, label))
    for group, matches in rest.items():
        charts += [Chart(group, {label: history.curve(name) for name, label in some}) for some in _chunks(matches)]
    return charts


def _chunks(matches: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    return [matches[i : i + _MOST_CURVES] for i in range(0, len(matches), _MOST_CURVES)]


def compared_panels(histories: Sequence[History], labels: Sequence[str]) -> list[Chart]:
    """One chart a quantity, one curve a run; losses of different kinds are no one quantity."""
    names = dict.fromkeys(name for history in histories for name in history.names())
    known = [name for name in names if re.fullmatch(_COMPARED, name)]
    results = [name for name in names if not name.startswith(("loss/", "health/", "penalty/", "D"))]
    charts = []
    for name in [*known, *results]:
        by_kind: dict[str, dict[str, Points]] = {}
        for label, history in zip(labels, histories, strict=True):
            if curve := history.curve(name):
                by_kind.setdefault(_loss_of(history) if name.startswith("loss/") else "", {})[label] = curve
        for kind, curves in by_kind.items():
            title = name.removeprefix("health/") + (f", {kind}" if len(by_kind) > 1 else "")
            charts.append(Chart(title, curves))
    return charts


def _loss_of(history: History) -> str:
    """The name of a run's loss."""
    loss = history.recipe.get("loss")
    return str(loss.get("name", "unnamed")) if isinstance(loss, Mapping) else "unnamed"


def grouped_panels(groups: Mapping[str, Sequence[History]]) -> list[Chart]:
    """One chart a quantity, one curve a group of runs: the mean over its runs in a band of one deviation.

    Where rows of a group's runs lie at the same images; a run that broke off ends its group's curve.
    """
    charts = []
    histories = [history for some in groups.values() for history in some]
    for chart in compared_panels(histories, [str(number) for number in range(len(histories))]):
        curves, bands, number = dict[str, Points](), dict[str, list[tuple[int, float, float]]](), 0
        for name, some in groups.items():
            own = [dict(chart.curves.get(str(number + i), ())) for i in range(len(some))]
            number += len(some)
            common = sorted(set.intersection(*map(set, own))) if own else []
            if common:
                spreads = [(images, spread([one[images] for one in own])) for images in common]
                curves[name] = [(images, one.mean) for images, one in spreads]
                bands[name] = [(images, one.mean - (one.deviation or 0), one.mean + (one.deviation or 0))
                               for images, one in spreads if one.deviation is not None]  # fmt: skip
        if curves:
            charts.append(replace(chart, curves=curves, bands=bands))
    return charts


def marks(findings: Sequence[Finding]) -> list[Mark]:
    """Where the charts carry the numbers of the list of findings."""
    return [Mark(one.images, one.severity, i) for i, one in enumerate(findings, 1) if one.severity != "note"]

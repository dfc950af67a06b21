"""The page of a study: groups in figures, curves with bands, pictures side by side, and where all of it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from ..contract import BETTER
from ..errors import RunError
from ..evaluation import Spread, group_by_recipe, leaves, ranks, spread, told_rank
from ..files import write_atomically
from ..health import History, read_history
from ..planning import RESULTS, Place, Plan, Result, groups
from ..version import __version__
from .charts import Drawing, draw
from .frames import Frame, frame_of
from .looks import report_style
from .panels import grouped_panels

PAGE = "index.html"
_SAME = "Runs of a group differ in nothing but the seed. "
_INTERVALS = (
    "Values are mean ± standard deviation over seeds. One place is given where the 95 % intervals of the means "
    "(Student's t, each by itself) lie apart; where they overlap, all places that stay possible, as 1–2."
)


@dataclass(frozen=True)
class Group:
    """seeds: as "3", or "2 of 3" where some came to no number.  rank: as "1", "1–2" or nothing."""

    group: str
    seeds: str
    spreads: Mapping[str, Spread]
    rank: str = ""

    def told(self, metric: str) -> str:
        """Mean ± deviation, or nothing."""
        return str(self.spreads[metric]) if metric in self.spreads else ""


@dataclass(frozen=True)
class Summary:
    """groups: the best first where a metric ranks them, else as in the study.  ranked_by: that metric, or None."""

    groups: list[Group]
    metrics: list[str]
    ranked_by: str | None
    note: str = field(default="")


def summary(plan: Plan, place: Place) -> Summary:
    """The groups of a study in figures, as far as its runs are done."""
    found = groups(plan.cells)
    results = {group: [place.result(cell) for cell in cells] for group, cells in found.items()}
    metrics = list(dict.fromkeys(name for some in results.values() for one in some if one for name in one.values))
    rows = {group: _spreads(some, metrics) for group, some in results.items()}
    ranked_by = next((name for name in metrics if BETTER.get(name)), None)
    places: dict[str, tuple[int, int] | None] = {}
    if ranked_by:
        places = ranks({group: one[ranked_by] for group, one in rows.items() if ranked_by in one}, BETTER[ranked_by])  # type: ignore[arg-type]
    told = [
        Group(group, _seeds(results[group]), one, told_rank(places.get(group)) if len(found) > 1 else "")
        for group, one in rows.items()
    ]
    if ranked_by:
        sign = 1 if BETTER[ranked_by] == "lower" else -1
        told.sort(key=lambda one: (ranked_by not in one.spreads, sign * one.spreads[ranked_by].mean
                                   if ranked_by in one.spreads else 0.0))  # fmt: skip
    return Summary(told, metrics, ranked_by, _note(told, ranked_by, places))


def _spreads(results: Sequence[Result | None], metrics: Sequence[str]) -> dict[str, Spread]:
    found = {}
    for name in metrics:
        values = [one.values[name] for one in results if one and name in one.values]
        if values:
            found[name] = spread(values, len(results) - len(values))
    return found


def _seeds(results: Sequence[Result | None]) -> str:
    whole = sum(bool(one and one.metrics) for one in results)
    lost = [one.state for one in results if one and not one.metrics]
    missing = f" ({', '.join(dict.fromkeys(lost))})" if lost else ""
    return str(whole) if whole == len(results) else f"{whole} of {len(results)}{missing}"


def _note(told: Sequence[Group], by: str | None, places: Mapping[str, Any]) -> str:
    """What the places say, and why some groups have none."""
    if by is None:
        return "Nothing is ranked: no metric was measured that says which of its values are better."
    if len(told) < 2:
        return "Values are mean ± standard deviation over seeds."
    without = [one.group for one in told if places.get(one.group) is None]
    if len(without) == len(told):
        wanted = "that takes intervals of two groups, each of two seeds or more, all with a result"
        return f"Nothing is ranked by {by}: {wanted}."
    more = f" Without a place, as some seeds have no result: {'; '.join(without)}." if without else ""
    open_ = any(place and place[0] != place[1] for place in places.values())
    advice = " More seeds make intervals narrower." if open_ else ""
    return f"Ranked by {by} ({BETTER[by]} is better). {_INTERVALS}{advice}{more}"


def write_study(plan: Plan, place: Place) -> Path:
    """Write the page of a study beside its results. Returns where it is."""
    path = place.folder / PAGE
    write_atomically(path, render(plan, place).encode())
    return path


def render(plan: Plan, place: Place) -> str:
    """The page as HTML; it needs nothing else."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ganzoo.report"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    found = summary(plan, place)
    order = [one.group for one in found.groups]
    histories = {group: _histories(plan, place, group) for group in order}
    return environment.get_template("study.html").render(
        title=plan.study.name,
        facts=_facts(plan, place),
        summary=found,
        same=_SAME,
        refused=plan.refused,
        drawings=_drawings(histories),
        pictures=_pictures(histories),
        runs=_runs(plan, place),
        differences=_differences(plan),
        measured=_measured(plan, place),
        environment=_environment(plan, place),
        results=RESULTS,
        study=plan.study.dump().strip(),
        style=report_style(),
        version=__version__,
    )


def _histories(plan: Plan, place: Place, group: str) -> list[History]:
    found = []
    for cell in groups(plan.cells)[group]:
        try:
            found.append(read_history(place.run(cell)))
        except RunError:  # it has not begun
            continue
    return found


def _drawings(histories: Mapping[str, Sequence[History]]) -> list[Drawing]:
    end = max((one.images for some in histories.values() for one in some), default=0)
    return [draw(chart, [], end, number) for number, chart in enumerate(grouped_panels(histories))]


def _pictures(histories: Mapping[str, Sequence[History]]) -> list[tuple[str, int, str, Frame | None]]:
    """The last picture of each group's first seed: (group, images, seed, picture)."""
    found = []
    for group, some in histories.items():
        for one in some[:1]:
            images, path = one.previews[-1] if one.previews else (0, one.folder)
            found.append((group, images, str(one.recipe.get("seed")), frame_of(images, path)))
    return found


def _facts(plan: Plan, place: Place) -> list[str]:
    done = sum(place.result(cell) is not None for cell in plan.cells)
    seeds = len(plan.study.seeds)
    return [
        f"{done} of {len(plan.cells)} runs done",
        f"{len(groups(plan.cells))} groups",
        f"{seeds} seed{'s' if seeds > 1 else ''} each",
        f"recipe {', '.join(map(str, plan.study.grid['recipe']))}",
    ]


def _runs(plan: Plan, place: Place) -> list[dict[str, Any]]:
    """Every run, with its numbers."""
    found = []
    for cell in plan.cells:
        one = place.result(cell)
        images = "" if one is None or one.images is None else f"{one.images:,}"
        seconds = one.facts.get("seconds") if one else None
        found.append(
            {
                "group": cell.group, "seed": cell.recipe.seed, "folder": f"runs/{cell.name}", "images": images,
                "state": one.state if one else "not done", "why": one.why if one else "",
                "values": one.values if one else {},
                "seconds": f"{seconds:.0f} s" if isinstance(seconds, int | float) else "",
            }
        )  # fmt: skip
    return found


def _differences(plan: Plan) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """The groups, and the keys of their recipes that are not the same in all."""
    firsts = {group: cells[0].recipe.to_dict() for group, cells in groups(plan.cells).items()}
    if len(group_by_recipe(firsts)) < 2:
        return [], []
    flat = [leaves(tree) for tree in firsts.values()]
    keys = dict.fromkeys(key for one in flat for key in one)
    rows = [(key, [str(one.get(key, "–")) for one in flat]) for key in keys if key != "seed"]
    return list(firsts), [(key, values) for key, values in rows if len(set(values)) > 1]


_OWN = ("images", "real", "seed")
"""Facts of a measurement that are not about how it was made, or that each run has for itself."""


def _measured(plan: Plan, place: Place) -> list[tuple[str, str]]:
    """How metrics were measured: those that were alike together, and how."""
    ways: dict[str, dict[str, None]] = {}
    for cell in plan.cells:
        result = place.result(cell)
        for one in result.metrics if result else ():
            facts = {key: value for key, value in one["provenance"].items() if key not in _OWN and "best" not in key}
            told = [f"against {one['data']} {one['split']}", f"{one['samples']:,} samples, drawn with the run's seed"]
            told += [f"{key} {value}" for key, value in facts.items()]
            ways.setdefault(", ".join(told), {})[one["name"]] = None
    return [(", ".join(names), way) for way, names in ways.items()]


def _environment(plan: Plan, place: Place) -> list[tuple[str, str]]:
    """Where and with what the runs were trained."""
    found: dict[str, dict[str, None]] = {}
    seconds = 0.0
    for cell in plan.cells:
        result = place.result(cell)
        for key, value in (result.facts if result else {}).items():
            if key == "seconds":
                seconds += value
            elif key in ("device", "precision", "ganzoo", "torch", "python", "weights"):
                found.setdefault(key, {})[str(value)] = None
    return [*((key, " and ".join(values)) for key, values in found.items()), ("training", f"{seconds:,.0f} s in all")]

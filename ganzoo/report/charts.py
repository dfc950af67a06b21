"""Curves as SVG whose colours are CSS variables, so that one drawing serves light and dark pages."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Points = Sequence[tuple[int, float]]
_POINTS = 400  # a curve is drawn with no more
_WIDTH, _HEIGHT = 4.4, 2.3  # inches; text is 8 points of them
_LOG_RANGE = 200.0
# stand-ins that matplotlib draws with; nothing else in a drawing has these colours
_INK, _GRID = "#010101", "#020202"
_LINES = [f"#0301{i:02x}" for i in range(1, 9)]
_MARKS = {"failure": "#040101", "warning": "#040102", "note": "#040103"}
_VARIABLES = {
    _INK: "var(--ink-2)",
    _GRID: "var(--rule)",
    **{colour: f"var(--line-{i})" for i, colour in enumerate(_LINES, 1)},
    **{colour: f"var(--{severity})" for severity, colour in _MARKS.items()},
}


@dataclass(frozen=True)
class Mark:
    """A finding in a chart: where, how bad, and its number in the list."""

    images: int
    severity: str
    number: int


@dataclass(frozen=True)
class Chart:
    """One drawing.

    curves: points by the name that its legend shows.  bands: (images, low, high) by such a name.
    level: a value to compare with, drawn as a thin line.
    unit: True for values in [0, 1].  log: a logarithmic axis.
    """

    title: str
    curves: Mapping[str, Points]
    about: str = ""
    level: float | None = None
    unit: bool = False
    log: bool = False
    bands: Mapping[str, Sequence[tuple[int, float, float]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Drawing:
    """left, right: where the first and the last image lie, in hundredths of the width; end: images at the right."""

    chart: Chart
    svg: str
    left: float
    right: float
    end: int
    curves: Mapping[str, Points] = field(default_factory=dict)


def draw(chart: Chart, marks: Sequence[Mark], end: int, number: int) -> Drawing:
    """Draw a chart over 0 to `end` images. number: tells its ids from those of other drawings on the page."""
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    curves = {name: thin(points) for name, points in chart.curves.items()}
    style: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "ganzoo", "font.size": 8, "axes.linewidth": 0.6}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(_WIDTH, _HEIGHT))
        axes = figure.add_axes((0.115, 0.135, 0.855, 0.80))
        for (name, points), colour in zip(curves.items(), _LINES * len(curves), strict=False):
            band = chart.bands.get(name, ())
            if band:
                images, low, high = zip(*band, strict=True)
                axes.fill_between(images, low, high, color=colour, alpha=0.18, lw=0)
            x, y = [one[0] for one in points], [one[1] for one in points]
            axes.plot(x, y, color=colour, lw=1.4, marker="o" if len(points) == 1 else None, ms=3)
        values = [value for points in curves.values() for _, value in points]
        if chart.unit:
            axes.set_ylim(-0.04, 1.04)
        elif chart.log and values and min(values) > 0:
            axes.set_yscale("log")
            if max(values) < 100 * min(values):
                axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
        elif spans_decades(values):
            axes.set_yscale("symlog", linthresh=1)
        if chart.level is not None:
            axes.axhline(chart.level, color=_INK, lw=0.7, ls=(0, (1, 2)))
        for mark in marks:
            axes.axvline(mark.images, color=_MARKS[mark.severity], lw=1, ls=(0, (3, 2)))
            axes.annotate(
                str(mark.number), (mark.images, 1), xycoords=("data", "axes fraction"), ha="center", va="bottom",
                fontsize=7, fontweight="bold", color=_MARKS[mark.severity], annotation_clip=False,
            )  # fmt: skip
        axes.set_xlim(0, max(end, 1))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
        axes.grid(True, axis="y", color=_GRID, lw=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(which="both", colors=_INK, width=0.6, length=2.5)
        axes.yaxis.set_minor_formatter(NullFormatter())
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color(_GRID)
        axes.tick_params(axis="y", which="both", length=0)
        box = axes.get_position()
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = _embeddable(buffer.getvalue(), number)
    return Drawing(chart, svg, round(100 * box.x0, 3), round(100 * box.x1, 3), max(end, 1), curves)


def spans_decades(values: Sequence[float]) -> bool:
    """True where a few values would flatten all others on a linear axis."""
    sizes = sorted(abs(value) for value in values)
    return bool(sizes) and sizes[-1] > _LOG_RANGE * max(sizes[len(sizes) // 2], 0.05)


def thin(points: Points) -> list[tuple[int, float]]:
    """At most 400 points, each the mean of its neighbours; the last one stays."""
    if len(points) <= _POINTS:
        return list(points)
    size = -(-len(points) // _POINTS)
    pieces = [points[i : i + size] for i in range(0, len(points), size)]
    return [(piece[-1][0], sum(value for _, value in piece) / len(piece)) for piece in pieces]


def short(images: float) -> str:
    """50k, 1.5M."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if abs(images) >= size:
            return f"{images / size:.3g}{unit}"
    return f"{images:.3g}"


def _embeddable(svg: str, number: int) -> str:
    """The drawing without prologue and fonts, with ids of its own and the page's colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\b(id="|url\(#|href="#)', rf"\1c{number}-", svg)
    svg = re.sub(r"font-family: [^;\"]*; ", "", svg)
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">', svg, count=1)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    return svg

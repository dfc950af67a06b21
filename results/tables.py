"""The tables of README files, made from the CSV files here: `python -m results.tables` renews them.

A plugin's README has its own recipes' rows and the published numbers between `<!-- results -->` and
`<!-- /results -->`, the project's README the short form between `<!-- quality -->` and `<!-- /quality -->`, that of
model_cards/ what was measured of the models there between `<!-- models -->` and `<!-- /models -->`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ganzoo.models import trained
from ganzoo.registry import Registry

from .quality import HERE, TABLE, Line, read

ROOT = HERE.parent
PUBLISHED = HERE / "published.csv"
HEAD = "| what | data | images | seeds | metric | value | how |\n|---|---|---|---|---|---|---|"
GOOD = ("fid", "modes-recovered", "wasserstein-1")
"""Metrics of which one stands in the short form."""
SHORT = "| recipe | data | images | seeds | metric | mean ± σ | CPU minutes |\n|---|---|---|---|---|---|---|"


def main() -> None:
    for path in documents():
        text = path.read_text(encoding="utf-8")
        fresh = renewed(text, path.parent.name)
        if fresh != text:
            path.write_text(fresh, encoding="utf-8")
            print(path.relative_to(ROOT))


def documents() -> list[Path]:
    others = [ROOT / name / "README.md" for name in (".", "results", "model_cards")]
    return [*others, *sorted((ROOT / "plugins").glob("*/README.md"))]


def renewed(text: str, plugin: str) -> str:
    """A README with the tables of now."""
    lines = read(TABLE)
    text = _placed(text, "results", lambda: of_plugin(plugin, lines))
    text = _placed(text, "models", models)
    return _placed(text, "quality", lambda: short(lines))


def of_plugin(plugin: str, lines: Iterable[Line]) -> str:
    """What was measured here, then what papers state."""
    recipes = {one.component.name for one in Registry().all("recipe") if one.plugin.name == plugin}
    rows = [*(_measured(one) for one in lines if one.recipe in recipes), *_published(plugin)]
    return "\n".join([HEAD, *rows]) if rows else "Nothing has been measured, and the source states no number."


def short(lines: Iterable[Line]) -> str:
    """A line for each row: its first metric that says how good it is."""
    first = {one.row: one for one in lines if one.metric in GOOD}
    rows = [f"| {_what(one)} | `{one.data}` | {one.images:,} | {one.seeds} | {_metric(one)} | {_value(one)} "
            f"| {_minutes(one)} |" for one in first.values()]  # fmt: skip
    return "\n".join([SHORT, *rows])


def models() -> str:
    """The trained models by name, with what was measured of each."""
    rows = [f"| [{one.name}]({one.name}/README.md) | {_made(one.name)} | {one.metric} |"
            for one in trained().values() if not one.published]  # fmt: skip
    return "\n".join(["| model | made by | measured |", "|---|---|---|", *rows])


def _made(name: str) -> str:
    """The command, as its card states it."""
    card = (ROOT / "model_cards" / name / "README.md").read_text(encoding="utf-8")
    found = re.search(r"Made by\s+```bash\n(.*?)\n```", card, re.DOTALL)
    return f"`{found[1]}`" if found else "another program"


def _measured(one: Line) -> str:
    how = f"{one.samples:,} samples against {one.against}; {_minutes(one)} CPU minutes a run"
    return f"| {_what(one)} | `{one.data}` | {one.images:,} | {one.seeds} | {_metric(one)} | {_value(one)} | {how} |"


def _published(plugin: str) -> Iterator[str]:
    with PUBLISHED.open(newline="", encoding="utf-8") as file:
        for one in csv.DictReader(file):
            if one["plugin"] == plugin:
                value = one["value"] + (f" ± {one['deviation']}" if one["deviation"] else "")
                yield (f"| *published:* {one['what']} | {one['data']} | | | {one['metric']} | {value} "
                       f"| {one['protocol']}; {one['source']} |")  # fmt: skip


def _what(one: Line) -> str:
    changes = re.sub(r"--images \S+ ?", "", one.changes).strip()
    return f"`{one.recipe}{f' {changes}' if changes else ''}`"


def _metric(one: Line) -> str:
    return f"{one.metric} ({one.features})" if one.features else one.metric


def _value(one: Line) -> str:
    return f"{one.mean:g}" if one.deviation is None else f"{one.mean:g} ± {one.deviation:.2g}"


def _minutes(one: Line) -> str:
    return "not taken" if one.cpu_minutes is None else f"{one.cpu_minutes:g}"


def _placed(text: str, name: str, table: Callable[[], str]) -> str:
    place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    return place.sub(lambda found: f"{found[1]}{table()}\n{found[2]}", text)


if __name__ == "__main__":
    main()

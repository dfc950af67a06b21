"""The table of methods by year, for README.md and the site: `python docs/site/lineage.py` renews README.md."""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from sources import ROOT, Method, methods

_PLACE = re.compile(r"(<!-- lineage -->\n).*?(<!-- /lineage -->)", re.DOTALL)


def table(prefix: str = "") -> str:
    """Markdown. prefix: what leads from the file to the repository's root."""
    rows = [
        f"| {one.year or ''} | [{one.name}]({prefix}{one.readme}) | {_picture(one, prefix)} | {one.new} "
        f"| `{one.recipe}` |"
        for one in sorted(methods(), key=lambda one: one.year or 9999)
    ]
    return "\n".join(["| year | method | made here | what is new | try |", "|---|---|---|---|---|", *rows])


def renewed(readme: str) -> str:
    """README.md with the table of now."""
    return _PLACE.sub(lambda found: f"{found[1]}{table()}\n{found[2]}", readme)


def _picture(one: Method, prefix: str) -> str:
    if not one.picture:
        return "not trained here yet"
    return f'<img src="{prefix}{one.picture}" width="120" alt="Samples of {one.name}">'


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")

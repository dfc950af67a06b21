"""Writes the notebooks of examples/notebooks as .ipynb: `python examples/build_notebooks.py [FOLDER]`.

They are kept as text, percent scripts of jupytext (`pip install jupytext`). What is added: a cell that installs ganzoo,
from the repository that pyproject.toml names or else from a checkout, and, for one on GitHub, a badge that opens the
notebook in Colab from the branch `notebooks`, where CI puts them. The README beside them gets the same badges.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import jupytext
from nbformat.v4 import new_code_cell, new_markdown_cell

ROOT = Path(__file__).parents[1]
HERE = ROOT / "examples" / "notebooks"
SOURCES = sorted(HERE.glob("*.py"))
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"


def repository(pyproject: Path = ROOT / "pyproject.toml") -> str | None:
    """The address of the repository, as the distribution states it."""
    urls = tomllib.loads(pyproject.read_text())["project"].get("urls", {})
    return next((url.removesuffix("/") for name, url in urls.items() if name.lower() in ("repository", "source")), None)


def install(address: str | None) -> str:
    """The line that installs ganzoo: the distribution is not on a package index yet."""
    return f"%pip install --quiet git+{address}" if address else "# from a checkout: pip install ."


def badge(name: str, address: str | None) -> str | None:
    """Markdown of the badge; None for a repository that Colab does not open."""
    found = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+)", address or "")
    if not found:
        return None
    return (
        f"[![Open in Colab]({BADGE})](https://colab.research.google.com/github/{found[1]}/blob/notebooks/{name}.ipynb)"
    )


def with_badges(readme: str, address: str | None) -> str:
    """The README with a badge in each row of its table, or with none."""

    def row(found: re.Match[str]) -> str:
        opens = badge(found[1], address)
        return f"| [{found[1]}.py]({found[1]}.py){f' {opens}' if opens else ''} |"

    return re.sub(r"^\| \[(\w+)\.py\]\(\1\.py\)[^|]*\|", row, readme, flags=re.MULTILINE)


def notebook(path: Path, address: str | None) -> Any:
    """A notebook with what is added, and the same names of cells each time."""
    made = jupytext.read(path, fmt="py:percent")
    opens = badge(path.stem, address)
    made.cells[1:1] = [new_code_cell(install(address))]
    made.cells[:0] = [new_markdown_cell(opens)] if opens else []
    for number, cell in enumerate(made.cells):
        cell["id"] = f"{path.stem}-{number}"[:64]
    return made


def main(folder: Path) -> None:
    """Write all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in SOURCES:
        jupytext.write(notebook(path, repository()), folder / f"{path.stem}.ipynb")
        print(folder / f"{path.stem}.ipynb")
    readme = HERE / "README.md"
    before = readme.read_text(encoding="utf-8")
    if (after := with_badges(before, repository())) != before:
        readme.write_text(after, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)

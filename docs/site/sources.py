"""Which page of the site comes from which file of the repository."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ELSEWHERE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "benchmarks.md",
    "model_cards/README.md": "models.md",
    "results/README.md": "results.md",
}
"""Files that are pages as they are."""


@dataclass(frozen=True)
class Method:
    """A line of methods.toml. year: 0 for what no paper introduced.  picture: a file here, or "" for none."""

    year: int
    name: str
    plugin: str
    recipe: str
    picture: str
    new: str

    @property
    def page(self) -> str:
        return f"zoo/{self.plugin}.md"

    @property
    def readme(self) -> str:
        return f"plugins/{self.plugin}/README.md"


@dataclass(frozen=True)
class Listed:
    """A line of directory.toml. install: what pip installs, "" for an example to copy."""

    name: str
    what: str
    install: str = ""
    readme: str = ""
    url: str = ""
    kinds: str = ""

    @property
    def bundled(self) -> bool:
        return self.readme.startswith("plugins/")


def methods() -> list[Method]:
    return [Method(**one) for one in _lines("methods")]


def directory() -> list[Listed]:
    return [Listed(**one) for one in _lines("directory", "plugins")]


def sources() -> dict[str, str]:
    """Every file that becomes a page, by its path in the repository: the page's path in the site."""
    found = {f"docs/{path.relative_to(ROOT / 'docs').as_posix()}": path.relative_to(ROOT / "docs").as_posix()
             for path in sorted((ROOT / "docs").rglob("*.md")) if HERE not in path.parents}  # fmt: skip
    zoo = {one.plugin for one in methods()}
    for path in sorted((ROOT / "plugins").glob("*/README.md")):
        name = path.parent.name
        found[f"plugins/{name}/README.md"] = f"zoo/{name}.md" if name in zoo else f"parts/{name}.md"
    for path in sorted((ROOT / "examples" / "plugins").glob("*/README.md")):
        found[path.relative_to(ROOT).as_posix()] = f"examples/{path.parent.name}.md"
    for path in sorted((ROOT / "model_cards").glob("*/README.md")):
        found[path.relative_to(ROOT).as_posix()] = f"models/{path.parent.name}.md"
    return found | {path: page for path, page in ELSEWHERE.items() if (ROOT / path).exists()}


def _lines(name: str, key: str | None = None) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = tomllib.loads((HERE / f"{name}.toml").read_text(encoding="utf-8"))[key or name]
    return lines

"""mkdocs calls these: pages are generated, links moved, equations drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import equations
import links
import pages
import reference
from mkdocs.structure.files import File, Files
from sources import HERE, ROOT, methods, sources

_GENERATED = {page: f"docs/{page}" for page in [*pages.GENERATED, *reference.GENERATED]}
_PAGES = sources() | {source: page for page, source in _GENERATED.items()}
_SOURCES = {page: source for source, page in _PAGES.items()}


def on_config(config: Any) -> Any:
    """The nav gets what the indexes list."""
    zoo = next(entry for entry in config.nav if "The zoo" in entry)
    once = dict.fromkeys(one.plugin for one in methods())
    zoo["The zoo"] = ["zoo.md", *({pages.title(name): f"zoo/{name}.md"} for name in once), {"Gallery": "gallery.md"},
                      {"Parts for any game": [{pages.title(Path(page).stem): page} for page in _PAGES.values()
                                              if page.startswith("parts/")]}]  # fmt: skip
    plugins = next(entry for entry in config.nav if "Plugins" in entry)
    examples = [{Path(page).stem: page} for page in _PAGES.values() if page.startswith("examples/")]
    plugins["Plugins"] = [*plugins["Plugins"], {"Examples": examples}]
    results = next(entry for entry in config.nav if "Results" in entry)
    cards = [{Path(page).stem: page} for page in _PAGES.values() if page.startswith("models/")]
    results["Results"] = [*results["Results"], {"Cards": cards}]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add pages that are no files of docs/, and what they show."""
    made = pages.generated() | reference.generated()
    texts = {source: made.get(page) or (ROOT / source).read_text(encoding="utf-8") for source, page in _PAGES.items()}
    for source, page in _PAGES.items():
        if page in made or not source.startswith("docs/"):
            files.append(File.generated(config, page, content=pages.of_readme(texts[source], source)))
    files.append(File.generated(config, "site.css", abs_src_path=str(HERE / "site.css")))
    for path in sorted({path for source, text in texts.items() for path in links.carried(text, source, _PAGES)}):
        files.append(File.generated(config, f"files/{path}", abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    source = _SOURCES.get(page.file.src_uri)
    return links.rewritten(markdown, source, _PAGES) if source else markdown


def on_page_content(html: str, page: Any, config: Any, files: Files) -> str:
    return equations.drawn(html)

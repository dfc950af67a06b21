"""Pages that are made from indexes and READMEs."""

from __future__ import annotations

import re
from pathlib import Path

import lineage
from sources import ROOT, Listed, directory, methods

from ganzoo.registry import Registry

_PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
_BARE = re.compile(r"^```\n(?=(?:ganzoo|python|pip|pytest) )", re.MULTILINE)
GENERATED = ("zoo.md", "gallery.md", "directory.md")
LISTED = (Path(__file__).parent / "listed.md").read_text(encoding="utf-8")
"""How a plugin gets into the directory."""


def title(name: str) -> str:
    """What the page of plugins/NAME is called."""
    names = dict.fromkeys(one.name for one in methods() if one.plugin == name)
    return ", ".join(names) or name.replace("-", " ").capitalize()


def of_readme(text: str, source: str) -> str:
    """A README as a page: a method gets its name, its year and its recipes instead of the distribution's name."""
    text = _BARE.sub("```sh\n", text)
    parts = Path(source).parts
    if parts[0] != "plugins":
        return text
    name = parts[1]
    lines = [f"- {f'{one.year}, ' if one.year else ''}{one.name}: {one.new}. Try `ganzoo train {one.recipe}`."
             for one in methods() if one.plugin == name]  # fmt: skip
    facts = "\n".join(lines)
    return re.sub(r"\A# .*\n", f"# {title(name)}\n\n{facts}\n", text)


def generated() -> dict[str, str]:
    """Text by page; links are those of a file of that name under docs/."""
    return {
        "zoo.md": f"# The zoo, by year\n\n{lineage.table('../')}\n\nEach page has the same parts: what is new, the "
        "equation, commands, pictures, curves and what the logged values mean, results beside published ones, "
        "differences from the paper, and what it costs.\n",
        "gallery.md": gallery(),
        "directory.md": f"# Plugins\n\n{_directory()}\n\n{LISTED}",
    }


def gallery() -> str:
    """Every picture of the methods' pages, with its caption."""
    tiles = [
        f'<figure markdown><a href="../{source}"><img src="../plugins/{name}/{path}" alt="{caption}" loading="lazy">'
        f"</a><figcaption>{caption}</figcaption></figure>"
        for name, source in dict.fromkeys((one.plugin, one.readme) for one in methods())
        for caption, path in _PICTURE.findall((ROOT / source).read_text(encoding="utf-8"))
        if not path.endswith("curves.png")
    ]
    return ("# Gallery\n\nWhat recipes of the zoo made, as they made it; a picture leads to the page that says by "
            'which command.\n\n<div class="tiles">\n' + "\n".join(tiles) + "\n</div>\n")  # fmt: skip


def _directory() -> str:
    rows = [f"| {_link(one)} | {one.what} | {_kinds(one)} | {_install(one)} |" for one in directory()]
    return "\n".join(["| plugin | what is in it | kinds | in the distribution |", "|---|---|---|---|", *rows])


def _link(one: Listed) -> str:
    return f"[{one.name}]({one.url or f'../{one.readme}/README.md'})"


def _install(one: Listed) -> str:
    return f"`{one.install}`" if one.install else "a folder to copy"


def _kinds(one: Listed) -> str:
    if not one.bundled:
        return one.kinds
    found = [entry.component.kind for entry in Registry().all() if entry.plugin.name == one.name]
    return ", ".join(dict.fromkeys(found))

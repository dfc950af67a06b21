"""Links between files of the repository become links between pages of the site.

What is no page, such as a picture or a script, is copied to `files/`, under the path that it has in the repository.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping

from sources import ROOT

_FENCE = re.compile(r"^(`{3,}|~{3,}).*?^\1`*\s*$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]+`")
_TARGET = re.compile(r"(\]\(|src=\"|href=\")([^)\"\s]+)")
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|#", re.IGNORECASE)


def rewritten(text: str, source: str, pages: Mapping[str, str], page: str | None = None) -> str:
    """Markdown of `source`, a path in the repository, as it stands in its page."""
    own = page or pages[source]

    def moved(found: re.Match[str]) -> str:
        target = _moved(found[2], source, own, pages)
        if found[1] == 'href="':  # HTML is not looked at by mkdocs, which writes x.md as x.html
            target = re.sub(r"\.md(?=#|$)", ".html", target)
        return found[1] + target

    return _outside_code(text, lambda part: _TARGET.sub(moved, part))


def carried(text: str, source: str, pages: Mapping[str, str]) -> Iterator[str]:
    """Files of the repository outside docs/ that the text links to and that are no pages."""
    found: list[str] = []
    _outside_code(text, lambda part: found.extend(target for _, target in _TARGET.findall(part)) or part)
    for target in found:
        path = None if _ELSEWHERE.match(target) else _resolved(target.partition("#")[0], source)
        if path and _page(path, pages) is None and not path.startswith("docs/") and (ROOT / path).is_file():
            yield path


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    """Change what is neither in a fence nor code within a line; the label of a link may hold code."""
    parts, place = [], 0
    for fence in _FENCE.finditer(text):
        parts += [_outside_spans(text[place : fence.start()], change), fence[0]]
        place = fence.end()
    return "".join([*parts, _outside_spans(text[place:], change)])


def _outside_spans(text: str, change: Callable[[str], str]) -> str:
    spans: list[str] = []
    hidden = _CODE.sub(lambda found: f"\0{spans.append(found[0]) or len(spans) - 1}\0", text)
    return re.sub("\0(\\d+)\0", lambda found: spans[int(found[1])], change(hidden))


def _moved(target: str, source: str, own: str, pages: Mapping[str, str]) -> str:
    if _ELSEWHERE.match(target):
        return target
    place, hash_, anchor = target.partition("#")
    path = _resolved(place, source)
    page = _page(path, pages)
    if page is None:  # a picture of docs/ keeps its place; a missing file stays for mkdocs to find
        page = path.removeprefix("docs/") if path.startswith("docs/") else f"files/{path}"
    return posixpath.relpath(page, posixpath.dirname(own) or ".") + hash_ + anchor


def _resolved(place: str, source: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), place))


def _page(path: str, pages: Mapping[str, str]) -> str | None:
    """Its page; of a folder that of its README."""
    if path in ("plugins", "examples/plugins"):
        return "directory.md"
    if path == "README.md":
        return "index.md"
    return pages.get(path) or pages.get(f"{path}/README.md")

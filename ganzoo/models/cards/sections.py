"""Documents of generated sections and the user's own, told apart by a hash: what a user edited is never overwritten.

A generated section begins with `<!-- ganzoo:NAME HASH -->`, where HASH is that of the text as it was generated. If the
text no longer has that hash, somebody edited it. Headings without such a line are the user's own sections.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_MARKER = re.compile(r"<!-- ganzoo:([a-z]+)(?: ([0-9a-f]{8}))? -->\s*")


@dataclass(frozen=True)
class Section:
    """name: None for the user's own.  stated: the hash in its marker.  text: without the marker, stripped."""

    name: str | None
    stated: str | None
    text: str

    @property
    def edited(self) -> bool:
        """True if somebody changed the text after it was generated."""
        return self.name is not None and self.stated != _hash(self.text)

    def __str__(self) -> str:
        if self.name is None:
            return self.text
        return f"<!-- ganzoo:{self.name} {self.stated or _hash(self.text)} -->\n{self.text}".rstrip()


def parse(document: str) -> list[Section]:
    """Split a document at markers, and at headings that follow no marker; code in fences is not looked at."""
    sections: list[tuple[str | None, str | None, list[str]]] = [(None, None, [])]
    fenced = False
    for line in document.replace("\r\n", "\n").split("\n"):
        marker = None if fenced else _MARKER.fullmatch(line)
        name, _, lines = sections[-1]
        if line.lstrip().startswith("```"):
            fenced = not fenced
        if marker:
            sections.append((marker[1], marker[2], []))
            continue
        begun = any(one.strip() for one in lines)
        if not fenced and re.match(r"#{1,2} ", line) and (begun or name is None):
            sections.append((None, None, []))
        sections[-1][2].append(line.rstrip())
    found = [Section(name, stated, "\n".join(lines).strip()) for name, stated, lines in sections]
    return [one for one in found if one.name is not None or one.text]


def merge(fresh: str, earlier: Sequence[str]) -> str:
    """Renew a document: what is generated anew, but the user's sections and edits of earlier versions.

    fresh: with markers that need no hash.  earlier: the version whose edits weigh most comes first.
    """
    before = [parse(document) for document in earlier]
    own: dict[str, str | None] = {}
    for document in before:
        for anchor, text in _own(document):
            own.setdefault(text, anchor)
    merged = [text for text, anchor in own.items() if anchor is None]
    generated = parse(fresh)
    names = {one.name for one in generated}
    for section in generated:
        edits = (one for document in before for one in document if one.name == section.name and one.edited)
        merged.append(str(next(edits, section)))
        merged += [text for text, anchor in own.items() if anchor == section.name]
    merged += [text for text, anchor in own.items() if anchor is not None and anchor not in names]
    return "\n\n".join(merged) + "\n"


def _own(document: Iterable[Section]) -> Iterable[tuple[str | None, str]]:
    """The user's own sections, each with the name of the generated section that it follows."""
    anchor = None
    for section in document:
        if section.name is None:
            yield anchor, section.text
        else:
            anchor = section.name


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]

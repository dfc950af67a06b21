"""A model's card as HTML. Whoever wrote it may be hostile: no markup of theirs is kept, no address is asked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from ...models import CARD, SAMPLES, Model, card_text, read_card, render

_FOLLOWED = re.compile(r"https?://[^\s]+", re.IGNORECASE)
_DEEPEST = 6
_FOLD = re.compile("<p>&lt;details&gt;&lt;summary&gt;([^&<>]*)&lt;/summary&gt;</p>")
_FOLDED = "<p>&lt;/details&gt;</p>"
"""The one piece of markup that ganzoo's own cards have: something folded, with a title of plain words."""


def card_html(model: Model, name: str) -> Markup:
    """The card in the model's folder, one written now where there is none. name: as on a command line.

    Links lead to http and https only, and only when they are followed; pictures are left out.
    """
    path = model.folder / CARD
    text = read_card(path) if path.is_file() else render(model.config, name, False)
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.validateLink = _is_followed  # type: ignore[method-assign]
    tokens = parser.parse(card_text(text))
    _restrict(tokens)
    html = parser.renderer.render(tokens, parser.options, {})  # what was written is escaped, html being off
    return Markup(_FOLD.sub(r"<details><summary>\1</summary>", html).replace(_FOLDED, "</details>"))


def _is_followed(url: str) -> bool:
    return _FOLLOWED.match(url) is not None or url == SAMPLES


def _restrict(tokens: Sequence[Token]) -> None:
    """Headings below the page's own, links that tell nobody where they were found, words for pictures."""
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(_DEEPEST, int(token.tag[1]) + 1)}"
        if token.type == "link_open":
            token.attrSet("rel", "noopener noreferrer nofollow")
        if token.type == "image":
            _to_words(token)
        _restrict(token.children or ())


def _to_words(token: Any) -> None:
    """Make text of a picture: what it shows; the samples of the card are on the page already."""
    shown = "" if token.attrGet("src") == SAMPLES else token.content
    token.type, token.tag, token.content, token.children = "text", "", shown, None

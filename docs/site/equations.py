"""Equations as MathML, which browsers draw without a script."""

from __future__ import annotations

import html
import re
from xml.etree import ElementTree

from latex2mathml.converter import convert

_SPAN = re.compile(r'<span class="arithmatex">\\\((.+?)\\\)</span>', re.DOTALL)
_OPERATORS = re.compile(r"<m[io]>(log|exp|min|max|sup|sign)</m[io]>")
_LIMITS = re.compile(r"<msub>(<mo[^>]*>(?:min|max|sup)</mo>)(.*?)</msub>", re.DOTALL)
_BLOCK = re.compile(r'<div class="arithmatex">\s*\\\[(.+?)\\\]\s*</div>', re.DOTALL)


def drawn(page: str) -> str:
    """The HTML of a page, with LaTeX in it made MathML."""
    page = _BLOCK.sub(lambda found: f'<div class="equation">{_mathml(found[1], "block")}</div>', page)
    return _SPAN.sub(lambda found: _mathml(found[1], "inline"), page)


def _mathml(latex: str, display: str) -> str:
    """Names of functions get the space that TeX gives them; in equations of their own, limits stand below."""
    drawn = _OPERATORS.sub(r'<mo lspace="0.17em" rspace="0.17em" movablelimits="false">\1</mo>',
                           convert(html.unescape(latex).strip(), display=display))  # fmt: skip
    return _LIMITS.sub(_below, drawn) if display == "block" else drawn


def _below(found: re.Match[str]) -> str:
    """`<msub>` of an operator becomes `<munder>`, where its index is one element."""
    inner = found[2]
    return f"<munder>{found[1]}{inner}</munder>" if _is_one(inner) else found[0]


def _is_one(xml: str) -> bool:
    try:
        ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return False
    return True

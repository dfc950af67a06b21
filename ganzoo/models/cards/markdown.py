"""Text from strangers in Markdown: shown as it is, whatever it would mean there. No torch here."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

from ...errors import printable

_MEANINGFUL = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>|&~$"})
_LINKED = re.compile(r"://|www\.|@", re.IGNORECASE)
_LONGEST = 300


def escaped(value: Any) -> str:
    """One line that Markdown shows as it is, also in a table; what a page would make a link of is shown as code."""
    text = printable(str(value), _LONGEST)
    if _LINKED.search(text):
        return code(text).replace("|", "\\|")
    return text.translate(_MEANINGFUL)


def code(text: str) -> str:
    """Text as code within a line."""
    text = printable(text, _LONGEST)
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence, pad = "`" * (longest + 1), " " if longest else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def python_string(text: str) -> str:
    """A Python literal, in double quotes."""
    return json.dumps(text, ensure_ascii=False)


def shell_word(text: str) -> str:
    """One word on a command line."""
    return shlex.quote(printable(text, _LONGEST))

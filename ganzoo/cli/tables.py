"""Tables on stdout."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import printable


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, as wide as the terminal; in a pipe, every column gets the room it needs."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    drawn = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        drawn.add_row(*(Text(printable(cell, len(cell))) for cell in row))
    console.print(drawn)

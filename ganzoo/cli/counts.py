"""Counts on the command line, as everywhere: 2000, 20k or 1.5M."""

from __future__ import annotations

from typing import Any

import click

from ..errors import RecipeError, UsageError


class Count(click.ParamType[int]):
    """A whole number from 1 (or `low`) up, with the units of `--images`."""

    name = "count"

    def __init__(self, low: int = 1) -> None:
        self._low = low

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from ..recipes import parse_count

        name = param.opts[0] if param else self.name
        try:
            count = parse_count(str(value))
        except RecipeError as error:
            raise UsageError(f"{name}: {error}") from error
        if count < self._low:
            raise UsageError(f"{name} {value}: at least {self._low}")
        return count


COUNT = Count()

"""How a check ends: it passes, it fails with a fix, or it says why it could not be made."""

from __future__ import annotations

import traceback
import unittest
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..public import public


@public
class Failure(AssertionError):
    """One broken promise. expected, found: in a few words each.  fix: what to change."""

    def __init__(self, expected: str, found: str, fix: str) -> None:
        self.expected, self.found, self.fix = expected, found, fix
        super().__init__(f"expected {expected}; found {found}; fix: {fix}")


@public
class NotChecked(unittest.SkipTest):
    """A check that cannot be made here, such as of a callback whose service is not installed. Test runners skip it."""


@public
class ConformanceError(AssertionError):
    """All failures of a plugin. `failures` holds (name of the check, what failed) pairs."""

    def __init__(self, plugin: str, failures: Sequence[tuple[str, Failure]]) -> None:
        self.failures = tuple(failures)
        lines = [f"{name}: {failure}" for name, failure in self.failures]
        super().__init__("\n  ".join([f"{plugin} breaks {len(lines)} of its promises:", *lines]))


def expect(holds: bool, expected: str, found: str, fix: str) -> None:
    """Raise `Failure` unless the promise holds."""
    if not holds:
        raise Failure(expected, found, fix)


@contextmanager
def promised(expected: str, fix: str) -> Iterator[None]:
    """Turn whatever a plugin raises inside into a `Failure` that says where it came from."""
    try:
        yield
    except (Failure, NotChecked):
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        said = " ".join(str(error).split())[:300]
        place = f"{last.filename.rpartition('/')[2]}:{last.lineno}"
        raise Failure(expected, f"{type(error).__name__}: {said} ({place})", fix) from error

"""Every error that a user can cause: one clear line saying what was asked, what was found, what to do."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence

from .public import public


@public
class GanzooError(Exception):
    """Base of all errors that ganzoo raises on purpose; the command line prints it without a traceback."""

    exit_code = 1


@public
class UsageError(GanzooError):
    """The request itself is wrong: the command line exits with 2."""

    exit_code = 2


@public
class UnknownName(UsageError):
    """A component, recipe or option that nobody provides."""


@public
class RecipeError(UsageError):
    """A recipe that cannot be read, or that does not fit the run folder it was sent to."""


@public
class Incompatible(UsageError):
    """A combination that cannot train; `problems` holds every reason found, each a full sentence."""

    def __init__(self, problems: Sequence[str] | str) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


@public
class DataError(GanzooError):
    """Data that are missing, empty or damaged."""


@public
class Diverged(GanzooError):
    """A loss or weight became NaN or infinite."""


@public
class CheckpointError(GanzooError):
    """A checkpoint that is missing, damaged, or made by something else."""


@public
class RunError(GanzooError):
    """A run folder that cannot be used: locked, not writable, or not a run."""


@public
class ModelError(GanzooError):
    """A model folder that cannot be loaded."""


@public
class ConversionError(GanzooError):
    """A file of another program that is damaged, unknown or hostile, or that no network of ganzoo fits."""


@public
class HubError(GanzooError):
    """The Hugging Face Hub refused, failed, cannot be reached, or sent something else than it states."""


@public
class PluginError(GanzooError):
    """A plugin that is broken, or two that claim the same name."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean 'x'?)" for the nearest known name, or "" when none is near.

    Capitals count for nothing, nor whether words are joined by "-" or "_".
    """
    plain = {_plain(one): one for one in known}
    near = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.55)
    return f" (did you mean '{plain[near[0]]}'?)" if near else ""


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


@public
def printable(text: str, limit: int = 120) -> str:
    """Text from strangers as it may stand in a message: one line, no control characters, not too long.

    A hostile file could otherwise write escape sequences into the reader's terminal.
    """
    shown = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text[:limit])
    return shown + "…" * (len(text) > limit)


def shortened(number: int) -> str:
    """A whole number as it may stand in a message; its power of ten if it is long."""
    return f"{number:,}" if abs(number) < 10**24 else f"about 10^{round(number.bit_length() * math.log10(2))}"


def first_line(error: BaseException) -> str:
    """What a library's error says first, in at most 300 printable characters; its type if it says nothing."""
    lines = str(error).strip().splitlines()
    return printable(lines[0] if lines else type(error).__name__, 300)

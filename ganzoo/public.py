"""What is public carries the public name, wherever it is defined."""

from __future__ import annotations

from typing import TypeVar

Thing = TypeVar("Thing")


def public(thing: Thing) -> Thing:
    """Let a class or function of `ganzoo.__all__` say in reprs, help and tracebacks that it is `ganzoo.X`.

    Those of `ganzoo.testing` stay there.
    """
    inside = thing.__module__.startswith("ganzoo.testing.")
    thing.__module__ = "ganzoo.testing" if inside else "ganzoo"
    return thing

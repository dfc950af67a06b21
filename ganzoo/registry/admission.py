"""Whether a plugin may come in: versions, what its hook gave, and what it costs at start-up. No torch here."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import Distribution
from types import ModuleType
from typing import Any

from ..contract import INTERFACE, INTERFACES, KINDS, Component
from ..errors import GanzooError, PluginError, did_you_mean, printable
from ..version import DISTRIBUTION

HEAVY = ("torch", "tensorflow", "jax", "transformers", "huggingface_hub", "matplotlib", "scipy", "numpy", "PIL")
"""Packages that a plugin must not import before one of its components is used, the slowest first."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_OURS = re.compile(r"(?:torch[-_.])?ganzoo(?![\w.-])", re.IGNORECASE)
_RELEASE = re.compile(r"(?:torch-)?ganzoo *>= *(\d+(?:\.\d+)*)")


def refuse_other_ganzoo(distribution: Distribution, version: str) -> None:
    """Raise `PluginError` if a distribution's `Requires-Dist` asks for another ganzoo than this version.

    Reads metadata only, so that a plugin which cannot even be imported here is told the true reason.
    """
    for text in distribution.requires or ():
        if not _OURS.match(text) or _is_satisfied(text, version):
            continue
        wanted = _OURS.sub(DISTRIBUTION, text.partition(";")[0].strip(), count=1)
        raise PluginError(f"it needs {wanted}, this is ganzoo {version}: pip install --upgrade '{wanted}'")


def _is_satisfied(requirement: str, version: str) -> bool:
    simple = _RELEASE.fullmatch(requirement)
    if simple and re.fullmatch(r"\d+(\.\d+)*", version):
        # the usual form, judged without the milliseconds that importing `packaging` costs every command
        return _numbers(simple[1]) <= _numbers(version)
    from packaging.requirements import Requirement

    parsed = Requirement(requirement)
    if parsed.marker and not parsed.marker.evaluate({"extra": ""}):
        return True
    return parsed.specifier.contains(version, prereleases=True)


def _numbers(version: str) -> list[int]:
    """1.2.0 as [1, 2]: trailing zeros say nothing."""
    return [int(number) for number in re.sub(r"(\.0+)+$", "", version).split(".")]


def interface_of(module: ModuleType) -> int:
    """The interface version that a plugin was written for: its `GANZOO_INTERFACE`, 1 where it says nothing.

    Raises `PluginError` for one that this ganzoo does not speak.
    """
    stated = getattr(module, "GANZOO_INTERFACE", 1)
    if type(stated) is not int:
        raise PluginError(f"GANZOO_INTERFACE is {stated!r}: write a whole number, such as {INTERFACE}")
    if stated > INTERFACE:
        raise PluginError(
            f"it was written for interface {stated}, this ganzoo speaks {INTERFACE}: pip install --upgrade torch-ganzoo"
        )
    if stated not in INTERFACES:
        raise PluginError(
            f"it was written for interface {stated}, this ganzoo speaks {min(INTERFACES)} to {INTERFACE}: "
            "look for a newer release of it"
        )
    return stated


def deprecation(interface: int) -> str | None:
    """What to tell the users of a plugin whose interface is about to go, or None."""
    ends = INTERFACES[interface]
    if ends is None:
        return None
    return f"it was written for interface {interface}, which ends with ganzoo {ends}: look for a newer release of it"


def checked(component: Any) -> Component:
    """Return what a hook gave if it is a well-formed `Component`, else raise `PluginError`."""
    if not isinstance(component, Component):
        raise PluginError(f"ganzoo_components gave {printable(repr(component))}: return a list of ganzoo.Component")
    for key, value in vars(component).items():
        if not isinstance(value, str) or not value.isprintable():
            raise PluginError(f"component {key} is {printable(repr(value))}: write one line of text")
    kind, name = component.kind, component.name
    if kind not in KINDS:
        raise PluginError(f"no kind '{kind}'{did_you_mean(kind, KINDS)}; kinds: {', '.join(KINDS)}")
    if not _NAME.fullmatch(name):
        raise PluginError(f"{kind} name '{name}': use letters, digits, '-' and '_'")
    if not _TARGET.fullmatch(component.target):
        raise PluginError(f"target '{component.target}' of {kind} {name}: write 'package.module:attribute'")
    return component


def reason(error: BaseException) -> str:
    """One printable line for whatever a plugin raised."""
    said = (str(error).strip().splitlines() or [""])[0]
    text = said if isinstance(error, GanzooError) else f"{type(error).__name__}: {said}".removesuffix(": ")
    return printable(text, 400)


@dataclass
class StartUp:
    """seconds: that finding a plugin took.  heavy: the slow packages it imported meanwhile."""

    seconds: float = 0.0
    heavy: tuple[str, ...] = ()

    def note(self) -> str | None:
        """What to tell of a plugin that slows every command down, or None."""
        if not self.heavy:
            return None
        return (
            f"imports {self.heavy[0]} at start-up, which costs every command {self.seconds:.1f} s: "
            "its hook's module should only name what imports it"
        )


@contextmanager
def watched(module: str) -> Iterator[StartUp]:
    """Watch what importing a plugin's module brings in."""
    cost, before = StartUp(), set(sys.modules)
    began = time.perf_counter()
    try:
        yield cost
    finally:
        cost.seconds = time.perf_counter() - began
        package = module.partition(".")[0]
        new = sys.modules.keys() - before
        own = [
            sys.modules[name] for name in new | {module} if name.partition(".")[0] == package and name in sys.modules
        ]
        # a package that an earlier plugin or the program has already imported shows in the names that this one holds
        cost.heavy = tuple(name for name in HEAVY if name in new or (name in before and _uses(own, name)))


def _uses(modules: Iterable[ModuleType | None], package: str) -> bool:
    values = [value for module in modules if module is not None for value in list(vars(module).values())]
    origins = [
        value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None) for value in values
    ]
    return any(isinstance(origin, str) and origin.partition(".")[0] == package for origin in origins)

"""Finds plugins and resolves names to components. Nothing heavy is imported before a component is used."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from ..contract import KINDS, Component, hookspecs
from ..errors import PluginError, UnknownName, did_you_mean
from ..version import DISTRIBUTION, __version__
from . import admission

KNOWN_DISTRIBUTIONS: dict[tuple[str, str], str] = {
    ("generator", "sagan"): "ganzoo-sagan",
    ("discriminator", "sagan"): "ganzoo-sagan",
    ("recipe", "sagan"): "ganzoo-sagan",
    ("callback", "tensorboard-weights"): "ganzoo-tensorboard",
}
"""(kind, name) -> the distribution on PyPI that provides it, for the `pip install` line of an error."""


@dataclass
class Plugin:
    """One entry point.

    interface: the version of ganzoo's interface that it was written for.
    problem: in one line, why it was left out; None means that it is in.
    notes: in a line each, what is wrong with it although it is in.  seconds: that finding it took.
    """

    name: str
    distribution: str
    version: str
    module: str
    components: list[Component] = field(default_factory=list)
    interface: int = 1
    problem: str | None = None
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Registered:
    """A component and the plugin it came from."""

    component: Component
    plugin: Plugin


class Registry:
    """All components of all plugins.

    points: entry points to read, by default those of the installed distributions.
    """

    def __init__(self, points: Iterable[EntryPoint] | None = None) -> None:
        self.plugins: list[Plugin] = []
        self._components: dict[tuple[str, str], list[Registered]] = {}
        self._manager = pluggy.PluginManager("ganzoo")
        self._manager.add_hookspecs(hookspecs)
        for point in _unique(installed_points() if points is None else points):
            self._add(point)
        self._note_rivals()

    def _add(self, point: EntryPoint) -> None:
        plugin = Plugin(point.name, *_origin(point), point.value)
        self.plugins.append(plugin)
        try:
            self._admit(point, plugin)
        # whatever a plugin raises, be it an exit, must not break the host
        except (Exception, SystemExit) as error:
            plugin.problem = admission.reason(error)
            return
        for component in plugin.components:
            key = (component.kind, component.name)
            self._components.setdefault(key, []).append(Registered(component, plugin))

    def _admit(self, point: EntryPoint, plugin: Plugin) -> None:
        if point.dist and plugin.distribution != DISTRIBUTION:
            admission.refuse_other_ganzoo(point.dist, __version__)
        with admission.watched(point.value) as cost:
            module = point.load()
            plugin.interface = admission.interface_of(module)
            plugin.components = self._components_of(module, f"{plugin.distribution}:{point.name}")
        plugin.seconds = round(cost.seconds, 4)
        plugin.notes += filter(None, [cost.note(), admission.deprecation(plugin.interface)])

    def _components_of(self, module: ModuleType, name: str) -> list[Component]:
        if self._manager.is_registered(module):
            other = self._manager.get_name(module)
            raise PluginError(f"its module {module.__name__} is that of {other} too: uninstall one of them")
        self._manager.register(module, name=name)
        self._refuse_unknown_hooks(module)
        hooks = self._manager.hook.ganzoo_components.get_hookimpls()
        given: list[Any] = [hook.function() for hook in hooks if hook.plugin is module]
        found = [components for components in given if components is not None]
        if not found:
            raise PluginError("it implements no hook: write ganzoo_components and mark it with @ganzoo.hookimpl")
        return [admission.checked(component) for components in found for component in components]

    def _refuse_unknown_hooks(self, module: ModuleType) -> None:
        for caller in self._manager.get_hookcallers(module) or ():
            if not caller.has_spec():
                specs = [name for name in vars(hookspecs) if name.startswith("ganzoo_")]
                raise PluginError(f"there is no hook '{caller.name}'{did_you_mean(caller.name, specs)}")

    def _note_rivals(self) -> None:
        """Tell every plugin that claims a name which others do."""
        for (kind, name), claims in self._components.items():
            for one in claims if len(claims) > 1 else ():
                others = [_owner(other) for other in claims if other is not one]
                one.plugin.notes.append(
                    f"{kind} '{name}' is also claimed by {' and '.join(others)}, so it cannot be used"
                )

    def names(self, kind: str) -> list[str]:
        """Names of one kind, sorted."""
        return sorted(name for known, name in self._components if known == kind)

    def all(self, kind: str | None = None) -> list[Registered]:
        """Every component, or every one of a kind, in order of kind and name."""
        keys = sorted(self._components, key=lambda key: (KINDS.index(key[0]), key[1]))
        return [one for key in keys if kind in (None, key[0]) for one in self._components[key]]

    def find(self, kind: str, name: str) -> Registered:
        """Return the component of that kind and name.

        Raises `UnknownName` with the nearest name and, where a known distribution provides it, the line that
        installs it; `PluginError` if two distributions claim the name.
        """
        found = self._components.get((kind, name), [])
        if len(found) > 1:
            owners = " and ".join(map(_owner, found))
            raise PluginError(f"{kind} '{name}' is claimed by {owners}: uninstall one of them or set GANZOO_PLUGINS")
        if found:
            return found[0]
        raise UnknownName(f"no {kind} '{name}'{self._advice(kind, name)}")

    def provider(self, kind: str, name: str) -> Plugin | None:
        """The plugin that provides a part here, whatever a stranger's file claims; None if none, or if two do."""
        found = self._components.get((kind, name), [])
        return found[0].plugin if len(found) == 1 and found[0].plugin.distribution != "?" else None

    def _advice(self, kind: str, name: str) -> str:
        distribution = KNOWN_DISTRIBUTIONS.get((kind, name))
        if distribution:
            return f"; it comes with: pip install {distribution}"
        broken = [f"{plugin.name} ({plugin.problem})" for plugin in self.plugins if plugin.problem]
        place = _place(name, self.names(kind)) if kind == "dataset" else ""
        meant = place or self._described(kind, name) or did_you_mean(name, self.names(kind))
        hint = meant or f"; `ganzoo list {kind}` shows those there are"
        if broken:
            hint += f"; left out because broken: {', '.join(broken)}"
        if (only := _allowed()) is not None:
            hint += f"; GANZOO_PLUGINS limits plugins to: {', '.join(sorted(only)) or 'none'}"
        return hint

    def _described(self, kind: str, word: str) -> str:
        """Components that say of themselves that they go by another name too, as BCE."""
        whole = re.compile(rf"\b{re.escape(word)}\b", re.IGNORECASE)
        found = [one.component.name for one in self.all(kind) if whole.search(one.component.summary)]
        return f" (did you mean {' or '.join(map(repr, found))}?)" if 0 < len(found) <= 3 else ""

    def load(self, kind: str, name: str) -> Any:
        """Import and return the class, mapping or command of that kind and name."""
        registered = self.find(kind, name)
        module, _, attribute = registered.component.target.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except Exception as error:  # a plugin's module may raise anything
            plugin = registered.plugin
            raise PluginError(
                f"{kind} '{name}' of {plugin.distribution} {plugin.version} does not load: {admission.reason(error)}"
            ) from error


def installed_points() -> list[EntryPoint]:
    """Entry points of the installed distributions, as far as `GANZOO_PLUGINS` allows."""
    only = _allowed()
    return [point for point in entry_points(group="ganzoo") if only is None or point.name in only]


def _allowed() -> set[str] | None:
    wanted = os.environ.get("GANZOO_PLUGINS")
    return None if wanted is None else {name.strip() for name in wanted.split(",") if name.strip()}


def _origin(point: EntryPoint) -> tuple[str, str]:
    """Name and version of an entry point's distribution, "?" where its metadata do not say."""
    try:
        return (point.dist.name or "?", point.dist.version or "?") if point.dist else ("?", "?")
    except Exception:  # metadata that were damaged
        return "?", "?"


_READERS = {".zip": "folder", ".tar": "shards", ".npz": "npz"}
"""Which data set reads a file of the user's own, by its suffix; folders are read by `folder`."""


def _place(name: str, known: Iterable[str]) -> str:
    """What to write for a folder or file of that name, if there is one."""
    path = Path(name).expanduser()
    if path.is_dir():
        reader, what = "folder", "folder"
    else:
        reader, what = _READERS.get(path.suffix.lower(), ""), "file"
    return f"; '{name}' is a {what} here: write {reader}:{name}" if path.exists() and reader in known else ""


def is_same_distribution(one: str, other: str) -> bool:
    """True for two spellings of one distribution's name: case, and which of "-", "_" and "." it has."""
    return len({re.sub(r"[-_.]+", "-", name).lower() for name in (one, other)}) == 1


def _owner(one: Registered) -> str:
    return f"{one.plugin.distribution} ({one.plugin.name})"


def _unique(points: Iterable[EntryPoint]) -> list[EntryPoint]:
    """One installation can be seen twice (an editable one and its build): keep the first, in order of name."""
    seen: dict[tuple[str, str, str], EntryPoint] = {}
    for point in points:
        seen.setdefault((_origin(point)[0], point.name, point.value), point)
    return [seen[key] for key in sorted(seen)]


@cache
def registry() -> Registry:
    """The registry of this process's installed plugins."""
    return Registry()

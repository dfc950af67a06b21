"""Finds plugins and resolves names to components. Nothing heavy is imported before a component is used."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

import pluggy

from . import hookspecs
from .errors import PluginError, UnknownName, did_you_mean
from .hookspecs import KINDS, Component

KNOWN_DISTRIBUTIONS: dict[tuple[str, str], str] = {}
"""(kind, name) -> the distribution on PyPI that provides it, for the `pip install` line of an error."""


@dataclass
class Plugin:
    """One entry point. `problem` says in one line why it was left out; None means that all is well."""

    name: str
    distribution: str
    version: str
    module: str
    components: list[Component] = field(default_factory=list)
    problem: str | None = None


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
        wanted = os.environ.get("GANZOO_PLUGINS")
        self._only = None if wanted is None else {name.strip() for name in wanted.split(",") if name.strip()}
        for point in _unique(entry_points(group="ganzoo") if points is None else points):
            if self._only is None or point.name in self._only:
                self._add(point)

    def _add(self, point: EntryPoint) -> None:
        dist = point.dist
        plugin = Plugin(point.name, dist.name if dist else "?", dist.version if dist else "?", point.value)
        self.plugins.append(plugin)
        try:
            plugin.components = self._components_of(point, plugin)
        except Exception as error:  # whatever a plugin raises must not break the host
            plugin.problem = f"{type(error).__name__}: {error}".splitlines()[0]
            return
        for component in plugin.components:
            key = (component.kind, component.name)
            self._components.setdefault(key, []).append(Registered(component, plugin))

    def _components_of(self, point: EntryPoint, plugin: Plugin) -> list[Component]:
        module = point.load()
        name = f"{plugin.distribution}:{point.name}"
        self._manager.register(module, name=name)
        try:
            self._refuse_unknown_hooks(module)
            found = self._manager.subset_hook_caller("ganzoo_components", self._others(module))()
        except Exception:
            self._manager.unregister(module)
            raise
        if not found:
            raise PluginError("it implements no hook: write ganzoo_components and mark it with @ganzoo.hookimpl")
        return [_checked(component) for components in found for component in components]

    def _others(self, module: ModuleType) -> list[Any]:
        return [other for other in self._manager.get_plugins() if other is not module]

    def _refuse_unknown_hooks(self, module: ModuleType) -> None:
        for caller in self._manager.get_hookcallers(module) or ():
            if not caller.has_spec():
                specs = [name for name in vars(hookspecs) if name.startswith("ganzoo_")]
                raise PluginError(f"there is no hook '{caller.name}'{did_you_mean(caller.name, specs)}")

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
            owners = " and ".join(f"{one.plugin.distribution} ({one.plugin.name})" for one in found)
            raise PluginError(f"{kind} '{name}' is claimed by {owners}: uninstall one of them or set GANZOO_PLUGINS")
        if found:
            return found[0]
        raise UnknownName(f"no {kind} '{name}'{self._advice(kind, name)}")

    def _advice(self, kind: str, name: str) -> str:
        distribution = KNOWN_DISTRIBUTIONS.get((kind, name))
        if distribution:
            return f"; it comes with: pip install {distribution}"
        broken = [f"{plugin.name} ({plugin.problem})" for plugin in self.plugins if plugin.problem]
        hint = did_you_mean(name, self.names(kind)) or f"; `ganzoo list {kind}` shows those there are"
        if broken:
            hint += f"; left out because broken: {', '.join(broken)}"
        if self._only is not None:
            hint += f"; GANZOO_PLUGINS limits plugins to: {', '.join(sorted(self._only)) or 'none'}"
        return hint

    def load(self, kind: str, name: str) -> Any:
        """Import and return the class, mapping or command of that kind and name."""
        registered = self.find(kind, name)
        module, _, attribute = registered.component.target.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            plugin = registered.plugin
            raise PluginError(
                f"{kind} '{name}' of {plugin.distribution} {plugin.version} does not load: {error}"
            ) from error


def _unique(points: Iterable[EntryPoint]) -> list[EntryPoint]:
    """One installation can be seen twice (an editable one and its build): keep the first, in order of name."""
    seen: dict[tuple[str, str, str], EntryPoint] = {}
    for point in points:
        seen.setdefault((point.dist.name if point.dist else "?", point.name, point.value), point)
    return [seen[key] for key in sorted(seen)]


def _checked(component: Any) -> Component:
    if not isinstance(component, Component):
        raise PluginError(f"ganzoo_components gave {component!r}: return a list of ganzoo.Component")
    if component.kind not in KINDS:
        raise PluginError(f"no kind '{component.kind}'{did_you_mean(component.kind, KINDS)}; kinds: {', '.join(KINDS)}")
    if component.target.count(":") != 1:
        raise PluginError(f"target '{component.target}' of {component.name}: write 'package.module:attribute'")
    return component


@cache
def registry() -> Registry:
    """The registry of this process's installed plugins."""
    return Registry()

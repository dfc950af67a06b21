"""The plugin under test: given as a module, a name or a folder, found without installing it."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

from ..contract import Sample
from ..errors import PluginError, UnknownName, did_you_mean
from ..registry import Registry, installed_points
from .trial import SAMPLES, Trial

Options = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Options to build components with, by kind and name: {"generator": {"sagan": {"width": 8}}}."""

Partners = Mapping[str, Mapping[str, str | Mapping[str, Any]]]
"""Who components play with where the reference partners do not fit, by kind and name: a recipe's name, or parts of one
as {"loss": {"infogan": {"generator": "infogan"}}}; "recipe" among them names the recipe that the others replace."""

_REFERENCE = EntryPoint("reference", "ganzoo.testing.reference", "ganzoo")


@dataclass(frozen=True)
class Subject:
    """One plugin.

    path: folder that it is imported from, unless it already is from elsewhere; None if it is installed.
    """

    name: str
    module: str
    path: Path | None = None
    options: Options = field(default_factory=dict)
    samples: Sequence[Sample] = SAMPLES
    partners: Partners = field(default_factory=dict)

    @contextmanager
    def importable(self) -> Iterator[None]:
        """Put the plugin's folder first among those that Python imports from."""
        before = list(sys.path)
        if self.path:
            sys.path.insert(0, str(self.path))
        try:
            yield
        finally:
            sys.path[:] = before

    def load(self) -> ModuleType:
        """Import the plugin's module. Raises whatever it raises."""
        with self.importable():
            return importlib.import_module(self.module)

    def trials(self) -> list[Trial]:
        """One trial a component. Raises `PluginError` with the reason why the registry leaves the plugin out."""
        with self.importable():
            found = Registry([*self._others(), EntryPoint(self.name, self.module, "ganzoo"), _REFERENCE])
        plugin = next(one for one in found.plugins if one.module == self.module)
        if plugin.problem:
            raise PluginError(plugin.problem)
        return [
            Trial(
                component,
                found,
                self.options.get(component.kind, {}).get(component.name, {}),
                self.samples,
                partnership(self.partners.get(component.kind, {}).get(component.name, {}), self.options, found),
            )
            for component in plugin.components
        ]

    def _others(self) -> list[EntryPoint]:
        """Installed plugins but those that this one replaces: itself, and its build in another folder."""
        return [point for point in installed_points() if point.value != self.module and point.name != self.name]


def partnership(stated: str | Mapping[str, Any], options: Options, registry: Registry) -> dict[str, Any]:
    """Parts of a recipe by what was stated of them, small: with the options that components have in tests."""
    parts: dict[str, Any] = {"recipe": stated} if isinstance(stated, str) else dict(stated)
    if name := parts.pop("recipe", None):
        parts = {key: one for key, one in registry.load("recipe", name).items() if key in _PARTS} | parts
    for key, kind in _PARTS.items():
        if key in parts:
            parts[key] = _sized(parts[key], options.get(kind, {}), key in _BY_NAME)
    return parts


_PARTS = {
    "data": "dataset", "generator": "generator", "discriminator": "discriminator", "loss": "loss",
    "players": "generator", "penalty": "penalty", "augment": "augmentation", "optimizer": "optimizer",
}  # fmt: skip
"""Keys of a recipe that partners state, and the kind of what is named there."""
_BY_NAME = ("penalty", "augment")


def _sized(part: Any, options: Mapping[str, Mapping[str, Any]], by_name: bool) -> Any:
    """A part with its options for tests, or several: penalties by their names, players by their roles."""
    if isinstance(part, str):
        return {"name": part, **options.get(part, {})}
    if by_name:
        return {name: {**options.get(name, {}), **given} for name, given in part.items()}
    if "name" in part:
        return {**part, **options.get(part["name"], {})}
    return {key: _sized(one, options, False) if isinstance(one, Mapping | str) else one for key, one in part.items()}


def subjects(
    plugin: ModuleType | str | Path, options: Options | None = None, shapes: Any = (), partners: Partners | None = None
) -> list[Subject]:
    """The plugins meant: by module, by the name of a module, entry point or distribution, or in a folder.

    Raises `UnknownName` if there is none.
    """
    samples = (*SAMPLES, *(Sample(tuple(shape)) for shape in shapes))
    if isinstance(plugin, ModuleType):
        return [Subject(plugin.__name__, plugin.__name__, None, options or {}, samples, partners or {})]
    folder = Path(plugin)
    if isinstance(plugin, Path) or os.sep in plugin or (folder / "pyproject.toml").is_file():
        return _in_folder(folder, options, shapes, partners)
    points = installed_points()
    found = [one for one in points if plugin in (one.name, one.value) or (one.dist and plugin == one.dist.name)]
    if found:
        return [Subject(one.name, one.value, None, options or {}, samples, partners or {}) for one in found]
    if _is_module(plugin):
        return [Subject(plugin, plugin, None, options or {}, samples, partners or {})]
    names = [one.name for one in points]
    hint = did_you_mean(plugin, names) or f"; plugins: {', '.join(names)}"
    raise UnknownName(f"there is no plugin '{plugin}'{hint}; a folder is given as ./{plugin}")


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _in_folder(folder: Path, options: Options | None, shapes: Any, partners: Partners | None) -> list[Subject]:
    """The plugins of a source folder, with the options, shapes and partners that its pyproject gives for tests."""
    path = folder / "pyproject.toml"
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UnknownName(f"{folder} is no folder of a plugin: {path} cannot be read ({error.strerror})") from error
    except tomllib.TOMLDecodeError as error:
        raise UnknownName(f"{path} is no valid TOML: {error}") from error
    points = tree.get("project", {}).get("entry-points", {}).get("ganzoo", {})
    if not points:
        raise UnknownName(f'{path} declares no plugin: write [project.entry-points.ganzoo] and name = "package"')
    settings = tree.get("tool", {}).get("ganzoo", {}).get("testing", {})
    samples = (*SAMPLES, *(Sample(tuple(shape)) for shape in [*settings.get("shapes", ()), *shapes]))
    chosen, others = options or settings.get("options", {}), partners or settings.get("partners", {})
    return [
        Subject(name, module, _root_of(folder.resolve(), module.partition(".")[0]), chosen, samples, others)
        for name, module in points.items()
    ]


def _root_of(folder: Path, package: str) -> Path:
    """Where the package lies: in the folder, in its src, or one of its plugins."""
    places = [folder, folder / "src", *sorted(folder.glob("plugins/*"))]
    for place in places:
        if (place / package).is_dir() or (place / f"{package}.py").is_file():
            return place
    raise UnknownName(f"there is no package {package} in {folder} or its src: correct the entry point")

"""`ganzoo plugins doctor`: everything about an installation that decides whether plugins work."""

from __future__ import annotations

import importlib
import os
import platform
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path

from ..contract import INTERFACE, INTERFACES
from ..version import DISTRIBUTION, __version__
from .registry import Plugin, Registry


@dataclass
class Report:
    """facts: what is installed, by name.  faults: a line for everything that is wrong."""

    facts: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def examine(registry: Registry) -> Report:
    """Look at versions, conflicts and plugins; imports every component, and with it torch."""
    report = Report()
    spoken = f"{min(INTERFACES)} to {INTERFACE}" if len(INTERFACES) > 1 else str(INTERFACE)
    report.facts["ganzoo"] = f"{__version__} in {Path(__file__).parents[1]}, interface {spoken}"
    report.facts["python"] = f"{platform.python_version()} in {sys.prefix}, {platform.platform()}"
    report.facts |= _versions(("torch", "torchvision", "safetensors", "huggingface-hub", "pluggy", "pydantic"))
    report.facts["device"] = _device()
    report.facts["GANZOO_PLUGINS"] = os.environ.get("GANZOO_PLUGINS", "not set: all plugins are read")
    report.faults += _unmet(DISTRIBUTION)
    report.faults += _installed_twice()
    for plugin in registry.plugins:
        report.facts[f"plugin {plugin.name}"] = _state(plugin)
        where = f"{plugin.name} of {plugin.distribution} {plugin.version}"
        report.faults += [f"left out: {where}: {plugin.problem}"] if plugin.problem else []
        report.faults += [f"note: {where}: {note}" for note in plugin.notes]
        if plugin.distribution not in (DISTRIBUTION, "?"):
            report.faults += _unmet(plugin.distribution)
    report.faults += _broken_targets(registry)
    return report


def _versions(names: tuple[str, ...]) -> dict[str, str]:
    return {name: _version(name) or "not installed" for name in names}


def _version(name: str) -> str | None:
    try:
        return distribution(name).version
    except PackageNotFoundError:
        return None


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        return f"cuda: {torch.cuda.get_device_name()}, {torch.cuda.device_count()} in all"
    return "mps" if torch.backends.mps.is_available() else f"cpu, {os.cpu_count()} cores"


def _state(plugin: Plugin) -> str:
    if plugin.problem:
        return "left out"
    found = (
        f"{len(plugin.components)} components, interface {plugin.interface}, found in {plugin.seconds * 1000:.0f} ms"
    )
    return f"{plugin.distribution} {plugin.version}, {found}"


def _unmet(name: str) -> Iterator[str]:
    """Requirements of a distribution that are missing, or installed in another version."""
    from packaging.requirements import Requirement

    for text in distribution(name).requires or ():
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        found = _version(requirement.name)
        if found is None:
            yield f"{name} needs {requirement}, which is not installed: pip install '{requirement}'"
        elif not requirement.specifier.contains(found, prereleases=True):
            yield f"{name} needs {requirement}, installed is {found}: pip install '{requirement}'"


def _installed_twice() -> Iterator[str]:
    """Distributions with plugins whose metadata lie in several places: the first on the path wins."""
    places: dict[str, list[Distribution]] = {}
    for one in distributions():
        # metadata that were damaged have no name: such a plugin is left out, which is told elsewhere
        if any(point.group == "ganzoo" for point in one.entry_points) and one.name:
            places.setdefault(re.sub(r"[-_.]+", "-", one.name).lower(), []).append(one)
    for name, found in places.items():
        versions = {one.version for one in found}
        if len(versions) > 1:
            times = f"{len(found)} times ({', '.join(sorted(versions))})"
            yield f"{name} is installed {times}: pip uninstall {name}, and install it anew"


def _broken_targets(registry: Registry) -> Iterator[str]:
    """Components that cannot be imported; two of one name are a fault that the plugins' notes tell."""
    for one in registry.all():
        module, _, attribute = one.component.target.partition(":")
        try:
            getattr(importlib.import_module(module), attribute)
        except Exception as error:  # a plugin's module may raise anything
            kind, name = one.component.kind, one.component.name
            yield f"broken: {kind} {name} of {one.plugin.distribution} does not load: {type(error).__name__}: {error}"

"""Entry points of distributions that are not installed."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any

import ganzoo


class FakePoint:
    """An entry point of a distribution that is not installed."""

    def __init__(
        self, name: str, distribution: str, module: ModuleType | BaseException, requires: list[str] | None = None
    ) -> None:
        self.name, self.value, self._module = name, f"module_of_{name}", module
        self.dist = type("Dist", (), {"name": distribution, "version": "1.0", "requires": requires})()

    def load(self) -> ModuleType:
        if isinstance(self._module, BaseException):
            raise self._module
        return self._module


def fake_plugin(name: str, distribution: str, components: Any, hook: str = "ganzoo_components") -> EntryPoint:
    """An entry point whose module implements one hook that returns `components`, or raises them."""
    module = ModuleType(f"plugin_{name}")

    def implementation() -> Any:
        if isinstance(components, Exception):
            raise components
        return components

    implementation.__name__ = hook
    setattr(module, hook, ganzoo.hookimpl(implementation))
    return FakePoint(name, distribution, module)  # type: ignore[return-value]

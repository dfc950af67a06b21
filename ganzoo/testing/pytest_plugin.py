"""`pytest --ganzoo`: the conformance suite of the plugin in this folder, a test a check. No torch without --ganzoo."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from . import Case


_PROJECT = "pyproject.toml"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --ganzoo."""
    parser.getgroup("ganzoo").addoption(
        "--ganzoo", action="store_true", help="Check the ganzoo plugins that this folder's pyproject.toml declares."
    )


def pytest_configure(config: pytest.Config) -> None:
    """Let pytest collect the nearest pyproject.toml that declares a plugin, beside what it was told to collect."""
    if not config.getoption("ganzoo"):
        return
    here = config.invocation_params.dir
    project = next((path for path in _projects(here) if _declares_plugin(path)), None)
    if project is None:
        raise pytest.UsageError(f"--ganzoo: no {_PROJECT} in {here} or above declares [project.entry-points.ganzoo]")
    if str(project) not in config.args:
        config.args.append(str(project))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a plugin's pyproject.toml as its conformance suite."""
    if parent.config.getoption("ganzoo") and file_path.name == _PROJECT and _declares_plugin(file_path):
        return PluginFile.from_parent(parent, path=file_path)
    return None


def _projects(folder: Path) -> Iterator[Path]:
    yield from (place / _PROJECT for place in (folder, *folder.parents))


def _declares_plugin(path: Path) -> bool:
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        return False
    return bool(tree.get("project", {}).get("entry-points", {}).get("ganzoo"))


class PluginFile(pytest.File):
    """The plugins that a pyproject.toml declares."""

    def collect(self) -> Iterator[pytest.Item]:
        """One item a check."""
        from . import cases

        for case in cases(self.path.parent):
            yield ConformanceItem.from_parent(self, name=case.name, case=case)


class ConformanceItem(pytest.Item):
    """One check of the suite."""

    def __init__(self, *, case: Case, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self._case = case

    def runtest(self) -> None:
        """Run the check; one that cannot be made here skips itself with the reason."""
        self._case()

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:
        """What was expected, what was found and the fix, without a traceback unless the fault is ours."""
        from . import Failure

        if isinstance(excinfo.value, Failure):
            failure = excinfo.value
            return f"expected {failure.expected}\nfound    {failure.found}\nfix:     {failure.fix}"
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the check comes from, for the failure's headline."""
        return self.path, None, self.name

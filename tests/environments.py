"""Environments with plugins in them: installed by pip into a fresh venv, or written as a distribution's files alone."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


def write_distribution(
    site: Path, name: str, source: str, *, requires: Iterable[str] = ("torch-ganzoo>=0.1",), version: str = "1.0"
) -> None:
    """Put what pip leaves of an installed distribution into a folder: one module, metadata, one entry point.

    name: of distribution and entry point; the module has '_' for '-'.
    """
    module = name.replace("-", "_")
    (site / f"{module}.py").write_text(source)
    info = site / f"{module}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    (info / "entry_points.txt").write_text(f"[ganzoo]\n{name} = {module}\n")


def plugin_source(*components: str, extra: str = "") -> str:
    """A plugin's module that lists components, each as the arguments of `ganzoo.Component`."""
    listed = "".join(f"        ganzoo.Component({arguments}),\n" for arguments in components)
    hook = f"@ganzoo.hookimpl\ndef ganzoo_components():\n    return [\n{listed}    ]\n"
    return f'"""A plugin."""\n\nimport ganzoo\n{extra}\n\n{hook}'


def run(command: list[str | Path], **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command, its output captured."""
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300, **options)  # type: ignore[call-overload]


@dataclass(frozen=True)
class Environment:
    """A virtual environment that sees the packages of this one behind its own."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Environment:
        """A fresh one, without pip: that of this interpreter installs into it."""
        done = run([sys.executable, "-m", "venv", "--without-pip", folder])
        assert done.returncode == 0, done.stderr
        environment = cls(folder)
        # `addsitedir` also reads the .pth files there, one of which leads to an editable ganzoo
        here = sysconfig.get_path("purelib")
        (environment.site / "zz_outer.pth").write_text(f"import site; site.addsitedir({here!r})\n")
        return environment

    @property
    def site(self) -> Path:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.folder / "lib" / version / "site-packages"

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def install(self, *targets: Path) -> None:
        """Install wheels or source folders as pip does, without looking for what they depend on."""
        quiet = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
        pip = [sys.executable, "-m", "pip", "--python", self.python, "install", *quiet, *targets]
        done = run(pip)
        assert done.returncode == 0, done.stderr

    def uninstall(self, distribution: str) -> None:
        done = run(
            [sys.executable, "-m", "pip", "--python", self.python, "uninstall", "--quiet", "--yes", distribution]
        )
        assert done.returncode == 0, done.stderr

    def call(
        self, *arguments: str | Path, cwd: Path, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `python -m …` inside, knowing nothing of the checkout's settings."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "GANZOO", "PYTEST"))}
        return run([self.python, "-m", *arguments], cwd=cwd, env={**kept, "OMP_NUM_THREADS": "1", **(variables or {})})


def build_wheel(folder: Path, out: Path) -> Path:
    """Build a source folder's wheel with hatchling, as `python -m build` does."""
    done = run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out], cwd=folder)
    assert done.returncode == 0, done.stderr
    (wheel,) = out.glob(f"{folder.name.replace('-', '_')}-*.whl") if folder != ROOT else out.glob("torch_ganzoo-*.whl")
    return wheel

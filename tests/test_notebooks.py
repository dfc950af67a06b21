"""The notebooks run from the first cell to the last, on tiny settings, and say truly how they are installed."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

jupytext = pytest.importorskip("jupytext")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples" / "notebooks"
TINY = {
    "first_gan": {"IMAGES": "256", "MORE": "256"},
    "your_own_pictures": {"IMAGES": "256", "SIZE": 16, "STEPS": 5},
    "write_a_loss": {"IMAGES": "1k"},
}


@pytest.fixture(scope="module")
def build() -> Any:
    """The script that writes the notebooks."""
    spec = importlib.util.spec_from_file_location("build_notebooks", ROOT / "examples" / "build_notebooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_settings_for_every_notebook(build):
    assert {path.stem for path in build.SOURCES} == set(TINY)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize("name", TINY)
def test_a_notebook_runs_from_the_first_cell_to_the_last(build, name, tmp_path, monkeypatch):
    made = build.notebook(FOLDER / f"{name}.py", None)
    (parameters,) = [cell for cell in made.cells if "parameters" in cell.metadata.get("tags", [])]
    for variable, value in TINY[name].items():
        new = f"{variable} = {value!r}  "
        parameters.source, count = re.subn(rf"^{variable} = [^#\n]*", new, parameters.source, flags=re.MULTILINE)
        assert count == 1
    elsewhere = str(tmp_path / "installed")  # pip installs there, without a network
    Path(elsewhere).mkdir()
    pip = {"TARGET": elsewhere, "NO_INDEX": "1", "NO_DEPS": "1", "NO_BUILD_ISOLATION": "0"}
    for variable, value in {f"PIP_{option}": given for option, given in pip.items()}.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("PYTHONPATH", elsewhere)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(made, timeout=300, kernel_name="python3", resources=where).execute()
    shown = [output for cell in made.cells if cell.cell_type == "code" for output in cell.outputs]
    pages = [one.data["text/html"] for one in shown if "text/html" in one.get("data", {})]
    assert any("<progress" in page and 'alt="samples"' in page for page in pages), "no figure of a training run"
    assert any("image/png" in one.get("data", {}) for one in shown) or any("data:image/png" in page for page in pages)


def test_the_installation_line_is_that_of_the_repository_or_of_a_checkout(build, tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "x"\n[project.urls]\nRepository = "https://github.com/someone/ganzoo/"\n'
    )
    address = build.repository(tmp_path / "pyproject.toml")
    made = build.notebook(FOLDER / "first_gan.py", address)
    assert "colab.research.google.com/github/someone/ganzoo/blob/notebooks/first_gan.ipynb" in made.cells[0].source
    assert "%pip install --quiet git+https://github.com/someone/ganzoo" in [cell.source for cell in made.cells]
    plain = build.notebook(FOLDER / "first_gan.py", None)
    assert plain.cells[0].source.startswith("# A first GAN")
    assert plain.cells[1].source == "# from a checkout: pip install ."
    assert build.badge("first_gan", "https://elsewhere.org/someone/ganzoo") is None


def test_the_readme_has_the_badges_of_the_repository_that_is_stated(build):
    readme = (FOLDER / "README.md").read_text()
    assert build.with_badges(readme, build.repository()) == readme, "run `python examples/build_notebooks.py`"
    shown = build.with_badges(readme, "https://github.com/someone/ganzoo")
    opened = re.findall(r"colab\.research\.google\.com/github/someone/ganzoo/blob/notebooks/(\w+)\.ipynb\) \|", shown)
    assert sorted(opened) == sorted(TINY)
    assert build.with_badges(shown, None) == readme


def test_notebooks_are_written_the_same_each_time(build, tmp_path, capsys):
    build.main(tmp_path / "one")
    build.main(tmp_path / "two")
    assert len(capsys.readouterr().out.splitlines()) == 2 * len(TINY)
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()

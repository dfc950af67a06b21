from __future__ import annotations

import re
import sys
from types import SimpleNamespace

import pytest

import ganzoo
from ganzoo.training import notebook
from ganzoo.training.callbacks import Progress


@pytest.fixture
def shown(monkeypatch):
    """The pages that a notebook is given, as if this were a kernel of Jupyter."""
    pages: list[str] = []
    handle = SimpleNamespace(update=pages.append)

    def display(page, display_id):
        assert display_id and not pages, "one figure is shown, once"
        pages.append(page)
        return handle

    module = SimpleNamespace(display=display, HTML=lambda page: page)
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell, version_info=(9, 0)))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return pages


@pytest.mark.parametrize("shell", [None, SimpleNamespace(kernel=None), SimpleNamespace()])
def test_outside_of_a_kernel_progress_is_what_it_was(monkeypatch, shell):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell, version_info=(9, 0)))
    assert isinstance(notebook.shown_progress(tuple), Progress)
    monkeypatch.delitem(sys.modules, "IPython")
    assert isinstance(notebook.shown_progress(tuple), Progress)


def test_in_a_notebook_one_figure_follows_the_run(small, shown, tmp_path, monkeypatch):
    monkeypatch.setattr(notebook, "_REFRESH_SECONDS", 0.0)
    ganzoo.train(small(), device="cpu", out=tmp_path / "run")
    seen = [int(re.search(r'value="(\d+)" max="320"', page)[1]) for page in shown]
    assert seen == sorted(seen) and seen[0] == 0 and seen[-1] == 320
    assert 'alt="samples"' in shown[-1] and 'alt="losses"' in shown[-1] and "320 of 320 images" in shown[-1]
    assert 'alt="losses"' not in shown[1]  # a curve has two points


def test_findings_are_told_in_the_figure_as_text():
    pages: list[str] = []
    run = SimpleNamespace(images=5, recipe=SimpleNamespace(images=10), values=dict, folder=None)

    class Finding:
        severity = "warning"

        def __str__(self) -> str:
            return "<b>modes</b> are lost"

    figure = notebook.NotebookFigure(pages.append, lambda: [Finding()])
    figure.on_start(run)
    figure.on_log(run, {"loss/G": 1.0})
    figure.on_end(run)
    assert "warning: &lt;b&gt;modes&lt;/b&gt; are lost" in pages[-1]

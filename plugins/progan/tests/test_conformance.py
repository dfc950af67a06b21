"""The plugin keeps ganzoo's promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from ganzoo.testing import Case, cases


@pytest.mark.parametrize("case", cases(Path(__file__).parents[1]), ids=str)
def test_plugin_conforms(case: Case):
    case()

"""Every test is offline, and knows no data folder and no cache but its own."""

from __future__ import annotations

import urllib.request
from urllib.error import URLError

import pytest


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    def refuse(*args, **kwargs):
        raise URLError("no network in tests")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setenv("GANZOO_DATA", str(tmp_path / "nothing-here"))
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "cache"))

"""Fixtures: a Hub on loopback, on the plain and on the Xet path, and small trained models to send there."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest

import ganzoo
from ganzoo.recipes.recipe import Recipe

from .server import Hub
from .xet import XetStore

TOKENS = {"alice": "hf_alice_secret", "bob": "hf_bob_secret"}
_PICTURES = {
    "name": "tiny",
    "data": {"name": "fashion-mini", "limit": 64},
    "generator": {"name": "mlp", "latent": 8, "widths": [16, 16], "batch_norm": True},
    "discriminator": {"name": "mlp", "widths": [16]},
    "loss": {"name": "non-saturating"},
    "images": 64,
    "batch": 32,
    "previews": {"count": 4},
}
RECIPES: dict[str, dict[str, Any]] = {
    "pictures": _PICTURES,
    "conditional": {**_PICTURES, "generator": {"name": "mlp", "latent": 8, "widths": [16], "conditional": True}},
    "line": {
        **_PICTURES,
        "data": {"name": "gaussian"},
        "generator": {"name": "mlp", "latent": 2, "widths": [8]},
        "ema": {"half_life_images": 0},
    },
}


@pytest.fixture(scope="session", autouse=True)
def _impatient_xet(tmp_path_factory: pytest.TempPathFactory):
    """hf_xet reads these once a process: few retries, no cache that outlives the session."""
    os.environ["HF_XET_CLIENT_RETRY_MAX_ATTEMPTS"] = "1"
    os.environ["HF_XET_CLIENT_RETRY_BASE_DELAY"] = "50ms"
    os.environ["HF_XET_CACHE"] = str(tmp_path_factory.mktemp("xet"))


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Run folders of a few images each, by kind of model. Not to be changed: see `run_of`."""
    root = tmp_path_factory.mktemp("runs")
    for name, recipe in RECIPES.items():
        parsed = Recipe.from_dict(recipe)
        ganzoo.train(parsed, out=root / name, device="cpu", progress=False)
    return {name: root / name for name in RECIPES}


@pytest.fixture
def run_of(runs: dict[str, Path], tmp_path: Path):
    """A function that gives a copy of a run folder, free to be changed."""

    def copy(name: str = "pictures") -> Path:
        return Path(shutil.copytree(runs[name], tmp_path / f"run-of-{name}"))

    return copy


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """An empty cache, no token but alice's, and no pause before the client tries again."""
    from huggingface_hub import constants
    from huggingface_hub.utils import _http

    # the client's own use of its HTTP library, when it uploads a large file
    warnings.filterwarnings("ignore", "Use 'content=<...>' to upload raw bytes", DeprecationWarning)
    monkeypatch.setenv("HF_TOKEN", TOKENS["alice"])
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(_http.time, "sleep", lambda seconds: None)
    return constants


@pytest.fixture(params=["lfs", "xet"])
def hub(request: pytest.FixtureRequest, client: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A Hub with the users alice and bob, to which `HF_ENDPOINT` points. `hub.is_xet` says which path it is."""
    monkeypatch.setattr(client, "HF_HUB_DISABLE_XET", request.param == "lfs")
    users = dict(TOKENS)
    with Hub(tmp_path / "hub", users, xet=XetStore if request.param == "xet" else None) as hub:
        hub.is_xet = request.param == "xet"
        hub.upload, hub.download = (
            ("POST /xet/v1/xorbs/", "GET /xorb/") if hub.is_xet else ("PUT /upload/", "GET /download/")
        )
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub

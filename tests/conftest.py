"""Small recipes and plugins that the tests share."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from ganzoo.recipes.parsing import merge
from ganzoo.recipes.recipe import Recipe

os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that tests start: small networks gain nothing from more
torch.set_num_threads(1)

ROOT = Path(__file__).parents[1]

_SMALL = {
    "name": "small",
    "data": {"name": "ring"},
    "generator": {"name": "mlp", "latent": 4, "widths": [8, 8]},
    "discriminator": {"name": "mlp", "widths": [8]},
    "loss": {"name": "non-saturating"},
    "images": 320,
    "batch": 16,
    "optimizer": {"lr": 1e-3},
    "ema": {"half_life_images": 64},
    "metrics": {"every": 48},
    "previews": {"every": 160, "count": 4},
    "checkpoints": {"every": 100},
}


@pytest.fixture(autouse=True)
def _steady(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tests write nothing into the checkout and leave torch's threads alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GANZOO_PLUGINS", raising=False)
    torch.manual_seed(0)


@pytest.fixture
def small():
    """A function that gives a small recipe on the ring, with changes to its mapping."""

    def make(**changes: Any) -> Recipe:
        return Recipe.from_dict(merge(copy.deepcopy(_SMALL), changes))

    return make


@pytest.fixture
def run_ganzoo():
    """A function that runs the command line in a process of its own."""

    def run(*arguments: str, timeout: float = 120, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "error::DeprecationWarning:ganzoo", "-m", "ganzoo", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, **options)

    return run

"""A run of before ganzoo's modules had rooms still loads, and goes on where it stopped.

`tests/earlier/ring` was stopped at half its images; `ring-whole.safetensors` is what the same run gave uninterrupted.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import ganzoo

EARLIER = Path(__file__).parents[1] / "earlier"
SETTINGS = {
    "generator.widths": [8],
    "discriminator.widths": [8],
    "ema.half_life_images": 500,
    "checkpoints.every": "1k",
    "metrics.every": 256,
}


@pytest.fixture
def earlier(tmp_path) -> Path:
    return Path(shutil.copytree(EARLIER / "ring", tmp_path / "ring"))


def test_an_earlier_model_loads_and_names_the_distribution_of_today(earlier):
    model = ganzoo.load(earlier)
    assert model.sample(4, seed=0).shape == (4, 2)
    assert model.config.plugin.distribution == "torch-ganzoo"


def test_an_earlier_run_goes_on_with_all_that_its_callbacks_knew(earlier, caplog):
    with caplog.at_level("INFO", "ganzoo"):
        run = ganzoo.train(
            "ring", images=2560, batch=64, set=SETTINGS, out=earlier, device="cpu", progress=False
        )  # fmt: skip
    assert any("resuming" in line and "1,280" in line for line in caplog.messages)
    assert run.images == 2560
    whole = load_file(EARLIER / "ring-whole.safetensors")
    found = load_file(earlier / "model" / "model.safetensors")
    assert found.keys() == whole.keys()
    # the moving average is the callback's: had its state not been found by name, it would have begun anew
    for name, tensor in whole.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-3, atol=1e-4)

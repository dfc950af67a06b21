"""The plugin keeps ganzoo's promises, and its heads learn to read the codes."""

from __future__ import annotations

from pathlib import Path

import ganzoo
import pytest
import torch
from ganzoo.testing import Case, cases

from ganzoo_infogan.infogan import Generator

NARROW = {"generator.width": 8, "discriminator.width": 8, "data.limit": 256, "metrics.every": 256}


@pytest.mark.parametrize("case", cases(Path(__file__).parents[1]), ids=str)
def test_plugin_conforms(case: Case) -> None:
    case()


def test_codes_can_be_taken_out_of_latents_walked_and_held() -> None:
    torch.manual_seed(0)
    generator = Generator(None, ganzoo.Sample((1, 28, 28)), 0, noise=5, categories=3, continuous=2, width=4)
    latent = generator.sample_latent(6, torch.device("cpu"))
    category, continuous = generator.codes(latent)
    assert torch.equal(generator.latent(latent[:, :5], category, continuous), latent)
    assert continuous.abs().max() <= 1
    middle = generator.interpolate(latent[0], latent[1], 0.75)
    codes = generator.codes(middle[None])
    assert codes[0] == category[1] and torch.allclose(codes[1][0], 0.25 * continuous[0] + 0.75 * continuous[1])
    assert torch.equal(generator.truncate(latent, 0.0)[:, 5:], latent[:, 5:])


def test_the_heads_learn_to_read_the_codes(tmp_path: Path) -> None:
    run = ganzoo.train("infogan", images=2048, batch=32, out=tmp_path / "run", device="cpu", progress=False, set=NARROW)
    rows = [row["unread/category"] for row in run.metrics() if "unread/category" in row]
    assert rows[-1] < rows[0] - 0.05
    assert run.model().interpolate(2, 3, seed=0).shape == (6, 1, 28, 28)


def test_codes_that_d_does_not_look_for_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ganzoo.Incompatible, match="G has 5 categories and 2 continuous codes, D looks for 10 and 2"):
        ganzoo.train("infogan", set={**NARROW, "generator.categories": 5}, out=tmp_path, device="cpu", progress=False)
    with pytest.raises(ganzoo.Incompatible, match="asks D for 'category', which MLPDiscriminator does not answer"):
        ganzoo.train("infogan", discriminator="mlp", out=tmp_path, device="cpu", progress=False)

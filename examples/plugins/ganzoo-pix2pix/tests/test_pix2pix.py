"""The plugin keeps ganzoo's promises, and learns from pairs."""

from __future__ import annotations

from pathlib import Path

import ganzoo
import pytest
import torch
from ganzoo.testing import Case, cases
from PIL import Image

from ganzoo_pix2pix.pix2pix import PatchGAN, UNet


@pytest.mark.parametrize("case", cases(Path(__file__).parents[1]), ids=str)
def test_plugin_conforms(case: Case) -> None:
    case()


def test_the_networks_have_the_papers_sizes() -> None:
    target, label = ganzoo.Sample((3, 256, 256)), torch.zeros(1, dtype=torch.int64)
    with torch.device("meta"):
        judge, maker = PatchGAN(target, target, 0), UNet(target, target, 0)
        pictures = torch.zeros(1, 3, 256, 256)
        logits, made = judge(pictures, label, pictures), maker(pictures, label)
    assert logits.shape == (1, 1, 30, 30) and made.shape == pictures.shape
    assert len(maker.down) == 7 and maker.down[-1].out_channels == 512


def pairs(folder: Path) -> Path:
    """Sixteen pictures beside their negatives."""
    folder.mkdir()
    for number in range(16):
        both = Image.new("L", (32, 16), 8 * number)
        both.paste(255 - 8 * number, (16, 0, 32, 16))
        both.save(folder / f"{number}.png")
    return folder


def test_it_trains_resumes_and_translates(tmp_path: Path) -> None:
    narrow = {"generator.width": 4, "discriminator": {"width": 4, "layers": 1}, "data": {"size": 16, "load_size": 16}}
    changes = {"data": f"paired:{pairs(tmp_path / 'pairs')}", "batch": 4, "device": "cpu", "progress": False}
    for augment, penalty in (([], "r1"), (["diffaugment"], "gradient-penalty"), (["ada"], "lecam")):
        out = tmp_path / penalty
        run = ganzoo.train("pix2pix", images=64, out=out, set=narrow, augment=augment, penalty=[penalty], **changes)
        assert run.model().translate(torch.zeros(2, 1, 16, 16)).shape == (2, 1, 16, 16)


def test_a_discriminator_that_sees_no_pairs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ganzoo.Incompatible, match="judges samples alone"):
        ganzoo.train(
            "pix2pix", data=f"paired:{pairs(tmp_path / 'pairs')}", discriminator="dcgan", set={"data.size": 16},
            device="cpu", progress=False, out=tmp_path / "run",
        )  # fmt: skip

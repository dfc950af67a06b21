"""The plugin keeps ganzoo's promises, and learns from pairs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import ganzoo
import pytest
import torch
from ganzoo.testing import Case, cases
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

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


class Level(nn.Module):
    """A level of the original's U-Net with those below it, and the names that its files have."""

    def __init__(self, outer: int, inner: int, below: nn.Module | None, norm: type[nn.Module], outermost: bool) -> None:
        super().__init__()
        bias, reads = norm is nn.InstanceNorm2d, 2 * inner if below else inner
        down = nn.Conv2d(3 if outermost else outer, inner, 4, 2, 1, bias=bias)
        up = nn.ConvTranspose2d(reads, outer, 4, 2, 1, bias=bias or outermost)
        if outermost:
            layers = [down, below, nn.ReLU(), up, nn.Tanh()]
        elif below is None:
            layers = [nn.LeakyReLU(0.2), down, nn.ReLU(), up, norm(outer)]
        else:
            layers = [nn.LeakyReLU(0.2), down, norm(inner), below, nn.ReLU(), up, norm(outer), nn.Dropout(0.0)]
        self.model, self.outermost = nn.Sequential(*layers), outermost

    def forward(self, x: Tensor) -> Tensor:
        made = self.model(x)
        return made if self.outermost else torch.cat([x, made], 1)


def original(norm: type[nn.Module], width: int = 4, depth: int = 6, colours: int = 1) -> nn.Module:
    torch.manual_seed(4)
    widths, level = [width * min(8, 2**one) for one in range(depth)], None
    for number in reversed(range(depth)):
        outer = widths[number - 1] if number else colours
        level = Level(outer, widths[number], level, norm, number == 0)
    assert level
    for module in level.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.3)
            nn.init.normal_(module.bias, 0.0, 0.3)
    network = nn.Module()
    network.model = level
    return network.requires_grad_(False)


def original_judge(norm: type[nn.Module], width: int = 4, channels: int = 4) -> nn.Module:
    """The program's PatchGAN of three layers, under the names that its files have."""
    torch.manual_seed(5)
    bias = norm is nn.InstanceNorm2d
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
    for before, after, stride in ((1, 2, 2), (2, 4, 2), (4, 8, 1)):
        layers += [nn.Conv2d(before * width, after * width, 4, stride, 1, bias=bias), norm(after * width)]
        layers += [nn.LeakyReLU(0.2)]
    network = nn.Module()
    network.model = nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.3)
            nn.init.normal_(module.bias, 0.0, 0.3)
    return network.requires_grad_(False)


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, nn.InstanceNorm2d])
def test_a_published_discriminator_is_converted_beside_its_u_net(norm: type[nn.Module], tmp_path: Path) -> None:
    judge, affine = original_judge(norm), norm is nn.BatchNorm2d
    torch.save(original(norm).state_dict(), tmp_path / "latest_net_G.pth")
    torch.save(judge.state_dict(), tmp_path / "latest_net_D.pth")
    files = ["latest_net_G.pth", "latest_net_D.pth"]
    command = [sys.executable, "-m", "ganzoo", "convert", *files, "--discriminator", "--out", "model"]
    done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made, seen = ganzoo.Sample((1, 64, 64)), ganzoo.Sample((3, 64, 64))
    mine = PatchGAN(seen, made, 0, width=4, affine=affine)
    mine.load_state_dict(load_file(tmp_path / "model" / "discriminator.safetensors"))
    a, b = torch.rand(1, 3, 64, 64) * 2 - 1, torch.rand(1, 1, 64, 64) * 2 - 1
    wanted, found = judge.model(torch.cat([a, b], 1)), mine(b, torch.zeros(1, dtype=torch.int64), a)
    assert wanted.shape == found.shape == (1, 1, 6, 6) and wanted.std() > 0.05
    assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, nn.InstanceNorm2d])
def test_a_published_u_net_is_converted(norm: type[nn.Module], tmp_path: Path) -> None:
    network = original(norm)
    torch.save(network.state_dict(), tmp_path / "latest_net_G.pth")
    command = [sys.executable, "-m", "ganzoo", "convert", "latest_net_G.pth", "--out", "model"]
    done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "without --eval" in (tmp_path / "model" / "README.md").read_text()
    model = ganzoo.load(tmp_path / "model")
    x = torch.rand(1, 3, 64, 64) * 2 - 1
    wanted, found = network.model(x), model.translate(x)
    assert wanted.shape == found.shape == (1, 1, 64, 64) and wanted.std() > 0.05
    assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()

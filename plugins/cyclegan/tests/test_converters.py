"""Converted CycleGANs compute what the programs that trained them compute."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import ganzoo
from ganzoo.cli import main
from ganzoo_cyclegan.patchgan import PatchGANDiscriminator


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def convert(*arguments: str) -> ganzoo.Model:
    with pytest.raises(SystemExit) as caught:
        main(["convert", *arguments, "--out", "model"])
    assert caught.value.code == 0
    return ganzoo.load("model")


def close(found: Tensor, wanted: Tensor) -> None:
    assert torch.allclose(found, wanted, rtol=1e-5, atol=1e-5 * wanted.abs().max().item())
    assert wanted.std() > 0.05


class Block(nn.Module):
    def __init__(self, name: str, channels: int, dropout: bool, norm: type[nn.Module]) -> None:
        super().__init__()
        self.name = name
        layers: list[nn.Module] = [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), norm(channels), nn.ReLU()]
        layers += [nn.Dropout(0.5)] * dropout
        layers += [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), norm(channels)]
        setattr(self, name, nn.Sequential(*layers))

    def forward(self, x: Tensor) -> Tensor:
        return x + getattr(self, self.name)(x)


class Original(nn.Module):
    """The generator as both programs have it; they differ in how they name blocks and double the side."""

    def __init__(self, huggan: bool = False, dropout: bool = False, colours: int = 3, width: int = 4, blocks: int = 2,
                 norm: type[nn.Module] = nn.InstanceNorm2d) -> None:  # fmt: skip
        super().__init__()
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), norm(width), nn.ReLU()]
        for factor in (1, 2):
            layers += [nn.Conv2d(factor * width, 2 * factor * width, 3, 2, 1), norm(2 * factor * width), nn.ReLU()]
        name = "block" if huggan else "conv_block"
        layers += [Block(name, 4 * width, dropout, norm) for _ in range(blocks)]
        for factor in (4, 2):
            inputs, outputs = factor * width, factor * width // 2
            if huggan:
                layers += [nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, 1, 1)]
            else:
                layers += [nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, 1)]
            layers += [norm(outputs), nn.ReLU()]
        self.model = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, colours, 7), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


def original(**options) -> Original:
    torch.manual_seed(2)
    return Original(**options).eval().requires_grad_(False)


def pictures(side: int) -> Tensor:
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(3)) * 2 - 1


@pytest.mark.parametrize("huggan", [False, True])
@pytest.mark.parametrize("blocks", [2, 9])
def test_generators(huggan, blocks):
    network = original(huggan=huggan, blocks=blocks)
    torch.save(network.state_dict(), "latest_net_G_A.pth")
    model = convert("latest_net_G_A.pth")
    assert model.target.shape == (3, 256, 256) if blocks == 9 else (3, 128, 128)
    x = pictures(32)
    close(model.generator(x, torch.zeros(2, dtype=torch.int64)), network(x))
    code = model.translate(pictures(model.target.shape[1])[:1])
    assert code.shape == (1, *model.target.shape)


class Filter(nn.Module):
    """CUT's, by plain sums of shifted maps."""

    def __init__(self, channels: int, doubles: bool) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 3, 3, 1] if doubles else [1.0, 2, 1])
        kernel = taps[:, None] * taps / taps.sum() ** 2 * (4 if doubles else 1)
        self.register_buffer("filt", kernel.expand(channels, 1, -1, -1).clone())
        self.doubles = doubles

    def forward(self, x: Tensor) -> Tensor:
        if not self.doubles:
            x = nn.functional.pad(x, (1, 1, 1, 1), mode="reflect")
            height, width = x.shape[2] - 2, x.shape[3] - 2
            return sum(
                self.filt[0, 0, i, j] * x[:, :, i : i + height : 2, j : j + width : 2]
                for i in range(3)
                for j in range(3)
            )
        x = nn.functional.pad(x, (1, 1, 1, 1), mode="replicate")
        for axis in (2, 3):  # each value between two old ones is 3/4 of the near and 1/4 of the far one
            inner, size = x.narrow(axis, 1, x.shape[axis] - 2), x.shape[axis] - 2
            before, after = x.narrow(axis, 0, size), x.narrow(axis, 2, size)
            both = torch.stack([0.75 * inner + 0.25 * before, 0.75 * inner + 0.25 * after], dim=axis + 1)
            x = both.flatten(axis, axis + 1)
        return x


@pytest.mark.parametrize(("halving", "doubling"), [(True, True), (True, False)])
def test_generators_of_cut_filter_where_they_change_the_side(halving, doubling):
    torch.manual_seed(2)
    norm, width = nn.InstanceNorm2d, 4
    layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), norm(width), nn.ReLU()]
    for factor in (1, 2):
        layers += [nn.Conv2d(factor * width, 2 * factor * width, 3, 1, 1), norm(2 * factor * width), nn.ReLU()]
        layers += [Filter(2 * factor * width, doubles=False)]
    layers += [Block("conv_block", 4 * width, False, norm) for _ in range(2)]
    for factor in (4, 2):
        inputs, outputs = factor * width, factor * width // 2
        if doubling:
            layers += [Filter(inputs, doubles=True), nn.Conv2d(inputs, outputs, 3, 1, 1)]
        else:
            layers += [nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, 1)]
        layers += [norm(outputs), nn.ReLU()]
    network = nn.Module()
    network.model = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh())
    network.eval().requires_grad_(False)
    torch.save(network.state_dict(), "latest_net_G.pth")
    model = convert("latest_net_G.pth")
    assert model.config.options.get("upsampling") == ("filtered" if doubling else None)
    x = pictures(32)
    close(model.generator(x, torch.zeros(2, dtype=torch.int64)), network.model(x))


def test_size_is_the_users_to_say(folder):
    network = original(colours=1)
    torch.save(network.state_dict(), "latest_net_G_A.pth")
    model = convert("latest_net_G_A.pth", "--size", "64")
    assert model.target.shape == (1, 64, 64)
    x = pictures(64)
    close(model.translate(x), network(x))


def test_files_of_2017_keep_statistics_that_nobody_used():
    class Tracking(nn.InstanceNorm2d):
        def __init__(self, channels: int) -> None:
            super().__init__(channels, track_running_stats=True)

    network = original(norm=Tracking, dropout=True)
    torch.save(network.state_dict(), "latest_net_G.pth", _use_new_zipfile_serialization=False)
    plain = original()
    same = {name: value for name, value in network.state_dict().items() if name.endswith(("weight", "bias"))}
    plain.load_state_dict({name.replace("block.6", "block.5"): value for name, value in same.items()})
    x = pictures(32)
    close(convert("latest_net_G.pth").generator(x, torch.zeros(2, dtype=torch.int64)), plain(x))
    assert "dropout in its residual blocks is left out" in Path("model/README.md").read_text()


def test_discriminator():
    torch.manual_seed(4)
    width, layers = 4, [nn.Conv2d(3, 4, 4, 2, 1), nn.LeakyReLU(0.2)]
    for factor, stride in ((1, 2), (2, 2), (4, 1)):
        layers += [nn.Conv2d(factor * width, 2 * factor * width, 4, stride, 1)]
        layers += [nn.InstanceNorm2d(2 * factor * width), nn.LeakyReLU(0.2)]
    network = nn.Module()
    network.model = nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1)).eval().requires_grad_(False)
    torch.save(original().state_dict(), "G.pth")
    torch.save(network.state_dict(), "D.pth")
    convert("G.pth", "D.pth", "--discriminator")
    found = PatchGANDiscriminator(None, ganzoo.Sample((3, 64, 64)), 0, width=4)
    found.load_state_dict(load_file("model/discriminator.safetensors"))
    x = pictures(64)
    close(found(x, torch.zeros(2, dtype=torch.int64)), network.model(x))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"norm": nn.BatchNorm2d}, "normalises by batches"),
        ({"extra": "model.6.filt"}, "filters by other numbers of pixels"),
    ],
)
def test_what_is_computed_otherwise_is_refused(capsys, change, reason):
    extra = change.pop("extra", None)
    state = original(**change).state_dict() | ({extra: torch.zeros(4, 1, 5, 5)} if extra else {})
    torch.save(state, "G.pth")
    with pytest.raises(SystemExit) as caught:
        main(["convert", "G.pth"])
    assert caught.value.code == 1 and reason in capsys.readouterr().err and not Path("G").exists()

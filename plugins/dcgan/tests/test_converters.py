"""Converted DCGANs compute what the programs that trained them compute."""

from __future__ import annotations

import sys
import types
from collections import OrderedDict
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import ganzoo
from ganzoo.cli import main


def convert(*arguments: str) -> ganzoo.Model:
    with pytest.raises(SystemExit) as caught:
        main(["convert", *arguments, "--out", "model"])
    assert caught.value.code == 0
    return ganzoo.load("model")


def randomised(network: nn.Module) -> nn.Module:
    """Weights and statistics that differ from their start everywhere, in evaluation mode."""
    torch.manual_seed(1)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor) + 0.5 if "var" in name else torch.randn_like(tensor) * 0.2)
    return network.eval()


def close(found: Tensor, wanted: Tensor) -> None:
    assert torch.allclose(found, wanted, rtol=1e-5, atol=1e-5 * wanted.abs().max().item())
    assert wanted.std() > 1e-3


class Sequence(nn.Module):
    """The example's network: everything in one sequence."""

    def __init__(self, name: str, *layers: nn.Module) -> None:
        super().__init__()
        setattr(self, name, nn.Sequential(*layers))


def example_generator(name: str = "main", width: int = 4, latent: int = 7) -> nn.Module:
    def up(inputs: int, outputs: int, stride: int, padding: int) -> list[nn.Module]:
        layer = nn.ConvTranspose2d(inputs, outputs, 4, stride, padding, bias=False)
        return [layer, nn.BatchNorm2d(outputs), nn.ReLU(True)]

    widths = [8 * width, 4 * width, 2 * width, width]
    layers = up(latent, widths[0], 1, 0)
    for wide, narrow in pairwise(widths):
        layers += up(wide, narrow, 2, 1)
    return Sequence(name, *layers, nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False), nn.Tanh())


def example_discriminator(width: int = 4) -> nn.Module:
    layers = [nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for factor in (1, 2, 4):
        convolution = nn.Conv2d(factor * width, 2 * factor * width, 4, 2, 1, bias=False)
        layers += [convolution, nn.BatchNorm2d(2 * factor * width), nn.LeakyReLU(0.2, True)]
    return Sequence("main", *layers, nn.Conv2d(8 * width, 1, 4, 1, 0, bias=False))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["main", "model"])
@pytest.mark.parametrize("parallel", [False, True])
def test_pytorchs_example_and_huggan(name, parallel):
    network = randomised(example_generator(name))
    state = (
        {f"module.{key}": value for key, value in network.state_dict().items()} if parallel else network.state_dict()
    )
    torch.save(state, "pytorch_model.bin")
    model = convert("pytorch_model.bin")
    z_NL = torch.randn(3, 7)
    label = torch.zeros(3, dtype=torch.int64)
    close(model.generator(z_NL, label), getattr(network, name)(z_NL[:, :, None, None]))
    assert model.generator.latent_distribution == "normal"


def test_a_model_goes_back_into_the_examples_layout():
    network = randomised(example_generator())
    torch.save(network.state_dict(), "netG.pth")
    convert("netG.pth")
    with pytest.raises(SystemExit) as caught:
        main(["convert", "model", "--to", "dcgan-example", "--out", "again.pth"])
    assert caught.value.code == 0
    found, wanted = torch.load("again.pth", weights_only=True), network.state_dict()
    assert found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_what_the_example_has_not_is_refused(capsys):
    for options, reason in (
        ({"generator.kernel": 5}, "kernels of 4x4, 5x5"),
        ({"generator.kernel": 4, "generator.batch_norm": False}, "has BatchNorm"),
    ):
        settings = {"data.size": 32, "generator.width": 4, "discriminator.width": 4, **options}
        run = ganzoo.train(
            "dcgan", set=settings, images=32, out=Path("run"), device="cpu", progress=False, restart=True
        )
        with pytest.raises(SystemExit) as caught:
            main(["convert", str(run.folder), "--to", "dcgan-example", "--out", "again.pth"])
        assert caught.value.code == 1 and reason in capsys.readouterr().err and not Path("again.pth").exists()


def test_pytorchs_examples_discriminator():
    from safetensors.torch import load_file

    from ganzoo_dcgan.dcgan import DCGANDiscriminator

    network = randomised(example_discriminator())
    torch.save(example_generator().state_dict(), "netG.pth")
    torch.save(network.state_dict(), "netD.pth")
    model = convert("netG.pth", "netD.pth", "--discriminator")
    options = {"width": 4, "max_width": 32, "kernel": 4}
    found = DCGANDiscriminator(None, ganzoo.Sample(model.target.shape), 0, **options).eval()
    found.load_state_dict(load_file("model/discriminator.safetensors"))
    x = torch.rand(3, 3, 64, 64) * 2 - 1
    close(found(x, torch.zeros(3, dtype=torch.int64)), network.main(x).flatten())


class BaseConfig:
    """Stands for the class that the program's files name."""

    def __init__(self) -> None:
        self.learningRate = 0.1


@pytest.fixture
def their_modules(monkeypatch) -> None:
    for name in ("models", "models.utils", "models.utils.config"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setattr(BaseConfig, "__module__", "models.utils.config")
    monkeypatch.setattr(sys.modules["models.utils.config"], "BaseConfig", BaseConfig, raising=False)


class ZooGenerator(nn.Module):
    def __init__(self, latent: int = 7, width: int = 4, depth: int = 3) -> None:
        super().__init__()
        channels = width * 2**depth
        self.formatLayer = nn.ConvTranspose2d(latent, channels, 4, 1, 0, bias=False)
        layers: OrderedDict[str, nn.Module] = OrderedDict(batchNorm0=nn.BatchNorm2d(channels), relu0=nn.ReLU(True))
        for level in range(1, depth + 1):
            layers[f"convTranspose{level}"] = nn.ConvTranspose2d(channels, channels // 2, 4, 2, 1, bias=False)
            channels //= 2
            layers[f"batchNorm{level}"], layers[f"relu{level}"] = nn.BatchNorm2d(channels), nn.ReLU(True)
        layers["outlayer"] = nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False)
        self.main = nn.Sequential(layers)

    def forward(self, z_NL11: Tensor) -> Tensor:
        return torch.tanh(self.main(self.formatLayer(z_NL11)))


class ZooDiscriminator(nn.Module):
    def __init__(self, width: int = 4, depth: int = 3) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers[f"convTranspose{depth}"] = nn.Conv2d(3, width, 4, 2, 1, bias=False)
        layers[f"relu{depth}"] = nn.LeakyReLU(0.2)
        for level in reversed(range(depth)):
            layers[f"convTranspose{level}"] = nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False)
            width *= 2
            layers[f"batchNorm{level}"], layers[f"relu{level}"] = nn.BatchNorm2d(width), nn.LeakyReLU(0.2)
        self.main = nn.Sequential(layers)
        self.decisionLayer = nn.Conv2d(width, 1, 4, 1, 0, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.decisionLayer(self.main(x)).flatten()


def test_pytorch_gan_zoo(their_modules):
    from safetensors.torch import load_file

    from ganzoo_dcgan.dcgan import DCGANDiscriminator

    maker, judge = randomised(ZooGenerator()), randomised(ZooDiscriminator())
    state = {"config": BaseConfig(), "netG": maker.state_dict(), "netD": judge.state_dict(), "avgG": {}}
    torch.save(state, "zoo.pt")
    model = convert("zoo.pt", "--discriminator")
    z_NL, label = torch.randn(3, 7), torch.zeros(3, dtype=torch.int64)
    close(model.generator(z_NL, label), maker(z_NL[:, :, None, None]))
    found = DCGANDiscriminator(None, ganzoo.Sample((3, 64, 64)), 0, width=4, max_width=32, kernel=4).eval()
    found.load_state_dict(load_file("model/discriminator.safetensors"))
    x = torch.rand(3, 3, 64, 64) * 2 - 1
    close(found(x, label), judge(x))

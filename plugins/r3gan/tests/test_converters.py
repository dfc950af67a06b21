"""Converted R3GANs compute what the authors' program computes."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu, one_hot

import ganzoo
from ganzoo.cli import main
from ganzoo_r3gan.discriminator import R3GANDiscriminator

LABEL, CLASSES, LATENT, GROUP = torch.tensor([0, 4, 3]), 5, 6, 4
KERNEL = torch.tensor([1.0, 3.0, 3.0, 1.0])[:, None] * torch.tensor([1.0, 3.0, 3.0, 1.0]) / 64


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    program = ModuleType("BaselineGAN.Networks")  # as in the published file of ImageNet
    program.Generator = type("Generator", (nn.Module,), {"__module__": "BaselineGAN.Networks"})
    monkeypatch.setitem(sys.modules, "BaselineGAN", ModuleType("BaselineGAN"))
    monkeypatch.setitem(sys.modules, "BaselineGAN.Networks", program)
    return tmp_path


def convert(*arguments: str) -> ganzoo.Model:
    with pytest.raises(SystemExit) as caught:
        main(["convert", *arguments, "--out", "model"])
    assert caught.value.code == 0
    return ganzoo.load("model")


def close(found: Tensor, wanted: Tensor) -> None:
    assert torch.allclose(found, wanted, rtol=1e-5, atol=1e-5 * wanted.abs().max().item())
    assert wanted.std() > 0.01


class Original:
    """A network's state as it is first asked for, which is how the program names it."""

    def __init__(self) -> None:
        self.state: dict[str, Tensor] = {}
        self.random = torch.Generator().manual_seed(5)

    def get(self, name: str, *shape: int, scale: float = 0.3) -> Tensor:
        name = f"Model.{name}"
        if name not in self.state:
            self.state[name] = torch.randn(shape, generator=self.random) * scale
        return self.state[name]

    def block(self, x: Tensor, name: str) -> Tensor:
        inside = 2 * x.shape[1]
        h = conv2d(x, self.get(f"{name}.LinearLayer1.Layer.weight", inside, x.shape[1], 1, 1))
        h = leaky_relu(h + self.get(f"{name}.NonLinearity1.Bias", inside)[:, None, None], 0.2)
        weight = self.get(f"{name}.LinearLayer2.Layer.weight", inside, GROUP, 3, 3)
        h = conv2d(h, weight, padding=1, groups=inside // GROUP)
        h = leaky_relu(h + self.get(f"{name}.NonLinearity2.Bias", inside)[:, None, None], 0.2)
        return x + conv2d(h, self.get(f"{name}.LinearLayer3.Layer.weight", x.shape[1], inside, 1, 1))

    def weighed(self, x: Tensor, name: str, outputs: int) -> Tensor:
        if outputs == x.shape[1]:
            return x
        return conv2d(x, self.get(f"{name}.LinearLayer.Layer.weight", outputs, x.shape[1], 1, 1))

    def kernel(self, name: str, channels: int) -> Tensor:
        self.state[f"Model.{name}.Resampler.Kernel"] = KERNEL
        return KERNEL.expand(channels, 1, 4, 4)


def generator(own: Original, z: Tensor, label: Tensor | None, widths: list[int]) -> Tensor:
    if label is not None:
        z = torch.cat([z, one_hot(label, CLASSES).float() @ own.get("EmbeddingLayer.weight", 3, CLASSES).T], 1)
    first = "MainLayers.0.Layers.0"
    x = own.get(f"{first}.Basis", widths[0], 4, 4, scale=1)
    x = x * (z @ own.get(f"{first}.LinearLayer.weight", widths[0], z.shape[1]).T)[:, :, None, None]
    for stage, width in enumerate(widths):
        if stage:
            name = f"MainLayers.{stage}.Layers.0"
            x = own.weighed(x, name, width)
            x = conv_transpose2d(x, 4 * own.kernel(name, width), stride=2, padding=1, groups=width)
        for block in (1, 2):
            x = own.block(x, f"MainLayers.{stage}.Layers.{block}")
    return conv2d(x, own.get("AggregationLayer.Layer.weight", 3, widths[-1], 1, 1, scale=0.1))


def discriminator(own: Original, x: Tensor, label: Tensor | None, widths: list[int]) -> Tensor:
    x = conv2d(x, own.get("ExtractionLayer.Layer.weight", widths[-1], 3, 1, 1))
    for stage, after in enumerate([*reversed(widths[:-1]), 0]):
        for block in (0, 1):
            x = own.block(x, f"MainLayers.{stage}.Layers.{block}")
        name = f"MainLayers.{stage}.Layers.2"
        if after:
            x = conv2d(x, own.kernel(name, x.shape[1]), stride=2, padding=1, groups=x.shape[1])
            x = own.weighed(x, name, after)
    width = x.shape[1]
    x = conv2d(x, own.get(f"{name}.Basis.weight", width, 1, 4, 4), groups=width).flatten(1)
    x = x @ own.get(f"{name}.LinearLayer.weight", width if label is not None else 1, width).T
    if label is None:
        return x.flatten()
    return (x * (one_hot(label, CLASSES).float() @ own.get("EmbeddingLayer.weight", width, CLASSES).T)).sum(1)


def module(state: dict[str, Tensor]) -> nn.Module:
    """A module with these tensors, as the program pickles it: all within its parts."""
    root = sys.modules["BaselineGAN.Networks"].Generator()
    for name, value in state.items():
        *path, last = name.split(".")
        part = root
        for step in path:
            if step not in part._modules:
                part.add_module(step, nn.Module())
            part = part._modules[step]
        part.register_buffer(last, value) if last == "Kernel" else part.register_parameter(last, nn.Parameter(value))
    return root


@pytest.mark.parametrize("label", [None, LABEL])
@pytest.mark.parametrize("widths", [[8, 8, 4], [8, 8]])
def test_generator_and_discriminator(label, widths):
    g, d = Original(), Original()
    z = torch.randn(3, LATENT, generator=torch.Generator().manual_seed(3))
    side = 4 << (len(widths) - 1)
    x = torch.rand(3, 3, side, side, generator=torch.Generator().manual_seed(4)) * 2 - 1
    made, judged = generator(g, z, label, widths), discriminator(d, x, label, widths)
    content = {"G": None, "D": module(d.state), "G_ema": module(g.state), "cur_nimg": 5, "training_set_kwargs": {}}
    Path("network-snapshot-final.pkl").write_bytes(pickle.dumps(content))
    model = convert("network-snapshot-final.pkl", "--discriminator", "--unclamped")
    labels = torch.zeros(3, dtype=torch.int64) if label is None else label
    assert model.target.shape == (3, side, side) and model.config.classes == (0 if label is None else CLASSES)
    close(model.generator(z, labels), made)
    options = {"width": 8, "group_size": GROUP, "halve_above": 8, "conditional": label is not None}
    found = R3GANDiscriminator(None, ganzoo.Sample((3, side, side)), model.config.classes, **options)
    found.load_state_dict(load_file("model/discriminator.safetensors"))
    close(found(x, labels), judged)


def test_samples_are_clamped_unless_they_are_to_be_left(capsys):
    own = Original()
    z = torch.randn(3, LATENT, generator=torch.Generator().manual_seed(3)) * 4
    made = generator(own, z, None, [8, 8])
    assert made.abs().max() > 1
    Path("file.pkl").write_bytes(pickle.dumps({"G_ema": module(own.state)}))
    model = convert("file.pkl")
    assert "samples are clamped to -1 … 1; --unclamped leaves them" in capsys.readouterr().err
    close(model.generator(z, torch.zeros(3, dtype=torch.int64)), made.clamp(-1, 1))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda state: state | {"Model.MainLayers.1.Layers.0.Resampler.Kernel": torch.ones(4, 4) / 16}, "[1, 3, 3, 1]"),
        (None, "8, 4, 4 channels"),
    ],
)
def test_what_is_computed_otherwise_is_refused(capsys, change, reason):
    own = Original()
    generator(own, torch.randn(3, LATENT), None, [8, 8] if change else [8, 4, 4])
    Path("file.pkl").write_bytes(pickle.dumps({"G_ema": module(change(own.state) if change else own.state)}))
    with pytest.raises(SystemExit) as caught:
        main(["convert", "file.pkl"])
    assert caught.value.code == 1 and reason in capsys.readouterr().err and not Path("file").exists()

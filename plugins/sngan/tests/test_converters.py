"""Converted SNGANs compute what the authors' program computes, transcribed here in plain operations.

The arrays are those of its Chainer links: W, b, gamma, beta, avg_mean, avg_var, N, and u of spectral normalisation.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

import ganzoo
from ganzoo.cli import main
from ganzoo_sngan.discriminator import SNGANDiscriminator

Arrays = dict[str, np.ndarray]
LATENT, CLASSES, WIDTH = 5, 3, 4
LABEL = torch.tensor([0, 2, 1])


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def drawn(shapes: dict[str, tuple[int, ...]]) -> Arrays:
    chance = np.random.default_rng(0)
    found = {name: chance.standard_normal(shape).astype(np.float32) * np.float32(0.5) for name, shape in shapes.items()}
    for name, value in found.items():
        if name.endswith("avg_var"):
            found[name] = np.abs(value) + np.float32(0.5)
        elif name.endswith("/W") and value.ndim in (2, 4) and "gammas" not in name and "betas" not in name:
            found[name] = value * np.float32(2 / np.sqrt(value[0].size))
    return found


def generator_arrays(side: int, classes: int) -> Arrays:
    """32: three blocks of equal width, b5 and c5; 64: four that halve it, b6 and l6."""
    channels = [WIDTH] * 4 if side == 32 else [WIDTH << level for level in (4, 3, 2, 1, 0)]
    norm, picture = ("b5", "c5") if side == 32 else ("b6", "l6")
    shapes: dict[str, tuple[int, ...]] = {"l1/W": (16 * channels[0], LATENT), "l1/b": (16 * channels[0],)}
    for number, (before, after) in enumerate(pairwise(channels), 2):
        block = f"block{number}"
        shapes |= {f"{block}/c1/W": (after, before, 3, 3), f"{block}/c1/b": (after,)}
        shapes |= {f"{block}/c2/W": (after, after, 3, 3), f"{block}/c2/b": (after,)}
        shapes |= {f"{block}/c_sc/W": (after, before, 1, 1), f"{block}/c_sc/b": (after,)}
        for one, count in (("b1", before), ("b2", after)):
            names = {"gammas/W": (classes, count), "betas/W": (classes, count)} if classes else {}
            names = names or {"gamma": (count,), "beta": (count,)}
            names |= {"avg_mean": (count,), "avg_var": (count,)}
            shapes |= {f"{block}/{one}/{name}": shape for name, shape in names.items()}
    shapes |= {f"{norm}/{name}": (channels[-1],) for name in ("gamma", "beta", "avg_mean", "avg_var")}
    shapes |= {f"{picture}/W": (3, channels[-1], 3, 3), f"{picture}/b": (3,)}
    return drawn(shapes) | {f"{norm}/N": np.array(7)}


def normalised(x: Tensor, a: dict[str, Tensor], name: str, label: Tensor | None) -> Tensor:
    mean, variance = (a[f"{name}/avg_{one}"][:, None, None] for one in ("mean", "var"))
    x = (x - mean) / (variance + 2e-5).sqrt()
    if f"{name}/gammas/W" in a:
        gain, shift = (a[f"{name}/{one}/W"][label][:, :, None, None] for one in ("gammas", "betas"))
    else:
        gain, shift = (a[f"{name}/{one}"][:, None, None] for one in ("gamma", "beta"))
    return gain * x + shift


def original_generator(arrays: Arrays, z: Tensor, label: Tensor) -> Tensor:
    a = {name: torch.from_numpy(value) for name, value in arrays.items()}

    def doubled(x: Tensor, name: str) -> Tensor:
        x = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        return functional.conv2d(x, a[f"{name}/W"], a[f"{name}/b"], padding=a[f"{name}/W"].shape[2] // 2)

    x = functional.linear(z, a["l1/W"], a["l1/b"]).view(len(z), -1, 4, 4)
    last = 5 if "c5/W" in a else 6
    for number in range(2, last):
        block = f"block{number}"
        y = doubled(normalised(x, a, f"{block}/b1", label).relu(), f"{block}/c1")
        y = normalised(y, a, f"{block}/b2", label).relu()
        x = functional.conv2d(y, a[f"{block}/c2/W"], a[f"{block}/c2/b"], padding=1) + doubled(x, f"{block}/c_sc")
    picture = "c5" if last == 5 else "l6"
    x = normalised(x, a, f"b{last}", None).relu()
    return functional.conv2d(x, a[f"{picture}/W"], a[f"{picture}/b"], padding=1).tanh()


def discriminator_arrays(classes: int) -> Arrays:
    """For 32 pixels: two halving blocks and two that keep the side."""
    shapes: dict[str, tuple[int, ...]] = {}
    for number in (1, 2, 3, 4):
        inputs = 3 if number == 1 else WIDTH
        for name, kernel, before in (("c1", 3, inputs), ("c2", 3, WIDTH), ("c_sc", 1, inputs)):
            if number < 3 or name != "c_sc":
                layer = f"block{number}/{name}"
                shapes |= {f"{layer}/W": (WIDTH, before, kernel, kernel), f"{layer}/b": (WIDTH,)}
                shapes[f"{layer}/u"] = (1, WIDTH)
    shapes |= {"l5/W": (1, WIDTH), "l5/u": (1, 1)}
    if classes:
        shapes |= {"l_y/W": (classes, WIDTH), "l_y/u": (1, classes)}
    return drawn(shapes)


def original_discriminator(arrays: Arrays, x: Tensor, label: Tensor) -> Tensor:
    a = {name: torch.from_numpy(value) for name, value in arrays.items()}

    def weight(name: str) -> Tensor:
        """W / σ, after one step of the power iteration."""
        rows = a[f"{name}/W"].flatten(1)
        v = functional.normalize(a[f"{name}/u"] @ rows)
        u = functional.normalize(v @ rows.T)
        return a[f"{name}/W"] / (u @ rows @ v.T)

    def convolved(x: Tensor, name: str) -> Tensor:
        return functional.conv2d(x, weight(name), a[f"{name}/b"], padding=a[f"{name}/W"].shape[2] // 2)

    for number in (1, 2, 3, 4):
        block = f"block{number}"
        y = convolved(x if number == 1 else x.relu(), f"{block}/c1")
        y = convolved(y.relu(), f"{block}/c2")
        if number < 3:
            y, x = functional.avg_pool2d(y, 2), functional.avg_pool2d(convolved(x, f"{block}/c_sc"), 2)
        x = x + y
    features = x.relu().sum(dim=(2, 3))
    logit = features @ weight("l5").T
    if "l_y/W" in a:
        logit = logit + (weight("l_y")[label] * features).sum(dim=1, keepdim=True)
    return logit.flatten()


def convert(*arguments: str) -> ganzoo.Model:
    with pytest.raises(SystemExit) as caught:
        main(["convert", *arguments, "--out", "model"])
    assert caught.value.code == 0
    return ganzoo.load("model")


def close(found: Tensor, wanted: Tensor) -> None:
    assert torch.allclose(found, wanted, rtol=1e-5, atol=1e-5 * wanted.abs().max().item())
    assert wanted.std() > 0.05


@pytest.mark.parametrize("side", [32, 64])
@pytest.mark.parametrize("classes", [0, CLASSES])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_generators(side, classes, save):
    arrays = generator_arrays(side, classes)
    save("ResNetGenerator_50000.npz", **arrays)
    model = convert("ResNetGenerator_50000.npz")
    assert model.target.shape == (3, side, side) and model.config.classes == classes
    z_NL = torch.randn(3, LATENT, generator=torch.Generator().manual_seed(1))
    close(model.generator(z_NL, LABEL), original_generator(arrays, z_NL, LABEL))


@pytest.mark.parametrize("classes", [0, CLASSES])
def test_discriminators(classes):
    arrays = discriminator_arrays(classes)
    np.savez("G.npz", **generator_arrays(32, classes))
    np.savez("D.npz", **{f"/{name}": value for name, value in arrays.items()})
    convert("G.npz", "D.npz", "--discriminator")
    found = SNGANDiscriminator(None, ganzoo.Sample((3, 32, 32)), classes, width=WIDTH, conditional=classes > 0).eval()
    found.load_state_dict(load_file("model/discriminator.safetensors"))
    x = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(2)) * 2 - 1
    close(found(x, LABEL), original_discriminator(arrays, x, LABEL))


def test_another_ladder_of_widths_is_refused(capsys):
    arrays = generator_arrays(64, 0)
    arrays["block3/c1/b"] = np.zeros(7, np.float32)
    np.savez("G.npz", **arrays)
    with pytest.raises(SystemExit) as caught:
        main(["convert", "G.npz"])
    assert caught.value.code == 1 and "blocks.1.convolutions.0.bias is (7,)" in capsys.readouterr().err

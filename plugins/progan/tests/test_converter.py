"""Converted Progressive GANs compute what the authors' TensorFlow program does, transcribed here in plain operations.

Arrays are laid out as TensorFlow has them: kernels KKIO, those of `Conv0_up` KKOI, dense layers IO.
Suffixes: N batch, L latent, C channels, H height, W width, K kernel, I channels in, O channels out.
"""

from __future__ import annotations

import math
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

import ganzoo
from ganzoo.cli import main
from ganzoo_progan.discriminator import ProGANDiscriminator

Arrays = dict[str, np.ndarray]
SIDE, LATENT, WIDTHS = 16, 5, {4: 6, 8: 6, 16: 4}
Z_NL = torch.randn(4, LATENT, generator=torch.Generator().manual_seed(5))
LABEL = torch.zeros(4, dtype=torch.int64)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ---- what the original computes


def leaky(x: Tensor) -> Tensor:
    return torch.maximum(x, 0.2 * x)


def unit(x: Tensor) -> Tensor:
    return x / (x.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()


def scaled(arrays: Arrays, name: str, fan_in: int, gain: float = math.sqrt(2)) -> Tensor:
    return torch.from_numpy(arrays[f"{name}/weight"]) * (gain / math.sqrt(fan_in))


def biased(x: Tensor, arrays: Arrays, name: str) -> Tensor:
    bias = torch.from_numpy(arrays[f"{name}/bias"])
    return x + (bias if x.ndim == 2 else bias[:, None, None])


def dense(x: Tensor, arrays: Arrays, name: str, gain: float = math.sqrt(2)) -> Tensor:
    return x @ scaled(arrays, name, x.shape[1], gain)


def convolved(x: Tensor, arrays: Arrays, name: str, gain: float = math.sqrt(2)) -> Tensor:
    weight_KKIO = scaled(arrays, name, arrays[f"{name}/weight"][..., 0].size, gain)
    y = functional.conv2d(x, weight_KKIO.permute(3, 2, 0, 1), padding=weight_KKIO.shape[0] // 2)
    return biased(y, arrays, name)


def shifted(weight: Tensor) -> Tensor:
    """A 3x3 kernel padded, and the sum of it at its four places in 4x4."""
    found = torch.zeros(4, 4, *weight.shape[2:])
    for row in (0, 1):
        for column in (0, 1):
            found[row : row + 3, column : column + 3] += weight
    return found


def up(x: Tensor, arrays: Arrays, side: int) -> Tensor:
    """Doubling and convolution in two steps, or in one, which adds each pixel's 4x4 kernel where it belongs."""
    name = f"{side}x{side}/Conv0_up"
    if f"{name}/weight" not in arrays:
        return convolved(x.repeat_interleave(2, 2).repeat_interleave(2, 3), arrays, f"{side}x{side}/Conv0")
    kernel_KKOI = shifted(scaled(arrays, name, 9 * x.shape[1]))
    wide = torch.zeros(len(x), kernel_KKOI.shape[2], 2 * x.shape[2] + 2, 2 * x.shape[3] + 2)
    for row in range(x.shape[2]):
        for column in range(x.shape[3]):
            put = torch.einsum("ni,aboi->noab", x[:, :, row, column], kernel_KKOI)
            wide[:, :, 2 * row : 2 * row + 4, 2 * column : 2 * column + 4] += put
    return biased(wide[:, :, 1:-1, 1:-1], arrays, name)


def mean_of_four(x: Tensor) -> Tensor:
    return (x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]) / 4


def down(x: Tensor, arrays: Arrays, side: int) -> Tensor:
    """Convolution and the mean of four: at once and before the activation, or after it."""
    name = f"{side}x{side}/Conv1_down"
    if f"{name}/weight" not in arrays:
        return mean_of_four(leaky(convolved(x, arrays, f"{side}x{side}/Conv1")))
    kernel_KKIO = shifted(scaled(arrays, name, 9 * x.shape[1])) / 4
    y = functional.conv2d(x, kernel_KKIO.permute(3, 2, 0, 1), stride=2, padding=1)
    return leaky(biased(y, arrays, name))


def original_generator(arrays: Arrays, z_NL: Tensor) -> Tensor:
    x = dense(unit(z_NL), arrays, "4x4/Dense", math.sqrt(2) / 4).view(len(z_NL), -1, 4, 4)
    x = unit(leaky(biased(x, arrays, "4x4/Dense")))
    x = unit(leaky(convolved(x, arrays, "4x4/Conv")))
    lod, last = float(arrays["lod"]), int(math.log2(SIDE))
    picture = convolved(x, arrays, f"ToRGB_lod{last - 2}", 1)
    for number in range(3, last + 1):
        side, coarser = 2**number, last - number
        x = unit(leaky(up(x, arrays, side)))
        x = unit(leaky(convolved(x, arrays, f"{side}x{side}/Conv1")))
        finer = convolved(x, arrays, f"ToRGB_lod{coarser}", 1)
        picture = picture.repeat_interleave(2, 2).repeat_interleave(2, 3)
        picture = finer + (picture - finer) * min(max(lod - coarser, 0), 1)
    return picture


def original_discriminator(arrays: Arrays, picture: Tensor, group: int) -> Tensor:
    lod, last = float(arrays["lod"]), int(math.log2(SIDE))
    x = leaky(convolved(picture, arrays, "FromRGB_lod0"))
    for coarser in range(1, last - 1):
        side = 2 ** (last - coarser + 1)
        x = leaky(convolved(x, arrays, f"{side}x{side}/Conv0"))
        x = down(x, arrays, side)
        picture = mean_of_four(picture)
        older = leaky(convolved(picture, arrays, f"FromRGB_lod{coarser}"))
        x = x + (older - x) * min(max(lod - coarser + 1, 0), 1)
    groups = x.view(group, len(x) // group, *x.shape[1:])
    spread = ((groups - groups.mean(dim=0)).square().mean(dim=0) + 1e-8).sqrt().mean(dim=(1, 2, 3))
    x = torch.cat([x, spread.repeat(group)[:, None, None, None].expand(-1, 1, 4, 4)], dim=1)
    x = leaky(convolved(x, arrays, "4x4/Conv"))
    x = leaky(biased(dense(x.flatten(1), arrays, "4x4/Dense0"), arrays, "4x4/Dense0"))
    return biased(dense(x, arrays, "4x4/Dense1", 1), arrays, "4x4/Dense1").flatten()


# ---- files as the program writes them


def drawn(shapes: dict[str, tuple[int, ...]], lod: float) -> Arrays:
    chance = np.random.default_rng(len(shapes))
    found = {name: chance.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    return {"lod": np.float32(lod), **found}


def generator_arrays(fused: bool, lod: float = 0.0, widths: dict[int, int] = WIDTHS) -> Arrays:
    shapes: dict[str, tuple[int, ...]] = {"4x4/Dense/weight": (LATENT, 16 * widths[4]), "4x4/Dense/bias": (widths[4],)}
    shapes |= {"4x4/Conv/weight": (3, 3, widths[4], widths[4]), "4x4/Conv/bias": (widths[4],)}
    for number, (side, width) in enumerate(widths.items()):
        before = widths.get(side // 2, width)
        if side > 4:
            first = {f"{side}x{side}/Conv0_up/weight": (3, 3, width, before)}
            first = first if fused else {f"{side}x{side}/Conv0/weight": (3, 3, before, width)}
            shapes |= first | {next(iter(first)).replace("weight", "bias"): (width,)}
            shapes |= {f"{side}x{side}/Conv1/weight": (3, 3, width, width), f"{side}x{side}/Conv1/bias": (width,)}
        name = f"ToRGB_lod{len(widths) - 1 - number}"
        shapes |= {f"{name}/weight": (1, 1, width, 3), f"{name}/bias": (3,)}
    return drawn(shapes, lod)


def discriminator_arrays(fused: bool, lod: float = 0.0) -> Arrays:
    last = WIDTHS[4]
    shapes: dict[str, tuple[int, ...]] = {}
    for number, (side, width) in enumerate(WIDTHS.items()):
        name = f"FromRGB_lod{len(WIDTHS) - 1 - number}"
        shapes |= {f"{name}/weight": (1, 1, 3, width), f"{name}/bias": (width,)}
        if side > 4:
            below, second = WIDTHS[side // 2], f"{side}x{side}/{'Conv1_down' if fused else 'Conv1'}"
            shapes |= {f"{side}x{side}/Conv0/weight": (3, 3, width, width), f"{side}x{side}/Conv0/bias": (width,)}
            shapes |= {f"{second}/weight": (3, 3, width, below), f"{second}/bias": (below,)}
    shapes |= {"4x4/Conv/weight": (3, 3, last + 1, last), "4x4/Conv/bias": (last,)}
    shapes |= {"4x4/Dense0/weight": (16 * last, last), "4x4/Dense0/bias": (last,)}
    return drawn(shapes | {"4x4/Dense1/weight": (last, 1), "4x4/Dense1/bias": (1,)}, lod)


class Network:
    """Stands for the program's class: it pickles its settings, its source and its variables."""

    def __init__(self, name: str, arrays: Arrays, settings: dict[str, Any]) -> None:
        self.state = {
            "version": 2,
            "name": name,
            "static_kwargs": {"num_channels": 3, "resolution": SIDE, "label_size": 0, **settings},
            "build_module_src": "import os; os.mkdir('pwned')",
            "build_func_name": "G_paper",
            "variables": list(arrays.items()),
        }

    def __getstate__(self) -> dict[str, Any]:
        return self.state

    def __setstate__(self, state: dict[str, Any]) -> None:
        raise AssertionError("this would run the source in the file")


@pytest.fixture(params=["tfutil", "dnnlib.tflib.network"])
def program(request, monkeypatch) -> None:
    """The module that the class lives in, in the authors' program and in NVIDIA's later one."""
    parents = request.param.split(".")
    for depth in range(1, len(parents) + 1):
        name = ".".join(parents[:depth])
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setattr(Network, "__module__", request.param)
    monkeypatch.setattr(sys.modules[request.param], "Network", Network, raising=False)


def write(maker: Arrays, judge: Arrays, **settings: Any) -> None:
    other = {name: value + 1 for name, value in maker.items()}
    networks = (Network("G", other, settings), Network("D", judge, settings), Network("Gs", maker, settings))
    Path("network-final.pkl").write_bytes(pickle.dumps(networks))


def convert(*arguments: str) -> ganzoo.Model:
    with pytest.raises(SystemExit) as caught:
        main(["convert", "network-final.pkl", *arguments, "--out", "model"])
    assert caught.value.code == 0
    return ganzoo.load("model")


def close(found: Tensor, wanted: Tensor) -> None:
    assert torch.allclose(found, wanted, rtol=1e-5, atol=1e-5 * wanted.abs().max().item())
    assert wanted.std() > 0.05


# ---- the tests


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("lod", [0.0, 0.75, 1.0])
def test_both_networks_at_every_stage_of_growth(program, folder, fused, lod):
    maker, judge = generator_arrays(fused, lod), discriminator_arrays(fused, lod)
    write(maker, judge, mbstd_group_size=2)
    model = convert("--discriminator", "--unclamped")
    assert not (folder / "pwned").exists() and model.target.shape == (3, SIDE, SIDE)
    close(model.generator(Z_NL, LABEL), original_generator(maker, Z_NL))
    found = ProGANDiscriminator(
        None, ganzoo.Sample((3, SIDE, SIDE)), 0, channel_base=64, channel_max=6, group_size=2, fused=fused
    ).eval()
    found.load_state_dict(load_file("model/discriminator.safetensors"))
    x = torch.randn(4, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(6))
    close(found(x, LABEL), original_discriminator(judge, x, 2))


def test_samples_are_clamped_unless_asked(program, capsys):
    maker = generator_arrays(True)
    write(maker, discriminator_arrays(True))
    model = convert()
    close(model.generator(Z_NL, LABEL), original_generator(maker, Z_NL).clamp(-1, 1))
    assert "--unclamped leaves them" in capsys.readouterr().err


def refused(capsys) -> str:
    with pytest.raises(SystemExit) as caught:
        main(["convert", "network-final.pkl", "--out", "model"])
    assert caught.value.code == 1 and not Path("model").exists()
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"label_size": 10}, "label_size = 10"), ({"use_pixelnorm": False}, "use_pixelnorm = False")],
)
def test_what_no_network_here_computes_is_refused(program, capsys, settings, words):
    write(generator_arrays(True), discriminator_arrays(True), **settings)
    assert f"trained with {words}" in refused(capsys)


def test_other_files_are_refused_in_one_line(program, capsys):
    write(generator_arrays(True, widths={4: 6, 8: 5, 16: 4}), discriminator_arrays(True))
    assert "its maps from 4 pixels up have 6, 5, 4 channels" in refused(capsys)
    broken = generator_arrays(True)
    del broken["8x8/Conv1/bias"]
    write(broken, discriminator_arrays(True))
    assert "damaged, or no file of progressive_growing_of_gans" in refused(capsys)
    plain = {name: value for name, value in discriminator_arrays(True).items() if name != "4x4/Conv/weight"}
    write(generator_arrays(True), plain | {"4x4/Conv/weight": np.zeros((3, 3, 6, 6), np.float32)})
    assert "no minibatch deviation" in refused(capsys)
    write({"synthesis/4x4/Const/const": np.zeros(3, np.float32)}, {})
    assert "no converter knows" in refused(capsys)

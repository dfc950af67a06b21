"""Converted StyleGANs compute what NVIDIA's TensorFlow program computes, transcribed here in plain operations.

Arrays have the program's layouts: convolutions (K, K, I, O), dense layers (I, O). Pictures are (N, C, H, W).
"""

from __future__ import annotations

import math
import pickle
import re
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, conv_transpose2d, interpolate, pad

import ganzoo
from ganzoo.cli import main
from ganzoo_stylegan.discriminator import StyleGANDiscriminator

Arrays = dict[str, np.ndarray]
Z, LAYERS, CLASSES = 6, 3, 3
SQRT2 = math.sqrt(2)


# ---- what the original computes, from arrays under its names


def read(arrays: Arrays, name: str) -> Tensor:
    return torch.from_numpy(np.asarray(arrays[name], np.float64))


def leaky(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x)


def unit(x: Tensor) -> Tensor:
    return x / (x.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()


def dense(x: Tensor, arrays: Arrays, name: str, gain: float = SQRT2, lrmul: float = 1.0) -> Tensor:
    weight = read(arrays, f"{name}/weight")
    return x @ (weight * gain / math.sqrt(len(weight)) * lrmul) + lrmul * read(arrays, f"{name}/bias")


def kernel(arrays: Arrays, name: str, gain: float = SQRT2) -> Tensor:
    """Scaled as when it is used, (O, I, K, K)."""
    weight = read(arrays, f"{name}/weight")
    return (weight * gain / math.sqrt(weight[..., 0].numel())).permute(3, 2, 0, 1)


def biased(x: Tensor, arrays: Arrays, name: str) -> Tensor:
    return x + read(arrays, f"{name}/bias")[:, None, None]


def blurred(x: Tensor) -> Tensor:
    taps = torch.tensor([1.0, 2.0, 1.0]).double()
    taps = (taps[:, None] * taps / 16).expand(x.shape[1], 1, 3, 3)
    return conv2d(x, taps, padding=1, groups=x.shape[1])


def shifted(weight: Tensor) -> Tensor:
    """The sum of a padded kernel's four shifts, as fused resampling has it."""
    wide = pad(weight, (1, 1, 1, 1))
    return wide[..., 1:, 1:] + wide[..., :-1, 1:] + wide[..., 1:, :-1] + wide[..., :-1, :-1]


def doubled(x: Tensor, arrays: Arrays, name: str, fused: bool) -> Tensor:
    weight = kernel(arrays, name)
    if fused:
        x = conv_transpose2d(x, shifted(weight).transpose(0, 1), stride=2, padding=1)
    else:
        x = conv2d(interpolate(x, scale_factor=2), weight, padding=1)
    return blurred(x)


def epilogue(x: Tensor, arrays: Arrays, name: str, number: int, style: Tensor) -> Tensor:
    noise = read(arrays, f"noise{number}")
    x = x + noise * read(arrays, f"{name}/Noise/weight")[:, None, None]
    x = leaky(biased(x, arrays, name))
    x = x - x.mean(dim=(2, 3), keepdim=True)
    x = x / (x.square().mean(dim=(2, 3), keepdim=True) + 1e-8).sqrt()
    style = dense(style, arrays, f"{name}/StyleMod", gain=1).unflatten(1, (2, -1))[..., None, None]
    return x * (style[:, 0] + 1) + style[:, 1]


def original_generator(
    parts: dict[str, Arrays], z: Tensor, label: Tensor, psi: float = 1.0, fused: int = 128
) -> Tensor:
    mapping, arrays = parts["mapping"], parts["synthesis"]
    x = z.double()
    if "LabelConcat/weight" in mapping:
        x = torch.cat([x, read(mapping, "LabelConcat/weight")[label]], dim=1)
    x = unit(x)
    for layer in range(LAYERS):
        x = leaky(dense(x, mapping, f"Dense{layer}", lrmul=0.01))
    mean = read(parts["whole"], "dlatent_avg")
    low = mean + psi * (x - mean)
    side = max(int(name.split("x")[0]) for name in arrays if "x" in name.split("/")[0])
    last = int(math.log2(side)) - 2
    lod = float(arrays["lod"])
    styles = [low if number < 8 else x for number in range(2 * last + 2)]
    x = read(arrays, "4x4/Const/const").expand(len(z), -1, -1, -1)
    x = epilogue(x, arrays, "4x4/Const", 0, styles[0])
    x = conv2d(x, kernel(arrays, "4x4/Conv"), padding=1)
    x = epilogue(x, arrays, "4x4/Conv", 1, styles[1])
    colours = [biased(conv2d(x, kernel(arrays, f"ToRGB_lod{last}", 1)), arrays, f"ToRGB_lod{last}")]
    for level in range(1, last + 1):
        name = f"{4 << level}x{4 << level}"
        x = doubled(x, arrays, f"{name}/Conv0_up", (4 << level) >= fused)
        x = epilogue(x, arrays, f"{name}/Conv0_up", 2 * level, styles[2 * level])
        x = conv2d(x, kernel(arrays, f"{name}/Conv1"), padding=1)
        x = epilogue(x, arrays, f"{name}/Conv1", 2 * level + 1, styles[2 * level + 1])
        rgb = f"ToRGB_lod{last - level}"
        colours.append(biased(conv2d(x, kernel(arrays, rgb, 1)), arrays, rgb))
    whole, part = int(last - math.floor(lod)), lod - math.floor(lod)
    picture = colours[whole]
    if part:
        picture = torch.lerp(picture, interpolate(colours[whole - 1], scale_factor=2), part)
    return interpolate(picture, size=(side, side))


def original_discriminator(arrays: Arrays, x: Tensor, label: Tensor) -> Tensor:
    """Of up to four pictures, which are one group of the minibatch deviation; at lod 0."""
    side = x.shape[2]
    x = leaky(biased(conv2d(x.double(), kernel(arrays, "FromRGB_lod0")), arrays, "FromRGB_lod0"))
    while side > 4:
        name = f"{side}x{side}"
        x = leaky(biased(conv2d(x, kernel(arrays, f"{name}/Conv0"), padding=1), arrays, f"{name}/Conv0"))
        x = avg_pool2d(conv2d(blurred(x), kernel(arrays, f"{name}/Conv1_down"), padding=1), 2)
        x = leaky(biased(x, arrays, f"{name}/Conv1_down"))
        side //= 2
    deviation = (x.var(dim=0, unbiased=False) + 1e-8).sqrt().mean().expand(len(x), 1, 4, 4)
    x = conv2d(torch.cat([x, deviation], dim=1), kernel(arrays, "4x4/Conv"), padding=1)
    x = leaky(biased(x, arrays, "4x4/Conv"))
    x = dense(leaky(dense(x.flatten(1), arrays, "4x4/Dense0")), arrays, "4x4/Dense1", gain=1)
    return x[range(len(x)), label] if x.shape[1] > 1 else x[:, 0]


# ---- files as the program writes them


def drawn(shapes: dict[str, tuple[int, ...]]) -> Arrays:
    random = np.random.default_rng(len(shapes))
    return {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def widths_of(side: int) -> list[int]:
    return [min(2 * side // (4 << level), 8) for level in range(int(math.log2(side)) - 1)]


def generator_arrays(side: int, classes: int = 0, lod: float = 0.0) -> dict[str, Arrays]:
    widths = widths_of(side)
    last = len(widths) - 1
    mapping: dict[str, tuple[int, ...]] = {"LabelConcat/weight": (classes, Z)} if classes else {}
    for layer in range(LAYERS):
        inputs = (2 * Z if classes else Z) if layer == 0 else 5
        mapping |= {f"Dense{layer}/weight": (inputs, 5), f"Dense{layer}/bias": (5,)}
    synthesis: dict[str, tuple[int, ...]] = {"4x4/Const/const": (1, widths[0], 4, 4)}
    for level, width in enumerate(widths):
        name = f"{4 << level}x{4 << level}"
        before = widths[max(level - 1, 0)]
        layers = [("Const", None), ("Conv", width)] if level == 0 else [("Conv0_up", before), ("Conv1", width)]
        for number, (layer, inputs) in enumerate(layers):
            place = f"{name}/{layer}"
            synthesis |= {} if inputs is None else {f"{place}/weight": (3, 3, inputs, width)}
            synthesis |= {f"{place}/bias": (width,), f"{place}/Noise/weight": (width,)}
            synthesis |= {f"{place}/StyleMod/weight": (5, 2 * width), f"{place}/StyleMod/bias": (2 * width,)}
            synthesis[f"noise{2 * level + number}"] = (1, 1, 4 << level, 4 << level)
        synthesis |= {f"ToRGB_lod{last - level}/weight": (1, 1, width, 3), f"ToRGB_lod{last - level}/bias": (3,)}
    parts = {"mapping": drawn(mapping), "synthesis": drawn(synthesis), "whole": drawn({"dlatent_avg": (5,)})}
    for layer in range(LAYERS):  # stored weights are a hundred times those that are used
        parts["mapping"][f"Dense{layer}/weight"] *= 100
    parts["synthesis"]["lod"] = parts["whole"]["lod"] = np.float32(lod)
    return parts


def discriminator_arrays(side: int, classes: int = 0) -> Arrays:
    widths = widths_of(side)
    last, first = len(widths) - 1, widths[0]
    shapes: dict[str, tuple[int, ...]] = {}
    for level, width in enumerate(widths):
        shapes |= {f"FromRGB_lod{last - level}/weight": (1, 1, 3, width), f"FromRGB_lod{last - level}/bias": (width,)}
        if level:
            name, after = f"{4 << level}x{4 << level}", widths[level - 1]
            shapes |= {f"{name}/Conv0/weight": (3, 3, width, width), f"{name}/Conv0/bias": (width,)}
            shapes |= {f"{name}/Conv1_down/weight": (3, 3, width, after), f"{name}/Conv1_down/bias": (after,)}
    shapes |= {"4x4/Conv/weight": (3, 3, first + 1, first), "4x4/Conv/bias": (first,)}
    shapes |= {"4x4/Dense0/weight": (16 * first, first), "4x4/Dense0/bias": (first,)}
    shapes |= {"4x4/Dense1/weight": (first, max(classes, 1)), "4x4/Dense1/bias": (max(classes, 1),)}
    return drawn(shapes) | {"lod": np.float32(0)}


class Network:
    """Stands for the class of that name in the program: its objects are pickled as their state."""

    def __init__(self, arrays: Arrays, settings: dict[str, Any], components: dict[str, Network] | None = None) -> None:
        self.arrays, self.settings, self.components = arrays, settings, components or {}

    def __getstate__(self) -> dict[str, Any]:
        return {
            "version": 3,
            "name": "G",
            "static_kwargs": self.settings,
            "components": self.components,
            "build_module_src": "import os; os.mkdir('pwned')",
            "build_func_name": "G_style",
            "variables": list(self.arrays.items()),
        }

    def __setstate__(self, state: Any) -> None:
        raise AssertionError("this would run the source in the file")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("dnnlib", "dnnlib.tflib", "dnnlib.tflib.network"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setattr(Network, "__module__", "dnnlib.tflib.network")
    monkeypatch.setattr(sys.modules["dnnlib.tflib.network"], "Network", Network, raising=False)
    return tmp_path


def whole(parts: dict[str, Arrays], **settings: Any) -> Network:
    settings = {"num_channels": 3, "truncation_psi": 0.7, **settings}
    inner = {name: Network(parts[name], settings) for name in ("synthesis", "mapping")}
    return Network(parts["whole"], settings, inner)


def write(parts: dict[str, Arrays], judge: Arrays, **settings: Any) -> None:
    shifted_by_one = {name: {key: value + 1 for key, value in part.items()} for name, part in parts.items()}
    content = (whole(shifted_by_one, **settings), Network(judge, {"mbstd_group_size": 4}), whole(parts, **settings))
    Path("network.pkl").write_bytes(pickle.dumps(content, protocol=4))


# ---- the tests


def convert(*arguments: str) -> ganzoo.Model:
    with pytest.raises(SystemExit) as caught:
        main(["convert", "network.pkl", *arguments, "--out", "model"])
    assert caught.value.code == 0
    return ganzoo.load("model")


def close(found: Tensor, wanted: Tensor) -> None:
    assert torch.allclose(found.double(), wanted, rtol=1e-5, atol=1e-5 * wanted.abs().max().item())
    assert wanted.std() > 0.005


def latents() -> tuple[Tensor, Tensor]:
    return torch.randn(4, Z, generator=torch.Generator().manual_seed(5)), torch.tensor([0, 1, 2, 1])


@pytest.mark.parametrize(("side", "classes"), [(16, 0), (16, CLASSES), (128, 0)])
def test_pickles_of_the_program(folder, side, classes):
    """From 128 pixels on, the program doubles and convolves at once, with the kernel mirrored."""
    (z, label), parts, judge = latents(), generator_arrays(side, classes), discriminator_arrays(side, classes)
    write(parts, judge)
    model = convert("--discriminator", "--unclamped")
    assert not (folder / "pwned").exists()
    assert model.config.target.shape == [3, side, side] and model.config.classes == classes
    close(model.generator(z, label), original_generator(parts, z, label))
    close(model.generator.truncated(z, label, 0.7), original_generator(parts, z, label, 0.7))
    base, most = 2 * side, 8
    options = {"channel_base": base, "channel_max": most, "conditional": classes > 0}
    found = StyleGANDiscriminator(None, ganzoo.Sample((3, side, side)), classes, **options)
    found.load_state_dict(load_file("model/discriminator.safetensors"))
    x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(6))
    x = 30 * interpolate(x, scale_factor=side // 8)  # large enough for a difference that is left when sides are halved
    close(found.eval()(x, label), original_discriminator(judge, x, label))


@pytest.mark.parametrize(("fused", "first"), [(True, 8), (False, 1 << 30)])
def test_files_may_say_which_kernels_are_mirrored(fused, first):
    (z, label), parts = latents(), generator_arrays(16)
    write(parts, discriminator_arrays(16), fused_scale=fused)
    close(convert("--unclamped").generator(z, label), original_generator(parts, z, label, fused=first))


@pytest.mark.parametrize("lod", [1.0, 0.25])
def test_a_network_that_still_grew_stands_at_its_level(lod):
    (z, label), parts = latents(), generator_arrays(16, lod=lod)
    write(parts, discriminator_arrays(16))
    model = convert("--unclamped")
    assert float(model.generator.level.value) == 2 - lod and model.generator.level.fading == (lod != 1)
    close(model.generator(z, label), original_generator(parts, z, label))


def test_samples_are_clamped_unless_asked(capsys):
    (z, label), parts = latents(), generator_arrays(16)
    write(parts, discriminator_arrays(16))
    close(convert().generator(z, label), original_generator(parts, z, label).clamp(-1, 1))
    said = capsys.readouterr().err
    assert "samples are clamped to -1 … 1; --unclamped leaves them" in said and "noise is that of the file" in said


def refused(capsys) -> str:
    with pytest.raises(SystemExit) as caught:
        main(["convert", "network.pkl", "--out", "model"])
    assert caught.value.code == 1 and not Path("model").exists()
    return capsys.readouterr().err


def test_other_variants_of_the_program_are_refused_by_name(capsys):
    write(generator_arrays(16), discriminator_arrays(16), use_instance_norm=False)
    assert "use_instance_norm = False, which stylegan here has not" in refused(capsys)


@pytest.mark.parametrize(
    ("name", "words"),
    [("8x8/Conv1/Gate/weight", "8x8/Conv1/Gate/weight has no place"), ("Dense9/gain", "mapping.layers.9.gain")],
)
def test_tensors_that_have_no_place_are_named(capsys, name, words):
    parts = generator_arrays(16)
    parts["synthesis"][name] = np.zeros(3, np.float32)
    write(parts, discriminator_arrays(16))
    assert words in refused(capsys)


def test_what_lacks_a_tensor_is_refused(capsys):
    parts = generator_arrays(16)
    del parts["synthesis"]["8x8/Conv1/Noise/weight"]
    write(parts, discriminator_arrays(16))
    assert re.search(r"lacks levels\.1\.second\.noise_strength", refused(capsys))

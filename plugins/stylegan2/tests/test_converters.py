"""Converted StyleGAN2s compute what NVIDIA's and rosinality's programs compute, transcribed here in plain operations.

Shapes: N batch, I and O channels in and out, K kernel, H height, W width.
"""

from __future__ import annotations

import math
import pickle
import re
import sys
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

import ganzoo
from ganzoo.cli import main
from ganzoo_stylegan2.discriminator import StyleGAN2Discriminator

State = dict[str, Tensor]
SIDE, STYLE, LAYERS = 16, 6, 2
WIDTHS = {4: 8, 8: 8, 16: 4}
TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
KERNEL = TAPS[:, None] * TAPS


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ---- what the originals compute, from tensors under NVIDIA's names


def leaky(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x) * math.sqrt(2)


def dense(x: Tensor, state: State, name: str, multiplier: float = 1.0) -> Tensor:
    weight = state[f"{name}.weight"]
    return x @ (weight * multiplier / math.sqrt(weight.shape[1])).T + multiplier * state[f"{name}.bias"]


def unit(x: Tensor) -> Tensor:
    return x / (x.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()


def spread(x: Tensor, trailing: bool) -> Tensor:
    """Zeros between the pixels, and perhaps after the last one."""
    n, c, h, w = x.shape
    wide = x.new_zeros(n, c, 2 * h, 2 * w)
    wide[:, :, ::2, ::2] = x
    return wide if trailing else wide[:, :, :-1, :-1]


def filtered(x: Tensor, pad: tuple[int, int], gain: float = 1.0) -> Tensor:
    x = functional.pad(x, pad * 2)
    return functional.conv2d(x, gain * KERNEL.expand(x.shape[1], 1, 4, 4), groups=x.shape[1])


def mapped(state: State, parts: list[Tensor]) -> Tensor:
    x = torch.cat(parts, dim=1)
    layer = 0
    while f"mapping.fc{layer}.weight" in state:
        x = leaky(dense(x, state, f"mapping.fc{layer}", 0.01))
        layer += 1
    return x


def embedded(state: State, label: Tensor) -> list[Tensor]:
    if "mapping.embed.weight" not in state:
        return []
    classes = state["mapping.embed.weight"].shape[1]
    return [unit(dense(functional.one_hot(label, classes).float(), state, "mapping.embed"))]


def modulated(x: Tensor, weight_OIKK: Tensor, style_NI: Tensor, up: bool) -> Tensor:
    """Each sample convolved with normalised weights of its own."""
    samples = []
    for one, style in zip(x, style_NI, strict=True):
        weight = weight_OIKK * style[None, :, None, None]
        weight = weight / (weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if up:
            padded = functional.pad(spread(one[None], trailing=False), (2, 2, 2, 2))
            samples.append(filtered(functional.conv2d(padded, weight.flip(2, 3)), (1, 1), 4))
        else:
            samples.append(functional.conv2d(one[None], weight, padding=1))
    return torch.cat(samples)


def styled(x: Tensor, state: State, name: str, style: Tensor, up: bool) -> Tensor:
    x = modulated(x, state[f"{name}.weight"], dense(style, state, f"{name}.affine"), up)
    x = x + state[f"{name}.noise_const"] * state[f"{name}.noise_strength"]
    return leaky(x + state[f"{name}.bias"][:, None, None])


def to_rgb(x: Tensor, state: State, name: str, style: Tensor) -> Tensor:
    weight = state[f"{name}.weight"]
    scale = dense(style, state, f"{name}.affine") / math.sqrt(weight.shape[1])
    colours = torch.einsum("oi,nihw->nohw", weight[:, :, 0, 0], x * scale[:, :, None, None])
    return colours + state[f"{name}.bias"][:, None, None]


def original_generator(state: State, z: Tensor, label: Tensor, truncation: float = 1.0) -> Tensor:
    style = mapped(state, [unit(z), *embedded(state, label)])
    style = state["mapping.w_avg"] + truncation * (style - state["mapping.w_avg"])
    x = state["synthesis.b4.const"].expand(len(z), -1, -1, -1)
    picture = None
    for side in (4, 8, 16):
        block = f"synthesis.b{side}"
        if side > 4:
            x = styled(x, state, f"{block}.conv0", style, up=True)
        x = styled(x, state, f"{block}.conv1", style, up=False)
        rgb = to_rgb(x, state, f"{block}.torgb", style)
        picture = rgb if picture is None else filtered(spread(picture, trailing=True), (2, 1), 4) + rgb
    return picture


def convolved(x: Tensor, state: State, name: str, down: bool = False) -> Tensor:
    weight = state[f"{name}.weight"]
    weight = weight / math.sqrt(weight[0].numel())
    if not down:
        return functional.conv2d(x, weight, state[f"{name}.bias"], padding=weight.shape[2] // 2)
    x = filtered(x, (2, 2) if weight.shape[2] == 3 else (1, 1))
    return functional.conv2d(x, weight, state.get(f"{name}.bias"), stride=2)


def original_discriminator(state: State, x: Tensor, label: Tensor) -> Tensor:
    """Of up to four pictures, which are one group of the minibatch deviation."""
    x = leaky(convolved(x, state, f"b{SIDE}.fromrgb"))
    for side in (16, 8):
        y = leaky(convolved(leaky(convolved(x, state, f"b{side}.conv0")), state, f"b{side}.conv1", down=True))
        residual = f"b{side}.skip.weight" in state
        x = (y + convolved(x, state, f"b{side}.skip", down=True)) * math.sqrt(0.5) if residual else y
    deviation = (x.var(dim=0, unbiased=False) + 1e-8).sqrt().mean().expand(len(x), 1, 4, 4)
    x = leaky(convolved(torch.cat([x, deviation], dim=1), state, "b4.conv"))
    x = dense(leaky(dense(x.flatten(1), state, "b4.fc")), state, "b4.out")
    if "mapping.fc0.weight" not in state:
        return x.flatten()
    return (x * mapped(state, embedded(state, label))).sum(dim=1) / math.sqrt(x.shape[1])


# ---- files as the programs write them


def random_state(shapes: dict[str, tuple[int, ...]]) -> State:
    generator = torch.Generator().manual_seed(len(shapes))
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def generator_state(classes: int = 0) -> State:
    inputs = STYLE * (2 if classes else 1)
    shapes: dict[str, tuple[int, ...]] = {"mapping.w_avg": (STYLE,), "synthesis.b4.const": (WIDTHS[4], 4, 4)}
    if classes:
        shapes |= {"mapping.embed.weight": (STYLE, classes), "mapping.embed.bias": (STYLE,)}
    for layer in range(LAYERS):
        shapes[f"mapping.fc{layer}.weight"] = (STYLE, STYLE if layer else inputs)
        shapes[f"mapping.fc{layer}.bias"] = (STYLE,)
    before = WIDTHS[4]
    for side, width in WIDTHS.items():
        for name, narrow in (("conv0", before), ("conv1", width)):
            if side > 4 or name == "conv1":
                block = f"synthesis.b{side}.{name}"
                shapes |= {f"{block}.weight": (width, narrow, 3, 3), f"{block}.bias": (width,)}
                shapes |= {f"{block}.affine.weight": (narrow, STYLE), f"{block}.affine.bias": (narrow,)}
                shapes |= {f"{block}.noise_const": (side, side), f"{block}.noise_strength": ()}
        block = f"synthesis.b{side}.torgb"
        shapes |= {f"{block}.weight": (3, width, 1, 1), f"{block}.bias": (3,)}
        shapes |= {f"{block}.affine.weight": (width, STYLE), f"{block}.affine.bias": (width,)}
        before = width
    state = random_state(shapes)
    for layer in range(LAYERS):  # stored weights are a hundred times those that are used
        state[f"mapping.fc{layer}.weight"] *= 100
    return state


def discriminator_state(classes: int = 0, residual: bool = True) -> State:
    outputs = WIDTHS[4] if classes else 1
    last = WIDTHS[4]
    shapes: dict[str, tuple[int, ...]] = {f"b{SIDE}.fromrgb.weight": (WIDTHS[SIDE], 3, 1, 1)}
    shapes |= {f"b{SIDE}.fromrgb.bias": (WIDTHS[SIDE],)}
    for side in (16, 8):
        width, after = WIDTHS[side], WIDTHS[side // 2]
        shapes |= {f"b{side}.conv0.weight": (width, width, 3, 3), f"b{side}.conv0.bias": (width,)}
        shapes |= {f"b{side}.conv1.weight": (after, width, 3, 3), f"b{side}.conv1.bias": (after,)}
        if residual:
            shapes[f"b{side}.skip.weight"] = (after, width, 1, 1)
    shapes |= {"b4.conv.weight": (last, last + 1, 3, 3), "b4.conv.bias": (last,)}
    shapes |= {"b4.fc.weight": (last, last * 16), "b4.fc.bias": (last,)}
    shapes |= {"b4.out.weight": (outputs, last), "b4.out.bias": (outputs,)}
    if classes:
        shapes |= {"mapping.embed.weight": (last, classes), "mapping.embed.bias": (last,)}
        for layer in range(3):
            shapes |= {f"mapping.fc{layer}.weight": (last, last), f"mapping.fc{layer}.bias": (last,)}
    state = random_state(shapes)
    return {name: value * 100 if ".fc" in name and "mapping" in name else value for name, value in state.items()}


def _reconstruct_persistent_obj(meta: Any) -> Any:
    raise AssertionError("this would compile the source in the file")


class EasyDict(dict):
    """Stands for the class of that name in the program."""


@pytest.fixture
def their_modules(monkeypatch) -> None:
    for name in ("torch_utils", "torch_utils.persistence", "dnnlib", "dnnlib.util"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    for value, module in ((_reconstruct_persistent_obj, "torch_utils.persistence"), (EasyDict, "dnnlib.util")):
        monkeypatch.setattr(value, "__module__", module)
        monkeypatch.setattr(sys.modules[module], value.__name__, value, raising=False)


class Persistent:
    """Pickles a module as the program does: a call with the source of its class, and its state."""

    def __init__(self, state: State, buffers: tuple[str, ...]) -> None:
        self.tree: dict[str, Any] = {"_parameters": OrderedDict(), "_buffers": OrderedDict(), "_modules": OrderedDict()}
        self.tree |= {"training": False, "_init_kwargs": EasyDict(z_dim=STYLE), "_non_persistent_buffers_set": set()}
        inner: dict[str, State] = {}
        for name, value in state.items():
            head, dot, rest = name.partition(".")
            if dot:
                inner.setdefault(head, {})[rest] = value
            elif name in buffers:
                self.tree["_buffers"][name] = value
            else:
                self.tree["_parameters"][name] = nn.Parameter(value)
        for head, part in inner.items():
            self.tree["_modules"][head] = Persistent(part, buffers)
        if "weight" in state:
            self.tree["_buffers"]["resample_filter"] = KERNEL

    def __reduce__(self) -> Any:
        source = "import os; os.mkdir('pwned')"
        meta = {"type": "class", "version": 6, "module_src": source, "class_name": "Layer", "state": self.tree}
        return _reconstruct_persistent_obj, (meta,), None


def nvidia_file(generator: State, discriminator: State) -> None:
    buffers = ("w_avg", "noise_const")
    content = {
        "training_set_kwargs": EasyDict(class_name="training.dataset.ImageFolderDataset", resolution=SIDE),
        "augment_pipe": None,
        "G": Persistent({name: value + 1 for name, value in generator.items()}, buffers),
        "D": Persistent(discriminator, buffers),
        "G_ema": Persistent(generator, buffers),
    }
    Path("network.pkl").write_bytes(pickle.dumps(content))


ROSINALITY = [
    (r"mapping\.fc(\d+)\.(.+)", lambda m: f"style.{int(m[1]) + 1}.{m[2]}"),
    (r"synthesis\.b4\.const", lambda m: "input.input"),
    (r"synthesis\.b4\.conv1\.(.+)", lambda m: f"conv1.{m[1]}"),
    (r"synthesis\.b4\.torgb\.(.+)", lambda m: f"to_rgb1.{m[1]}"),
    (r"synthesis\.b(\d+)\.conv(\d)\.(.+)", lambda m: f"convs.{2 * {'8': 0, '16': 1}[m[1]] + int(m[2])}.{m[3]}"),
    (r"synthesis\.b(\d+)\.torgb\.(.+)", lambda m: f"to_rgbs.{ {'8': 0, '16': 1}[m[1]] }.{m[2]}"),
]


def rosinality_generator(state: State) -> State:
    """The same tensors in rosinality's layout, with its axes of length 1 and its filters."""
    found: State = {}
    noises = ["b4.conv1", "b8.conv0", "b8.conv1", "b16.conv0", "b16.conv1"]
    for number, name in enumerate(noises):
        found[f"noises.noise_{number}"] = state[f"synthesis.{name}.noise_const"][None, None]
    for name, value in state.items():
        if name.endswith("noise_const") or name == "mapping.w_avg":
            continue
        new = next(make(match) for pattern, make in ROSINALITY if (match := re.fullmatch(pattern, name)))
        if new == "input.input":
            value = value[None]
        elif new.endswith("noise_strength"):
            new, value = new.replace("noise_strength", "noise.weight"), value[None]
        elif ".affine." in new:
            new = new.replace(".affine.", ".conv.modulation.")
        elif "rgb" in new:
            new = new.replace(".weight", ".conv.weight")
            value = value[None] if value.ndim == 4 else value[None, :, None, None]
        elif new.startswith("conv"):
            new = new.replace(".weight", ".conv.weight").replace(".bias", ".activate.bias")
            value = value[None] if value.ndim == 4 else value
        found[new] = value
    return found | {"convs.0.conv.blur.kernel": 4 * KERNEL, "to_rgbs.0.upsample.kernel": 4 * KERNEL}


def rosinality_discriminator(state: State) -> State:
    names = {f"b{SIDE}.fromrgb.weight": "convs.0.0.weight", f"b{SIDE}.fromrgb.bias": "convs.0.1.bias"}
    for number, side in ((1, 16), (2, 8)):
        names |= {f"b{side}.conv0.weight": f"convs.{number}.conv1.0.weight"}
        names |= {f"b{side}.conv0.bias": f"convs.{number}.conv1.1.bias"}
        names |= {f"b{side}.conv1.weight": f"convs.{number}.conv2.1.weight"}
        names |= {f"b{side}.conv1.bias": f"convs.{number}.conv2.2.bias"}
        names |= {f"b{side}.skip.weight": f"convs.{number}.skip.1.weight"}
    names |= {"b4.conv.weight": "final_conv.0.weight", "b4.conv.bias": "final_conv.1.bias"}
    names |= {f"b4.{one}.{kind}": f"final_linear.{number}.{kind}" for number, one in enumerate(["fc", "out"])
              for kind in ("weight", "bias")}  # fmt: skip
    return {names[name]: value for name, value in state.items()} | {"convs.1.conv2.0.kernel": KERNEL}


# ---- the tests


def convert(*arguments: str) -> ganzoo.Model:
    with pytest.raises(SystemExit) as caught:
        main(["convert", *arguments, "--out", "model"])
    assert caught.value.code == 0
    return ganzoo.load("model")


def close(found: Tensor, wanted: Tensor) -> None:
    assert torch.allclose(found, wanted, rtol=1e-5, atol=1e-5 * wanted.abs().max().item())
    assert wanted.std() > 0.005


def converted_discriminator(**options: Any) -> StyleGAN2Discriminator:
    found = StyleGAN2Discriminator(None, ganzoo.Sample((3, SIDE, SIDE)), options.pop("classes", 0), **options)
    found.load_state_dict(load_file("model/discriminator.safetensors"))
    return found.eval()


Z_NL = torch.randn(4, STYLE, generator=torch.Generator().manual_seed(5))
LABEL = torch.tensor([0, 1, 2, 1])


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("residual", [True, False])
def test_nvidias_pickles(their_modules, folder, classes, residual):
    maker, judge = generator_state(classes), discriminator_state(classes, residual)
    nvidia_file(maker, judge)
    model = convert("network.pkl", "--discriminator", "--unclamped")
    assert not (folder / "pwned").exists()
    assert model.generator.conditional == bool(classes) and model.config.classes == classes
    close(model.generator(Z_NL, LABEL), original_generator(maker, Z_NL, LABEL))
    close(model.generator.truncated(Z_NL, LABEL, 0.5), original_generator(maker, Z_NL, LABEL, 0.5))
    options = {"channel_base": 64, "channel_max": 8, "architecture": "residual" if residual else "orig"}
    mapping = {"conditional": True, "mapping_layers": 3, "classes": 3} if classes else {}
    x = torch.randn(4, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(6))
    close(converted_discriminator(**options, **mapping)(x, LABEL), original_discriminator(judge, x, LABEL))


def test_samples_are_clamped_unless_asked(their_modules, capsys):
    maker = generator_state()
    nvidia_file(maker, discriminator_state())
    model = convert("network.pkl")
    close(model.generator(Z_NL, LABEL), original_generator(maker, Z_NL, LABEL).clamp(-1, 1))
    assert "note: samples are clamped to -1 … 1; --unclamped leaves them" in capsys.readouterr().err
    assert "clamped" in Path("model/README.md").read_text()


@pytest.mark.parametrize("stated", [True, False])
def test_rosinalitys_files(stated):
    maker, judge = generator_state(), discriminator_state()
    content = {"g_ema": rosinality_generator(maker), "d": rosinality_discriminator(judge), "args": None}
    content |= {"g": {}, "g_optim": {"state": {}, "param_groups": []}}
    if stated:
        content["latent_avg"] = maker["mapping.w_avg"]
    torch.save(content, "550000.pt")
    model = convert("550000.pt", "--discriminator", "--unclamped")
    close(model.generator(Z_NL, LABEL), original_generator(maker, Z_NL, LABEL))
    if not stated:
        z = torch.randn(20_000, STYLE)
        mean = mapped(maker, [unit(z)])
        allowed = 5 * mean.std(dim=0) / math.sqrt(10_000)
        assert ((model.generator.mean_style - mean.mean(dim=0)).abs() < allowed).all()
        maker["mapping.w_avg"] = model.generator.mean_style
    close(model.generator.truncated(Z_NL, LABEL, 0.5), original_generator(maker, Z_NL, LABEL, 0.5))
    x = torch.randn(4, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(6))
    close(converted_discriminator(channel_base=64, channel_max=8)(x, LABEL), original_discriminator(judge, x, LABEL))


def restored(to: str, out: str) -> Any:
    with pytest.raises(SystemExit) as caught:
        main(["convert", "model", "--to", to, "--out", out])
    assert caught.value.code == 0
    return load_file(out) if out.endswith("safetensors") else torch.load(out, weights_only=True)


def equal(found: State, wanted: State) -> None:
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())


def test_a_model_goes_back_into_the_programs_layouts(their_modules):
    maker = generator_state()
    nvidia_file(maker, discriminator_state())
    convert("network.pkl")
    theirs = dict(maker)
    for side in WIDTHS:
        parts = [".", ".conv1.", *([".conv0."] if side > 4 else [])]
        theirs |= {f"synthesis.b{side}{part}resample_filter": KERNEL for part in parts}
    equal(restored("stylegan2-nvidia", "nvidia.pth"), theirs)
    content = restored("stylegan2-rosinality", "rosinality.pt")
    kernels = {f"{name}.kernel": 4 * KERNEL for level in (0, 1)
               for name in (f"convs.{2 * level}.conv.blur", f"to_rgbs.{level}.upsample")}  # fmt: skip
    equal(content["g_ema"], rosinality_generator(maker) | kernels)
    assert torch.equal(content["latent_avg"], maker["mapping.w_avg"])
    flat = restored("stylegan2-rosinality", "rosinality.safetensors")
    equal(
        flat,
        {f"g_ema.{name}": value for name, value in content["g_ema"].items()} | {"latent_avg": content["latent_avg"]},
    )


def test_what_rosinality_has_not_is_refused(their_modules, capsys):
    nvidia_file(generator_state(3), discriminator_state(3))
    convert("network.pkl")
    with pytest.raises(SystemExit) as caught:
        main(["convert", "model", "--to", "stylegan2-rosinality"])
    assert caught.value.code == 1 and "no classes" in capsys.readouterr().err and not Path("model.pth").exists()


def refused(content: Any, capsys) -> str:
    torch.save(content, "file.pt")
    with pytest.raises(SystemExit) as caught:
        main(["convert", "file.pt", "--out", "model"])
    assert caught.value.code == 1 and not Path("model").exists()
    return capsys.readouterr().err


def test_widths_that_no_option_gives_are_refused(capsys):
    state = rosinality_generator(generator_state())
    state["convs.1.activate.bias"] = torch.zeros(7)
    assert "its maps from 4 pixels up have 8, 7, 4 channels" in refused({"g_ema": state}, capsys)


def test_a_part_of_a_file_is_refused(capsys):
    state = rosinality_generator(generator_state())
    del state["style.1.weight"]
    assert "file.pt is damaged, or no file of rosinality's" in refused({"g_ema": state}, capsys)
    state = rosinality_generator(generator_state()) | {"style.1.weight": torch.zeros(STYLE, 900)}
    assert "mapping layers have several widths" in refused({"g_ema": state}, capsys)

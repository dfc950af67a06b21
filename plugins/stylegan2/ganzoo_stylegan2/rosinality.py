"""StyleGAN2s of rosinality's program. The layout is a fact of the files; no code was taken."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

import ganzoo

from .conversion import generator_of, kernel, refuse_others, with_discriminator
from .networks import SMALLEST

Tensors = Mapping[str, np.ndarray]


class Rosinality(ganzoo.Converter):
    """Files (.pt) of rosinality's stylegan2-pytorch: `g_ema` and `d`; also those it converted from TensorFlow."""

    origin = "rosinality's stylegan2-pytorch"

    def convert(self, content: Any) -> ganzoo.Conversion | None:
        """A dictionary with the state dicts `g_ema`, which is taken, and `d`."""
        if not isinstance(content, dict) or "g_ema" not in content:
            return None
        maker, judge = self.tensors(content["g_ema"]), self.tensors(content.get("d"))
        if not maker or "input.input" not in maker or "conv1.conv.weight" not in maker:
            return None
        generator = _without_ones(self.renamed(maker, [
            (r".*\.kernel", None),
            (r"style\.(\d+)\.(\w+)", lambda found: f"mapping.layers.{int(found[1]) - 1}.{found[2]}"),
            (r"input\.input", "constant"),
            (r"noises\.noise_(\d+)", lambda found: f"{_layer(int(found[1]))}.noise"),
            (r"conv1\.(.+)", lambda found: f"{_layer(0)}.{_detail(found[1])}"),
            (r"convs\.(\d+)\.(.+)", lambda found: f"{_layer(int(found[1]) + 1)}.{_detail(found[2])}"),
            (r"to_rgb1\.(.+)", lambda found: f"levels.0.rgb.{_detail(found[1])}"),
            (r"to_rgbs\.(\d+)\.(.+)", lambda found: f"levels.{int(found[1]) + 1}.rgb.{_detail(found[2])}"),
        ]))  # fmt: skip
        levels = len({name.split(".")[1] for name in generator if name.startswith("levels.")})
        generator["mean_style"], note = _mean_style(content.get("latent_avg"), generator)
        conversion = generator_of(generator, SMALLEST << (levels - 1), (note,))
        if not judge:
            return conversion
        discriminator = self.renamed(judge, [
            (r".*\.kernel", None),
            (r"convs\.0\.0\.weight", "from_rgb.weight"),
            (r"convs\.0\.1\.bias", "from_rgb.bias"),
            (r"convs\.(\d+)\.conv1\.\d\.(\w+)", lambda found: f"levels.{int(found[1]) - 1}.keep.{found[2]}"),
            (r"convs\.(\d+)\.conv2\.\d\.(\w+)", lambda found: f"levels.{int(found[1]) - 1}.halve.{found[2]}"),
            (r"convs\.(\d+)\.skip\.1\.weight", lambda found: f"levels.{int(found[1]) - 1}.skip.weight"),
            (r"final_conv\.\d\.(\w+)", r"last.\1"),
            (r"final_linear\.0\.(\w+)", r"dense.\1"),
            (r"final_linear\.1\.(\w+)", r"logit.\1"),
        ])  # fmt: skip
        return with_discriminator(conversion, discriminator)

    def restore(self, network: ganzoo.Converted) -> dict[str, dict[str, np.ndarray]]:
        """G as `g_ema`: of three colours, latents as long as styles, and no classes."""
        refuse_others(network)
        tensors = network.tensors
        style = len(tensors["mean_style"])
        if tensors["mapping.layers.0.weight"].shape[1] != style or len(tensors["levels.0.rgb.bias"]) != 3:
            raise ganzoo.ConversionError(
                "that program has pictures of three colours, latents as long as styles, and no classes"
            )
        found = {}
        for name, value in tensors.items():
            new, ones = _restored(name)
            if new:
                found[new] = value.reshape((1,) * ones[0] + value.shape + (1,) * ones[1])
        levels = len({name.split(".")[1] for name in tensors if name.startswith("levels.")})
        for level in range(levels - 1):
            found[f"convs.{2 * level}.conv.blur.kernel"] = found[f"to_rgbs.{level}.upsample.kernel"] = kernel(4)
        return {"g_ema": found, "latent_avg": tensors["mean_style"]}


def _restored(name: str) -> tuple[str | None, tuple[int, int]]:
    """rosinality's name, and how many axes of length 1 the tensor has there before and behind its own."""
    if name in ("mean_style", "constant"):
        return (None, (0, 0)) if name == "mean_style" else ("input.input", (1, 0))
    if mapping := re.fullmatch(r"mapping\.layers\.(\d+)\.(\w+)", name):
        return f"style.{int(mapping[1]) + 1}.{mapping[2]}", (0, 0)
    _, place, rest = name.split(".", 2)
    part, detail = rest.split(".", 1)
    number = 2 * int(place) - (part == "up")
    if detail == "noise":
        return f"noises.noise_{number}", (2, 0)
    layer = "conv1" if number == 0 else f"convs.{number - 1}"
    if part == "rgb":
        layer = "to_rgb1" if place == "0" else f"to_rgbs.{int(place) - 1}"
    theirs = {
        "weight": ("conv.weight", (1, 0)),
        "noise_strength": ("noise.weight", (1, 0)),
        "bias": ("bias", (1, 2)) if part == "rgb" else ("activate.bias", (0, 0)),
    }
    new, ones = theirs.get(detail, (detail.replace("affine.", "conv.modulation."), (0, 0)))
    return f"{layer}.{new}", ones


def _layer(number: int) -> str:
    """The styled convolutions in their order: one at 4 pixels, then a doubling and a keeping one each side."""
    return "levels.0.keep" if number == 0 else f"levels.{(number + 1) // 2}.{'up' if number % 2 else 'keep'}"


def _detail(name: str) -> str:
    for theirs, ours in (("conv.modulation.", "affine."), ("conv.weight", "weight"), ("activate.bias", "bias")):
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return "noise_strength" if name == "noise.weight" else name


def _without_ones(tensors: Tensors) -> dict[str, np.ndarray]:
    """The tensors without the axes of length 1 that the program keeps for broadcasting."""
    shapes = {
        "noise": lambda value: value.shape[-2:],
        "noise_strength": lambda value: (),
        "constant": lambda value: value.shape[-3:],
        "bias": lambda value: (-1,),
        "weight": lambda value: value.shape[value.ndim == 5 :],
    }
    return {name: value.reshape(shapes[name.rpartition(".")[2]](value)) for name, value in tensors.items()}


_DRAWS = 10_000


def _mean_style(stated: Any, generator: Tensors) -> tuple[np.ndarray, str]:
    """The mean style for truncation, and how it came about: that program computes it when it samples."""
    if isinstance(stated, np.ndarray):
        return stated.reshape(-1), "the mean style is the file's latent_avg"
    count = sum(re.fullmatch(r"mapping\.layers\.\d+\.weight", name) is not None for name in generator)
    layers = [(generator[f"mapping.layers.{k}.weight"], generator[f"mapping.layers.{k}.bias"]) for k in range(count)]
    style = len(layers[0][1])
    if any(weight.shape != (style, style) or bias.shape != (style,) for weight, bias in layers):
        raise ganzoo.ConversionError("its mapping layers have several widths; stylegan2 here has one")
    x = np.random.default_rng(0).standard_normal((_DRAWS, style)).astype(np.float32)
    x /= np.sqrt(np.square(x).mean(axis=1, keepdims=True) + 1e-8)
    for weight, bias in layers:
        y = x @ (weight.T * np.float32(0.01 / np.sqrt(style))) + np.float32(0.01) * bias
        x = np.where(y > 0, y, 0.2 * y) * np.float32(np.sqrt(2))
    return x.mean(axis=0), f"the mean style, for truncation, was recomputed from {_DRAWS:,} latents"

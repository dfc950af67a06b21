"""StyleGANs of NVIDIA's TensorFlow program. The layout is a fact of the files; no code was taken.

Shapes: K kernel, I channels in, O channels out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

import ganzoo
from ganzoo_stylegan2.parts import SMALLEST, channels, level_of

from .sizes import NAME

FUSED_FROM = 128
"""Where a file doesn't say otherwise, convolutions that double to this side or beyond have their kernels mirrored."""

ONLY: Mapping[str, tuple[Any, ...]] = {
    "nonlinearity": ("lrelu",),
    "mapping_nonlinearity": ("lrelu",),
    "normalize_latents": (True,),
    "use_wscale": (True,),
    "use_noise": (True,),
    "use_styles": (True,),
    "use_instance_norm": (True,),
    "use_pixel_norm": (False,),
    "const_input_layer": (True,),
    "blur_filter": ([1, 2, 1],),
    "mapping_lrmul": (0.01,),
    "mbstd_num_features": (1,),
}
"""Settings of the program whose other values no network here computes."""


class TensorFlow(ganzoo.Converter):
    """Pickles of NVIDIA's stylegan: of three networks the last, which is G's average, and D."""

    origin = "NVIDIA's StyleGAN (stylegan, TensorFlow)"
    classes = ("dnnlib.tflib.network.Network", "dnnlib.util.EasyDict")

    def convert(self, content: Any) -> ganzoo.Conversion | None:
        """Three objects: G, D and G's average."""
        if not isinstance(content, tuple | list) or len(content) != 3:
            return None
        _, judge, maker = (_Network.read(part) for part in content)
        if maker is None or "synthesis" not in maker.components or "mapping" not in maker.components:
            return None
        return _conversion(self, maker, judge)


class _Network:
    """One network of the program: its settings, and its arrays by name."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        settings = state.get("static_kwargs")
        settings = getattr(settings, "entries", settings)
        self.settings = settings if isinstance(settings, dict) else {}
        variables = state.get("variables")
        pairs = variables if isinstance(variables, list) else []
        self.arrays = {str(name): np.asarray(value, np.float32) for name, value in pairs}
        inner = state.get("components")
        inner = getattr(inner, "entries", inner) or {}
        found = {name: self.read(part) for name, part in inner.items()}
        self.components = {name: part for name, part in found.items() if part is not None}

    @classmethod
    def read(cls, part: Any) -> _Network | None:
        state = getattr(part, "state", None)
        return cls(state) if isinstance(state, dict) and "variables" in state else None

    def setting(self, name: str, default: Any) -> Any:
        """What the network was built with; settings of a part were given to the whole."""
        return self.settings.get(name, default)

    def refuse_others(self) -> None:
        """Raise `ConversionError` for a variant that no network here computes."""
        for name, values in ONLY.items():
            value = self.setting(name, values[0])
            if value not in values:
                raise ganzoo.ConversionError(f"it was trained with {name} = {value!r}, which stylegan here has not")


def _conversion(converter: TensorFlow, maker: _Network, judge: _Network | None) -> ganzoo.Conversion:
    synthesis, mapping = maker.components["synthesis"], maker.components["mapping"]
    for part in (maker, synthesis, mapping):
        part.refuse_others()
    sides = {int(found[1]) for name in synthesis.arrays if (found := re.match(r"(\d+)x\1/", name))}
    side = max(sides)
    last = level_of(side)
    tensors = converter.renamed(mapping.arrays | synthesis.arrays | maker.arrays, [
        (r"Dense(\d+)/(\w+)", r"mapping.layers.\1.\2"),
        (r"LabelConcat/weight", "class_vector"),
        (r"dlatent_avg", "mean_style"),
        (r"lod", "level.value"),
        (r"noise(\d+)", lambda found: f"{_layer(int(found[1]))}.noise"),
        (r"4x4/Const/const", "constant"),
        (r"(\d+)x\1/(Const|Conv|Conv0_up|Conv1)/(.+)", _placed),
        (r"ToRGB_lod(\d+)/(\w+)", lambda found: f"rgb.{last - int(found[1])}.{found[2]}"),
    ])  # fmt: skip
    lod = float(maker.arrays.get("lod", synthesis.arrays.get("lod", np.float32(0))))
    mirrored = _fused(maker, synthesis)
    for name, value in tensors.items():
        if name.endswith("first.convolution.weight") and (SMALLEST << int(name.split(".")[1])) >= mirrored:
            value = value[::-1, ::-1]
        tensors[name] = _laid_out("G", name, value)
    tensors["level.value"] = np.asarray(last - lod, np.float32)
    conversion = _of_generator(tensors, side)
    return conversion if judge is None else _with_discriminator(converter, conversion, judge, last - lod)


def _of_generator(tensors: dict[str, np.ndarray], side: int) -> ganzoo.Conversion:
    """Options from the shapes of G's tensors."""
    layers = sum(re.fullmatch(r"mapping\.layers\.\d+\.weight", name) is not None for name in tensors)
    labels = tensors.get("class_vector")
    inputs = tensors["mapping.layers.0.weight"].shape[1]
    widths = [len(tensors[f"levels.{level}.second.bias"]) for level in range(level_of(side) + 1)]
    options = {
        "latent": inputs if labels is None else inputs // 2,
        "style": len(tensors["mean_style"]),
        "mapping_layers": layers,
        **channels(widths, side, NAME),
        "conditional": labels is not None,
    }
    target = ganzoo.Sample((len(tensors["rgb.0.bias"]), side, side))
    return ganzoo.Conversion(
        target,
        ganzoo.Converted(NAME, options, tensors),
        classes=0 if labels is None else len(labels),
        clamps=True,
        notes=("noise is that of the file: each sample gets the same, and none is drawn",),
    )


def _with_discriminator(
    converter: TensorFlow, conversion: ganzoo.Conversion, judge: _Network, level: float
) -> ganzoo.Conversion:
    """The conversion and D, with options from the shapes of its tensors."""
    judge.refuse_others()
    side, last = conversion.target.shape[1], level_of(conversion.target.shape[1])
    tensors = converter.renamed(judge.arrays, [
        (r"lod", "level.value"),
        (r"FromRGB_lod(\d+)/(\w+)", lambda found: f"rgb.{last - int(found[1])}.{found[2]}"),
        (r"4x4/(Conv|Dense0|Dense1)/(\w+)", lambda found: f"{_JUDGING[found[1]]}.{found[2]}"),
        (r"(\d+)x\1/(Conv0|Conv1_down)/(\w+)",
         lambda found: f"levels.{level_of(int(found[1])) - 1}.{_JUDGING[found[2]]}.{found[3]}"),
    ])  # fmt: skip
    tensors = {name: _laid_out("D", name, value) for name, value in tensors.items()}
    tensors["level.value"] = np.asarray(level, np.float32)
    widths = [len(tensors["last.bias"])] + [len(tensors[f"levels.{one}.keep.bias"]) for one in range(last)]
    options = {
        **channels(widths, side, NAME),
        "group_size": judge.setting("mbstd_group_size", 4),
        "conditional": len(tensors["logit.bias"]) > 1,
    }
    note = "the discriminator compares neighbours in a batch, the original every n-th sample (minibatch deviation)"
    return ganzoo.Conversion(
        conversion.target,
        conversion.generator,
        ganzoo.Converted(NAME, options, tensors),
        classes=conversion.classes,
        clamps=True,
        notes=(*conversion.notes, note),
    )


def _fused(maker: _Network, synthesis: _Network) -> int:
    """The first side to which doubling convolutions have their kernels mirrored."""
    fused = synthesis.setting("fused_scale", maker.setting("fused_scale", "auto"))
    return FUSED_FROM if fused == "auto" else 0 if fused else 1 << 30


_UNSCALED = {"G": re.compile(r"rgb\.|levels\.0\.first\.|.*\.style\."), "D": re.compile(r"logit\.")}
"""What no weights with a gain of √2 and a LeakyReLU belong to."""


def _laid_out(network: str, name: str, value: np.ndarray) -> np.ndarray:
    """An array of G or D in torch's layout, and on the scale that it has here.

    The gain of √2 that goes with a LeakyReLU is in the weights there and behind the LeakyReLU here, so that what is
    added to a convolution counts for √2 times as much here.
    """
    kind = name.rpartition(".")[2]
    if kind == "weight":
        return np.ascontiguousarray(value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T)
    if kind in ("constant", "noise"):  # without the axes of length 1 that the program keeps for broadcasting
        return value.reshape(value.shape[1 if kind == "constant" else 2 :])
    if kind in ("bias", "noise_strength") and not _UNSCALED[network].match(name):
        return value / np.float32(math.sqrt(2))
    return value


_FIRST = {"Const": "first", "Conv": "second", "Conv0_up": "first", "Conv1": "second"}
_DETAILS = {
    "weight": "convolution.weight",
    "bias": "bias",
    "Noise/weight": "noise_strength",
    "StyleMod/weight": "style.affine.weight",
    "StyleMod/bias": "style.affine.bias",
}
_JUDGING = {"Conv": "last", "Dense0": "dense", "Dense1": "logit", "Conv0": "keep", "Conv1_down": "halve"}


def _placed(found: re.Match[str]) -> str:
    """The name of a tensor of one of the synthesis network's layers."""
    if found[3] not in _DETAILS:
        raise ganzoo.ConversionError(f"its layer {found[0]} has no place in the network here")
    return f"levels.{level_of(int(found[1]))}.{_FIRST[found[2]]}.{_DETAILS[found[3]]}"


def _layer(number: int) -> str:
    """The layers in their order: two for each side."""
    return f"levels.{number // 2}.{'second' if number % 2 else 'first'}"

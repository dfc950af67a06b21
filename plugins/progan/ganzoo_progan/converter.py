"""Progressive GANs of the authors' TensorFlow program. The layout is a fact of its files; no code was taken.

Suffixes: K kernel, I channels in, O channels out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

import ganzoo

from .levels import SMALLEST, channels

ONLY: Mapping[str, Any] = {
    "label_size": 0,
    "normalize_latents": True,
    "use_wscale": True,
    "use_pixelnorm": True,
    "use_leakyrelu": True,
}
"""Settings of the program whose other values no network here computes."""


class TensorFlow(ganzoo.Converter):
    """Pickles of progressive_growing_of_gans, and of the same networks by NVIDIA's stylegan: (G, D, average of G)."""

    origin = "progressive_growing_of_gans (TensorFlow)"
    classes = ("tfutil.Network", "dnnlib.tflib.network.Network", "dnnlib.util.EasyDict")

    def convert(self, content: Any) -> ganzoo.Conversion | None:
        """Three networks, of which the last, which is G's average, is taken, and D."""
        if not isinstance(content, tuple | list) or len(content) != 3:
            return None
        (judge, judging), (maker, making) = (_arrays(part) for part in content[1:])
        if "4x4/Dense/weight" not in maker:
            return None
        _refuse_others(making)
        last = _last_level(maker)
        tensors = self.renamed(maker, [
            (r"lod", "level.value"),
            (r"4x4/(Dense|Conv)/(\w+)", lambda found: f"{_FIRST[found[1]]}.{found[2]}"),
            (r"(\d+)x\1/(Conv0|Conv0_up|Conv1)/(\w+)", lambda found: f"{_block(found)}.{_MAKING[found[2]]}.{found[3]}"),
            (r"ToRGB_lod(\d+)/(\w+)", lambda found: f"to_rgb.{last - int(found[1])}.{found[2]}"),
        ])  # fmt: skip
        fused = {name for name in maker if name.endswith("Conv0_up/weight")}
        for name, value in tensors.items():
            turned = name.endswith("double_side.weight") and bool(fused)
            tensors[name] = value[::-1, ::-1].transpose(2, 3, 0, 1) if turned else _laid_out(name, value)
        tensors["level.value"] = np.asarray(last - float(maker.get("lod", 0)), np.float32)
        conversion = _of_generator(tensors, last)
        return _with_discriminator(self, conversion, judge, judging) if judge else conversion


_FIRST = {"Dense": "first", "Conv": "keep"}
_MAKING = {"Conv0": "double_side", "Conv0_up": "double_side", "Conv1": "keep"}
_JUDGING = {"Conv": "keep", "Dense0": "dense", "Dense1": "logit", "Conv0": "keep", "Conv1": "halve_side",
            "Conv1_down": "halve_side"}  # fmt: skip


def _arrays(part: Any) -> tuple[dict[str, np.ndarray], Mapping[str, Any]]:
    """A network's arrays by name, and the settings that it was built with; nothing of all else."""
    state = getattr(part, "state", None)
    variables = state.get("variables") if isinstance(state, dict) else None
    if not isinstance(state, dict) or not isinstance(variables, list):
        return {}, {}
    settings = state.get("static_kwargs")
    settings = getattr(settings, "entries", settings)
    arrays = {str(name): np.asarray(value, np.float32) for name, value in variables}
    return arrays, settings if isinstance(settings, dict) else {}


def _refuse_others(settings: Mapping[str, Any]) -> None:
    for name, value in ONLY.items():
        if settings.get(name, value) != value:
            raise ganzoo.ConversionError(
                f"it was trained with {name} = {ganzoo.printable(repr(settings[name]), 40)}, progan here has {value}"
            )


def _last_level(arrays: Mapping[str, np.ndarray]) -> int:
    sides = [int(found[1]) for name in arrays if (found := re.match(r"(\d+)x\1/", name))]
    return (max(sides) // SMALLEST).bit_length() - 1


def _block(found: re.Match[str]) -> str:
    return f"blocks.{(int(found[1]) // SMALLEST).bit_length() - 2}"


def _laid_out(name: str, value: np.ndarray) -> np.ndarray:
    """Kernels KKIO as OIKK, dense layers IO as OI."""
    if value.ndim == 4:
        return value.transpose(3, 2, 0, 1)
    return value.T if name.endswith("weight") else value


def _of_generator(tensors: dict[str, np.ndarray], last: int) -> ganzoo.Conversion:
    """Options from the shapes of G's tensors."""
    side = SMALLEST << last
    widths = [len(tensors["keep.bias"]), *(len(tensors[f"blocks.{level}.keep.bias"]) for level in range(last))]
    options = {"latent": tensors["first.weight"].shape[1], **_channels(widths, side, widths[0])}
    target = ganzoo.Sample((len(tensors["to_rgb.0.bias"]), side, side))
    return ganzoo.Conversion(target, ganzoo.Converted("progan", options, tensors), clamps=True)


def _with_discriminator(
    converter: TensorFlow, conversion: ganzoo.Conversion, judge: Mapping[str, np.ndarray], settings: Mapping[str, Any]
) -> ganzoo.Conversion:
    """The conversion and D, with options from the shapes of its tensors and its settings."""
    side, last = conversion.target.shape[1], _last_level(judge)
    tensors = converter.renamed(judge, [
        (r"lod", "level.value"),
        (r"FromRGB_lod(\d+)/(\w+)", lambda found: f"from_rgb.{last - int(found[1])}.{found[2]}"),
        (r"4x4/(Conv|Dense0|Dense1)/(\w+)", lambda found: f"{_JUDGING[found[1]]}.{found[2]}"),
        (r"(\d+)x\1/(Conv0|Conv1|Conv1_down)/(\w+)",
         lambda found: f"{_block(found)}.{_JUDGING[found[2]]}.{found[3]}"),
    ])  # fmt: skip
    tensors = {name: _laid_out(name, value) for name, value in tensors.items()}
    tensors["level.value"] = np.asarray(last - float(judge.get("lod", 0)), np.float32)
    widths = [len(tensors["keep.bias"]), *(len(tensors[f"from_rgb.{level}.bias"]) for level in range(1, last + 1))]
    if tensors["keep.weight"].shape[1] == widths[0]:
        raise ganzoo.ConversionError("its discriminator has no minibatch deviation, which progan here always has")
    group_size = settings.get("mbstd_group_size", 4)
    options = {
        **_channels(widths, side, len(tensors["dense.bias"])),
        "group_size": group_size if isinstance(group_size, int) else 4,
        "fused": any(name.endswith("Conv1_down/weight") for name in judge),
    }
    return ganzoo.Conversion(
        conversion.target,
        conversion.generator,
        ganzoo.Converted("progan", options, tensors),
        clamps=True,
    )


def _channels(widths: list[int], side: int, most: int) -> dict[str, int]:
    """Options that give these channels, from 4 pixels up, and `most` below. Raises `ConversionError` if none do."""
    base = widths[-1] * side
    sides = [SMALLEST // 2, *(SMALLEST << level for level in range(len(widths)))]
    if [channels(one, base, most) for one in sides] != [most, *widths]:
        raise ganzoo.ConversionError(
            f"its maps from 4 pixels up have {', '.join(map(str, widths))} channels: progan here has base / side, up "
            "to a largest number"
        )
    return {"channel_base": base, "channel_max": most}

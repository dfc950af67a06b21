"""BigGAN-deeps of pytorch-pretrained-BigGAN, with statistics for 51 truncations. The layout is a fact of the files (MIT
licence); no code was taken.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import ganzoo

from .conversion import width_of, with_counts
from .layout import BASE, OF_G

_LAYERS = {"theta": "query", "phi": "key", "g": "value", "o_conv": "out"}
_EPSILON_THERE, _EPSILON_HERE = 1e-4, 1e-5
"""Added to variances, under the root."""
_COLOURS = 3


class Pretrained(ganzoo.Converter):
    """Files (pytorch_model.bin) of pytorch-pretrained-BigGAN: a generator of DeepMind's weights.

    Its spectral norms keep both singular vectors, which follow no weights that are averaged: weights are divided here,
    once for all.
    """

    origin = "pytorch-pretrained-BigGAN"

    def convert(self, content: Any) -> ganzoo.Conversion | None:
        """A state dict of the generator and its class vectors."""
        tensors = self.tensors(content)
        if not tensors or not {"embeddings.weight", "generator.gen_z.weight_orig"} <= tensors.keys():
            return None
        tensors = _divided(tensors)
        places = sorted({int(found[1]) for name in tensors if (found := re.match(r"generator\.layers\.(\d+)\.", name))})
        attention = [int(name.split(".")[2]) for name in tensors if name.endswith(".gamma")]
        blocks = {place: number for number, place in enumerate(one for one in places if one not in attention)}
        side = 2 * BASE << (len(blocks) // 2 - 1)
        if len(blocks) % 2 or side not in OF_G:
            raise ganzoo.ConversionError(
                f"its generator has {len(blocks)} blocks, which give no size that is made here"
            )
        renamed = with_counts(_running(self.renamed(tensors, [
            (r"embeddings\.weight", "class_vector.weight"),
            (r"generator\.gen_z\.(.+)", r"dense.\1"),
            (r"generator\.layers\.(\d+)\.conv_(\d)\.(.+)",
             lambda found: f"blocks.{blocks[int(found[1])]}.convolutions.{found[2]}.{found[3]}"),
            (r"generator\.layers\.(\d+)\.bn_(\d)\.(.+)",
             lambda found: f"blocks.{blocks[int(found[1])]}.norms.{found[2]}.{_NORM[found[3]]}"),
            (r"generator\.layers\.\d+\.gamma", "attention.gamma"),
            (r"generator\.layers\.\d+\.snconv1x1_(\w+)\.weight", lambda found: f"attention.{_LAYERS[found[1]]}.weight"),
            (r"generator\.bn\.(weight|bias)", r"norm.\1"),
            (r"generator\.bn\.(.+)", lambda found: _NORM[found[1]]),
            (r"generator\.conv_to_rgb\.(.+)", r"picture.\1"),
        ])))  # fmt: skip
        return _conversion(renamed, side, _attention_side(blocks, attention))


_NORM = {
    "scale.weight": "gain.weight",
    "offset.weight": "shift.weight",
    "running_means": "standing.mean",
    "running_vars": "standing.variance",
}


def _attention_side(blocks: Mapping[int, int], attention: Sequence[int]) -> int:
    """The side of the map that attends to itself, 0 for none. blocks: their places among the layers."""
    if len(attention) > 1:
        raise ganzoo.ConversionError(f"it has self-attention after {len(attention)} blocks, biggan-deep here after one")
    return sum(BASE << sum(place < one for place in blocks) // 2 for one in attention)


def _divided(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights divided by their spectral norm uᵀWv, without what is needed for it."""
    found = {}
    for name, value in tensors.items():
        layer = name.rpartition(".")[0]
        if name.endswith(".weight_orig"):
            matrix = value.reshape(len(value), -1).astype(np.float64)
            norm = tensors[f"{layer}.weight_u"] @ matrix @ tensors[f"{layer}.weight_v"]
            found[f"{layer}.weight"] = (value / norm).astype(np.float32)
        elif not name.endswith((".weight_u", ".weight_v")):
            found[name] = value
    return found


def _running(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What else differs: the axes of the first map, colours that are not shown, and running statistics."""
    for name in ("dense.weight", "dense.bias"):  # places before channels there, behind them here
        value = tensors[name]
        tensors[name] = np.moveaxis(value.reshape(BASE**2, -1, *value.shape[1:]), 0, 1).reshape(value.shape)
    for name in ("picture.weight", "picture.bias"):
        tensors[name] = tensors[name][:_COLOURS]
    tensors["class_vector.weight"] = tensors["class_vector.weight"].T
    if "attention.gamma" in tensors:
        tensors["attention.gamma"] = tensors["attention.gamma"].reshape(())
    running = {}
    for name in tensors:
        layer = re.sub(r"norms\.(\d)$", r"norms.\1.norm", name.rpartition(".standing.")[0]) or "norm"
        if name.endswith("standing.mean"):
            running[f"{layer}.running_mean"] = tensors[name][-1]
        elif name.endswith("standing.variance"):
            tensors[name] = tensors[name] + np.float32(_EPSILON_THERE - _EPSILON_HERE)
            running[f"{layer}.running_var"] = tensors[name][-1]
    return tensors | running


def _conversion(tensors: dict[str, np.ndarray], side: int, attention: int) -> ganzoo.Conversion:
    classes, shared = tensors["class_vector.weight"].shape
    options = {
        "width": width_of(OF_G[side][-1], tensors["norm.weight"]),
        "latent": tensors["dense.weight"].shape[1] - shared,
        "shared": shared,
        "attention": attention,
        "conditional": True,
        "standing": len(tensors["standing.mean"]),
        "spectral_norm": False,
    }
    notes = (
        "weights are divided by their spectral norms, once for all",
        f"variances of BatchNorm have grown by {_EPSILON_THERE - _EPSILON_HERE:g}, the difference of what both add",
        "between two truncations with statistics the nearer one weighs more, in the original the other",
        "truncation draws latents anew that lie beyond ±2 times it; the original multiplies those within ±2",
    )
    target = ganzoo.Sample((_COLOURS, side, side))
    return ganzoo.Conversion(target, ganzoo.Converted("biggan-deep", options, tensors), classes=classes, notes=notes)

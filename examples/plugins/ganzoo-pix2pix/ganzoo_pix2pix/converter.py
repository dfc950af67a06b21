"""U-Nets, and the PatchGANs that judged them, that pytorch-CycleGAN-and-pix2pix trained.

Their layers are the same as here, each level inside the one above. The layout is a fact of the files; no code was taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import ganzoo
import numpy as np

_LEVEL = r"model\.model\.1\.model((?:\.3\.model)*)"
_UNUSED = r".*\.(running_mean|running_var|num_batches_tracked)"
"""The program normalises each picture by its own statistics, unless it is told `--eval`."""
_BATCHES = "BatchNorm by the statistics of each picture, as the program computes without --eval"
_PATCHES = {"model.0.weight", "model.0.bias", "model.2.weight"}
_DROPOUT = "dropout, which the program keeps on without --eval, is left out"


class Zhu(ganzoo.Converter):
    """U-Nets and PatchGANs (.pth) that pix2pix trained, in the program that is CycleGAN's too."""

    origin = "pytorch-CycleGAN-and-pix2pix"

    def convert(self, content: Any) -> ganzoo.Conversion | None:
        """A state dict of G or of D."""
        tensors = self.tensors(content)
        if tensors is not None and "model.model.0.weight" in tensors:
            return self._generator(tensors)
        if tensors is not None and _PATCHES <= tensors.keys() and tensors["model.0.weight"].shape[2:] == (4, 4):
            return self._discriminator(tensors)
        return None

    def _generator(self, tensors: Mapping[str, np.ndarray]) -> ganzoo.Conversion:
        depth = 2 + max(name.count(".3.model") for name in tensors)
        renamed = self.renamed(tensors, [
            (_UNUSED, None),
            (r"model\.model\.0\.(\w+)", r"down.0.\1"),
            (r"model\.model\.3\.(\w+)", rf"up.{depth - 1}.\1"),
            (_LEVEL + r"\.([1-6])\.(\w+)", _layer(depth)),
        ])  # fmt: skip
        affine = any("norms" in name for name in renamed)
        for name in [one for one in renamed if one.split(".")[0] in ("down", "up") and one.endswith(".weight")]:
            channels = renamed[name].shape[0 if name.startswith("down") else 1]
            renamed.setdefault(name.replace("weight", "bias"), np.zeros(channels, np.float32))
            if name.startswith("up") and name != "up.0.weight":  # the program reads the skip first, here it comes last
                renamed[name] = np.roll(renamed[name], len(renamed[name]) // 2, 0)
        first, last = renamed["down.0.weight"], renamed[f"up.{depth - 1}.bias"]
        reads, makes = (ganzoo.Sample((channels, 2**depth, 2**depth)) for channels in (first.shape[1], len(last)))
        options = {"width": first.shape[0], "depth": depth, "affine": affine}
        return ganzoo.Conversion(
            makes, ganzoo.Converted("pix2pix", options, renamed), source=reads, any_size=True,
            notes=(_BATCHES, _DROPOUT) if affine else (_DROPOUT,),
        )  # fmt: skip

    def _discriminator(self, tensors: Mapping[str, np.ndarray]) -> ganzoo.Conversion:
        """Its logits are those that the program learns from: of BatchNorm by the batch, which its batch of 1 makes."""
        renamed = self.renamed(tensors, [(_UNUSED, None), (r"model\.(\d+\.\w+)", r"body.\1")])
        kernels = {name: value for name, value in renamed.items() if value.ndim == 4}
        inner = [name.replace("weight", "bias") for name in sorted(kernels, key=_place)[1:-1]]
        for name in inner:  # before InstanceNorm the program has biases, which change nothing
            renamed.pop(name, None)
        width, channels = renamed["body.0.weight"].shape[:2]
        affine = any(value.ndim == 1 and name.endswith("weight") for name, value in renamed.items())
        options = {"width": width, "layers": len(inner), "affine": affine}
        network, seen = ganzoo.Converted("pix2pix", options, renamed), ganzoo.Sample((channels, 256, 256))
        return ganzoo.Conversion(
            seen, discriminator=network, judges_pairs=True, any_size=True, notes=(_BATCHES,) if affine else ()
        )


def _place(name: str) -> int:
    return int(name.split(".")[1])


def _layer(depth: int) -> Callable[[re.Match[str]], str]:
    """Names of the layers of a level: what halves, its norm; what doubles, its norm; the innermost has no first norm."""

    def name(found: re.Match[str]) -> str:
        level = 1 + found[1].count(".3.model")
        innermost = level == depth - 1
        down, up = ("down", level), ("up", depth - 1 - level)
        places = {1: down, 3: up, 4: ("up_norms", up[1])} if innermost else {
            1: down, 2: ("down_norms", level - 1), 5: up, 6: ("up_norms", up[1])
        }  # fmt: skip
        place = int(found[2])
        if place not in places:
            raise ganzoo.ConversionError(f"its level {level} has a layer {place}, which no U-Net here has")
        kind, number = places[place]
        return f"{kind}.{number}.{found[3]}"

    return name

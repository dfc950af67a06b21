"""Generators and discriminators that the programs of CycleGAN and pix2pix trained, and huggan's CycleGANs on the Hub.

Their layers stand in the same order as here, under other names. The layouts are facts of the files; no code was taken.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

import ganzoo

from .generator import MANY_BLOCKS_FROM

FIRST_BLOCK = 12
"""Of CUT's generator; a filter before it halves, one behind it doubles."""
_SIDES = {True: MANY_BLOCKS_FROM, False: 128}
"""What the programs take for 9 blocks and for 6; the file does not say, and the network takes any."""
_STATISTICS = (r"model\.\d+\.(conv_block\.\d+\.)?(running_mean|running_var|num_batches_tracked)", None)
"""Of InstanceNorm, which programs of 2017 kept and never used."""


class Zhu(ganzoo.Converter):
    """Residual generators and PatchGANs (.pth) of pytorch-CycleGAN-and-pix2pix, with InstanceNorm as by default, and
    residual generators of CUT, which is made from it.
    """

    origin = "pytorch-CycleGAN-and-pix2pix, or CUT"

    def convert(self, content: Any) -> ganzoo.Conversion | None:
        """A state dict of G or of D."""
        tensors = self.tensors(content)
        if tensors is None or not all(name.startswith("model.") for name in tensors):
            return None
        if "model.1.weight" in tensors and any(f"model.{first}.conv_block.1.weight" in tensors for first in (10, 12)):
            return self._generator(tensors)
        if "model.0.bias" in tensors and tensors["model.0.weight"].shape[2:] == (4, 4) and "model.2.bias" in tensors:
            return self._discriminator(tensors)
        return None

    def _generator(self, tensors: Mapping[str, np.ndarray]) -> ganzoo.Conversion:
        if "model.2.weight" in tensors:
            raise ganzoo.ConversionError("its generator normalises by batches; cyclegan here by instances")
        renamed = self.renamed(tensors, [
            _STATISTICS,
            (r"model\.\d+\.filt", None),
            # the second convolution of a block comes one later where there is dropout, which leaves no tensors
            (r"model\.(\d+)\.conv_block\.([156])\.(\w+)", lambda found: f"{_block(found[1], found[2])}.{found[3]}"),
            (r"model\.(\d+\.\w+)", r"layers.\1"),
        ])  # fmt: skip
        dropout = any(re.search(r"conv_block\.6\.weight", name) for name in tensors)
        filters = {
            int(name.split(".")[1]): value.shape[2:] for name, value in tensors.items() if name.endswith(".filt")
        }
        options = _resampling(filters) if filters else {}
        return _generator(renamed, options, ("dropout in its residual blocks is left out",) if dropout else ())

    def _discriminator(self, tensors: Mapping[str, np.ndarray]) -> ganzoo.Conversion:
        if "model.3.weight" in tensors:
            raise ganzoo.ConversionError("its discriminator normalises by batches; patchgan here by instances")
        renamed = self.renamed(tensors, [_STATISTICS, (r"model\.(\d+\.\w+)", r"layers.\1")])
        count = sum(value.ndim == 4 for value in renamed.values())
        width, channels = renamed["layers.0.weight"].shape[:2]
        network = ganzoo.Converted("patchgan", {"width": width, "layers": count - 2}, renamed)
        side = MANY_BLOCKS_FROM
        return ganzoo.Conversion(ganzoo.Sample((channels, side, side)), discriminator=network, any_size=True)


class Huggan(ganzoo.Converter):
    """CycleGANs (pytorch_model.bin) of huggan on the Hub, which double the side by copies and convolve then."""

    origin = "huggan's CycleGAN"

    def convert(self, content: Any) -> ganzoo.Conversion | None:
        """A state dict of G."""
        tensors = self.tensors(content)
        if tensors is None or "model.1.weight" not in tensors or "model.10.block.1.weight" not in tensors:
            return None
        if tensors["model.1.weight"].shape[1] != 3:
            raise ganzoo.ConversionError("its generator reads other pictures than those of three colours")
        renamed = self.renamed(tensors, [
            (r"model\.(\d+)\.block\.([15])\.(\w+)", lambda found: f"{_block(found[1], found[2])}.{found[3]}"),
            (r"model\.(\d+\.\w+)", r"layers.\1"),
        ])  # fmt: skip
        return _generator(renamed, {"upsampling": "nearest"})


def _resampling(filters: Mapping[int, tuple[int, ...]]) -> dict[str, str]:
    """Options for filters at these places of CUT's generator. Raises `ConversionError` for filters of other sizes."""
    halving = {place: shape for place, shape in filters.items() if place < FIRST_BLOCK}
    doubling = {place: shape for place, shape in filters.items() if place >= FIRST_BLOCK}
    if set(halving.values()) - {(3, 3)} or set(doubling.values()) - {(4, 4)}:
        raise ganzoo.ConversionError("it filters by other numbers of pixels than 3 to halve and 4 to double")
    options = {"halving": "filtered"} if halving else {}
    return options | ({"upsampling": "filtered"} if doubling else {})


def _block(place: str, layer: str) -> str:
    return f"layers.{place}.layers.{min(int(layer), 5)}"


def _generator(
    tensors: dict[str, np.ndarray], options: dict[str, Any], notes: tuple[str, ...] = ()
) -> ganzoo.Conversion:
    first = tensors["layers.1.weight"]
    last = max(int(name.split(".")[1]) for name in tensors)
    blocks = len({name.split(".")[1] for name in tensors if ".layers." in name})
    side = _SIDES[blocks >= 9]
    source, target = (
        ganzoo.Sample((count, side, side)) for count in (first.shape[1], len(tensors[f"layers.{last}.bias"]))
    )
    generator = ganzoo.Converted("cyclegan", {"width": first.shape[0], "blocks": blocks, **options}, tensors)
    return ganzoo.Conversion(target, generator, source=source, any_size=True, notes=notes)

"""StyleGAN2s of NVIDIA's programs. The layout is a fact of the files; no code was taken."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

import ganzoo

from .conversion import generator_of, kernel, level_of, refuse_others, with_discriminator
from .networks import SMALLEST


class NVIDIA(ganzoo.Converter):
    """Pickles of stylegan2-ada-pytorch, and of StyleGAN2 configurations of stylegan3's repository: G_ema and D."""

    origin = "NVIDIA's StyleGAN2 (stylegan2-ada-pytorch, stylegan3)"
    classes = ("dnnlib.util.EasyDict", "torch_utils.persistence._reconstruct_persistent_obj")

    def convert(self, content: Any) -> ganzoo.Conversion | None:
        """A dictionary with the modules `G_ema`, which is taken, `G` and `D`."""
        if not isinstance(content, dict) or "G_ema" not in content:
            return None
        maker, judge = self.tensors(content["G_ema"]), self.tensors(content.get("D"))
        if not maker or "synthesis.b4.const" not in maker:
            return None
        if any(re.fullmatch(r"synthesis\.b\d+\.skip\.weight", name) for name in maker):
            raise ganzoo.ConversionError("its generator is residual; stylegan2 here is the one that sums RGB pictures")
        generator = self.renamed(maker, [
            (r".*resample_filter", None),
            (r"mapping\.embed\.(\w+)", r"mapping.embedding.\1"),
            (r"mapping\.fc(\d+)\.(\w+)", r"mapping.layers.\1.\2"),
            (r"mapping\.w_avg", "mean_style"),
            (r"synthesis\.b4\.const", "constant"),
            (r"synthesis\.b(\d+)\.(conv0|conv1|torgb)\.(.+)", _styled),
        ])  # fmt: skip
        side = max(int(found[1]) for name in maker if (found := re.match(r"synthesis\.b(\d+)\.", name)))
        conversion = generator_of(generator, side)
        if not judge:
            return conversion
        discriminator = self.renamed(judge, [
            (r".*resample_filter", None),
            (r"mapping\.embed\.(\w+)", r"label_mapping.embedding.\1"),
            (r"mapping\.fc(\d+)\.(\w+)", r"label_mapping.layers.\1.\2"),
            (r"b4\.(conv|fc|out)\.(\w+)", lambda found: f"{_LAST[found[1]]}.{found[2]}"),
            (rf"b{side}\.fromrgb\.(\w+)", r"from_rgb.\1"),
            (r"b(\d+)\.(conv0|conv1|skip)\.(\w+)", lambda found: _judging(side, found)),
        ])  # fmt: skip
        return with_discriminator(conversion, discriminator)

    def restore(self, network: ganzoo.Converted) -> dict[str, np.ndarray]:
        """G's state dict under NVIDIA's names; its pickles hold the program itself and cannot be written."""
        refuse_others(network)
        tensors = self.renamed(network.tensors, [
            (r"mapping\.embedding\.(\w+)", r"mapping.embed.\1"),
            (r"mapping\.layers\.(\d+)\.(\w+)", r"mapping.fc\1.\2"),
            ("mean_style", "mapping.w_avg"),
            ("constant", "synthesis.b4.const"),
            (r"levels\.(\d+)\.(up|keep|rgb)\.(.+)", _unstyled),
        ])  # fmt: skip
        for name in [name for name in tensors if name.endswith(("conv0.weight", "conv1.weight"))]:
            tensors[name.replace("weight", "resample_filter")] = kernel(1)
        blocks = {name.split(".")[1] for name in tensors if name.startswith("synthesis.")}
        return tensors | {f"synthesis.{block}.resample_filter": kernel(1) for block in blocks}


_LAST = {"conv": "last", "fc": "dense", "out": "logit"}
_JUDGING = {"conv0": "keep", "conv1": "halve", "skip": "skip"}
_STYLED = {"conv0": "up", "conv1": "keep", "torgb": "rgb"}


def _styled(found: re.Match[str]) -> str:
    name = "noise" if found[3] == "noise_const" else found[3]
    return f"levels.{level_of(int(found[1]))}.{_STYLED[found[2]]}.{name}"


def _judging(side: int, found: re.Match[str]) -> str:
    return f"levels.{level_of(side) - level_of(int(found[1]))}.{_JUDGING[found[2]]}.{found[3]}"


def _unstyled(found: re.Match[str]) -> str:
    name = "noise_const" if found[3] == "noise" else found[3]
    layer = {ours: theirs for theirs, ours in _STYLED.items()}[found[2]]
    return f"synthesis.b{SMALLEST << int(found[1])}.{layer}.{name}"

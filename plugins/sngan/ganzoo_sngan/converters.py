"""SNGANs that the authors' program, written in Chainer, saved as .npz.

Its layers are those of `generator.py` and `discriminator.py` under other names. The layout is a fact of the files; no
code was taken.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

import ganzoo

_KINDS = {"W": "weight", "b": "bias", "gamma": "weight", "beta": "bias", "avg_mean": "running_mean",
          "avg_var": "running_var"}  # fmt: skip


class Chainer(ganzoo.Converter):
    """Snapshots of sngan_projection: ResNetGenerator_N.npz, and SNResNetProjectionDiscriminator_N.npz."""

    origin = "sngan_projection (Chainer)"

    def convert(self, content: Any) -> ganzoo.Conversion | None:
        """The arrays of G or of D."""
        found = self.tensors(content)
        if found is None or not all("/" in name for name in found):
            return None
        arrays = {name.lstrip("/"): value for name, value in found.items()}
        if "block2/c1/W" not in arrays:
            return None
        if "l1/W" in arrays and "block2/b1/avg_mean" in arrays:
            return self._generator(arrays)
        if "block1/c1/u" in arrays:
            return self._discriminator(arrays)
        return None

    def _generator(self, arrays: Mapping[str, np.ndarray]) -> ganzoo.Conversion:
        last = max(int(name[1:].split("/")[0]) for name in arrays if re.match(r"b\d", name))
        tables = "block2/b1/gammas/W" in arrays
        tensors = self.renamed(arrays, [
            (r".*/N", None),
            (r"l1/(W|b)", lambda found: f"dense.{_KINDS[found[1]]}"),
            (rf"[lc]{last}/(W|b)", lambda found: f"picture.{_KINDS[found[1]]}"),
            (rf"b{last}/(\w+)", lambda found: f"norm.{_KINDS[found[1]]}"),
            (r"block(\d+)/b(\d)/gammas/W", lambda found: f"{_norm(found)}.gain.weight"),
            (r"block(\d+)/b(\d)/betas/W", lambda found: f"{_norm(found)}.shift.weight"),
            (r"block(\d+)/b(\d)/(\w+)", lambda found: f"{_norm(found)}.{'norm.' * tables}{_KINDS[found[3]]}"),
            (r"block(\d+)/c_sc/(W|b)", lambda found: f"blocks.{int(found[1]) - 2}.shortcut.{_KINDS[found[2]]}"),
            (r"block(\d+)/c(\d)/(W|b)", lambda found: f"{_convolution(found, 2)}.{_KINDS[found[3]]}"),
        ])  # fmt: skip
        for name in [name for name in tensors if name.endswith("running_var")]:
            tensors[name.replace("running_var", "num_batches_tracked")] = np.zeros((), np.int64)
        blocks = len({name.split(".")[1] for name in tensors if name.startswith("blocks.")})
        first, width = tensors["blocks.0.shortcut.weight"].shape[1], len(tensors["norm.weight"])
        base = math.isqrt(len(tensors["dense.bias"]) // first)
        classes = len(arrays["block2/b1/gammas/W"]) if tables else 0
        options = {"latent": tensors["dense.weight"].shape[1], "width": width, "conditional": tables}
        target = ganzoo.Sample((len(tensors["picture.bias"]), base << blocks, base << blocks))
        return ganzoo.Conversion(target, ganzoo.Converted("sngan", options, tensors), classes=classes)

    def _discriminator(self, arrays: Mapping[str, np.ndarray]) -> ganzoo.Conversion:
        tensors = self.renamed(arrays, [
            (r"l\d/(W|b|u)", lambda found: f"logit.{_normalised(found[1])}"),
            (r"l_y/(W|u)", lambda found: f"class_vector.{_normalised(found[1])}"),
            (r"block(\d+)/c_sc/(W|b|u)", lambda found: f"blocks.{int(found[1]) - 1}.shortcut.{_normalised(found[2])}"),
            (r"block(\d+)/c(\d)/(W|b|u)", lambda found: f"{_convolution(found, 1)}.{_normalised(found[3])}"),
        ])  # fmt: skip
        tensors = {name: value.reshape(-1) if name.endswith(".u") else value for name, value in tensors.items()}
        width, channels = arrays["block1/c1/W"].shape[:2]
        options = {"width": width, "conditional": "l_y/W" in arrays}
        judge = ganzoo.Converted("sngan", options, tensors)
        # how large pictures are is the generator's to say
        return ganzoo.Conversion(ganzoo.Sample((channels, 32, 32)), discriminator=judge)


def _norm(found: re.Match[str]) -> str:
    return f"blocks.{int(found[1]) - 2}.norms.{int(found[2]) - 1}"


def _convolution(found: re.Match[str], first: int) -> str:
    """first: the number of the first block in the file."""
    return f"blocks.{int(found[1]) - first}.convolutions.{int(found[2]) - 1}"


def _normalised(kind: str) -> str:
    """Names of a spectrally normalised layer."""
    names = {"W": "parametrizations.weight.original", "u": "parametrizations.weight.0.u", "b": "bias"}
    return names[kind]

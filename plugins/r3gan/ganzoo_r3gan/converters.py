"""R3GANs of the authors' program. The layout is a fact of its files; no code was taken."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

import ganzoo

Tensors = dict[str, np.ndarray]
_MODULES = ("R3GAN", "BaselineGAN")
"""What the program's package was called when the published files were made: both names are among them."""
_TAPS = np.array([1, 3, 3, 1], np.float32) / 8


class R3GAN(ganzoo.Converter):
    """Pickles (network-snapshot-*.pkl) of the authors' program: G_ema and D."""

    origin = "R3GAN's own program"
    classes = (
        "dnnlib.util.EasyDict",
        "torch_utils.persistence._reconstruct_persistent_obj",
        "training.networks.",
        "training.networks_baseline.",
        *(f"{one}.{part}." for one in _MODULES for part in ("Networks", "Resamplers", "FusedOperators")),
    )

    def convert(self, content: Any) -> ganzoo.Conversion | None:
        """A dictionary with the modules `G_ema`, which is taken, `G` and `D`."""
        if not isinstance(content, dict) or "G_ema" not in content:
            return None
        maker, judge = self.tensors(content["G_ema"]), self.tensors(content.get("D"))
        if not maker or "Model.MainLayers.0.Layers.0.Basis" not in maker:
            return None
        _refuse_other_filters(maker)
        generator = self.renamed(maker, [
            (r".*\.Resampler\.Kernel", None),
            (r"Model\.EmbeddingLayer\.weight", "class_vector.weight"),
            (r"Model\.AggregationLayer\.Layer\.weight", "picture.weight"),
            (r"Model\.MainLayers\.0\.Layers\.0\.Basis", "basis"),
            (r"Model\.MainLayers\.0\.Layers\.0\.LinearLayer\.weight", "weights.weight"),
            (r"Model\.MainLayers\.(\d+)\.Layers\.0\.LinearLayer\.Layer\.weight", r"stages.\1.0.weigh.weight"),
            # the first stage begins with the basis, the others with what doubles the side
            (_BLOCK, lambda found: _in_block(found, int(found[2]) - (found[1] == "0"))),
        ])  # fmt: skip
        conversion = _generator(_with_rows(generator))
        if not judge:
            return conversion
        last = max(int(name.split(".")[2]) for name in judge if name.startswith("Model.MainLayers."))
        discriminator = self.renamed(judge, [
            (r".*\.Resampler\.Kernel", None),
            (r"Model\.EmbeddingLayer\.weight", "class_vector.weight"),
            (r"Model\.ExtractionLayer\.Layer\.weight", "colours.weight"),
            (rf"Model\.MainLayers\.{last}\.Layers\.\d+\.Basis\.weight", "gather.weight"),
            (rf"Model\.MainLayers\.{last}\.Layers\.\d+\.LinearLayer\.weight", "features.weight"),
            (r"Model\.MainLayers\.(\d+)\.Layers\.(\d+)\.LinearLayer\.Layer\.weight", r"stages.\1.\2.weigh.weight"),
            (_BLOCK, lambda found: _in_block(found, int(found[2]))),
        ])  # fmt: skip
        return _with_discriminator(conversion, _with_rows(discriminator))


_BLOCK = (
    r"Model\.MainLayers\.(\d+)\.Layers\.(\d+)\."
    r"(LinearLayer1\.Layer\.weight|LinearLayer2\.Layer\.weight|LinearLayer3\.Layer\.weight|"
    r"NonLinearity1\.Bias|NonLinearity2\.Bias)"
)
_PARTS = {
    "LinearLayer1.Layer.weight": "widen.weight",
    "NonLinearity1.Bias": "widen.bias",
    "LinearLayer2.Layer.weight": "grouped.weight",
    "NonLinearity2.Bias": "grouped.bias",
    "LinearLayer3.Layer.weight": "narrow.weight",
}


def _in_block(found: re.Match[str], place: int) -> str:
    return f"stages.{found[1]}.{place}.{_PARTS[found[3]]}"


def _refuse_other_filters(tensors: Tensors) -> None:
    """Raise `ConversionError` for a program that was told to resample otherwise."""
    for name, value in tensors.items():
        if name.endswith(".Kernel") and not (
            value.shape == (4, 4) and np.allclose(value, _TAPS[:, None] * _TAPS, atol=1e-6)
        ):
            raise ganzoo.ConversionError("it resamples through another filter than [1, 3, 3, 1], r3gan here's")


def _with_rows(tensors: Tensors) -> Tensors:
    """Class vectors as rows; a layer of one-hot labels has them as columns."""
    if "class_vector.weight" in tensors:
        tensors["class_vector.weight"] = tensors["class_vector.weight"].T
    return tensors


def _generator(tensors: Tensors) -> ganzoo.Conversion:
    stages = _stages(tensors)
    widths = [tensors[f"stages.{stage}.{1 if stage else 0}.widen.weight"].shape[1] for stage in range(stages)]
    reads = tensors["weights.weight"].shape[1]
    vectors = tensors.get("class_vector.weight")
    classes, embedding = (0, 0) if vectors is None else vectors.shape
    blocks = len({name.split(".")[2] for name in tensors if name.startswith("stages.0.")})
    options = {"latent": reads - embedding, **_sizes(widths, blocks, tensors), "conditional": bool(classes)}
    if classes:
        options["embedding"] = embedding
    side = tensors["basis"].shape[1] << (stages - 1)
    target = ganzoo.Sample((len(tensors["picture.weight"]), side, side))
    notes = ("the last stages of the program compute in bfloat16; here all is float32",)
    return ganzoo.Conversion(
        target, ganzoo.Converted("r3gan", options, tensors), classes=classes, clamps=True, notes=notes
    )


def _with_discriminator(conversion: ganzoo.Conversion, tensors: Tensors) -> ganzoo.Conversion:
    stages = _stages(tensors)
    widths = [tensors[f"stages.{stage}.0.widen.weight"].shape[1] for stage in reversed(range(stages))]
    blocks = len({name.split(".")[2] for name in tensors if re.match(rf"stages\.{stages - 1}\.", name)})
    options = {**_sizes(widths, blocks, tensors), "conditional": "class_vector.weight" in tensors}
    return ganzoo.Conversion(
        conversion.target, conversion.generator, ganzoo.Converted("r3gan", options, tensors),
        classes=conversion.classes, clamps=True, notes=conversion.notes,
    )  # fmt: skip


def _stages(tensors: Tensors) -> int:
    return len({name.split(".")[1] for name in tensors if name.startswith("stages.")})


def _sizes(widths: Sequence[int], blocks: int, tensors: Tensors) -> dict[str, int]:
    """Options that give these channels from the smallest map up. Raises `ConversionError` if none do."""
    width, level = widths[0], next((level for level, one in enumerate(widths) if one != widths[0]), len(widths))
    if list(widths) != [width >> max(0, number - level + 1) for number in range(len(widths))]:
        raise ganzoo.ConversionError(
            f"its maps from 4 pixels up have {', '.join(map(str, widths))} channels: r3gan here has as many up to some "
            "side, and half as many on each larger map"
        )
    group = next(value.shape[1] for name, value in tensors.items() if name.endswith("grouped.weight"))
    return {"width": width, "halve_above": 4 << (level - 1), "blocks": blocks, "group_size": group}

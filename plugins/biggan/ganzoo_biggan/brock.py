"""BigGANs of the author's program, BigGAN-PyTorch. The layout is a fact of its files; no code was taken."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

import ganzoo

from .conversion import MEASURED, width_of, with_counts
from .layout import BASE, OF_D, OF_G, halves

Tensors = dict[str, np.ndarray]

_LAYERS = {"theta": "query", "phi": "key", "g": "value", "o": "out"}
_SIDES = {3: 32, 4: 64, 5: 128, 6: 256, 7: 512}
"""Of the pictures, by how often G doubles."""


class Brock(ganzoo.Converter):
    """Files of BigGAN-PyTorch (G.pth, G_ema.pth, D.pth), of BigGAN and of BigGAN-deep."""

    origin = "BigGAN-PyTorch"

    def convert(self, content: Any) -> ganzoo.Conversion | None:
        """A state dict of G or of D."""
        tensors = self.tensors(content)
        if not tensors or not {"linear.weight", "blocks.0.0.conv1.weight"} <= tensors.keys():
            return None
        attention = [int(found[1]) for name in tensors if (found := re.fullmatch(r"blocks\.(\d+)\.\d\.gamma", name))]
        if len(attention) > 1:
            raise ganzoo.ConversionError(f"it has self-attention after {len(attention)} blocks, biggan here after one")
        if any(re.search(r"\.u[1-9]$", name) for name in tensors):
            raise ganzoo.ConversionError("its spectral norm follows several singular values; biggan here follows one")
        deep = "blocks.0.0.conv4.weight" in tensors
        if "output_layer.0.gain" in tensors:
            return self._generator(_parametrised(tensors), deep, attention)
        if "embed.weight" in tensors:
            return self._discriminator(_parametrised(tensors), deep, attention)
        return None

    def _generator(self, tensors: Tensors, deep: bool, attention: list[int]) -> ganzoo.Conversion:
        """attention: the block that it comes after, if there is one."""
        renamed = with_counts(self.renamed(tensors, [
            (r".*\.(sv\d+|accumulation_counter|num_batches_tracked)", None),
            (r"shared\.weight", "class_vector.weight"),
            (r"linear\.(.+)", r"dense.\1"),
            (r"blocks\.(\d+)\.0\.conv_sc\.(.+)", r"blocks.\1.shortcut.\2"),
            (r"blocks\.(\d+)\.0\.conv(\d)\.(.+)", _numbered("convolutions")),
            (r"blocks\.(\d+)\.0\.bn(\d)\.(?:bn\.)?(?:stored|running)_(mean|var)", _numbered("norms", "norm.running_")),
            (r"blocks\.(\d+)\.0\.bn(\d)\.(gain\..+)", _numbered("norms")),
            (r"blocks\.(\d+)\.0\.bn(\d)\.bias\.(.+)", _numbered("norms", "shift.")),
            (r"blocks\.\d+\.1\.gamma", "attention.gamma"),
            (r"blocks\.\d+\.1\.(theta|phi|g|o)\.(.+)", lambda found: f"attention.{_LAYERS[found[1]]}.{found[2]}"),
            (r"output_layer\.0\.gain", "norm.weight"),
            (r"output_layer\.0\.bias", "norm.bias"),
            (r"output_layer\.0\.(?:bn\.)?(?:stored|running)_(mean|var)", r"norm.running_\1"),
            (r"output_layer\.2\.(.+)", r"picture.\1"),
        ]))  # fmt: skip
        blocks = len({name.split(".")[1] for name in renamed if name.startswith("blocks.")})
        side = _SIDES.get(blocks // (2 if deep else 1), 0)
        if not side or (deep and blocks % 2):
            raise ganzoo.ConversionError(f"its generator has {blocks} blocks, which give no size that is made here")
        options = {
            "width": width_of(OF_G[side][-1], renamed["norm.weight"]),
            "attention": sum(2 * BASE << (place // 2 if deep else place) for place in attention),
            "conditional": True,
            "spectral_norm": any("parametrizations" in name for name in tensors),
        }
        options |= _deep(renamed) if deep else _plain(renamed, blocks)
        classes = options.pop("classes")
        network = ganzoo.Converted("biggan-deep" if deep else "biggan", options, renamed)
        target = ganzoo.Sample((len(renamed["picture.bias"]), side, side))
        return ganzoo.Conversion(target, network, classes=classes, notes=(MEASURED,))

    def _discriminator(self, tensors: Tensors, deep: bool, attention: list[int]) -> ganzoo.Conversion:
        stages = len({name.split(".")[1] for name in tensors if name.startswith("blocks.")})

        def place(found: re.Match[str]) -> int:
            stage, block = int(found[1]), int(found[2])
            before = any(one < stage for one in attention)
            return (1 + 2 * stage if deep else stage) + block + before

        def numbered(found: re.Match[str]) -> str:
            return f"blocks.{place(found)}.convolutions.{int(found[3]) - 1}.{found[4]}"

        shortcut = "missing" if deep else "shortcut"
        renamed = self.renamed(tensors, [
            (r".*\.sv\d+", None),
            (r"linear\.(.+)", r"logit.\1"),
            (r"embed\.(.+)", r"class_vector.\1"),
            (r"input_conv\.(.+)", r"blocks.0.\1"),
            (r"blocks\.(\d+)\.(\d)\.conv_sc\.(.+)", lambda found: f"blocks.{place(found)}.{shortcut}.{found[3]}"),
            (r"blocks\.(\d+)\.(\d)\.conv(\d)\.(.+)", numbered),
            (r"blocks\.(\d+)\.(\d)\.gamma", lambda found: f"blocks.{place(found)}.gamma"),
            (r"blocks\.(\d+)\.(\d)\.(theta|phi|g|o)\.(.+)",
             lambda found: f"blocks.{place(found)}.{_LAYERS[found[3]]}.{found[4]}"),
        ])  # fmt: skip
        side = _SIDES.get(stages if deep else stages - 1, 0)
        if not side:
            raise ganzoo.ConversionError(
                f"its discriminator has {stages} blocks, which judge no size that is made here"
            )
        width = width_of(OF_D[side][-1], renamed["logit.parametrizations.weight.original"][0])
        seen = sum(side >> sum(halves(side)[: one + 1]) for one in attention)
        options = {"width": width, "attention": seen, "conditional": True}
        classes = len(renamed["class_vector.parametrizations.weight.original"])
        first = "blocks.0.parametrizations" if deep else "blocks.0.convolutions.0.parametrizations"
        target = ganzoo.Sample((renamed[f"{first}.weight.original"].shape[1], side, side))
        network = ganzoo.Converted("biggan-deep" if deep else "biggan", options, renamed)
        return ganzoo.Conversion(target, discriminator=network, classes=classes)


def _parametrised(tensors: Mapping[str, np.ndarray]) -> Tensors:
    """Weights that are normalised and their singular vectors by the names that torch gives parametrised ones."""
    found = {}
    for name, value in tensors.items():
        layer = name.rpartition(".")[0]
        if name.endswith(".u0"):
            found[f"{layer}.parametrizations.weight.0.u"] = value.reshape(-1)
        elif name == f"{layer}.weight" and f"{layer}.u0" in tensors:
            found[f"{layer}.parametrizations.weight.original"] = value
        else:
            found[name] = value
    return found


def _numbered(part: str, inner: str = "") -> Any:
    """A name within a block, whose layers are counted from 0 here and from 1 there."""
    return lambda found: f"blocks.{found[1]}.{part}.{int(found[2]) - 1}.{inner}{found[3]}"


def _weight(tensors: Tensors, layer: str) -> np.ndarray:
    return next(tensors[name] for name in (f"{layer}.parametrizations.weight.original", f"{layer}.weight")
                if name in tensors)  # fmt: skip


def _plain(tensors: Tensors, blocks: int) -> dict[str, Any]:
    """Options of BigGAN's latents and classes; tables of gains, which are added to 1 there, are whole here."""
    part, gain = _weight(tensors, "dense").shape[1], _weight(tensors, "blocks.0.norms.0.gain")
    if "class_vector.weight" not in tensors:
        for name in [name for name in tensors if name.endswith("gain.weight")]:
            tensors[name] = tensors[name] + 1
        return {"latent": part, "skip_latent": False, "shared": 0, "classes": len(gain)}
    classes, shared = tensors["class_vector.weight"].shape
    skips = gain.shape[1] > shared
    return {"latent": part * (blocks + 1 if skips else 1), "skip_latent": skips, "shared": shared, "classes": classes}


def _deep(tensors: Tensors) -> dict[str, Any]:
    """Options of BigGAN-deep's; all layers read z before the class's vector here, and after it there."""
    if "class_vector.weight" not in tensors:
        raise ganzoo.ConversionError("its generator is deep and shares no class vectors; biggan-deep here does")
    classes, shared = tensors["class_vector.weight"].shape
    for name, value in tensors.items():
        if re.fullmatch(r"(dense|.*\.(gain|shift))\.(parametrizations\.weight\.original|weight)", name):
            tensors[name] = np.concatenate([value[:, shared:], value[:, :shared]], axis=1)
    return {"latent": _weight(tensors, "dense").shape[1] - shared, "shared": shared, "classes": classes}

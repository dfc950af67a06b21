"""DCGANs that other programs trained: PyTorch's example, the Hub's huggan models, and pytorch_GAN_zoo.

All three are the tutorial's layers (`kernel=4`) under other names. Their layouts are facts of the files; no code was
taken.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

import ganzoo

Tensors = Mapping[str, np.ndarray]


class PyTorchExample(ganzoo.Converter):
    """Files of PyTorch's DCGAN example, of its tutorial, and of huggan's script, which calls `main` `model`."""

    origin = "PyTorch's DCGAN example"

    def convert(self, content: Any) -> ganzoo.Conversion | None:
        """A state dict of G or of D."""
        tensors = self.tensors(content)
        if tensors is None:
            return None
        names = {re.sub(r"\.\d+\.\w+$", "", name) for name in tensors}
        if len(names) != 1 or not names <= {"main", "model"} or "main.0.weight" not in {
            re.sub("^model", "main", name) for name in tensors
        }:  # fmt: skip
            return None
        layers = self.renamed(tensors, [(r"(?:main|model)\.(\d+\.\w+)", r"\1")])
        if layers["0.weight"].ndim != 4 or set(layers["0.weight"].shape[2:]) - {4, 5, 6, 7}:
            return None
        if "0.bias" in layers:
            return None
        if "1.weight" in layers:
            return _generator({f"layers.{name}": value for name, value in layers.items()})
        if "3.weight" not in layers:
            return None
        last = max(int(name.partition(".")[0]) for name in layers)
        features = {f"features.{name}": value for name, value in layers.items() if name != f"{last}.weight"}
        return _discriminator({**features, "logit.weight": layers[f"{last}.weight"]})

    def restore(self, network: ganzoo.Converted) -> dict[str, np.ndarray]:
        """G as netG of the example: with BatchNorm, kernels of 4 pixels and no classes."""
        kernels = {value.shape[2:] for name, value in network.tensors.items() if value.ndim == 4}
        if network.name != "dcgan" or "label_embedding.weight" in network.tensors or kernels != {(4, 4)}:
            raise ganzoo.ConversionError(
                "the example has dcgan with kernel 4, pictures of 4 times a power of two and no classes; "
                f"this is {network.name} with kernels of {', '.join(f'{one[0]}x{one[1]}' for one in sorted(kernels))}"
            )
        if "layers.1.running_mean" not in network.tensors:
            raise ganzoo.ConversionError("the example has BatchNorm, this model has none")
        return self.renamed(network.tensors, [(r"layers\.(.+)", r"main.\1")])


class GANZoo(ganzoo.Converter):
    """Files of pytorch_GAN_zoo's DCGAN: G and D.

    G's moving average in them is not taken: its BatchNorm has the running statistics of an untrained network, because
    that program samples by the statistics of the batch.
    """

    origin = "pytorch_GAN_zoo's DCGAN"
    classes = ("models.utils.config.",)

    def convert(self, content: Any) -> ganzoo.Conversion | None:
        """A dictionary with the state dicts `netG` and `netD`."""
        if not isinstance(content, dict):
            return None
        maker, judge = self.tensors(content.get("netG")), self.tensors(content.get("netD"))
        if not maker or "formatLayer.weight" not in maker or "main.outlayer.weight" not in maker:
            return None
        depth = sum(re.fullmatch(r"main\.convTranspose\d+\.weight", name) is not None for name in maker)
        generator = self.renamed(maker, [
            (r"formatLayer\.weight", "layers.0.weight"),
            (r"main\.outlayer\.weight", f"layers.{3 * depth + 3}.weight"),
            (r"main\.convTranspose(\d+)\.weight", lambda match: f"layers.{3 * int(match[1])}.weight"),
            (r"main\.batchNorm(\d+)\.(\w+)", lambda match: f"layers.{3 * int(match[1]) + 1}.{match[2]}"),
        ])  # fmt: skip
        conversion = _generator(generator)
        if judge is None:
            return conversion
        # D counts its layers from the last one; the first has no BatchNorm
        discriminator = self.renamed(judge, [
            (r"decisionLayer\.weight", "logit.weight"),
            (r"main\.convTranspose(\d+)\.weight", lambda match: f"features.{_place(depth - int(match[1]))}.weight"),
            (r"main\.batchNorm(\d+)\.(\w+)", lambda match: f"features.{_place(depth - int(match[1])) + 1}.{match[2]}"),
        ])  # fmt: skip
        if discriminator["logit.weight"].shape[0] != 1:  # logits of classes beside that of reality
            return conversion
        judged = _discriminator(discriminator)
        return ganzoo.Conversion(conversion.target, conversion.generator, judged.discriminator)


def _place(level: int) -> int:
    """Where D's convolution of a level stands: convolution, LeakyReLU, then convolution, BatchNorm, LeakyReLU."""
    return max(0, 3 * level - 1)


def _generator(tensors: dict[str, np.ndarray]) -> ganzoo.Conversion:
    weights = _convolutions(tensors)
    latent, *_, base = weights[0].shape
    options = {
        "latent": latent,
        "latent_distribution": "normal",
        **_widths([weight.shape[1] for weight in weights[:-1]][::-1]),
        "kernel": weights[-1].shape[-1],
    }
    target = _target(weights[-1].shape[1], base, len(weights) - 1)
    return ganzoo.Conversion(target, ganzoo.Converted("dcgan", options, tensors))


def _discriminator(tensors: dict[str, np.ndarray]) -> ganzoo.Conversion:
    weights = _convolutions({name: value for name, value in tensors.items() if name != "logit.weight"})
    options = {**_widths([weight.shape[0] for weight in weights]), "kernel": weights[0].shape[-1]}
    target = _target(weights[0].shape[1], tensors["logit.weight"].shape[-1], len(weights))
    return ganzoo.Conversion(target, discriminator=ganzoo.Converted("dcgan", options, tensors))


def _convolutions(tensors: Tensors) -> list[np.ndarray]:
    """Kernels in the order of the layers. Raises `ConversionError` if there is nothing between first and last."""
    found = [(int(name.split(".")[1]), value) for name, value in tensors.items() if value.ndim == 4]
    if len(found) < 2:
        raise ganzoo.ConversionError("it has fewer layers than a DCGAN")
    return [value for _, value in sorted(found, key=lambda one: one[0])]


def _widths(channels: list[int]) -> dict[str, int]:
    """Options for the channels of the hidden maps from the largest map down."""
    return {"width": channels[0], "max_width": max(channels)}


def _target(channels: int, base: int, doublings: int) -> ganzoo.Sample:
    return ganzoo.Sample((channels, base << doublings, base << doublings))

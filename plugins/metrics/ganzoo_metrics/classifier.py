"""A small classifier of the data themselves: features for pictures that are no photographs, such as digits.

Lucic et al. 2018 (arXiv:1711.10337) measure MNIST so. The network is plain: 3x3 convolutions that halve the side down
to 4 to 7, and two dense layers, the first of which gives the features.

Suffixes: N batch, C channels, H height, W width, F features, K classes.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

import ganzoo

_LOG = logging.getLogger("ganzoo.metrics")
_FORMAT = "1"
_LARGEST, _SMALLEST = 64, 8
_BATCH, _PEAK_LR = 128, 4e-3


class Lesson(Protocol):
    """image, test_image: uint8 (N, 3, H, W).  label, test_label: (N,) int64.  source: which data."""

    image: Tensor
    label: Tensor
    test_image: Tensor
    test_label: Tensor
    classes: int
    source: str


class Classifier(ganzoo.FeatureExtractor):
    """Features of a small network that tells the classes of these data apart.

    path: the file that `ganzoo features train` wrote. Pictures of another size are resized to that of its lessons,
    or to 64 where those are larger, bilinearly with antialiasing.
    Raises `DataError` if the file is missing or no classifier. After Lucic et al. 2018 (arXiv:1711.10337).
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        facts, tensors = _read(Path(path).expanduser())
        self.network = Network(facts["side"], facts["classes"], facts["width"])
        try:
            self.network.load_state_dict(tensors)
        except RuntimeError as error:
            raise ganzoo.DataError(f"{path} does not hold the weights that it states: learn it anew") from error
        self.side, self.dimensions = facts["side"], self.network.features
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    differentiable = True

    def forward(self, image: Tensor) -> Tensor:
        """image: uint8 (N, 3, H, W), or float32 with the same values. Returns float32 (N, F)."""
        features: Tensor = self.network.body(prepared(image, self.side))
        return features

    def logits(self, features: Tensor) -> Tensor:
        """features: (N, F). Returns (N, K)."""
        scores: Tensor = self.network.head(features)
        return scores

    @classmethod
    def learn(cls, lesson: Lesson, path: str, epochs: int = 3, seed: int = 0, width: int = 16) -> float:
        """Train a network, write it to `path`, and return its accuracy on the pictures held out.

        width: channels of the first layer. The same seed on the same machine gives the same file.
        """
        side = max(_SMALLEST, min(_LARGEST, max(lesson.image.shape[2:])))
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            network = Network(side, lesson.classes, width).to(memory_format=torch.channels_last)
            for epoch, loss in enumerate(_train(network, lesson, side, epochs), 1):
                _LOG.info("epoch %d of %d: loss %.3f", epoch, epochs, loss)
        accuracy = _accuracy(network.eval(), lesson, side)
        facts = {"side": side, "classes": lesson.classes, "width": width, "data": lesson.source,
                 "pictures": len(lesson.image), "epochs": epochs, "seed": seed,
                 "accuracy": round(accuracy, 4)}  # fmt: skip
        metadata = {"format": _FORMAT, "facts": json.dumps(facts)}
        tensors = {key: tensor.contiguous() for key, tensor in network.state_dict().items()}
        # safetensors' own writing makes files that only their owner can read
        beside = Path(f"{path}.partial")
        beside.write_bytes(save(tensors, metadata))
        beside.replace(path)
        return accuracy


class Network(nn.Module):
    """body gives (N, F), head makes (N, K) of it.  features: F."""

    def __init__(self, side: int, classes: int, width: int) -> None:
        super().__init__()
        channels, layers = width, [_layer(3, width, 1)]
        while side > 7:
            layers.append(_layer(channels, min(2 * channels, 8 * width), 2))
            channels, side = min(2 * channels, 8 * width), (side + 1) // 2
        self.features = 8 * width
        dense = nn.Sequential(nn.Flatten(), nn.Linear(channels * side * side, self.features), nn.ReLU())
        self.body = nn.Sequential(*layers, *dense)
        self.head = nn.Linear(self.features, classes)


def _layer(before: int, after: int, stride: int) -> nn.Module:
    convolution = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU())


def prepared(image: Tensor, side: int) -> Tensor:
    """uint8 (N, 3, H, W) as float32 (N, 3, side, side) in [-1, 1]."""
    # this layout of memory makes the network three times as fast on a CPU
    picture = image.contiguous(memory_format=torch.channels_last).float() / 127.5 - 1
    if picture.shape[2:] == (side, side):
        return picture
    return interpolate(picture, size=(side, side), mode="bilinear", antialias=True, align_corners=False)


def _train(network: Network, lesson: Lesson, side: int, epochs: int) -> Iterator[float]:
    """Yield each epoch's mean loss: Adam, with a step size that rises and falls once."""
    count = len(lesson.image)
    steps = -(-count // _BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), _PEAK_LR, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _PEAK_LR, total_steps=max(epochs * steps, 2))
    network.train()
    for _ in range(epochs):
        total = 0.0
        for index in torch.randperm(count).split(_BATCH):
            logits = network.head(network.body(prepared(lesson.image[index], side)))
            loss = cross_entropy(logits, lesson.label[index])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(index)
        yield total / count


@torch.no_grad()
def _accuracy(network: Network, lesson: Lesson, side: int) -> float:
    right = 0
    for image, label in zip(lesson.test_image.split(_BATCH), lesson.test_label.split(_BATCH), strict=True):
        right += int((network.head(network.body(prepared(image, side))).argmax(1) == label).sum())
    return right / len(lesson.test_label)


def _read(path: Path) -> tuple[dict[str, int], dict[str, Tensor]]:
    """What a file says of its network, and its tensors. Raises `DataError`."""
    if not path.is_file():
        raise ganzoo.DataError(f"there is no classifier {path}: make one with `ganzoo features train --data D`")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            # a file of strangers may state any size: a network is built for what it states
            facts = {key: int(json.loads(metadata["facts"])[key]) for key in ("side", "classes", "width")}
            if metadata["format"] != _FORMAT or not all(1 <= value <= 2**12 for value in facts.values()):
                raise ValueError("another format")
            return facts, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ganzoo.DataError(f"{path} is no classifier of ganzoo ({error}): learn it anew") from error

"""Feature extractors for metrics: found, built, told apart by a hash, and run. What is learned or kept lies in a cache.

Shapes: N pictures, C channels, H height, W width, F features, K classes.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ..contract import DataSpec, FeatureExtractor, Sample, in_colours
from ..errors import DataError, GanzooError, PluginError, UsageError
from ..recipes import Part, checked_options
from ..registry import Registry

_HANDFUL = 1_000
"""Pictures from which features can be learned that are worth measuring with."""
_SKILL = 0.2
"""What an extractor has to get right at least of what guessing the most frequent class gets wrong."""


@runtime_checkable
class Classifies(Protocol):
    """An extractor whose features a last linear layer turns into classes; the Inception Score needs one."""

    def logits(self, features: Tensor) -> Tensor:
        """features: (N, F). Returns (N, K)."""
        ...


@runtime_checkable
class Pretrained(Protocol):
    """An extractor with published weights."""

    @classmethod
    def at_hand(cls) -> bool:
        """True if the weights lie on this machine, so that nothing needs to be downloaded."""
        ...


@runtime_checkable
class Learned(Protocol):
    """An extractor that `ganzoo features train` trains on labelled data; it is built as `(path)`."""

    @classmethod
    def learn(cls, lesson: Lesson, path: str, epochs: int, seed: int) -> float:
        """Train, write the weights to `path`, and return the accuracy on the pictures held out."""
        ...


@dataclass(frozen=True)
class Lesson:
    """Labelled pictures to learn from, and others to be tested on.

    image, test_image: uint8 (N, 3, H, W).  label, test_label: (N,) int64 below `classes`.
    source: which data, for the file's metadata.
    """

    image: Tensor
    label: Tensor
    test_image: Tensor
    test_label: Tensor
    classes: int
    source: str

    def doubts(self, accuracy: float) -> Iterator[str]:
        """Why features that were learned from this may say little. accuracy: on the pictures held out."""
        if len(self.image) < _HANDFUL:
            yield f"{len(self.image):,} pictures are few to learn features from: take {_HANDFUL:,} or more"
        chance = self.test_label.bincount().max().item() / len(self.test_label)
        if accuracy - chance < _SKILL * (1 - chance):
            yield (
                f"the features tell classes hardly better than guessing, which is right for {chance:.1%}: numbers that "
                "are measured with them say little; raise --epochs, or learn from more pictures"
            )


@dataclass(frozen=True)
class Extractor:
    """An extractor at work. name: of the component.  fingerprint: of its weights; equal ones give equal features."""

    name: str
    module: FeatureExtractor
    fingerprint: str
    device: torch.device

    def __call__(self, pictures: Iterable[Tensor]) -> Tensor:
        """Features of batches of pictures, uint8 (N, 3, H, W) each. Returns float32 (N, F) on the CPU.

        Raises `PluginError` if the extractor gives anything else.
        """
        rows = []
        with torch.inference_mode():
            for image in pictures:
                features = self.module(image.to(self.device))
                wanted = (len(image), self.module.dimensions)
                if tuple(features.shape) != wanted:
                    raise PluginError(f"features {self.name} gave shape {tuple(features.shape)}, {wanted} was expected")
                rows.append(features.float().cpu())
        return torch.cat(rows)


def cache_folder() -> Path:
    """Where learned extractors and statistics of real pictures are kept: GANZOO_CACHE, else ~/.cache/ganzoo."""
    return Path(os.environ.get("GANZOO_CACHE") or "~/.cache/ganzoo").expanduser()


def learned_path(name: str, data: Part, spec: DataSpec) -> Path:
    """The file in the cache that holds an extractor learned from these data."""
    shapes = "-".join("x".join(map(str, sample.shape)) for sample in spec.fields.values())
    return cache_folder() / "features" / f"{name}-{slug(data_name(data))}-{shapes}-{spec.classes}.safetensors"


def known_path(name: str, data: Part, spec: DataSpec, registry: Registry) -> Path:
    """The file of an extractor that was learned from these data, or else from those that they are a part of."""
    whole = registry.load("dataset", data.name).part_of
    own = learned_path(name, data, spec)
    others = learned_path(name, Part(whole, {}), spec) if whole else own
    return others if others.exists() and not own.exists() else own


def learned_name(wanted: str | None, registry: Registry) -> str:
    """The extractor to train: the one named, or the first that can be learned. Raises `UsageError` if none can."""
    for name in [wanted] if wanted else registry.names("features"):
        if isinstance(registry.load("features", name), Learned):
            return name
    raise UsageError(f"features {wanted or ''} are not learned from data: leave --features out".replace("  ", " "))


def data_name(data: Part) -> str:
    """The data as a user names them, with the last part only of a path on this machine: "folder:faces.zip"."""
    path = data.options.get("path")
    if not isinstance(path, str):
        return data.name
    return f"{data.name}:{path if data.name == 'hub' else Path(path).name}"


def slug(text: str) -> str:
    """Any text as a part of a file name."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.")[-80:]


def load_extractor(
    wanted: str | None, data: Part, spec: DataSpec, registry: Registry, device: torch.device
) -> Extractor:
    """Build an extractor for pictures of these data.

    wanted: "inception", "classifier", "classifier:PATH" or any other registered one; None takes the first at hand.
    Raises `UsageError` with what to do if there is none, `DataError` for weights that are missing or damaged.
    """
    name, colon, path = (wanted or _first_at_hand(data, spec, registry)).partition(":")
    cls = registry.load("features", name)
    options: dict[str, Any] = {"path": path} if colon else {}
    if not colon and isinstance(cls, Learned):
        kept = known_path(name, data, spec, registry)
        if not kept.exists():
            raise UsageError(
                f"features {name} are not learned from {data_name(data)} yet: run "
                f"`ganzoo features train --data {data_name(data)}`, or name a file, --features {name}:PATH"
            )
        options = {"path": str(kept)}
    try:
        module = cls(**checked_options(cls, options, 0, f"features {name}"))
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"features {name} cannot be built: {error}") from error
    if not isinstance(module, FeatureExtractor):
        raise PluginError(f"features {name} are no ganzoo.FeatureExtractor")
    module = module.eval().requires_grad_(False).to(device)
    return Extractor(name, module, fingerprint(name, module), device)


def _first_at_hand(data: Part, spec: DataSpec, registry: Registry) -> str:
    """Gray pictures: one learned from these data before pretrained ones, which know photographs; else the reverse."""
    ready: dict[bool, list[str]] = {True: [], False: []}
    for name in registry.names("features"):
        try:
            cls = registry.load("features", name)
        except GanzooError:
            continue
        if isinstance(cls, Learned):
            if known_path(name, data, spec, registry).exists():
                ready[True].append(name)
        elif isinstance(cls, Pretrained) and cls.at_hand():
            ready[False].append(name)
    gray = all(sample.shape[0] == 1 for sample in spec.fields.values())
    found = [*ready[gray], *ready[not gray]]
    if found:
        return found[0]
    learn = f"run `ganzoo features train --data {data_name(data)}` (a minute or two), or " if spec.classes else ""
    raise UsageError(
        f"no features for pictures are at hand: {learn}take those that are downloaded once, `--features inception` "
        "(in training `--set eval.features=inception`)"
    )


def fingerprint(name: str, module: nn.Module) -> str:
    """16 hexadecimal digits of the SHA-256 of a name and all weights."""
    digest = hashlib.sha256(name.encode())
    for key, tensor in sorted(module.state_dict().items()):
        digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def as_pictures(samples: Tensor, spec: Sample) -> Tensor:
    """float32 (N, C, H, W) in the spec's range as uint8 (N, 3, H, W), rounded as a saved picture is."""
    unit = (samples - spec.low) / (spec.high - spec.low)
    return three_channels(unit.clamp(0, 1).mul(255).round().to(torch.uint8))


def three_channels(picture: Tensor) -> Tensor:
    """uint8 (N, C, H, W) as (N, 3, H, W): alpha laid over white, the first three channels of five and more."""
    blended = picture.shape[1] in (2, 4)
    return in_colours(picture.float()).round().to(torch.uint8) if blended else in_colours(picture)

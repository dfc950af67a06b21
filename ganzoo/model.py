"""A trained generator and its folder: `model.safetensors`, `config.json`, `samples.png`. The same on disk and Hub.

Loading runs no code from the folder, unpickles nothing, and compares every tensor's name, shape and dtype with the
file's header before anything is allocated.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from . import pictures
from .build import checked_options
from .checkpoint import write_atomically
from .config import CONFIG, FORMAT, Config, SampleConfig, read_config
from .errors import Incompatible, ModelError, PluginError, UnknownName
from .registry import Registry, registry
from .sampling import draw_latents, generate, quietly
from .specs import Sample

if TYPE_CHECKING:
    from PIL import Image

    from .trainer import Trainer

WEIGHTS = "model.safetensors"
_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
           "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8,
           "BOOL": torch.bool}  # fmt: skip


class Model:
    """A trained generator that can be sampled.

    generator: the network, in evaluation mode.  config: what it is and how it was made.  target: the `Sample` it makes.
    """

    def __init__(self, generator: nn.Module, config: Config) -> None:
        self.generator = generator
        self.config = config
        self.target = Sample.from_dict(asdict(config.target))

    def sample(
        self,
        n: int,
        seed: int | None = None,
        label: int | str | Sequence[int] | None = None,
        truncation: float | None = None,
    ) -> Tensor:
        """Draw n samples.

        seed: makes the draw repeatable.  label: a class number or name, or one number a sample; by default each
        class in turn.  truncation: 1 leaves latents as they are, less trades variety for fidelity.
        Returns float32 (n, *target.shape) on the CPU, in the target's range. Raises `ModelError`.
        """
        if n < 1:
            raise ModelError(f"cannot draw {n} samples: ask for at least 1")
        labels = self._labels(n, label)
        with quietly(self.generator, seed):
            return generate(self.generator, self._latents(n, truncation), labels)

    def interpolate(
        self, n: int = 8, steps: int = 16, seed: int | None = None, label: int | str | Sequence[int] | None = None
    ) -> Tensor:
        """Walk through n latents and back to the first, `steps` samples from each to the next, along great circles.

        Returns float32 (n * steps, *target.shape), as `sample` does.
        """
        with quietly(self.generator, seed):
            corners = self._latents(n, None)
            pairs = zip(corners, corners.roll(-1, 0), strict=True)
            walk = torch.stack([slerp(a, b, step / steps) for a, b in pairs for step in range(steps)])
            if label is None and getattr(self.generator, "conditional", False):
                label = 0
            return generate(self.generator, walk, self._labels(len(walk), label))

    def images(self, n: int, **options: Any) -> list[Image.Image]:
        """Draw n pictures; the options are those of `sample`. Raises `ModelError` if samples are no pictures."""
        if not self.target.is_image:
            raise ModelError(f"this model makes values of shape {self.target.shape}, not pictures: use sample()")
        return pictures.to_images(self.sample(n, **options), self.target)

    def _latents(self, n: int, truncation: float | None) -> Tensor:
        if self.config.source is not None:
            raise ModelError("this model translates samples: it has no latents to draw")
        latents = draw_latents(self.generator, n)
        if truncation is None:
            return latents
        truncated: Tensor = self.generator.truncate(latents, truncation)  # type: ignore[operator]
        return truncated

    def _labels(self, n: int, label: int | str | Sequence[int] | None) -> Tensor:
        classes, names = self.config.classes, self.config.class_names
        conditional = getattr(self.generator, "conditional", False)
        if label is not None and not conditional:
            raise ModelError("this model was trained without labels: leave the label out")
        if label is None:
            return torch.arange(n) % (classes if conditional else 1)
        if isinstance(label, str) and label in names:
            label = names.index(label)
        try:
            labels = torch.as_tensor([int(label)] * n if isinstance(label, int | str) else list(label))
        except ValueError:
            labels = torch.tensor([-1])
        if len(labels) != n or labels.min() < 0 or labels.max() >= classes:
            raise ModelError(
                f"label {label} is none of the {classes} classes: {', '.join(names) or f'0-{classes - 1}'}"
            )
        return labels


def slerp(a: Tensor, b: Tensor, share: float) -> Tensor:
    """The point at `share` of the great circle from a to b; a straight line where they are parallel or 1-D."""
    norms = (a.norm() * b.norm()).clamp_min(1e-12)
    angle = torch.acos(((a * b).sum() / norms).clamp(-1, 1))
    if a.numel() < 3 or angle.sin() < 1e-4:
        return a + (b - a) * share
    return (torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b) / angle.sin()


def save_model(run: Trainer, folder: Path, seconds: float) -> None:
    """Write the run's sampler as a model folder. seconds: spent training."""
    role = run.game.loss.roles[run.game.generator_role()]
    target = run.game.spec.fields[run.game.spec.field(role.target)]
    source = None if role.source is None else run.game.spec.fields[run.game.spec.field(role.source)]
    plugin = registry().find("generator", run.recipe.generator.name).plugin
    config = Config(
        format=FORMAT,
        generator=run.recipe.generator.name,
        options={key: value for key, value in run.recipe.to_dict()["generator"].items() if key != "name"},
        source=None if source is None else SampleConfig(**source.to_dict()),
        target=SampleConfig(**target.to_dict()),
        classes=run.game.spec.classes,
        class_names=list(run.game.dataset.class_names),
        plugin={"name": plugin.name, "distribution": plugin.distribution, "version": plugin.version},
        recipe=run.recipe.to_dict(),
        training=_training_facts(run, seconds),
    )
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: tensor.detach().to("cpu").clone(memory_format=torch.contiguous_format)
        for name, tensor in run.sampler().state_dict().items()
    }
    beside = folder / f".{WEIGHTS}.partial"
    save_file(tensors, beside, metadata={"format": "pt"})
    beside.replace(folder / WEIGHTS)
    write_atomically(folder / CONFIG, (json.dumps(asdict(config), indent=2) + "\n").encode())
    previews = sorted((run.folder / "samples").glob("[0-9]*.png"))
    if previews:
        shutil.copyfile(previews[-1], folder / "samples.png")


def _training_facts(run: Trainer, seconds: float) -> dict[str, Any]:
    from . import __version__

    on_gpu = run.device.type == "cuda"
    return {
        "images": run.images,
        "iterations": run.iteration,
        "seconds": round(seconds, 1),
        "seed": run.recipe.seed,
        "weights": "moving average" if run.averages else "last",
        "device": torch.cuda.get_device_name(run.device) if on_gpu else f"{run.device.type}, {os.cpu_count()} cores",
        "precision": run.precision,
        "ganzoo": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def load_model(folder: Path, device: torch.device, components: Registry | None = None) -> Model:
    """Load a model folder onto a device. Raises `ModelError` for a folder that is not exactly what it should be."""
    config = read_config(folder)
    weights = folder / WEIGHTS
    cls, options = _generator_class(config, components or registry())
    source = None if config.source is None else Sample.from_dict(asdict(config.source))
    target = Sample.from_dict(asdict(config.target))

    def construct() -> nn.Module:
        try:
            network: nn.Module = cls(source, target, config.classes, **options)
            return network
        except (Incompatible, TypeError, ValueError, RuntimeError, MemoryError, OverflowError) as error:
            raise ModelError(
                f"{folder}: generator {config.generator} cannot be built as configured: {error}"
            ) from error

    with torch.device("meta"):
        plan = construct().state_dict()
    _compare(weights, plan)
    with torch.random.fork_rng(), torch.device(device):
        generator = construct()
    tensors = load_file(weights, device=str(device))
    bad = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if bad:
        raise ModelError(f"{weights}: {bad[0]} has values that are not finite")
    generator.load_state_dict(tensors)
    return Model(generator.eval().requires_grad_(False), config)


def _generator_class(config: Config, components: Registry) -> tuple[Any, dict[str, Any]]:
    try:
        cls = components.load("generator", config.generator)
    except (UnknownName, PluginError) as error:
        distribution = config.plugin.get("distribution", "")
        raise ModelError(
            f"this model needs generator '{config.generator}' of plugin {config.plugin.get('name', '?')}: "
            f"pip install {distribution} ({error})"
        ) from error
    try:
        return cls, checked_options(cls, config.options, 3, f"generator {config.generator}")
    except Incompatible as error:
        raise ModelError(f"config.json: {error}") from error


def _compare(weights: Path, plan: Mapping[str, Tensor]) -> None:
    """Hold the file's header to the network's tensors."""
    try:
        with safe_open(weights, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            found = {name: (tuple(one.get_shape()), one.get_dtype()) for name, one in slices.items()}
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{weights} cannot be read as safetensors: {error}") from error
    missing, extra = sorted(plan.keys() - found.keys()), sorted(found.keys() - plan.keys())
    for names, what in ((missing, "it lacks"), (extra, "it has the unknown")):
        if names:
            raise ModelError(f"{weights} does not fit the network: {what} {names[0]}")
    for name, tensor in plan.items():
        shape, dtype = found[name]
        if shape != tuple(tensor.shape) or _DTYPES.get(dtype) != tensor.dtype:
            raise ModelError(
                f"{weights} does not fit the network: {name} is {shape} {dtype}, "
                f"the network has {tuple(tensor.shape)} {tensor.dtype}"
            )

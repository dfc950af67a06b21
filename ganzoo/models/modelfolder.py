"""Model folders: `model.safetensors`, `config.json`, `README.md`, `samples.png`, and `discriminator.safetensors`, which
only training reads. The same on disk and on the Hub.

Loading runs no code from the folder, unpickles nothing, and compares every tensor's name, shape and dtype with the
file's header before anything is allocated.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..compute import write_tensors
from ..errors import Incompatible, ModelError, PluginError, UnknownName, printable
from ..files import open_regular
from ..recipes import checked_options
from ..registry import Registry
from ..registry.registry import registry
from .blueprint import blueprint, left_on_meta
from .config import CONFIG, Config, as_samples, read_config
from .model import Model
from .weights import WEIGHTS, TensorHeader, read_header, refuse_other_weights

SAMPLES = "samples.png"
_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
           "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8,
           "BOOL": torch.bool}  # fmt: skip


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors as safetensors, whole or not at all; tensors that share memory are written one by one.

    Raises `OSError` if the disk does not take them.
    """
    alone = {
        name: tensor.detach().to("cpu").clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }
    beside = path.with_name(f".{path.name}.partial")
    try:
        write_tensors(alone, beside)
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def load_model(folder: Path, device: torch.device, components: Registry | None = None) -> Model:
    """Load a model folder onto a device. Raises `ModelError` for a folder that is not exactly what it should be."""
    config = read_config(folder)
    construct = constructor(config, components or registry())
    weights = folder / WEIGHTS
    if not weights.exists():
        refuse_other_weights(str(folder), [path.name for path in folder.iterdir()])
    header = read_header(weights)
    network = blueprint(construct, [one.shape for one in header.values()], str(folder))
    compare(weights, header, network.state_dict(keep_vars=True))
    tensors = read_tensors(weights, header, device)
    network.load_state_dict(tensors, assign=True)
    if left_on_meta(network):
        # buffers that are not saved have values only if the constructor runs on a real device
        with torch.random.fork_rng(devices=[]), torch.device(device):
            network = construct()
        network.load_state_dict(tensors)
    return Model(network.eval().requires_grad_(False), config, folder)


def constructor(config: Config, components: Registry) -> Any:
    """A function that builds the network as configured. Raises `ModelError` if no installed plugin knows it."""
    try:
        cls = components.load("generator", config.generator)
    except (UnknownName, PluginError) as error:
        raise ModelError(
            f"this model needs generator '{config.generator}', which no installed plugin has; the model's author "
            f"claims that the package {config.plugin.distribution} provides it: look at that package, and install it "
            f"only if you trust it ({error})"
        ) from error
    try:
        options = checked_options(cls, config.options, 3, f"generator {config.generator}")
    except Incompatible as error:
        raise ModelError(f"{CONFIG}: {printable('; '.join(error.problems), 300)}") from error
    source, target = as_samples(config)

    def construct() -> nn.Module:
        if source is None:
            network: nn.Module = cls(None, target, config.classes, **options)
            return network
        return nn.ModuleDict(
            {
                one.role: cls(one.reads.sample(), one.makes.sample(), config.classes, **options)
                for one in config.translations
            }
        )

    return construct


def compare(weights: Path, header: Mapping[str, TensorHeader], plan: Mapping[str, Tensor]) -> None:
    """Hold the file's header to the network's tensors. Raises `ModelError` naming the first that differs."""
    missing, extra = sorted(plan.keys() - header.keys()), sorted(header.keys() - plan.keys())
    for names, what in ((missing, "it lacks"), (extra, "it has the unknown")):
        if names:
            raise ModelError(f"{weights} does not fit the network: {what} {printable(names[0])}")
    for name, tensor in plan.items():
        found = header[name]
        if found.shape != tuple(tensor.shape) or _DTYPES[found.dtype] != tensor.dtype:
            raise ModelError(
                f"{weights} does not fit the network: {name} is {found.shape} {found.dtype}, "
                f"the network has {tuple(tensor.shape)} {tensor.dtype}"
            )


def read_tensors(weights: Path, header: Mapping[str, TensorHeader], device: torch.device) -> dict[str, Tensor]:
    """The tensors that the header names, on the device. Raises `ModelError` if any value is NaN or infinite.

    Each is read into memory of its own: one that lay in a map of the file would change or crash with it, and would
    not be aligned, so that sums rounded otherwise than those of a network in memory.
    """
    tensors = {}
    try:
        with open_regular(weights) as file:
            for name, stated in header.items():
                tensor = torch.empty(stated.shape, dtype=_DTYPES[stated.dtype])
                place = memoryview(tensor.reshape(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]
                file.seek(stated.start)
                done = 0
                while done < len(place) and (more := file.readinto(place[done:])):
                    done += more
                if done < len(place):
                    raise ModelError(f"{weights} became shorter while it was read: try again")
                # the extremes carry NaN and infinity along, in one pass and without another tensor
                if tensor.is_floating_point() and tensor.numel() and not _finite(tensor):
                    raise ModelError(f"{weights}: {printable(name)} has values that are not finite")
                tensors[name] = tensor.to(device)
    except OSError as error:
        raise ModelError(f"{weights} cannot be read: {error.strerror or error}") from error
    return tensors


def _finite(tensor: Tensor) -> bool:
    low, high = tensor.aminmax()
    return math.isfinite(low.item()) and math.isfinite(high.item())

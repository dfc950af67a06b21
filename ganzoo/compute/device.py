"""Where a run computes and how precisely."""

from __future__ import annotations

import contextlib
import os
import platform
import random
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..errors import Incompatible, UsageError
from .linear import OneDNN

_FIRST_WITH_BF16 = (8, 0)
"""Compute capability of the first GPUs with bfloat16 units, Ampere's."""

_UNDETERMINED = (
    nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReflectionPad3d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d,
    nn.FractionalMaxPool2d, nn.MaxPool3d,
)  # fmt: skip
"""Layers whose gradients CUDA adds up in any order; torch refuses them in deterministic training."""


def pick_device(name: str = "auto") -> torch.device:
    """auto takes CUDA, else Apple's MPS, else the CPU. Raises `UsageError` for a device that is not there."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"there is no device '{name}': write auto, cpu, cuda, cuda:1 or mps") from error
    if device.type == "cuda" and not (torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()):
        raise UsageError(f"device {name} was asked for, but torch sees {torch.cuda.device_count()} CUDA devices")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("device mps was asked for, but torch sees no Apple GPU")
    return device


def device_of(module: nn.Module) -> torch.device:
    """Where a module's parameters live; the CPU if it has none."""
    return next((parameter.device for parameter in module.parameters()), torch.device("cpu"))


def hardware(device: torch.device) -> str:
    """The name of a device, of a CPU with its cores: what a time or a rounding belongs to."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = " ".join(_processor().split())
    return f"{device.type}, {os.cpu_count()} cores" + (f", {name}" if name else "")


def _processor() -> str:
    """As Linux tells it, or else as Python knows it; empty where nobody says."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return next(line.partition(":")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def pick_precision(name: str, device: torch.device, players: Iterable[nn.Module]) -> str:
    """auto takes bf16 for convolutions where the device computes them in it, else fp32.

    Without convolutions it is fp32: three digits are enough for pixels, not for points. Raises `UsageError` for tf32
    without CUDA.
    """
    if name == "auto":
        players = list(players)
        return "bf16" if any(map(convolutional, players)) and _computes_bf16(device, players) else "fp32"
    if name == "tf32" and device.type != "cuda":
        raise UsageError(f"precision tf32 needs a CUDA device, this run is on {device.type}: use fp32 or auto")
    return name


def convolutional(player: nn.Module) -> bool:
    """True for a network with weights of convolutions over pictures."""
    return any(weight.dim() == 4 for weight in player.parameters())


def _computes_bf16(device: torch.device, players: Iterable[nn.Module]) -> bool:
    """True where bf16 is faster: on GPUs from Ampere on, and on processors with AMX where no layer has groups.

    torch's own answer counts GPUs that only emulate it, slowly or without convolutions. oneDNN convolves groups of
    channels more slowly in bf16 than in fp32.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= _FIRST_WITH_BF16
    grouped = any(getattr(layer, "groups", 1) != 1 for player in players for layer in player.modules())
    return device.type == "cpu" and not grouped and bool(torch.cpu.get_capabilities().get("amx_bf16"))


def set_precision(
    precision: str, device: torch.device, onednn: bool = False
) -> Callable[[], AbstractContextManager[object]]:
    """Set torch's matrix precision and return what enters the players' forward passes: autocast, oneDNN, or nothing.

    On CUDA the device becomes torch's current one, and cuDNN tries its algorithms for each shape, which is the same in
    every update, unless results have to be deterministic.
    """
    if device.type == "cuda":
        if device.index is not None:  # captures, among others, are made on the current device
            torch.cuda.set_device(device)
        torch.backends.cudnn.benchmark = not torch.are_deterministic_algorithms_enabled()
        torch.set_float32_matmul_precision("highest" if precision == "fp32" else "high")
        torch.backends.cudnn.allow_tf32 = precision != "fp32"
    if precision == "bf16":
        return lambda: torch.autocast(device.type, torch.bfloat16)
    return OneDNN if onednn else contextlib.nullcontext


def set_deterministic(players: Mapping[str, nn.Module], device: torch.device) -> None:
    """Ask torch for bit-identical results on CUDA too, at some cost of speed.

    Raises `Incompatible` for players with layers through which torch has no such way back on CUDA.
    """
    if device.type == "cuda":
        found = ((role, one) for role, player in players.items() for one in player.modules())
        if bad := next(((role, type(one).__name__) for role, one in found if isinstance(one, _UNDETERMINED)), None):
            raise Incompatible(
                f"trainer.deterministic: torch has no deterministic way back through {bad[1]} on CUDA, which "
                f"{bad[0]} uses: leave it out, choose another network, or train on --device cpu"
            )
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False


def random_state() -> dict[str, Any]:
    """The states of all global random generators, for a checkpoint."""
    state: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": torch.get_rng_state(),
    }
    if _cuda_in_use():  # asking would wake up a GPU that this run does not use
        state["cuda"] = list(torch.cuda.get_rng_state_all())
    if torch.backends.mps.is_available():
        state["mps"] = torch.mps.get_rng_state()
    return state


def set_random_state(state: Mapping[str, Any]) -> None:
    """Restore what `random_state` gave; generators of devices that are not here any more are passed over."""
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if "cuda" in state and _cuda_in_use() and torch.cuda.device_count() == len(state["cuda"]):
        torch.cuda.set_rng_state_all(state["cuda"])
    if "mps" in state and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])


def seed_all(seed: int) -> None:
    """Seed every global random generator."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _cuda_in_use() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]

"""Drawing from a generator without disturbing anything: evaluation mode, random generators forked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..compute import device_of, is_exhaustion, room
from ..errors import UsageError, shortened
from ..files import readable

_CHUNK = 256


@contextmanager
def quietly(generator: nn.Module, seed: int | None) -> Iterator[None]:
    """Evaluation mode and no gradients; with a seed, torch's random generators are seeded and put back after.

    Raises `UsageError` for a seed that torch does not take.
    """
    if seed is not None and not -(2**63) <= seed < 2**64:
        raise UsageError(f"seed {shortened(seed)} is out of range: take one from 0 to 18446744073709551615")
    with evaluating(generator):
        if seed is None:
            with torch.inference_mode():
                yield
        else:
            with torch.random.fork_rng(devices=_accelerators()), torch.inference_mode():
                torch.default_generator.manual_seed(seed)
                for device in _accelerators():
                    torch.cuda.default_generators[device].manual_seed(seed)
                yield


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode; afterwards each part computes as before, frozen ones as in evaluation still."""
    training = [module for module in network.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _accelerators() -> list[int]:
    """CUDA devices in use; torch.manual_seed would wake them up, which takes longer than a small model's sample."""
    return list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]


def refuse_too_many(n: int, values: int) -> None:
    """Raise `UsageError` if n samples of so many values do not fit into the memory that is free."""
    free = room(torch.device("cpu"))
    needed = 4 * n * values
    if needed > (free.free if free else 2**62):
        size = readable(needed) if needed < 2**80 else "far too much"
        raise UsageError(f"{shortened(n)} samples take {size} of memory, {free or 'less'} are free: draw fewer at once")


def draw_latents(generator: Any, n: int) -> Tensor:
    """n latents, drawn on the CPU so that a seed means the same on every device."""
    latent: Tensor = generator.sample_latent(n, torch.device("cpu"))
    return latent


def generate(generator: Any, source: Tensor, label: Tensor, truncation: float | None = None) -> Tensor:
    """Run a generator in chunks. Returns float32 samples on the CPU."""
    device = device_of(generator)

    def run(source: Tensor, label: Tensor) -> Tensor:
        given = source.to(device), label.to(device)
        sample: Tensor = generator(*given) if truncation is None else generator.truncated(*given, truncation)
        return sample

    return in_chunks(run, source, label)


def in_chunks(run: Callable[[Tensor, Tensor], Tensor], source: Tensor, label: Tensor) -> Tensor:
    """What a function makes of all rows, in chunks that become smaller where memory runs out, as float32 on the CPU."""
    chunks, start, size = list[Tensor](), 0, min(_CHUNK, len(source))
    while start < len(source):
        try:
            chunks.append(run(source[start : start + size], label[start : start + size]).float().cpu())
            start += size
        except (RuntimeError, MemoryError) as error:
            if size == 1 or not is_exhaustion(error):
                raise
            size //= 2
    return torch.cat(chunks)

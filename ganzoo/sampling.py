"""Drawing from a generator without disturbing anything: evaluation mode, random generators forked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

_CHUNK = 256


@contextmanager
def quietly(generator: nn.Module, seed: int | None) -> Iterator[None]:
    """Evaluation mode and no gradients; with a seed, torch's random generators are seeded and put back after."""
    training = generator.training
    generator.eval()
    try:
        if seed is None:
            with torch.inference_mode():
                yield
        else:
            with torch.random.fork_rng(), torch.inference_mode():
                torch.manual_seed(seed)
                yield
    finally:
        generator.train(training)


def draw_latents(generator: Any, n: int) -> Tensor:
    """n latents, drawn on the CPU so that a seed means the same on every device."""
    latent: Tensor = generator.sample_latent(n, torch.device("cpu"))
    return latent


def generate(generator: nn.Module, source: Tensor, label: Tensor) -> Tensor:
    """Run a generator on sources and labels in chunks. Returns float32 on the CPU."""
    device = next((p.device for p in generator.parameters()), torch.device("cpu"))
    chunks = [
        generator(source[i : i + _CHUNK].to(device), label[i : i + _CHUNK].to(device)).float().cpu()
        for i in range(0, len(source), _CHUNK)
    ]
    return torch.cat(chunks)

"""Points of a latent space: what a generator makes samples of, at the place where they are drawn or further in.

Suffixes: N batch, Z latent, L layers, S style.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from ..compute import device_of
from ..contract import StyleSpace
from ..errors import ModelError, UsageError, first_line, printable
from ..files import write_atomically

SPACES = ("z", "w", "w+")
"""Latents as they are drawn; one style for all layers; a style for each layer. The last two need a `StyleSpace`."""


@dataclass(frozen=True)
class Latents:
    """Points of a latent space, on the CPU, and what class each is to be.

    space: one of `SPACES`.  values: (N, ...) latents, (N, S) or (N, L, S) styles.  label: (N,) int64.
    """

    space: str
    values: Tensor
    label: Tensor

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: slice | Sequence[int] | Tensor) -> Latents:
        """Some of the points, by a slice, a list of numbers or a mask."""
        return replace(self, values=self.values[rows], label=self.label[rows])

    def at(self, values: Tensor) -> Latents:
        """Other points of the space, of the same classes."""
        return replace(self, values=values)

    def save(self, path: str | Path) -> None:
        """Write a .safetensors file, which `ganzoo sample --latents` and `Latents.read` read."""
        tensors = {self.space: self.values.contiguous(), "label": self.label.contiguous()}
        write_atomically(Path(path), save(tensors, {"format": "pt"}))

    @classmethod
    def read(cls, path: str | Path) -> Latents:
        """Read what `save` wrote. Raises `UsageError` for a file that holds anything else."""
        if not Path(path).is_file():
            raise UsageError(f"latents {path}: there is no such file")
        try:
            tensors = load_file(path)
        except (SafetensorError, OSError) as error:
            raise UsageError(f"latents {path} cannot be read as .safetensors: {first_line(error)}") from error
        label = tensors.pop("label", None)
        if len(tensors) != 1 or label is None or (space := next(iter(tensors))) not in SPACES:
            found = printable(", ".join(tensors)) or "nothing"
            raise UsageError(
                f"latents {path} hold {found}: one tensor of {', '.join(SPACES)} and `label` were expected"
            )
        values = tensors[space].float()
        if values.ndim < 2 or not len(values) or label.shape != (len(values),) or not values.isfinite().all():
            raise UsageError(f"latents {path}: {space} is {tuple(values.shape)}, label {tuple(label.shape)}: a row of "
                             "finite numbers and a label for each sample were expected")  # fmt: skip
        return cls(space, values, label.long())


def space_of(generator: Any, space: str | None) -> str:
    """The space that is asked for, by default the styles if there are any. Raises `ModelError` if it isn't there."""
    styled = isinstance(generator, StyleSpace)
    if space is None:
        return "w" if styled else "z"
    if space not in SPACES:
        raise UsageError(f"there is no space '{space}': write {', '.join(SPACES)}")
    if space != "z" and not styled:
        raise ModelError(f"{type(generator).__name__} has no styles, so no space {space}: its latents are space z")
    return space


def styles(generator: Any, latents: Latents) -> Tensor:
    """(N, L, S) styles of points of any space, on the generator's device; gradients reach the points."""
    values, label = (one.to(device_of(generator)) for one in (latents.values, latents.label))
    if latents.space == "z":
        mapped: Tensor = generator.map(values, label)
        return mapped
    if latents.space == "w":
        return values[:, None].expand(-1, layers_of(generator), -1)
    return values


def layers_of(generator: Any) -> int:
    """L, how many styles a sample has."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        z = generator.sample_latent(1, device_of(generator))
        return int(generator.map(z, torch.zeros(1, dtype=torch.int64, device=z.device)).shape[1])


def moved(generator: Any, latents: Latents, space: str) -> Latents:
    """The same points in another space: z may become w, and both w+. Raises `ModelError` for a way back."""
    if latents.space == space_of(generator, space):
        return latents
    if SPACES.index(space) < SPACES.index(latents.space):
        raise ModelError(f"latents of space {latents.space} have none in {space}: they would have to be projected")
    style_NLS = styles(generator, latents).cpu()
    return Latents(space, style_NLS[:, 0] if space == "w" else style_NLS, latents.label)


def make(generator: Any, latents: Latents) -> Tensor:
    """Samples (N, *target.shape) of points of any space, on the generator's device; gradients reach the points."""
    if latents.space == "z":
        device = device_of(generator)
        sample: Tensor = generator(latents.values.to(device), latents.label.to(device))
        return sample
    synthesised: Tensor = generator.synthesise(styles(generator, latents))
    return synthesised


def refuse_misfit(generator: Any, latents: Latents) -> None:
    """Raise `ModelError` for points that this generator cannot make samples of."""
    space_of(generator, latents.space)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        z = generator.sample_latent(1, torch.device("cpu"))
    expected = tuple(z.shape[1:])
    if latents.space != "z":
        layers = layers_of(generator)
        style = styles(generator, Latents("z", z, torch.zeros(1, dtype=torch.int64))).shape[-1]
        expected = (style,) if latents.space == "w" else (layers, style)
    found = tuple(latents.values.shape[1:])
    if found != expected:
        raise ModelError(f"latents of space {latents.space} have shape {found}, this model's have {expected}: they are "
                         "those of another model")  # fmt: skip

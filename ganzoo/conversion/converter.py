"""What a converter is: a small class beside the networks that it converts to. No torch here."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..contract import Sample
from ..errors import ConversionError, printable
from ..public import public
from .modules import tensors_in

Rules = Sequence[tuple[str, str | Callable[[re.Match[str]], str] | None]]
"""Patterns of whole names, each with the new name (`\\1` stands for a group), a function that makes it, or None."""


@public
@dataclass(frozen=True)
class Converted:
    """One network of ganzoo with the weights of another program.

    name: of the component.  options: what its constructor gets.  tensors: by the names of its state dict.
    """

    name: str
    options: Mapping[str, Any]
    tensors: Mapping[str, np.ndarray]


@public
@dataclass(frozen=True)
class Conversion:
    """What a file was turned into.

    target: the samples that are made.  source: those that are translated, None for latents.
    generator, discriminator: None where the file has none.  classes: of a conditional model.
    judges_pairs: the discriminator sees samples beside those that they were made from.
    any_size: the network takes pictures of other sizes than the target's; the file does not say which.
    clamps: ganzoo's network clamps its samples to the target's range, the original does not.
    notes: a line each for what was recomputed, or is computed otherwise than by the original.
    """

    target: Sample
    generator: Converted | None = None
    discriminator: Converted | None = None
    source: Sample | None = None
    classes: int = 0
    judges_pairs: bool = False
    any_size: bool = False
    clamps: bool = False
    notes: Sequence[str] = field(default=())


@public
class Converter(ABC):
    """Turns the checkpoints of one program into networks of a plugin. Built without arguments.

    origin: the program, as a card names it.
    classes: names of Python classes that may stand in its files beside those of Python, NumPy and PyTorch; one that
    ends in a dot stands for all below it. None of them is imported: their objects are `Stub`s.
    """

    origin: str
    classes: Collection[str] = ()

    @abstractmethod
    def convert(self, content: Any) -> Conversion | None:
        """Turn what a file holds into networks, or return None if it is not this program's.

        content: dictionaries, lists, text, numbers and read-only NumPy arrays; `tensors` finds the weights in them.
        Raises `ConversionError` for a file of this program that no network here computes, naming what it has.
        """

    def restore(self, network: Converted) -> Mapping[str, Any]:
        """A generator of ganzoo as this program's file holds it: a state dict, or dictionaries that hold one.

        network: of which tensors alone say how it is built. Raises `ConversionError` for one that the program has not,
        and where a converter only reads.
        """
        raise ConversionError(f"files of {self.origin} are read, not written")

    @staticmethod
    def tensors(part: Any) -> dict[str, np.ndarray] | None:
        """The weights of a state dict or of a whole module by name, or None if the part is neither.

        The prefix `module.` that every name has after training on several GPUs is left out.
        """
        return tensors_in(part)

    @staticmethod
    def renamed(tensors: Mapping[str, np.ndarray], rules: Rules) -> dict[str, np.ndarray]:
        """The tensors by the names that the first fitting rule gives them; a new name of None leaves one out.

        Raises `ConversionError` for a name that fits no rule, and for two that get the same.
        """
        found: dict[str, np.ndarray] = {}
        for name, value in tensors.items():
            new = _renamed(name, rules)
            if new in found:
                raise ConversionError(f"two of its tensors would be {printable(new)}")
            if new is not None:
                found[new] = value
        return found


def _renamed(name: str, rules: Rules) -> str | None:
    for pattern, new in rules:
        match = re.fullmatch(pattern, name)
        if match:
            return None if new is None else match.expand(new) if isinstance(new, str) else new(match)
    raise ConversionError(f"its tensor {printable(name)} has no place in the network here")

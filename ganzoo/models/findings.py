"""What is found in a latent space: the latents of a picture, and directions.

Suffixes: D values of a latent or style, K directions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..errors import UsageError, first_line, printable
from ..files import write_atomically
from .config import DIRECTIONS
from .spaces import Latents


@dataclass(frozen=True)
class Projection:
    """What was found.

    latents: one point.  sample, picture: (C, H, W), what it makes and what was looked for, in the model's range.
    distance, psnr: between both; dB.  approach: up to 48 points on the way, the last of which is `latents`.
    """

    latents: Latents
    sample: Tensor
    picture: Tensor
    distance: float
    psnr: float
    approach: Latents

    def __repr__(self) -> str:
        return f"Projection(space={self.latents.space!r}, psnr={self.psnr:.1f} dB)"


@dataclass(frozen=True)
class Directions:
    """space: "z", or "w" of a `StyleSpace`.  vectors: (K, D), each of length 1, strongest first.

    spread: (K,), the standard deviation along each of the latents that are drawn: the unit of `shifted`.
    method: "closed form" or "principal components".
    """

    space: str
    vectors: Tensor
    spread: Tensor
    method: str

    def __len__(self) -> int:
        return len(self.vectors)

    def shifted(self, latents: Latents, number: int, strength: float) -> Latents:
        """Points moved by so many standard deviations along a direction, which is counted from 1.

        latents: of `space`, or of w+, where all styles are moved. Raises `UsageError`.
        """
        if not 1 <= number <= len(self):
            raise UsageError(f"there is no direction {number}: there are {len(self)}, counted from 1")
        if latents.space.rstrip("+") != self.space or latents.values.shape[-1] != self.vectors.shape[1]:
            raise UsageError(f"directions of space {self.space} do not move latents of space {latents.space} and shape "
                             f"{tuple(latents.values.shape[1:])}")  # fmt: skip
        return latents.at(latents.values + strength * self.spread[number - 1] * self.vectors[number - 1])

    def save(self, folder: str | Path, weights: str = "") -> Path:
        """Write `directions.safetensors` into a folder. weights: the hash of the generator's file they were found in,
        so that they are not used with another."""
        path = Path(folder) / DIRECTIONS
        tensors = {self.space: self.vectors.contiguous(), "spread": self.spread.contiguous()}
        write_atomically(path, save(tensors, {"format": "pt", "method": self.method, "weights": weights}))
        return path

    @classmethod
    def read(cls, path: str | Path, weights: str = "") -> Directions:
        """Read what `save` wrote. weights: refuse those of another generator's file; "" takes all.

        Raises `UsageError` for a file that holds anything else.
        """
        if not Path(path).is_file():
            raise UsageError(f"directions {path}: there is no such file")
        try:
            with safe_open(path, framework="pt") as file:
                stated = file.metadata() or {}
                tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise UsageError(f"directions {path} cannot be read as .safetensors: {first_line(error)}") from error
        spread = tensors.pop("spread", None)
        if len(tensors) != 1 or spread is None or (space := next(iter(tensors))) not in ("z", "w"):
            found = printable(", ".join(tensors)) or "nothing"
            raise UsageError(f"directions {path} hold {found}: one tensor of z or w and `spread` were expected")
        vectors = tensors[space]
        if vectors.ndim != 2 or spread.shape != vectors.shape[:1] or not vectors.isfinite().all():
            found = f"{space} is {tuple(vectors.shape)}, spread {tuple(spread.shape)}"
            raise UsageError(
                f"directions {path}: {found}: a row of finite numbers and a spread for each direction were expected"
            )
        if weights and stated.get("weights") not in ("", None, weights):
            raise UsageError(f"directions {path} were found in other weights: run `ganzoo directions` again")
        return cls(space, vectors, spread, printable(stated.get("method", "unknown")))

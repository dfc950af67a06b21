"""Random numbers that a generator draws: recorded to be compared, and to say how its latents are distributed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ..models import draw_latents, quietly

_VALUES = 4096
_NORMAL, _UNIFORM = ("randn", "randn_like", "normal"), ("rand", "rand_like", "uniform")


class Draws(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While entered, every tensor that torch draws at random is kept, in order.

    tensors: copies of what was drawn, as a file draws it: of dropout and of exponential numbers the uniform ones that
    decide; for dropout these are 1 where a value stays and 0 where it goes, or the other way round for whole channels.
    names: of the operations, as "randn".  arguments: what these were told, by name.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tensors: list[Tensor] = []
        self.names: list[str] = []
        self.arguments: list[dict[str, Any]] = []

    def __torch_dispatch__(self, operation: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        result = operation(*arguments, **(options or {}))
        if torch.Tag.nondeterministic_seeded in operation.tags:
            name = operation.overloadpacket.__name__.strip("_")
            named = zip((one.name for one in operation._schema.arguments), arguments, strict=False)
            told = {**dict(named), **(options or {})}
            drawn = _kept(name, result, told)
            if drawn is not None:
                self.tensors.append(drawn)
                self.names.append(name)
                self.arguments.append(told)
        return result


def _kept(name: str, result: Any, told: dict[str, Any]) -> Tensor | None:
    """What is kept of a draw; None if it is no tensor."""
    if name == "native_dropout":
        mask: Tensor = result[1]
        return mask.float()
    if not isinstance(result, Tensor):
        return None
    if name == "dropout":
        return (result != 0).float()  # where 0 was dropped it does not matter
    if name == "feature_dropout" and result.ndim > 2:
        dropped = (result == 0).flatten(2).all(2).float()
        return dropped.view(*dropped.shape, *[1] * (result.ndim - 2))
    if name == "exponential" and result.is_floating_point():
        uniform = torch.rand_like(result).clamp_min(torch.finfo(result.dtype).tiny)
        result.copy_(-uniform.log() / told.get("lambd", 1.0))
        return uniform
    return result.clone()


def distribution(generator: Any) -> dict[str, Any]:
    """How a generator's latents are distributed, in JSON: "normal" by mean and deviation, or "uniform" by low and high.

    Anything but one draw of values, scaled and shifted, is "other", with mean, deviation, low and high of what
    4,096 values or more turned out to be.
    """
    with quietly(generator, 0):
        count = -(-_VALUES // draw_latents(generator, 1).numel())
        with Draws() as draws:
            latent = draw_latents(generator, count)
    latent = latent.double()
    if len(draws.tensors) == 1 and draws.tensors[0].numel() == latent.numel() > 1:
        drawn = draws.tensors[0].double().reshape(latent.shape)
        low, high = drawn.argmin(), drawn.argmax()
        scale = float((latent.flatten()[high] - latent.flatten()[low]) / (drawn.max() - drawn.min()))
        shift = float(latent.flatten()[low]) - scale * float(drawn.min())
        if torch.allclose(latent, drawn * scale + shift, rtol=0, atol=1e-5 * max(1.0, abs(scale))):
            told = draws.arguments[0]
            mean, deviation = told.get("mean", 0.0), told.get("std", 1.0)
            # means and deviations of values by themselves are tensors
            if draws.names[0] in _NORMAL and not isinstance(mean, Tensor) and not isinstance(deviation, Tensor):
                return {"name": "normal", **_rounded(mean=shift + scale * mean, deviation=abs(scale) * deviation)}
            if draws.names[0] in _UNIFORM:
                ends = [shift + scale * end for end in (told.get("from", 0.0), told.get("to", 1.0))]
                return {"name": "uniform", **_rounded(low=min(ends), high=max(ends))}
    extremes = {"low": float(latent.min()), "high": float(latent.max())}
    return {"name": "other", **_rounded(mean=float(latent.mean()), deviation=float(latent.std()), **extremes)}


def _rounded(**numbers: float) -> dict[str, float]:
    return {name: round(number, 4) + 0.0 for name, number in numbers.items()}

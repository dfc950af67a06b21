"""Whether a recording does what the update does that it was made from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .meter import Meter

Values = Sequence[Tensor | None]


def outcome(parameters: Sequence[nn.Parameter], buffers: Values, meter: Meter, exact: bool) -> list[Values]:
    """What an update leaves: gradients, buffers, logged sums, and, if exact, where the CPU's random numbers are."""
    numbers = [torch.get_rng_state()] if exact else []
    return [[parameter.grad for parameter in parameters], buffers, meter.sums, numbers]


def alike(played: Values, made: Values, exact: bool) -> bool:
    """True if values are equal; unless exact, if all together differ by a hundredth at most, as by rounding."""
    if [one is None for one in played] != [two is None for two in made]:
        return False
    pairs = [(one, two) for one, two in zip(played, made, strict=True) if one is not None and two is not None]
    if exact:
        return all(torch.equal(one, two) for one, two in pairs)
    apart = sum(float((one.float() - two.float())[one != two].square().sum()) for one, two in pairs)
    size = sum(float(two.float().square().sum()) for _, two in pairs)
    return apart <= 1e-4 * size

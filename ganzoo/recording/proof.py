"""Whether a recording does what the update does that it was made from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .meter import Meter

Values = Sequence[Tensor | None]
_APART = 1e-2
"""Of the norm of what is compared."""
_ROUNDING = 3e-4
"""Of the norm of all gradients together: several times what bf16 leaves of sums that are 0."""


def outcome(parameters: Sequence[nn.Parameter], buffers: Values, meter: Meter, exact: bool) -> list[Values]:
    """What an update leaves: gradients, buffers, logged sums, and, if exact, where the CPU's random numbers are."""
    numbers = [torch.get_rng_state()] if exact else []
    return [[parameter.grad for parameter in parameters], buffers, meter.sums, numbers]


def alike(played: Values, made: Values, exact: bool, each: bool = False) -> bool:
    """True if values are equal; unless exact, if all together differ by a hundredth at most, as by rounding.

    each: every tensor has to, unless it differs by less than rounding can make of the largest: a bias before BatchNorm
    has a gradient of nothing else.
    """
    if [one is None for one in played] != [two is None for two in made]:
        return False
    pairs = [(one, two) for one, two in zip(played, made, strict=True) if one is not None and two is not None]
    if exact:
        return all(torch.equal(one, two) for one, two in pairs)
    apart = [float((one.float() - two.float())[one != two].square().sum()) for one, two in pairs]
    sizes = [float(two.float().square().sum()) for _, two in pairs]
    if not each:
        return sum(apart) <= _APART**2 * sum(sizes)
    least = _ROUNDING**2 * sum(sizes)
    return all(one <= max(_APART**2 * size, least) for one, size in zip(apart, sizes, strict=True))

"""Orthogonal regularisation without the diagonal, for any generator.

Paper: Brock et al. 2019 (arXiv:1809.11096), section 3.1, equation 3. Written from the paper.

Suffixes: O outputs of a layer, I inputs and kernel positions, flattened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils.parametrize import is_parametrized

import ganzoo


class Orthogonal(ganzoo.Penalty):
    """Keep the filters of each layer orthogonal to each other, of any length: β · Σ ‖W Wᵀ ⊙ (1 - I)‖².

    W: the weights of dense layers and convolutions, a row a filter; under spectral normalisation, before it.
    weight: β, 1e-4 in the paper.  role: whose weights, "G" or "D".
    """

    def __init__(self, weight: ganzoo.Varying = 1e-4, role: str = "G") -> None:
        super().__init__()
        self.weight, self.role = ganzoo.Dial(weight), role
        if self.weight.low < 0:
            raise ValueError(f"weight is at least 0, not {self.weight.low:g}")

    def forward(self, turn: ganzoo.Turn) -> Tensor:
        """Return the weighted penalty; its unweighted value is logged."""
        value = torch.stack([_overlap(weight_OI) for weight_OI in _filters(turn.players[self.role])]).sum()
        turn.log("penalty/orthogonal", value)
        return self.weight.value * value

    def problems(self, players: Mapping[str, nn.Module], spec: ganzoo.DataSpec | None = None) -> Sequence[str]:
        """A game without the player, and a player without layers that have filters."""
        if self.role not in players:
            return (f"The penalty orthogonal regularises the player {self.role}, but here play {', '.join(players)}.",)
        if not _filters(players[self.role]):
            return (f"The penalty orthogonal finds no dense layer and no convolution in {self.role}: leave it out.",)
        return ()


def _filters(player: nn.Module) -> list[Tensor]:
    """The weights of a player as matrices (O, I), of which each row is a filter."""
    found = []
    for module in player.modules():
        if isinstance(module, nn.Linear | _ConvNd):
            weight = module.parametrizations.weight.original if is_parametrized(module, "weight") else module.weight
            found.append((weight.transpose(0, 1) if isinstance(module, _ConvTransposeNd) else weight).flatten(1))
    return found


def _overlap(weight_OI: Tensor) -> Tensor:
    """‖W Wᵀ ⊙ (1 - I)‖², through the smaller of W Wᵀ and Wᵀ W, which have the same norm."""
    small = weight_OI if len(weight_OI) <= weight_OI.shape[1] else weight_OI.T
    return (small @ small.T).square().sum() - weight_OI.square().sum(1).square().sum()

"""Path length regularisation: a step in style space should change the picture by a step of fixed size.

Paper: Karras et al. 2020 (arXiv:1912.04958), section 3.2 and appendix B. Written from the paper.

Difference: only the running mean a is a target, without a gradient of its own.

Suffixes: N batch, L styles of a sample, S style, C colours, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

import ganzoo


class PathLength(ganzoo.Penalty):
    """Hold ‖Jᵀy‖, the path length at random directions y of the picture, to its running mean a: E(‖Jᵀy‖ - a)².

    weight: of the penalty.  every: iterations between penalties.  batch_shrink: the penalty takes a share of
    1/batch_shrink of the batch.  decay: how far a moves to the newest mean each time.
    Needs a generator that is a `StyleSpace`: it has `map` and `synthesise`.
    Karras et al. 2020 (arXiv:1912.04958), equation 4; weight 2, every 4, batch_shrink 2 and decay 0.01 are theirs.
    """

    role = "G"
    needs: Mapping[str, type] = {"G": ganzoo.StyleSpace}

    def __init__(
        self, weight: ganzoo.Varying = 2.0, every: int = 4, batch_shrink: int = 2, decay: float = 0.01
    ) -> None:
        super().__init__()
        self.weight = ganzoo.Dial(weight)
        if not self.weight.low >= 0:
            raise ValueError(f"weight is at least 0, not {self.weight.low:g}")
        if every < 1 or batch_shrink < 1:
            raise ValueError(f"every and batch_shrink are at least 1, not {every} and {batch_shrink}")
        if not 0 < decay <= 1:
            raise ValueError(f"decay lies in (0, 1], not {decay}")
        self.every, self.batch_shrink, self.decay = every, batch_shrink, decay
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, turn: ganzoo.Turn) -> Tensor:
        """Return the weighted penalty; the mean path length is logged and moves the running mean."""
        n = max(turn.size // self.batch_shrink, 1)
        generator = turn.players[self.role]
        with turn.autocast(), ganzoo.differentiated_twice():
            style_NLS = generator.map(turn.latent(self.role)[:n], turn.label[:n])
            picture_NCHW = generator.synthesise(style_NLS).float()
        direction_NCHW = torch.randn_like(picture_NCHW) / picture_NCHW[0, 0].numel() ** 0.5
        (gradient_NLS,) = torch.autograd.grad(picture_NCHW, style_NLS, direction_NCHW, create_graph=True)
        length_N = (gradient_NLS.float().square().sum(dim=2).mean(dim=1) + 1e-8).sqrt()
        self.mean.lerp_(length_N.detach().mean(), self.decay)
        turn.log("path_length", length_N.mean())
        return self.weight.value * (length_N - self.mean.clone()).square().mean()

    def problems(self, players: Mapping[str, nn.Module], spec: ganzoo.DataSpec | None = None) -> Sequence[str]:
        """A loss without a player in the role G."""
        if self.role in players:
            return ()
        return (f"The penalty path-length regularises the player {self.role}, but here play {', '.join(players)}.",)

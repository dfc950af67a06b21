"""What a batch and a network say about a game: scalars on the device that training leaves alone.

Suffixes: N batch, S the axes of a sample, M the samples compared with each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

_COMPARED = 48
"""Samples of either kind whose distances are taken; all pairs of them."""
_SCORES = 512
"""Scores of either kind that are compared, all pairs of them; of more, as maps of patches have, an even selection."""
_TENSORS, _SLICE = 8, 64
"""By so many weights of so many parameter tensors the movement of a player is followed."""
_TINY = 1e-12


def separation(real: Tensor, fake: Tensor) -> Tensor:
    """How well scores tell real from generated samples: P(D(x) > D(G(z))), ties counted half.

    real, fake: raw logits of any shape, negated if they are energies. 0.5 tells nothing, 1 tells all, 0 takes each for
    the other; the same under every loss, because only the order of scores counts (the area under the ROC curve).
    """
    above = _some(real)[:, None] - _some(fake)[None, :]
    return (above.sign().mean() + 1) / 2


def _some(scores: Tensor) -> Tensor:
    return scores.flatten()[:: -(-scores.numel() // _SCORES)]


class Pairs:
    """The distances between all pairs of the first samples of two batches, (N, *S) each; at most 48 of either.

    m: samples taken of either.  distance: (2 m, 2 m), real ones first.
    """

    def __init__(self, real_NS: Tensor, fake_NS: Tensor) -> None:
        self.m = min(len(real_NS), len(fake_NS), _COMPARED)
        both = torch.cat([real_NS[: self.m].flatten(1), fake_NS[: self.m].flatten(1)]).float()
        self.distance = torch.cdist(both, both).fill_diagonal_(0)

    def compare(self) -> dict[str, Tensor]:
        """Generated beside real samples.

        spread: mean distance between generated samples, as a multiple of that between real ones; 0 for a constant
        generator.  distinct: the same for the distance to the nearest neighbour in the batch; 0 where samples repeat
        each other.  discrepancy: (2 E|x-y| - E|x-x'| - E|y-y'|) / 2 E|x-y|, 0 for equal distributions and 1 for two
        points (Székely & Rizzo 2013, "Energy statistics").
        """
        m = self.m
        real, fake, across = self.distance[:m, :m], self.distance[m:, m:], self.distance[:m, m:]
        within_real, within_fake = real.sum() / (m * (m - 1)), fake.sum() / (m * (m - 1))
        nearest_real, nearest_fake = (block.clone().fill_diagonal_(torch.inf).amin(1).mean() for block in (real, fake))
        return {
            "spread": within_fake / within_real.clamp_min(_TINY),
            "distinct": nearest_fake / nearest_real.clamp_min(_TINY),
            "discrepancy": 1 - (within_real + within_fake) / (2 * across.mean()).clamp_min(_TINY),
        }

    def slope(self, real_N: Tensor, fake_N: Tensor) -> Tensor:
        """How much scores differ per unit of distance between their samples: mean |D(x) - D(x')| / mean |x - x'|.

        A lower bound of D's Lipschitz constant, since no pair of samples can differ by more than it.
        """
        score = torch.cat([real_N[: self.m], fake_N[: self.m]])
        return (score[:, None] - score).abs().mean() / self.distance.mean().clamp_min(_TINY)


def gradient_norm(parameters: Iterable[nn.Parameter]) -> Tensor | None:
    """The Euclidean norm of all gradients as they are, or None if there are none."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients:
        return None
    norm: Tensor = torch.stack(torch._foreach_norm(gradients)).float().norm()
    return norm


def some_weights(player: nn.Module) -> list[Tensor]:
    """Some weights of some parameter tensors of a player: enough to see whether it moves."""
    tensors = list(player.parameters())
    return [tensor.detach().flatten()[:_SLICE].float() for tensor in tensors[:: -(-len(tensors) // _TENSORS)]]


def movement(before: Tensor, now: Sequence[Tensor]) -> Tensor:
    """How far weights are from where they were: the root mean square over tensors, each as a multiple of its own norm.

    before: what `some_weights` gave then, in one vector.  now: what it gives.
    Weights of equalised layers and of mapping networks are large and take small steps: in a norm of all they would hide
    that others move. Tensors that were zero count only if all were: coming to anything is then a movement of 1.
    """
    were = torch.split(before, [len(tensor) for tensor in now])
    size, step = _norms(were), _norms([b - a for a, b in zip(were, now, strict=True)])
    began = size > 0
    shares = torch.where(began, step / size.clamp_min(_TINY), torch.zeros_like(step))
    mean = (shares.square().sum() / began.sum().clamp_min(1)).sqrt()
    return torch.where(began.any(), mean, (step > 0).any().to(mean.dtype))


def _norms(tensors: Sequence[Tensor]) -> Tensor:
    return torch.stack([tensor.norm() for tensor in tensors])

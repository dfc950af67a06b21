"""Optimistic Adam: each step is taken twice and the last one taken back, which damps the turning of a game.

Paper: Daskalakis et al. 2018, "Training GANs with Optimism" (arXiv:1711.00141), algorithm 1. Written from the paper.

Difference: ε is added to the root, as Kingma & Ba and torch do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn, optim


class OptimisticAdam(optim.Optimizer):
    """θ ← θ - 2η·u + η·u', where u = m̂ / (√v̂ + ε) is Adam's step and u' the one before it, at first 0.

    Plain steps of two players run in circles about an equilibrium such as that of xy; these run into it.
    lr: η.  betas: decay of m and v, the running means of the gradient and of its square.  eps: ε.
    weight_decay: added to the gradient, times the weight.
    Daskalakis et al. 2018 (arXiv:1711.00141), algorithm 1.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        if not lr >= 0 or not weight_decay >= 0:
            raise ValueError(f"lr and weight_decay are at least 0, not {lr} and {weight_decay}")
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas lie in [0, 1), not {betas}")
        super().__init__(parameters, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """One step of every parameter that has a gradient. closure: not taken, a loss is computed once."""
        if closure is not None:
            raise ValueError("optimistic Adam computes each gradient once: call backward first, then step()")
        for group in self.param_groups:
            learning = [parameter for parameter in group["params"] if parameter.grad is not None]
            if learning:
                self._step(learning, group)

    def _step(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        lr, (beta1, beta2) = group["lr"], group["betas"]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if group["weight_decay"]:
            gradients = list(torch._foreach_add(gradients, parameters, alpha=group["weight_decay"]))
        states = [self._state_of(parameter) for parameter in parameters]
        for state in states:
            state["step"] += 1
        means, squares, lasts = ([state[name] for state in states] for name in ("mean", "square", "last"))
        torch._foreach_lerp_(means, gradients, 1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - beta2)
        roots = torch._foreach_sqrt(squares)
        torch._foreach_div_(roots, [(1 - beta2 ** state["step"]) ** 0.5 for state in states])
        torch._foreach_add_(roots, group["eps"])
        steps = torch._foreach_div(means, roots)
        torch._foreach_div_(steps, [1 - beta1 ** state["step"] for state in states])
        torch._foreach_add_(parameters, steps, alpha=-2 * lr)
        torch._foreach_add_(parameters, lasts, alpha=lr)
        torch._foreach_copy_(lasts, steps)

    def _state_of(self, parameter: Tensor) -> dict[str, Any]:
        state: dict[str, Any] = self.state[parameter]
        if not state:
            state["step"] = 0
            state |= {name: torch.zeros_like(parameter) for name in ("mean", "square", "last")}
        return state

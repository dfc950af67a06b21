"""Optimisers, and what of them changes over a run, counted in images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn, optim

from ..contract import Course, Phase, Varying
from ..recipes import Optimizer


def lazy_ratio(phases: Iterable[Phase]) -> float:
    """Correction of the step size and betas when lazy phases add updates to a team's main ones.

    k/(k+1) for one lazy phase each k iterations (Karras et al. 2020, arXiv:1912.04958, appendix B); 1 if all or
    none are lazy.
    """
    every = [phase.every for phase in phases]
    if 1 not in every:
        return 1.0
    return float(1 / (1 + sum((Fraction(1, k) for k in every if k > 1), Fraction(0))))


def make_optimizer(
    parameters: Sequence[nn.Parameter], options: Optimizer, ratio: float = 1.0, fused: bool = True
) -> optim.Optimizer:
    """A torch optimiser, by default fused where torch has it; `ratio` from `lazy_ratio`."""
    now = settings_at(options, 0, 1, ratio)
    lr, betas, weight_decay = now["lr"], now["betas"], now["weight_decay"]
    if options.name == "adam":
        return optim.Adam(parameters, lr, betas, options.eps, weight_decay=weight_decay, fused=fused)
    if options.name == "sgd":
        return optim.SGD(parameters, lr, momentum=options.momentum, weight_decay=weight_decay, fused=fused)
    return optim.RMSprop(
        parameters,
        lr,
        alpha=options.alpha,
        eps=options.eps,
        momentum=options.momentum,
        weight_decay=weight_decay,
        foreach=True,
    )


class Steps:
    """Steps of an optimiser: the first by itself, later ones by its fused kernel on lists that were gathered once.

    The numbers are the optimiser's; what is left out is what it does in Python at each step. Without `fused`, with
    hooks on the optimiser, or if other parameters have gradients than at the first step, it steps by itself.
    """

    def __init__(self, optimizer: optim.Optimizer, fused: bool = True) -> None:
        self._optimizer, self._fused = optimizer, fused and isinstance(optimizer, optim.Adam | optim.SGD)
        self._parameters: list[Tensor] = []
        self._state: dict[str, list[Tensor]] = {}
        self._count = torch.empty(0)
        """Adam's counters of steps, one for each parameter, in one tensor."""

    def step(self) -> None:
        """One step along the gradients."""
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        if not self._parameters or len(gradients) < len(self._parameters) or has_hooks(self._optimizer):
            self._optimizer.step()
            self._gather()
            return
        (group,) = self._optimizer.param_groups
        common = {"lr": group["lr"], "weight_decay": group["weight_decay"], "maximize": False}
        with torch.no_grad():
            if isinstance(self._optimizer, optim.Adam):
                self._count.add_(1)
                moments, squares, steps = (self._state[name] for name in ("exp_avg", "exp_avg_sq", "step"))
                beta1, beta2 = group["betas"]
                torch._fused_adam_(
                    self._parameters, gradients, moments, squares, [], steps,
                    beta1=beta1, beta2=beta2, eps=group["eps"], amsgrad=False, **common,
                )  # fmt: skip
            else:
                torch._fused_sgd_(
                    self._parameters, gradients, self._state.get("momentum_buffer", []),
                    momentum=group["momentum"], dampening=0.0, nesterov=False, is_first_step=False, **common,
                )  # fmt: skip

    def _gather(self) -> None:
        """Take hold of the optimiser's state, if one kernel can step all parameters."""
        parameters: list[Tensor] = [p for group in self._optimizer.param_groups for p in group["params"]]
        alike = len({(p.dtype, p.device) for p in parameters}) == 1
        if not (self._fused and alike and all(p.grad is not None for p in parameters)):
            return
        states = [self._optimizer.state.get(p, {}) for p in parameters]
        names = [name for name, value in states[0].items() if isinstance(value, Tensor)]
        if isinstance(self._optimizer, optim.Adam):
            if "step" not in names:
                return
            self._count = torch.stack([one["step"] for one in states])
            for one, step in zip(states, self._count, strict=True):
                one["step"] = step
        self._parameters, self._state = parameters, {name: [one[name] for one in states] for name in names}

    def forget(self) -> None:
        """The optimiser has got another state."""
        self._parameters, self._state = [], {}


def has_hooks(optimizer: optim.Optimizer) -> bool:
    """True if somebody watches the optimiser's steps."""
    return bool(optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks)


def settings_at(options: Optimizer, images: int, total: int, ratio: float = 1.0, warmup: int = 0) -> dict[str, Any]:
    """What may change over a run, as it is after `images` of one of `total`; `ratio` from `lazy_ratio`.

    warmup: images over which the step size rises from 0.
    """

    def at(value: Varying) -> float:
        return value.at(images, total) if isinstance(value, Course) else value

    return {
        "lr": at(options.step_size()) * ratio * (min(1.0, images / warmup) if warmup else 1.0),
        "betas": tuple(at(beta) ** ratio for beta in options.betas),
        "weight_decay": at(options.weight_decay),
    }

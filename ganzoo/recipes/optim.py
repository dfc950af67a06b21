"""Optimisers, and what of them changes over a run, counted in images."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn, optim

from ..contract import Course, Phase
from ..errors import first_line
from .options import Optimizer

_LOW, _HIGH = attrgetter("low"), attrgetter("high")
_TRIED = 12
"""Steps that show what a setting does: RAdam's first five read one of its betas not at all."""


def lazy_ratio(phases: Iterable[Phase]) -> float:
    """Correction of the step size and betas when lazy phases add updates to a team's main ones.

    k/(k+1) for one lazy phase each k iterations (Karras et al. 2020, arXiv:1912.04958, appendix B); 1 if all or
    none are lazy.
    """
    every = [phase.every for phase in phases]
    if 1 not in every:
        return 1.0
    return float(1 / (1 + sum((Fraction(1, k) for k in every if k > 1), Fraction(0))))


def settings(cls: type, options: Optimizer) -> dict[str, Any]:
    """What the constructor of an optimiser is given, numbers and courses. Common options that it has not are left out.

    cls: built as `(parameters, **options)`.
    """
    parameters = _parameters(cls)
    given = {name: value for name, value in options.common().items() if name in parameters}
    if "lr" in parameters and isinstance(lr := given.get("lr", parameters["lr"].default), float | int | Course):
        given["lr"] = options.step_size(lr)
    return given | dict(options.options)


def settings_at(
    given: Mapping[str, Any], images: int, total: int, ratio: float = 1.0, factor: float = 1.0
) -> dict[str, Any]:
    """The settings as they are after `images` of a run of `total`.

    ratio: from `lazy_ratio`.  factor: that the step size is multiplied with.
    """

    now = {name: _each(value, lambda course: course.at(images, total)) for name, value in given.items()}
    if "lr" in now:
        now["lr"] = now["lr"] * ratio * factor
    if "betas" in now:
        now["betas"] = tuple(beta**ratio for beta in now["betas"])
    return now


def _each(value: Any, of: Callable[[Course], float]) -> Any:
    """A setting with a number of each course in the course's place."""
    if isinstance(value, tuple):
        return tuple(_each(one, of) for one in value)
    return of(value) if isinstance(value, Course) else value


def changing(given: Mapping[str, Any]) -> dict[str, Course]:
    """The settings that change over a run, by name: "lr", and "betas.1" for one of several."""
    single = {name: value for name, value in given.items() if not isinstance(value, tuple)}
    single |= {
        f"{name}.{number}": one
        for name, value in given.items()
        if isinstance(value, tuple)
        for number, one in enumerate(value)
    }
    return {name: one for name, one in single.items() if isinstance(one, Course) and not one.steady}


def make_optimizer(
    cls: type[optim.Optimizer],
    parameters: Sequence[nn.Parameter],
    options: Optimizer,
    ratio: float = 1.0,
    fused: bool = True,
) -> optim.Optimizer:
    """An optimiser as it begins. ratio: from `lazy_ratio`.  fused: one kernel for all parameters, if it has such."""
    own = {"fused": fused} if has_kernel(cls) else {}
    return cls(parameters, **{**own, **settings_at(settings(cls, options), 0, 1, ratio)})


def unusable(cls: type[optim.Optimizer], options: Optimizer, scaled: bool = False) -> Iterator[str]:
    """Why an optimiser cannot be had with these options, in sentences that go on from its name.

    scaled: the recipe multiplies step sizes with something that changes over the run.
    """
    parameters = _parameters(cls)
    if _asks_for_more(cls):
        yield "does not step by gradients alone, its step() asks for more: take one that does"
        return
    if "lr" not in parameters and (options.lr is not None or options.schedule != "constant" or scaled):
        yield "has no step size `lr`: leave it out, and whatever changes it over the run"
    dead = [name for name, value in options.common().items() if name not in parameters and changing({name: value})]
    yield from (f"has no option '{name}', so that its course would do nothing" for name in dead)
    given = settings(cls, options)
    for end in (_LOW, _HIGH):
        extreme = {name: _each(value, end) for name, value in given.items()}
        try:
            built = cls([nn.Parameter(torch.zeros(1))], **extreme)
        except (TypeError, ValueError, RuntimeError) as error:
            yield f"cannot be built: {first_line(error)}"
            return
    moving = [*changing(given), *(["lr"] if scaled and "lr" in given else [])]
    names = dict.fromkeys(name.partition(".")[0] for name in moving)
    fixed = [name for name in names if name not in built.param_groups[0] or _makes_no_difference(cls, given, name)]
    yield from (f"keeps '{name}' for good: it takes no course" for name in fixed)


def _asks_for_more(cls: type[optim.Optimizer]) -> bool:
    """True for an optimiser that has to be given something at each step, as LBFGS a closure."""
    try:
        inspect.signature(cls.step).bind(None)
    except TypeError:
        return True
    return False


def _makes_no_difference(cls: type[optim.Optimizer], given: Mapping[str, Any], name: str) -> bool:
    """True if an optimiser steps the same whether a setting stays at the upper end of its course or leaves it.

    Rprop is such a one: its group has an lr, of which it takes the first value alone.
    """
    upper, lower = ({key: _each(one, end) for key, one in given.items()} for end in (_HIGH, _LOW))
    if upper[name] == lower[name]:
        lower[name] = upper[name] / 2  # scaled from outside
    weights = [nn.Parameter(torch.tensor([1.0, -0.5], dtype=torch.float64)) for _ in range(2)]
    stays, leaves = (cls([one], **upper) for one in weights)
    for number in range(_TRIED):
        if number == 2:
            leaves.param_groups[0][name] = lower[name]
        for one, optimizer in zip(weights, (stays, leaves), strict=True):
            one.grad = torch.cos(number + one.detach())
            try:
                optimizer.step()
            except Exception:  # a plugin's step may raise anything; one for other devices does so here
                return False
    return torch.equal(*weights)


def has_kernel(cls: type) -> bool:
    """True if an optimiser can step all parameters in one kernel."""
    return "fused" in _parameters(cls)


def _parameters(cls: type) -> Mapping[str, inspect.Parameter]:
    """Those of the constructor but the first, which are its options."""
    return dict(list(inspect.signature(cls).parameters.items())[1:])


class Steps:
    """Steps of an optimiser: the first by itself, later ones by its fused kernel on lists that were gathered once.

    The numbers are the optimiser's; what is left out is what it does in Python at each step. Without `fused`, with
    hooks on the optimiser, or if other parameters have gradients than at the first step, it steps by itself.
    """

    def __init__(self, optimizer: optim.Optimizer, fused: bool = True) -> None:
        self._optimizer, self._fused = optimizer, fused and _is_plain(optimizer)
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


def _is_plain(optimizer: optim.Optimizer) -> bool:
    """True if it steps as torch's Adam or SGD does, by what their kernels know."""
    plain = [inspect.unwrap(cls.step) for cls in (optim.Adam, optim.SGD)]
    beyond = ("amsgrad", "capturable", "dampening", "decoupled_weight_decay", "differentiable", "maximize", "nesterov")
    groups = optimizer.param_groups
    return inspect.unwrap(type(optimizer).step) in plain and not any(
        group.get(one) for group in groups for one in beyond
    )


def has_hooks(optimizer: optim.Optimizer) -> bool:
    """True if somebody watches the optimiser's steps."""
    return bool(optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks)

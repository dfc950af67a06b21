"""What optimisers promise: they walk along gradients by the step size of the time, and their state can be saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn, optim

from ...recipes import Optimizer, make_optimizer
from ...training import checkpoint
from ..outcome import expect, promised
from ..trial import Trial, scratch

_STEPS = 200


def optimizer(trial: Trial, parameters: list[nn.Parameter]) -> optim.Optimizer:
    """The optimiser as a run builds it."""
    fix = "accept (parameters, **options), every option with a default, and hand them to torch.optim.Optimizer"
    with promised(f"{trial.what} to be built", fix):
        return make_optimizer(trial.target, parameters, Optimizer(trial.component.name, options=trial.options))


def _start() -> list[nn.Parameter]:
    return [nn.Parameter(torch.linspace(-1, 1, 6).view(2, 3)), nn.Parameter(torch.ones(4))]


def _step(stepping: optim.Optimizer, parameters: list[nn.Parameter]) -> float:
    for parameter in parameters:
        parameter.grad = None
    loss = torch.stack([(parameter - 2).square().sum() for parameter in parameters]).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    with promised("step() to make a step", "compute it from the gradients that are there"):
        stepping.step()
    return loss.item()


def steps(trial: Trial) -> None:
    """Steps lead downhill and leave parameters without a gradient alone."""
    parameters, idle = _start(), nn.Parameter(torch.ones(3))
    stepping = optimizer(trial, [*parameters, idle])
    losses = [_step(stepping, parameters) for _ in range(_STEPS)]
    expect(losses[-1] < losses[0], "a smaller loss after many steps", f"{losses[-1]:g}", "go against the gradient")
    fix = "skip parameters whose grad is None"
    expect(torch.equal(idle, torch.ones(3)), "a parameter without a gradient to stay", "it moves", fix)


def follows(trial: Trial) -> None:
    """The step size is read from the parameter group at each step, so that it may change over a run."""
    parameters = _start()
    stepping = optimizer(trial, parameters)
    _step(stepping, parameters)
    if "lr" not in stepping.param_groups[0]:
        return
    for group in stepping.param_groups:
        group["lr"] = 0.0
    before = [parameter.detach().clone() for parameter in parameters]
    _step(stepping, parameters)
    still = all(torch.equal(one, two) for one, two in zip(before, parameters, strict=True))
    expect(still, "no step where group['lr'] is 0", "a step", "read group['lr'] in step(), not in the constructor")


def resumes(trial: Trial) -> None:
    """What it remembers goes through safetensors and JSON into a fresh one, which goes on with the same bits."""
    parameters = _start()
    stepping = optimizer(trial, parameters)
    for _ in range(3):
        _step(stepping, parameters)
    fix = "keep what lasts from step to step in self.state, as tensors and numbers"
    with promised("a state that goes through a checkpoint", fix), scratch() as folder:
        checkpoint.save(folder / "state", {"state": stepping.state_dict()})
        state = checkpoint.load(folder / "state")["state"]
    others = [nn.Parameter(parameter.detach().clone()) for parameter in parameters]
    fresh = optimizer(trial, others)
    with promised("the state to load into a fresh optimiser", fix):
        fresh.load_state_dict(state)
    for _ in range(2):
        _step(stepping, parameters)
        _step(fresh, others)
    same = all(torch.equal(one, two) for one, two in zip(parameters, others, strict=True))
    expect(same, "the same steps after a resume", "others", fix)


CHECKS: Mapping[str, Callable[[Trial], None]] = {"steps": steps, "step size": follows, "state": resumes}

"""Optimistic Adam against algorithm 1 of its paper, and on the game that plain steps cannot play."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from ganzoo_optimizers.optimistic import OptimisticAdam


def test_steps_are_those_of_algorithm_1():
    lr, (beta1, beta2), eps = 0.1, (0.5, 0.9), 1e-8
    parameter = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    optimizer = OptimisticAdam([parameter], lr, (beta1, beta2), eps)
    theta, means, squares, before = [1.0, -2.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]
    for t in range(1, 6):
        parameter.grad = 3 * parameter.detach() ** 2
        optimizer.step()
        for i in range(2):
            gradient = 3 * theta[i] ** 2
            means[i] = beta1 * means[i] + (1 - beta1) * gradient
            squares[i] = beta2 * squares[i] + (1 - beta2) * gradient**2
            step = means[i] / (1 - beta1**t) / (math.sqrt(squares[i] / (1 - beta2**t)) + eps)
            theta[i] += -2 * lr * step + lr * before[i]
            before[i] = step
        assert parameter.tolist() == pytest.approx(theta)


def distance(cls, steps: int = 2000, **options) -> float:
    """How far two players of xy end from its equilibrium, (0, 0), having begun 1.4 away."""
    x, y = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    players = [cls([x], **options), cls([y], **options)]
    for _ in range(steps):
        x.grad, y.grad = y.detach().clone(), -x.detach().clone()
        for player in players:
            player.step()
    return float((x**2 + y**2).sqrt().detach())


def test_it_finds_the_equilibrium_that_adam_circles_about():
    options = {"lr": 0.03, "betas": (0.0, 0.999)}
    assert distance(OptimisticAdam, **options) < 0.01
    assert distance(torch.optim.Adam, **options) > 1.4, "no nearer than at the beginning"


def test_parameters_learn_each_from_its_own_first_step():
    early, late = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    optimizer = OptimisticAdam([early, late], lr=0.1)
    for parameters in ([early], [early], [early, late]):
        optimizer.zero_grad()
        sum(parameter.sum() for parameter in parameters).backward()
        optimizer.step()
    assert late.item() == pytest.approx(1 - 2 * 0.1)


@pytest.mark.parametrize("options", [{"lr": -1.0}, {"betas": (1.0, 0.9)}, {"weight_decay": -0.1}])
def test_silly_options_are_refused_by_name(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        OptimisticAdam([nn.Parameter(torch.ones(1))], **options)


def test_weights_decay():
    parameter = nn.Parameter(torch.ones(1))
    optimizer = OptimisticAdam([parameter], lr=0.1, weight_decay=1.0)
    parameter.grad = torch.zeros(1)
    optimizer.step()
    assert parameter.item() == pytest.approx(1 - 2 * 0.1)

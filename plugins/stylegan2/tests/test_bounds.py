"""A clamp whose gradient leads back into the range."""

from __future__ import annotations

import torch

from ganzoo_stylegan2.bounds import keep_within

OUTSIDE = torch.tensor([-3.0, -3.0, 0.5, 0.5, 3.0, 3.0])


def test_values_are_clamped_with_and_without_a_graph():
    expected = torch.tensor([-1.0, -1.0, 0.5, 0.5, 2.0, 2.0])
    assert torch.equal(keep_within(OUTSIDE, -1, 2), expected)
    assert torch.equal(keep_within(OUTSIDE.clone().requires_grad_(), -1, 2).detach(), expected)


def test_only_what_leads_further_out_is_stopped():
    x = OUTSIDE.clone().requires_grad_()
    # descent moves against the gradient: up where it is negative
    (keep_within(x, -1, 2) * torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])).sum().backward()
    assert x.grad.tolist() == [0, -1, 1, -1, 1, 0]


def test_descent_brings_values_back_and_takes_none_out():
    x = torch.tensor([-5.0, 5.0, 0.0], requires_grad=True)
    goal = torch.tensor([0.5, 1.0, -4.0])  # one within the range, one at its bound, one beyond
    for _ in range(200):
        (gradient,) = torch.autograd.grad((keep_within(x, -1, 1) - goal).square().sum(), x)
        x = (x - 0.05 * gradient).detach().requires_grad_()
    assert torch.allclose(keep_within(x, -1, 1), torch.tensor([0.5, 1.0, -1.0]), atol=1e-3)
    assert x[2] > -1.5  # no further than one step


def test_the_gradient_can_be_differentiated():
    w = torch.tensor([3.0, 0.2], requires_grad=True)
    direction = torch.tensor([2.0, 5.0])
    (gradient,) = torch.autograd.grad((keep_within(w * w, -1, 1) * direction).sum(), w, create_graph=True)
    torch.testing.assert_close(gradient, 2 * w * direction)  # both lead inwards or are inside
    gradient.sum().backward()
    torch.testing.assert_close(w.grad, 2 * direction)

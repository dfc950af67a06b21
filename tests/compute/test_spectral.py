"""Spectral normalisation against the largest singular value, and what it keeps where."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import register_parametrization

import ganzoo
from ganzoo.compute.spectral import Divided

LAYERS = {
    "convolution": lambda: nn.Conv2d(5, 7, 3),
    "dense": lambda: nn.Linear(9, 4),
    "one output": lambda: nn.Linear(9, 1),
    "embedding": lambda: nn.Embedding(6, 8),
}


def spectral(layer, **options):
    return register_parametrization(layer, "weight", ganzoo.SpectralNorm(layer.weight, **options))


def largest_singular_value(weight):
    return torch.linalg.matrix_norm(weight.detach().flatten(1), 2)


def settled(layer, calls=200):
    for _ in range(calls):
        weight = layer.weight
    return weight


@pytest.mark.parametrize("make", LAYERS.values(), ids=list(LAYERS))
def test_the_largest_singular_value_becomes_one(make):
    layer = make()
    original = layer.weight.detach().clone()
    normalised = settled(spectral(layer))
    assert largest_singular_value(normalised).item() == pytest.approx(1, abs=1e-4)
    torch.testing.assert_close(
        normalised.detach() * largest_singular_value(original), original, rtol=1e-3, atol=1e-4
    )  # only the scale changes


@pytest.mark.parametrize("make", LAYERS.values(), ids=list(LAYERS))
def test_the_first_call_is_close_to_one_already(make):
    assert largest_singular_value(spectral(make()).weight).item() == pytest.approx(1, abs=0.05)


def test_a_call_in_training_is_one_power_iteration():
    layer = spectral(nn.Linear(6, 5))
    norm = layer.parametrizations.weight[0]
    weight, before = layer.parametrizations.weight.original.detach(), torch.eye(5)[0]
    norm.u.copy_(before)
    normalised = layer.weight.detach()
    v = weight.T @ before / (weight.T @ before).norm()
    u = weight @ v / (weight @ v).norm()
    torch.testing.assert_close(norm.u, u)
    torch.testing.assert_close(normalised, weight / (u @ weight @ v))


def test_evaluation_changes_no_state_and_repeats_itself():
    layer = spectral(nn.Linear(6, 5))
    layer.parametrizations.weight[0].u.copy_(torch.eye(5)[0])
    layer.eval()
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    assert torch.equal(layer.weight, layer.weight)
    assert all(torch.equal(tensor, before[name]) for name, tensor in layer.state_dict().items())


def test_gradient_holds_u_and_v_fixed():
    # equation 12 of the paper: ∂(W/σ)/∂W applied to G is (G - <G, W/σ> u vᵀ) / σ
    layer = spectral(nn.Linear(4, 3, bias=False))
    settled(layer)
    norm, weight = layer.parametrizations.weight[0], layer.parametrizations.weight.original
    into = torch.randn(3, 4)
    (layer.weight * into).sum().backward()
    u, _, vh = torch.linalg.svd(weight.detach())
    sigma = largest_singular_value(weight)
    expected = (into - (into * weight.detach() / sigma).sum() * torch.outer(u[:, 0], vh[0])) / sigma
    torch.testing.assert_close(weight.grad, expected, rtol=1e-3, atol=1e-4)
    assert not norm.u.requires_grad


def test_two_calls_before_one_backward_and_double_backward_work():
    layer = spectral(nn.Linear(4, 3))
    x = torch.randn(2, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad((layer(x) + layer(2 * x)).square().sum(), x, create_graph=True)
    gradient.square().sum().backward()
    assert layer.parametrizations.weight.original.grad.isfinite().all()


def test_state_holds_u_and_loads_strictly():
    first, second = spectral(nn.Conv2d(2, 3, 3)), spectral(nn.Conv2d(2, 3, 3))
    assert "parametrizations.weight.0.u" in first.state_dict()
    second.load_state_dict(first.state_dict(), strict=True)
    first.weight, second.weight  # noqa: B018  a power iteration each
    assert all(torch.equal(tensor, second.state_dict()[name]) for name, tensor in first.state_dict().items())
    with pytest.raises(RuntimeError, match=r"Missing key.*weight\.0\.u"):
        second.load_state_dict({k: v for k, v in first.state_dict().items() if not k.endswith(".u")}, strict=True)


def test_a_copy_is_independent():
    layer = spectral(nn.Linear(6, 5))
    twin = copy.deepcopy(layer)
    before = layer.parametrizations.weight[0].u.clone()
    with torch.no_grad():
        twin.parametrizations.weight.original.mul_(-2).add_(1)
    settled(twin)
    assert torch.equal(layer.parametrizations.weight[0].u, before)
    assert not torch.equal(twin.parametrizations.weight[0].u, before)


def test_frozen_weights_pass_gradients_to_their_input():
    layer = spectral(nn.Linear(6, 5)).requires_grad_(False)
    x = torch.randn(2, 6, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad.abs().sum() > 0 and layer.parametrizations.weight.original.grad is None


def test_singular_values_keep_their_precision_under_autocast():
    layer = spectral(nn.Linear(6, 5))
    settled(layer)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        weight = layer.weight
        assert layer(torch.randn(2, 6)).dtype == torch.bfloat16
    assert weight.dtype == torch.float32
    assert largest_singular_value(weight).item() == pytest.approx(1, abs=1e-4)


def test_a_weight_of_zeros_gives_no_nan_before_it_is_divided_by_zero():
    layer = spectral(nn.Linear(6, 5))
    with torch.no_grad():
        layer.parametrizations.weight.original.zero_()
    layer.weight  # noqa: B018
    assert layer.parametrizations.weight[0].u.isfinite().all()


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 2, 2)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_both_derivatives_are_those_of_a_division_by_u_w_v(shape, layout):
    torch.manual_seed(0)
    weight = torch.randn(shape, dtype=torch.float64)
    weight = (weight.to(memory_format=layout) if len(shape) == 4 else weight).requires_grad_()
    u, v = torch.randn(shape[0], dtype=torch.float64), torch.randn(1, *shape[1:], dtype=torch.float64)

    def plain(weight):
        return weight / (weight.flatten(1) @ v.flatten() @ u)

    def divided(weight):
        return Divided.apply(weight, u, v, (weight.detach().flatten(1) @ v.flatten() @ u))

    into = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    found, wanted = [], []
    for function, kept in ((divided, found), (plain, wanted)):
        normal = function(weight)
        (first,) = torch.autograd.grad((normal * into).sum(), weight, create_graph=True)
        kept += [normal, first, *torch.autograd.grad(first.sin().sum(), (weight, into))]
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("training", [True, False])
def test_memory_in_which_inputs_come_first_gives_the_same(training):
    plain = spectral(nn.Conv2d(5, 7, 3)).double().train(training)
    other = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    torch.testing.assert_close(other.weight, plain.weight)
    torch.testing.assert_close(other.parametrizations.weight[0].u, plain.parametrizations.weight[0].u)
    x = torch.randn(2, 5, 4, 4, dtype=torch.float64)
    for layer in (plain, other):
        layer(x).square().sum().backward()
    torch.testing.assert_close(other.parametrizations.weight.original.grad, plain.parametrizations.weight.original.grad)


def test_iterations_at_the_start_are_as_many_as_asked():
    torch.manual_seed(0)
    norm = ganzoo.SpectralNorm(torch.eye(3) * torch.tensor([3.0, 2.0, 1.0]), iterations=0)
    torch.manual_seed(0)
    torch.testing.assert_close(norm.u, nn.functional.normalize(torch.randn(3), dim=0))
    torch.manual_seed(0)
    once = ganzoo.SpectralNorm(torch.eye(3) * torch.tensor([3.0, 2.0, 1.0]), iterations=1)
    torch.testing.assert_close(once.u, nn.functional.normalize(norm.u * torch.tensor([9.0, 4.0, 1.0]), dim=0))

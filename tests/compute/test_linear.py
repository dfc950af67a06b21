"""Large linear layers compute by oneDNN, on the processors where that is faster."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch.nn.functional import linear
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from ganzoo.compute import linear as subject
from ganzoo.compute.device import set_precision
from ganzoo.compute.linear import WORTH, OneDNN, onednn_is_faster
from ganzoo.contract.turning.shares import Draws
from ganzoo.data.feed import make_feed
from ganzoo.planning.speed import fast_path
from ganzoo.recipes.check import check
from ganzoo.recipes.plan import Request, resolve
from ganzoo.registry.registry import registry
from ganzoo.training.trainer import Trainer

CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch has no oneDNN here")
ROWS, INPUTS, OUTPUTS = 64, 256, 256
assert ROWS * INPUTS * OUTPUTS == WORTH


class Calls(TorchDispatchMode):
    """How often oneDNN multiplies."""

    count = 0

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        self.count += "_linear_pointwise" in str(operation)
        return operation(*arguments, **(options or {}))


def layer(rows=(ROWS,), dtype=torch.float64) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((*rows, INPUTS), (OUTPUTS, INPUTS), (OUTPUTS,))
    return tuple(torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes)


def outcomes(tensors: tuple[torch.Tensor, ...], context) -> list[torch.Tensor]:
    """Output, gradients, and the gradients of a penalty on the first of them, of a layer and a curve behind it."""
    with context:
        output = linear(*tensors)
        first = torch.autograd.grad(torch.tanh(output / 16).sum(), tensors, create_graph=True)
        second = torch.autograd.grad(first[0].square().sum(), tensors)
    return [output, *first, *second]


@pytest.mark.parametrize("rows", [(ROWS,), (4, ROWS // 4), (2, 2, ROWS)])
def test_values_and_gradients_of_both_orders_are_those_of_a_linear_layer(rows):
    exact = outcomes(layer(rows), nullcontext())
    single = tuple(tensor.detach().float().requires_grad_() for tensor in layer(rows))
    with Calls() as calls:
        found = outcomes(single, OneDNN())
    assert calls.count == 3 + 4  # a product and its gradients; those of one gradient, and on through the product
    for one, two in zip(exact, found, strict=True):
        assert two.shape == one.shape
        assert float(((one - two).norm() / one.norm()).detach()) < 1e-5


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_each_gradient_can_be_asked_for_alone(wanted):
    tensors = tuple(tensor.detach().float().requires_grad_(n == wanted) for n, tensor in enumerate(layer()))
    with OneDNN():
        (found,) = torch.autograd.grad(linear(*tensors).sum(), tensors[wanted])
    (expected,) = torch.autograd.grad(linear(*tensors).sum(), tensors[wanted])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("case", ["small", "double", "no bias"])
def test_small_layers_and_other_types_are_left_alone(case):
    x, weight, bias = (tensor.detach() for tensor in layer(dtype=torch.float64 if case == "double" else torch.float32))
    x = x[: ROWS - 1] if case == "small" else x
    with Calls() as calls, OneDNN():
        found = linear(x, weight, None if case == "no bias" else bias)
    assert calls.count == (case == "no bias")
    if case != "no bias":
        assert torch.equal(found, linear(x, weight, bias))


def test_layers_under_checkpointing_are_computed_alike_both_times():
    """Their second computation is part of the backward pass, outside of the mode."""
    x, weight, bias = (tensor.detach().float().requires_grad_() for tensor in layer())
    found = []
    for context in (nullcontext(), OneDNN()):
        with context:
            output = checkpoint(lambda one: torch.tanh(linear(one, weight, bias) / 16), x, use_reentrant=False)
        found.append(torch.autograd.grad(output.square().sum(), (x, weight, bias)))
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize("shape", [(), (1,), (1, OUTPUTS), (ROWS, 1), (ROWS, OUTPUTS)])
def test_a_bias_of_any_shape_is_added(shape):
    x, weight, _ = (tensor.detach().float() for tensor in layer())
    bias = torch.randn(shape)
    with OneDNN():
        found = linear(x, weight, bias)
    assert torch.equal(found, linear(x, weight, bias))


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")  # torch itself uses it
def test_function_transforms_forward_gradients_and_autocast_are_torchs():
    x, weight, bias = (tensor.detach().float() for tensor in layer())
    direction = torch.ones_like(x)

    def cases() -> list[torch.Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            rounded = linear(x, weight, bias)
        with torch.autograd.forward_ad.dual_level():
            dual = linear(torch.autograd.forward_ad.make_dual(x, direction), weight, bias)
            tangent = torch.autograd.forward_ad.unpack_dual(dual).tangent
        gradient = torch.func.grad(lambda one: linear(x, one, bias).square().mean())(weight)
        return [rounded, tangent, gradient, torch.vmap(lambda one: linear(x, weight, one))(bias.expand(2, -1))]

    with OneDNN():
        found = cases()
    for one, two in zip(found, cases(), strict=True):
        assert one.dtype == two.dtype and torch.equal(one, two)


@pytest.mark.parametrize(
    ("facts", "faster"),
    [
        ({"avx512_f": True, "cpu_name": "AMD EPYC 9654"}, True),
        ({"avx512_f": False, "cpu_name": "AMD EPYC 7543"}, False),
        ({"avx512_f": True, "cpu_name": "Intel(R) Xeon(R) Platinum 8480C"}, False),
        ({}, False),
    ],
)
def test_the_processor_decides(monkeypatch, facts, faster):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: facts)
    assert onednn_is_faster.__wrapped__() == (faster and torch.backends.mkl.is_available())


def trainer_of(*settings: str, precision: str = "fp32") -> Trainer:
    wide = ["generator.widths=[64]", f"discriminator.widths=[{OUTPUTS}]", "data.limit=64", "data.size=16"]
    recipe = resolve("mlp", Request(set=[*wide, *settings], batch=ROWS), registry())
    game = check(recipe, registry())
    return Trainer(game, make_feed(game.dataset.load(), game.spec, ROWS, 0, CPU), CPU, precision)


@pytest.fixture
def _faster(monkeypatch):
    monkeypatch.setattr(subject, "onednn_is_faster", lambda: True)


@pytest.mark.usefixtures("_faster")
def test_players_train_by_it_to_rounding():
    outcomes = []
    for settings in ([], ["trainer.onednn=false"]):
        trainer = trainer_of(*settings)
        torch.manual_seed(0)
        with Calls() as calls:
            (stage,) = trainer._stages(trainer.phases[:1])
            stage(trainer._draw, Draws())
        outcomes.append((calls.count, [p.grad for p in trainer.players["D"].parameters()]))
    (calls, found), (none, expected) = outcomes
    assert calls >= 4 and none == 0  # two judgements and their gradients
    for one, two in zip(found, expected, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("_faster")
def test_a_penalty_of_second_order_trains_by_it():
    trainer = trainer_of("penalty.r1.every=1")
    with Calls() as calls:
        trainer.iterate()
    assert calls.count > 8
    assert all(torch.isfinite(p).all() for p in trainer.players["D"].parameters())


@pytest.mark.usefixtures("_faster")
def test_bf16_and_small_players_do_without():
    assert isinstance(set_precision("bf16", CPU, onednn=True)(), torch.autocast)
    with Calls() as calls:
        trainer_of(precision="bf16").iterate()
        trainer_of("discriminator.widths=[128]").iterate()
    assert calls.count == 0


@pytest.mark.parametrize("faster", [True, False])
def test_the_fast_path_tells_it(monkeypatch, faster):
    monkeypatch.setattr(subject, "onednn_is_faster", lambda: faster)
    game = trainer_of().game
    told = dict(fast_path(game, CPU, "fp32"))["computation"]
    assert ("linear layers by oneDNN" in told) == faster
    assert "oneDNN" not in dict(fast_path(game, CPU, "bf16"))["computation"]
    assert not subject.onednn(game.players.values(), game.recipe.batch, torch.device("cuda"))
    compiled = trainer_of("trainer.compile=true").game
    assert "oneDNN" not in dict(fast_path(compiled, CPU, "fp32"))["computation"]

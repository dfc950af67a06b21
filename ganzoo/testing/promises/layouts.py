"""Networks compute the same whatever their memory layout.

torch's own `instance_norm`, and in rarer cases `batch_norm`, give gradients on a CPU that have nothing to do with the
true ones where a batch is one sample and pictures come with channels last. The loss is right, nothing warns, and
training goes on. So gradients are compared.

Shapes: N batch; a sample's own shape comes from its `Sample`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import product

import torch
from torch import Tensor

from ..outcome import expect, promised
from ..trial import Plan, Trial
from .networks import inputs

TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-2}
"""How far gradients may be apart, as a share of the largest, by type: far above rounding in float64, and far below what
a wrong gradient is off by in float32, where torch computes by other kernels."""
_LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}
_INPUT = "the input"
_FIX = (
    "find the layer by comparing gradients layer by layer; torch's instance_norm at batch 1 is known to be wrong: "
    "group_norm with a group for each channel gives the same numbers"
)


def layouts(trial: Trial) -> None:
    """Gradients are the same in both memory layouts of weights and of pictures, for one sample and for two."""
    by_colours = {plan.target.shape[0]: plan for plan in reversed(trial.plans) if plan.target.is_image}
    for plan, n, dtype in product(by_colours.values(), (1, 2), TOLERANCES):
        training = _computes_alone(trial, plan, n)
        first, *others = product(_LAYOUTS, _LAYOUTS)
        true = _gradients(trial, plan, n, dtype, training, first)
        largest = {name: float(gradient.abs().max()) for name, gradient in true.items()}
        # of parameters taken together, as a bias in front of a normalisation has none but rounding
        parameters = max((value for name, value in largest.items() if name != _INPUT), default=0.0)
        scales = {name: (largest[name] if name == _INPUT else parameters) or 1.0 for name in largest}
        if not all(map(math.isfinite, largest.values())):
            continue  # such as the gradient of one sample's deviation from itself; games look for those
        for weights, pictures in others:
            found = _gradients(trial, plan, n, dtype, training, (weights, pictures))
            apart = {
                name: float((found[name] - gradient).abs().max()) / scales[name] for name, gradient in true.items()
            }
            worst = max(apart, key=lambda name: apart[name])
            expect(
                apart[worst] <= TOLERANCES[dtype],
                f"the gradients of contiguous tensors with {weights} weights, {pictures} pictures, {plan}, batch {n}",
                f"that of {worst} off by {apart[worst]:.1g} of the largest, in {dtype}",
                _FIX,
            )


def _computes_alone(trial: Trial, plan: Plan, n: int) -> bool:
    """True if n samples can be learned from in training mode, and chance has no part in it.

    BatchNorm of vectors needs two samples; noise of a tensor's own layout is another noise in another layout.
    """
    network = trial.network(plan).train()
    source = inputs(network, trial, plan, n)
    before = torch.get_rng_state()
    try:
        network(source, torch.zeros(n, dtype=torch.int64))
    except ValueError:
        return False
    return torch.equal(torch.get_rng_state(), before)


def _gradients(
    trial: Trial, plan: Plan, n: int, dtype: torch.dtype, training: bool, layout: tuple[str, str]
) -> Mapping[str, Tensor]:
    """Gradients of parameters and input, by name, with weights and pictures in these layouts."""
    weights, pictures = (_LAYOUTS[name] for name in layout)
    network = trial.network(plan).to(dtype).train(training)
    network.to(memory_format=weights)
    torch.manual_seed(1)
    source = _laid_out(inputs(network, trial, plan, n).to(dtype), pictures).requires_grad_()
    torch.manual_seed(2)
    with promised(
        f"{trial.what} to learn from {n} of {plan} in {dtype}, {layout[0]} weights", "see devices and dtypes"
    ):
        answer = network(source, torch.zeros(n, dtype=torch.int64))
        outputs: list[Tensor] = [answer] if isinstance(answer, Tensor) else list(answer.values())
        torch.manual_seed(3)
        pulls = [_laid_out(torch.randn(output.shape, dtype=dtype), pictures) for output in outputs]
        torch.autograd.backward(outputs, pulls)
    named = [(_INPUT, source), *network.named_parameters()]
    return {name: tensor.grad for name, tensor in named if tensor.grad is not None}


def _laid_out(tensor: Tensor, layout: torch.memory_format) -> Tensor:
    return tensor.contiguous(memory_format=layout) if tensor.dim() == 4 else tensor


CHECKS: Mapping[str, Callable[[Trial], None]] = {"memory layouts": layouts}

"""Linear layers through oneDNN, on processors of which MKL uses half.

torch multiplies matrices by MKL, which keeps to vectors of 256 bits on AMD's processors. oneDNN, by which torch
convolves, takes 512 bits where there are as many and is about twice as fast. Both compute in float32; they differ in
rounding.

Shapes: N samples, I inputs, O outputs.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.overrides import TorchFunctionMode

WORTH = 2**22
"""Multiplications, N·I·O, from which oneDNN saves more than calling it from Python costs."""


def onednn(players: Iterable[nn.Module], batch: int, device: torch.device) -> bool:
    """True if oneDNN computes linear layers of these players faster than torch does."""
    if device.type != "cpu" or not onednn_is_faster():
        return False
    matrices = (p for player in players for p in player.parameters() if p.dim() == 2)
    return any(matrix.numel() * batch >= WORTH for matrix in matrices)


@cache
def onednn_is_faster() -> bool:
    """True on a processor by AMD with vectors of 512 bits, where torch has both libraries."""
    libraries = (torch.backends.mkl, torch.backends.mkldnn)
    if not all(library.is_available() for library in libraries):
        return False
    facts = torch.cpu.get_capabilities()
    return bool(facts.get("avx512_f")) and "AMD" in str(facts.get("cpu_name", ""))


class OneDNN(TorchFunctionMode):
    """Within, large float32 linear layers on the CPU compute by oneDNN, and so do their gradients by backward passes.

    Left to torch are layers under its checkpointing, which computes them again outside of this, under its function
    transforms, forward-mode gradients and autocast, and those with a bias of another shape than (O,).
    """

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        if function is linear:
            return _linear(*arguments, **(options or {}))
        return function(*arguments, **(options or {}))


def _left_to_torch(input: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    return (
        input.numel() * len(weight) < WORTH
        or weight.dim() != 2
        or {input.dtype, weight.dtype} != {torch.float32}
        or (bias is not None and bias.shape != weight.shape[:1])
        or torch._C._autograd._top_saved_tensors_default_hooks(False) is not None
        or torch._C._are_functorch_transforms_active()
        or torch.autograd.forward_ad._current_level >= 0
        or torch.is_autocast_enabled("cpu")
    )


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:  # torch's names
    if _left_to_torch(input, weight, bias):
        return linear(input, weight, bias)
    if input.dim() == 2:
        return _Linear.apply(input, weight, bias)  # type: ignore[no-any-return]
    output: Tensor = _Linear.apply(input.reshape(-1, weight.shape[1]), weight, bias)
    return output.view(*input.shape[:-1], len(weight))


class _Linear(torch.autograd.Function):
    """x_NI · weight_OIᵀ + bias_O."""

    @staticmethod
    def forward(ctx: Any, x_NI: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
        ctx.save_for_backward(x_NI, weight_OI)
        product: Tensor = torch.ops.mkldnn._linear_pointwise(x_NI, weight_OI, bias_O, "none", [], "")
        return product

    @staticmethod
    def backward(ctx: Any, gradient_NO: Tensor) -> tuple[Tensor | None, ...]:
        x_NI, weight_OI = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        return (
            _Linear.apply(gradient_NO, weight_OI.t(), None) if wanted[0] else None,
            _Linear.apply(gradient_NO.t(), x_NI.t(), None) if wanted[1] else None,
            gradient_NO.sum(0) if wanted[2] else None,
        )

"""Gradients of parameters that wait until somebody wants them.

A penalty wants the gradient of styles first, with a graph, and that of parameters only through it. As autograd leaves
out nodes that lead to nothing that was asked for, but not parts of a node, parameters have nodes of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

_Gradients = Callable[..., tuple[Tensor, ...]]


def later(shapes: Sequence[Sequence[int]], gradients: _Gradients, *parameters: Tensor) -> Sequence[Tensor | None]:
    """Nothing, in these shapes: inputs of a function, to which it hands gradients on, to all or to none.

    gradients: makes those of the parameters from them. Without gradients it is None as often.
    """
    if not torch.is_grad_enabled():
        return [None] * len(shapes)
    found: Sequence[Tensor] = _Later.apply(shapes, gradients, *parameters)
    return found


class _Later(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, shapes: Sequence[Sequence[int]], gradients: _Gradients, *parameters: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.gradients, ctx.count = gradients, len(parameters)
        return tuple(parameters[0].new_empty(()).expand(shape) for shape in shapes)

    @staticmethod
    def backward(ctx: Any, *given: Tensor | None) -> tuple[Tensor | None, ...]:
        return None, None, *((None,) * ctx.count if given[0] is None else ctx.gradients(*given))

"""Convolutions that are differentiated twice, as penalties on gradients do it, without torch's detours.

A convolution is linear in its input and in its weight, and so are both of its gradients: the derivatives of the three
are the three again. torch knows this for the first derivative; the second it makes of convolutions whose batch and
channels have changed places, which is slow on CPUs, and of a slice, a copy and a convolution for each group: hundreds
of operations for a filter that treats each channel by itself, whether or not anybody wants its weight's gradient.

Suffixes: N batch, I channels in, O channels out; axes of space are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ..public import public


@public
def differentiated_twice() -> AbstractContextManager[Any]:
    """A context for what a penalty differentiates twice: in it, torch's convolutions have quick second derivatives.

    Values and first derivatives are those of torch to the bit, second and further ones to rounding.
    """
    return _Twice()


class _How(NamedTuple):
    """What `torch.convolution` is told beside input, weight and bias, for all axes of space."""

    stride: list[int]
    padding: list[int]
    dilation: list[int]
    transposed: bool
    output_padding: list[int]
    groups: int

    def size(self, x: torch.Size, weight: torch.Size) -> list[int]:
        """Of the result."""
        spaces = zip(x[2:], weight[2:], self.stride, self.padding, self.dilation, self.output_padding, strict=True)
        if self.transposed:
            sides = [
                (side - 1) * by - 2 * pad + gap * (wide - 1) + 1 + more for side, wide, by, pad, gap, more in spaces
            ]
            return [x[0], weight[1] * self.groups, *sides]
        sides = [(side + 2 * pad - gap * (wide - 1) - 1) // by + 1 for side, wide, by, pad, gap, _ in spaces]
        return [x[0], weight[0], *sides]


class _Like(NamedTuple):
    """Shape and layout of a tensor whose values decide nothing, so that they need not be kept."""

    shape: torch.Size
    strides: tuple[int, ...]

    def empty(self, of: Tensor) -> Tensor:
        return of.new_empty_strided(self.shape, self.strides)


def _like(tensor: Tensor) -> _Like:
    return _Like(tensor.shape, tensor.stride())


class _Twice(TorchFunctionMode):
    def __torch_function__(
        self, function: Callable[..., Any], types: Any, arguments: Sequence[Any] = (), options: Any = None
    ) -> Any:
        read = _CONVOLUTIONS.get(function)
        if read is None or not torch.is_grad_enabled():
            return function(*arguments, **(options or {}))
        x, weight, bias, how = read(*arguments, **(options or {}))
        tensors = [x, weight] if bias is None else [x, weight, bias]
        if how is None or x.dim() != weight.dim() or not any(one.requires_grad for one in tensors):
            return function(*arguments, **(options or {}))
        return _convolve(_lowered(x), _lowered(weight), None if bias is None else _lowered(bias), how)


def _lowered(tensor: Tensor) -> Tensor:
    """In the dtype that autocast wants convolutions to have."""
    kind = tensor.device.type
    lowers = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    return tensor.to(torch.get_autocast_dtype(kind)) if lowers and tensor.dtype != torch.float64 else tensor


_Read = tuple[Tensor, Tensor, Tensor | None, _How | None]
_Steps = int | Sequence[int]


def _plain(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: _Steps = 1,
    padding: _Steps | str = 0,
    dilation: _Steps = 1,
    groups: int = 1,
) -> _Read:
    """The arguments of `torch.conv2d` and its siblings. Without `_How` where the padding has a name."""
    if isinstance(padding, str):
        return input, weight, bias, None
    by, pad, gap = (_each(one, weight) for one in (stride, padding, dilation))
    return input, weight, bias, _How(by, pad, gap, False, _each(0, weight), groups)


def _transposed(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: _Steps = 1,
    padding: _Steps = 0,
    output_padding: _Steps = 0,
    groups: int = 1,
    dilation: _Steps = 1,
) -> _Read:
    """The arguments of `torch.conv_transpose2d` and its siblings."""
    by, pad, gap, more = (_each(one, weight) for one in (stride, padding, dilation, output_padding))
    return input, weight, bias, _How(by, pad, gap, True, more, groups)


def _each(steps: _Steps, weight: Tensor) -> list[int]:
    """For each axis of space."""
    steps = [steps] if isinstance(steps, int) else list(steps)
    return steps * (weight.dim() - 2) if len(steps) == 1 else steps


_CONVOLUTIONS: Mapping[Callable[..., Any], Callable[..., _Read]] = {
    **dict.fromkeys((torch.conv1d, torch.conv2d, torch.conv3d), _plain),
    **dict.fromkeys((torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d), _transposed),
}


def _convolve(x_NI: Tensor, weight: Tensor, bias_O: Tensor | None, how: _How) -> Tensor:
    later = None
    if torch.is_grad_enabled() and (weight.requires_grad or (bias_O is not None and bias_O.requires_grad)):
        later = _Later.apply((x_NI,), weight, bias_O, how)
    result: Tensor = _Convolution.apply(x_NI, weight, bias_O, later, how)
    return result


class _Convolution(torch.autograd.Function):
    """later: a stand-in for the result, through which weight and bias are reached; None where they do not learn."""

    @staticmethod
    def forward(
        ctx: Any, x_NI: Tensor, weight: Tensor, bias_O: Tensor | None, later: Tensor | None, how: _How
    ) -> Tensor:
        ctx.save_for_backward(x_NI, weight)
        ctx.how = how
        return torch.convolution(x_NI, weight, bias_O, *how)

    @staticmethod
    def backward(ctx: Any, of_y: Tensor) -> tuple[Tensor | None, ...]:
        """With a graph, which the first of two derivatives has, nobody wants the weight's yet: it is made later."""
        (x_NI, weight), wants = ctx.saved_tensors, list(ctx.needs_input_grad[:3])
        if not torch.is_grad_enabled():
            found = torch.ops.aten.convolution_backward(of_y, x_NI, weight, of_y.shape[1:2], *ctx.how, wants)
            return *found, None, None
        of_x = _InputGradient.apply(of_y, weight, _like(x_NI), ctx.how) if wants[0] else None
        return of_x, None, None, of_y if ctx.needs_input_grad[3] else None, None


class _Later(torch.autograd.Function):
    """Nothing, in the shape of a convolution's result; what flows back to it becomes the weight's and bias's gradient.

    Their gradient is a node of its own because autograd leaves out nodes that lead to nothing that was asked for. The
    input comes in a tuple, so that autograd sees no way to it here.
    """

    @staticmethod
    def forward(ctx: Any, input: tuple[Tensor], weight: Tensor, bias_O: Tensor | None, how: _How) -> Tensor:
        ctx.set_materialize_grads(False)
        (ctx.x_NI,), ctx.weight, ctx.how = input, _like(weight), how
        return weight.new_empty(()).expand(how.size(ctx.x_NI.shape, weight.shape))

    @staticmethod
    def backward(ctx: Any, of_y: Tensor | None) -> tuple[Tensor | None, ...]:
        if of_y is None:
            return None, None, None, None
        _, wants_weight, wants_bias, _ = ctx.needs_input_grad
        of_weight = _WeightGradient.apply(ctx.x_NI, of_y, ctx.weight, ctx.how) if wants_weight else None
        return None, of_weight, of_y.sum(dim=(0, *range(2, of_y.dim()))) if wants_bias else None, None


class _InputGradient(torch.autograd.Function):
    """x: what the gradient is like."""

    @staticmethod
    def forward(ctx: Any, of_y: Tensor, weight: Tensor, x: _Like, how: _How) -> Tensor:
        ctx.save_for_backward(of_y, weight)
        ctx.how = how
        wants = [True, False, False]
        found: Tensor = torch.ops.aten.convolution_backward(of_y, x.empty(of_y), weight, None, *how, wants)[0]
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (of_y, weight), how, wants = ctx.saved_tensors, ctx.how, ctx.needs_input_grad
        of_of_y = _convolve(gradient, weight, None, how) if wants[0] else None
        of_weight = _WeightGradient.apply(gradient, of_y, _like(weight), how) if wants[1] else None
        return of_of_y, of_weight, None, None


class _WeightGradient(torch.autograd.Function):
    """weight: what the gradient is like."""

    @staticmethod
    def forward(ctx: Any, x_NI: Tensor, of_y: Tensor, weight: _Like, how: _How) -> Tensor:
        ctx.save_for_backward(x_NI, of_y)
        ctx.how = how
        wants = [False, True, False]
        found: Tensor = torch.ops.aten.convolution_backward(of_y, x_NI, weight.empty(x_NI), None, *how, wants)[1]
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (x_NI, of_y), how, wants = ctx.saved_tensors, ctx.how, ctx.needs_input_grad
        of_x = _InputGradient.apply(of_y, gradient, _like(x_NI), how) if wants[0] else None
        return of_x, _convolve(x_NI, gradient, None, how) if wants[1] else None, None, None

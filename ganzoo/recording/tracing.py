"""The tensor operations of one update, forwards and backwards, as torch traces them."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from types import BuiltinFunctionType, MethodDescriptorType
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.autograd.profiler import record_function
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from .pieces import MARK, Piece, cut

_SAME_MEMORY = ("aten.alias.default", "aten.detach.default")
"""Operations that give their argument again, to autograd's ends."""


_READING = {
    getattr(Tensor, name)
    for name in ("item", "tolist", "numpy", "__array__", "__bool__", "__int__", "__float__", "__index__", "__complex__")
}


class _NoReading(TorchFunctionMode):
    """Refuses what gives Python a tensor's value, of buffers and parameters too, which `make_fx` lets read."""

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        if function in _READING:
            raise RuntimeError("it reads a tensor's value")
        return function(*arguments, **(options or {}))


class _NoDispatchedReading(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The same where torch itself reads a value, as a size or an index."""

    def __torch_dispatch__(self, operation: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        if torch.Tag.data_dependent_output in operation.tags:
            raise RuntimeError("it reads a tensor's value")
        return operation(*arguments, **(options or {}))


@contextmanager
def _capturable() -> Iterator[None]:
    """Refuses modules that say that they decide in Python."""

    def refuse(module: nn.Module, _: Any) -> None:
        if not getattr(module, "capturable", True):
            raise RuntimeError(f"{type(module).__name__} decides in Python")

    hook = register_module_forward_pre_hook(refuse)
    try:
        yield
    finally:
        hook.remove()


def traced(function: Callable[..., Any], given: Sequence[Tensor]) -> fx.GraphModule:
    """The operations of a function of tensors, which are made at that.

    Raises what the function raises, and `RuntimeError` if it asks for a tensor's value.
    """
    from torch.fx.experimental.proxy_tensor import make_fx  # takes a second to import

    def unread(*tensors: Tensor) -> Any:
        # on a GPU autograd has a thread of its own for backward passes, where these modes might not reach
        here = torch.autograd.set_multithreading_enabled(False)
        with here, _NoDispatchedReading(), _NoReading(), _capturable():  # type: ignore[no-untyped-call]
            return function(*tensors)

    return make_fx(unread)(*given)


class Trace:
    """The operations of an update in one or several stages, which making it also makes.

    stages: each leaves the gradients of its parameters, from the tensors that it is given.
    learning: by stage, which parameters got a gradient.
    dynamic: that an operation gives more or less by what its arguments hold, in words, or None.
    crosses_devices: true if values are copied from one device to another, Python's numbers to a device among them.
    reads: where the memory begins that outlives the update and that it reads or writes.
    used: by stage, which of the tensors given to it make a difference.
    Raises what a stage raises, and `RuntimeError` if it asks for a tensor's value.
    """

    def __init__(
        self,
        parameters: Sequence[Sequence[nn.Parameter]],
        given: Sequence[Sequence[Tensor]],
        stages: Sequence[Callable[[Sequence[Tensor]], object]],
    ) -> None:
        self.learning: list[list[bool]] = []

        def gradients(*tensors: Tensor) -> list[list[Tensor]]:
            found, rest = list[list[Tensor]](), iter(tensors)
            for own, mine, stage in zip(parameters, given, stages, strict=True):
                with record_function(MARK):
                    stage(list(islice(rest, len(mine))))
                self.learning.append([parameter.grad is not None for parameter in own])
                found.append([parameter.grad for parameter in own if parameter.grad is not None])
            return found

        # stages may be given the same tensors, which tracing could not tell apart
        self._given = [[tensor.detach() for tensor in mine] for mine in given]
        module = traced(gradients, [tensor for mine in self._given for tensor in mine])
        self.dynamic = next(filter(None, map(_dynamic, module.graph.nodes)), None)
        self.crosses_devices = any(map(_crossing, module.graph.nodes))
        self._graph, self._constants = with_constants_as_arguments(module)
        self.reads = {one.data_ptr() for one in self._constants if isinstance(one, Tensor)}
        self._pieces = cut(self._graph, len(self._constants), [len(mine) for mine in given])
        arguments = iter(list(self._graph.find_nodes(op="placeholder"))[len(self._constants) :])
        self.used = [[bool(one.users) for one in islice(arguments, len(mine))] for mine in given]

    def same_as(self, other: Trace) -> bool:
        """True if both do the same with the same memory."""
        if len(self._constants) != len(other._constants) or self.learning != other.learning:
            return False
        alike = all(_same(one, two) for one, two in zip(self._constants, other._constants, strict=True))
        return alike and str(self._graph) == str(other._graph)

    def operations(self) -> list[Played]:
        """The stages, computed by the same operations one by one."""
        for piece in self._pieces:
            for node in piece.graph.nodes:
                node.target = quick(node.target)
        functions = [fx.GraphModule(nn.Module(), piece.graph).forward for piece in self._pieces]
        return [Played(*both, self._constants) for both in zip(self._pieces, functions, strict=True)]

    def compiled(self) -> list[Played]:
        """The stages, by torch's compiler. Takes seconds to minutes."""
        with torch.no_grad(), warnings.catch_warnings(action="ignore"):  # torch warns of parts of its own
            return [self._compiled(*both) for both in zip(self._pieces, self._given, strict=True)]

    def _compiled(self, piece: Piece, given: Sequence[Tensor]) -> Played:
        from torch import _inductor

        changing, module = [*given, *piece.examples()], fx.GraphModule(nn.Module(), piece.graph)
        example = [*self._constants, *changing]
        # random numbers as torch draws them, so that compiled training is ordinary training to rounding; small
        # matrix products as sums, which join the operations around them
        options: dict[str, Any] = {"fallback_random": True, "post_grad_fusion_options": {"decompose_mm_pass": {}}}
        if all(one.device.type == "cpu" for one in example if isinstance(one, Tensor)):
            # what Python does between a processor's kernels can take longer than they do; `Played` looks at sizes
            options |= {"cpp_wrapper": True, "size_asserts": False}
        with _quiet("torch._inductor"):
            compiled = _inductor.compile(module, example, options=options)
        # without the guard against compiling it again, which takes longer than small updates
        function = getattr(compiled, "__wrapped__", compiled)
        return Played(piece, function, self._constants, changing)


class Played:
    """One stage as a function. like: tensors laid out as those have to be that change from call to call, or None."""

    def __init__(
        self,
        piece: Piece,
        function: Callable[..., Sequence[Tensor]],
        constants: Sequence[Any],
        like: Sequence[Tensor] | None = None,
    ) -> None:
        self._function, self._constants, self._like = function, list(constants), like
        self._takes, self._leaves, self._gradients = piece.takes, piece.leaves, piece.gradients

    def __call__(self, given: Sequence[Tensor], values: dict[str, Tensor]) -> Sequence[Tensor]:
        """The gradients. values: of earlier stages by name, to which those that later ones take are added.

        Raises `RuntimeError` if tensors are laid out otherwise than the function relies on.
        """
        changing = [*given, *(values[name] for name in self._takes)] if self._takes else given
        if self._like is not None and not all(map(_laid_out_as, changing, self._like)):
            raise RuntimeError("it is given tensors of other sizes or layouts than when it was compiled")
        results = self._function(*self._constants, *changing)
        if not self._leaves:
            return results
        values.update(zip(self._leaves, results[self._gradients :], strict=True))
        return results[: self._gradients]


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """A logger that keeps silent, for what is reported otherwise."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _laid_out_as(tensor: Tensor, other: Tensor) -> bool:
    """True if values of the same indices are in the same places; along a single value, no step is ever made."""
    if tensor.shape != other.shape:
        return False
    steps = tensor.stride(), other.stride()
    return steps[0] == steps[1] or all(n == 1 or one == two for n, one, two in zip(tensor.shape, *steps, strict=True))


def with_constants_as_arguments(module: fx.GraphModule) -> tuple[fx.Graph, list[Any]]:
    """The graph as a function of all memory that it uses, without what does nothing; and that memory."""
    graph, constants, arguments = module.graph, list[Any](), dict[str, fx.Node]()
    first = next(iter(graph.nodes))
    for node in list(graph.nodes):
        if node.op == "get_attr":
            if node.target not in arguments:
                with graph.inserting_before(first):
                    arguments[node.target] = graph.placeholder(node.target)
                constants.append(getattr(module, node.target))
            node.replace_all_uses_with(arguments[node.target])
            graph.erase_node(node)
        elif str(node.target) in _SAME_MEMORY:
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
    return graph, constants


def _dynamic(node: fx.Node) -> str | None:
    if torch.Tag.dynamic_output_shape not in getattr(node.target, "tags", ()):
        return None
    masks = [
        one.meta["val"].dtype in (torch.bool, torch.uint8) for one in node.all_input_nodes[1:] if "val" in one.meta
    ]
    if node.target == torch.ops.aten.index.Tensor and not any(masks):
        return None  # by numbers: as many values as there are numbers
    return f"the size of what {node.target} gives depends on values"


def _crossing(node: fx.Node) -> bool:
    if "lift_fresh" in str(node.target) and "val" in node.meta:  # copied from Python before anything was traced
        return bool(node.meta["val"].device.type != "cpu")
    if node.target not in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default):
        return False
    seen = [one.meta["val"].device for one in (*node.all_input_nodes, node) if "val" in one.meta]
    return len(set(seen)) > 1


def quick(target: Any) -> Any:
    """torch's own binding of an operation, which takes a fraction of the time to call; the operation if it has none."""
    if isinstance(target, torch._ops.OpOverload) and target.namespace == "aten":
        name = target._schema.name.removeprefix("aten::")
        if any(one.name == "reduction" or "Optional[Tensor]]" in str(one.type) for one in target._schema.arguments):
            return target  # torch's bindings know neither "mean" as a default nor lists with gaps
        for place in (torch, torch._C._nn, torch.Tensor):
            found = getattr(place, name, None)
            if isinstance(found, BuiltinFunctionType | MethodDescriptorType):
                return found
    return target


def _same(one: Any, two: Any) -> bool:
    if not isinstance(one, Tensor) or not isinstance(two, Tensor):
        return bool(one == two)
    # memory that outlives an update is the same; what a part makes anew each time has to hold the same
    return one.data_ptr() == two.data_ptr() or (one.shape == two.shape and torch.equal(one, two))

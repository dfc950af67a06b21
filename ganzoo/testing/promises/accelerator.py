"""A round of training on a device that computes nothing: what would happen on a GPU, told without one.

torch's fake tensors know shape, dtype and device, and refuse what mixes devices. The device here is one that torch
knows by name alone, so that backward passes need no driver either. Whatever copies between devices, as a tensor made
of Python's numbers does, or asks for a value makes a GPU wait; every operation is counted.
"""

from __future__ import annotations

import contextlib
import traceback
from collections import Counter
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch
import torch.optim.optimizer as optimizer
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from ...contract import Callback
from ...planning import MadeUp
from ...recipes import Game
from ...training import Trainer

DEVICE = torch.device("lazy", 0)
_WITHOUT_KERNELS = {
    "alias", "as_strided", "detach", "empty", "empty_like", "empty_strided", "expand", "new_empty", "new_empty_strided",
    "permute", "prim::device", "_reshape_alias", "select", "slice", "split", "split_with_sizes", "squeeze", "t",
    "transpose", "unbind", "unfold", "_unsafe_view", "unsqueeze", "view",
}  # fmt: skip
"""Operations that look at memory otherwise, or take some."""


class Reads(Exception):
    """A tensor's value is asked for. there: on the device, which would have to be waited for; else on the CPU."""

    def __init__(self, why: str, there: bool) -> None:
        super().__init__(why)
        self.there = there


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what runs on the device, and keeps what would make it wait. waits: in words, with the line at fault."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = Counter[str]()
        self.waits: list[str] = []

    @property
    def kernels(self) -> int:
        """Operations that compute something."""
        return sum(self.operations.values())

    def __torch_dispatch__(self, operation: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        name = operation._schema.name.removeprefix("aten::")
        given = _tensors((arguments, options))
        if torch.Tag.data_dependent_output in operation.tags or _dynamic(operation, arguments):
            raise Reads(_where(f"{name} asks for a tensor's value"), any(one.device == DEVICE for one in given))
        result = operation(*arguments, **(options or {}))
        made = _tensors(result)
        there = any(one.device == DEVICE for one in (*given, *made))
        # a number in a tensor without axes goes along with the kernel
        if there and any(one.device != DEVICE and (one.dim() or "copy" in name) for one in (*given, *made)):
            self.waits.append(_where(f"{name} copies between devices"))
        if there and name not in _WITHOUT_KERNELS:
            self.operations[name] += 1
        return result


def _tensors(tree: Any) -> list[Tensor]:
    return [one for one in tree_flatten(tree)[0] if isinstance(one, Tensor)]


def _where(why: str) -> str:
    """With the innermost line that is neither torch's nor this module's."""
    frames = [one for one in traceback.extract_stack() if "/torch/" not in one.filename and one.filename != __file__]
    return f"{why}: {frames[-1].filename}, line {frames[-1].lineno}: {frames[-1].line}" if frames else why


def _dynamic(operation: Any, arguments: Any) -> bool:
    """True if the size of the result depends on values; indexing by numbers gives as many as there are numbers."""
    if torch.Tag.dynamic_output_shape not in operation.tags:
        return False
    if operation is not torch.ops.aten.index.Tensor:
        return True
    return any(one is not None and one.dtype in (torch.bool, torch.uint8) for one in arguments[1])


def rounds(game: Game, count: int = 1, callbacks: tuple[Callback, ...] = (), begin: int = 0) -> list[Watch]:
    """Train a game, built on the CPU, on the device that computes nothing; what each round does there.

    begin: the number of the first round, which decides whether lazy phases are due.
    Raises `Reads` where a value is asked for, and what torch raises where tensors of two devices meet.
    """
    watches, game = [], game.copy()
    with _pretending():
        trainer = Trainer(game, MadeUp(game.spec, game.recipe.batch, DEVICE), DEVICE, callbacks=callbacks)
        for callback in callbacks:
            callback.on_start(trainer)
        for number in range(begin, begin + count):
            trainer.iteration = number
            with Watch() as watch:
                trainer.iterate()
                for callback in callbacks:
                    callback.on_iteration(trainer)
            watches.append(watch)
    return watches


@contextlib.contextmanager
def _pretending() -> Iterator[None]:
    """Modules that move to the device become fake there, and torch's fused optimisers know it."""
    with contextlib.ExitStack() as stack:
        supported = "_get_fused_kernels_supported_devices"
        devices = [*getattr(optimizer, supported)(), DEVICE.type]
        stack.enter_context(mock.patch.object(optimizer, supported, side_effect=devices.copy))
        for owner, name, stand_in in (
            (nn.Module, "to", _moved),
            (Tensor, "__deepcopy__", _copied),
            (torch, "_fused_sgd_", _step),
        ):
            stack.enter_context(mock.patch.object(owner, name, stand_in))
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        yield


def _moved(module: nn.Module, device: Any = None, memory_format: torch.memory_format | None = None) -> nn.Module:
    """`Module.to`, which cannot exchange tensors for fake ones."""
    made: dict[int, Tensor] = {}
    for one in module.modules():
        tables: list[dict[str, Any]] = [one._parameters, one._buffers]
        for table in tables:
            for name, tensor in table.items():
                if tensor is not None:
                    table[name] = made.setdefault(id(tensor), _fake(tensor, memory_format))
    return module


def _fake(tensor: Tensor, memory_format: torch.memory_format | None) -> Tensor:
    laid_out = torch.empty(tensor.shape, dtype=tensor.dtype, device=DEVICE)
    if memory_format is not None and tensor.dim() == 4:
        laid_out = laid_out.contiguous(memory_format=memory_format)
    return nn.Parameter(laid_out, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else laid_out


def _copied(tensor: Tensor, memo: dict[int, Any]) -> Tensor:
    copied = torch.empty_like(tensor)
    if isinstance(tensor, nn.Parameter):
        copied = nn.Parameter(copied, tensor.requires_grad)
    memo[id(tensor)] = copied
    return copied


def _step(parameters: list[Tensor], gradients: list[Tensor], *_: Any, **__: Any) -> None:
    """One kernel for SGD, of whose own torch has no fake."""
    torch._foreach_add_(parameters, gradients)

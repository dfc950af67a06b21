"""A network without its values: built on torch's meta device, where a tensor has a shape and takes no memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as registration
from torch.nn.parameter import is_lazy
from torch.utils._device import DeviceContext

from ..errors import ModelError, printable

_SLACK = 4
_SPARE = 256
_STRAYS = 8
"""Parameters that fit no tensor of the file, as of a layer that the constructor replaces: more are given up."""
_OWN = frozenset(vars(nn.Module()))
_FILLS = {Tensor.normal_, Tensor.uniform_, Tensor.zero_, Tensor.fill_}


def blueprint(construct: Callable[[], nn.Module], shapes: Collection[tuple[int, ...]], where: str) -> nn.Module:
    """Build a network from options that nobody vouches for.

    shapes: of the tensors in its weights' file; a network of many times as many, or of others, is given up while it
    is being built. Raises `ModelError` that begins with `where`, whatever the constructor raises.
    """
    try:
        with torch.random.fork_rng(devices=[]), _Meta(), _fitting(shapes):
            return construct()
    except Exception as error:  # a constructor given hostile options may raise anything
        reason = printable(str(error).split("\n")[0] or type(error).__name__, 300)
        raise ModelError(f"{where}: the generator cannot be built as configured: {reason}") from error


class _Meta(DeviceContext):
    """What `with torch.device("meta")` enters, sparing initial values too: the meta device has no place for them."""

    def __init__(self) -> None:
        super().__init__(torch.device("meta"))

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in _FILLS or getattr(function, "__module__", None) == nn.init.__name__:
            tensor = args[0] if args else kwargs["tensor"]
            if tensor.is_meta:
                return tensor
        return super().__torch_function__(function, types, args, kwargs)  # type: ignore[no-untyped-call]


def left_on_meta(network: nn.Module) -> bool:
    """True if the network still has tensors without values: buffers that are not saved, or plain attributes."""
    for one in network.modules():
        attributes = [vars(one)[name] for name in vars(one).keys() - _OWN]
        for value in (*one._parameters.values(), *one._buffers.values(), *attributes):
            if isinstance(value, Tensor) and value.is_meta:
                return True
    return False


@contextmanager
def _fitting(shapes: Collection[tuple[int, ...]]) -> Iterator[None]:
    """Let this thread register parameters, buffers and submodules as a network for tensors of these shapes does."""
    thread, known, most = threading.get_ident(), set(shapes), len(shapes) * _SLACK + _SPARE
    registered = strays = 0

    def on_registration(owner: nn.Module, name: str, value: Any) -> None:
        nonlocal registered, strays
        if threading.get_ident() != thread or value is None:
            return
        registered += 1
        if registered > most:
            raise ModelError("it would have far more parts than the weights' file has tensors")
        if isinstance(value, nn.Parameter) and not is_lazy(value) and tuple(value.shape) not in known:
            strays += 1
            if strays > _STRAYS:
                raise ModelError(
                    f"it would have parameters such as {name} {tuple(value.shape)}, which fit no tensor in the "
                    "weights' file"
                )

    handles = [
        registration.register_module_parameter_registration_hook(on_registration),
        registration.register_module_buffer_registration_hook(on_registration),
        registration.register_module_module_registration_hook(on_registration),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()

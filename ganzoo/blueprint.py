"""A network without its values: built on torch's meta device, where a tensor has a shape and takes no memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as registration

from .errors import ModelError, printable

_SLACK = 4
_SPARE = 256


def blueprint(construct: Callable[[], nn.Module], tensors: int, where: str) -> nn.Module:
    """Build a network from options that nobody vouches for.

    tensors: how many its weights' file has; a network of many times as many is given up while it is being built.
    Raises `ModelError` that begins with `where`, whatever the constructor raises.
    """
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"), _at_most(tensors * _SLACK + _SPARE):
            return construct()
    except Exception as error:  # a constructor given hostile options may raise anything
        reason = printable(str(error).split("\n")[0] or type(error).__name__, 300)
        raise ModelError(f"{where}: the generator cannot be built as configured: {reason}") from error


def left_on_meta(network: nn.Module) -> bool:
    """True if the network still has tensors without values: buffers that are not saved, or plain attributes."""
    return any(
        isinstance(value, Tensor) and value.is_meta
        for one in network.modules()
        for values in (one._parameters, one._buffers, vars(one))
        for value in values.values()
    )


@contextmanager
def _at_most(count: int) -> Iterator[None]:
    """Let this thread register at most `count` parameters, buffers and submodules with modules."""
    thread, registered = threading.get_ident(), 0

    def on_registration(owner: nn.Module, name: str, value: Any) -> None:
        nonlocal registered
        if threading.get_ident() == thread and value is not None:
            registered += 1
            if registered > count:
                raise ModelError("it would have far more parts than the weights' file has tensors")

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

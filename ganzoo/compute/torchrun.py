"""What torchrun tells a process, and how the processes that it started find and hear each other."""

from __future__ import annotations

import datetime
import hashlib
import os
import time
import uuid
from functools import cache
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from ..errors import GanzooError, UsageError

PATIENCE = datetime.timedelta(hours=2)
"""How long the others wait while one draws previews, evaluates, or reads its data."""


_POLL_SECONDS = 0.02


def started_by_torchrun() -> bool:
    """True in a process that torchrun started among several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def restarted() -> bool:
    """True if torchrun started this process again after a failure: the run goes on, whatever the command says."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def leads() -> bool:
    """True in the process that speaks for all."""
    return int(os.environ.get("RANK", "0")) == 0 or not started_by_torchrun()


def local_device(device: torch.device) -> torch.device:
    """The GPU of this process among those of its machine. Raises `UsageError` if there are too few."""
    if device.type != "cuda" or not started_by_torchrun() or device.index is not None:
        return device
    number = int(os.environ.get("LOCAL_RANK", "0"))
    if number >= torch.cuda.device_count():
        raise UsageError(
            f"process {number + 1} on this machine has no GPU of its own, torch sees {torch.cuda.device_count()}: "
            "start torchrun with fewer --nproc-per-node, or train with --device cpu"
        )
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


@cache
def notice_board() -> Any:
    """Where processes leave notes for each other. torchrun keeps it, so that it outlives them."""
    return next(rendezvous("env://", timeout=PATIENCE))[0]


def agree_on_a_name(board: Any, rank: int, size: int) -> str:
    """A name that all processes have found for themselves, and that no earlier ones had.

    torchrun keeps the board when it starts processes again, and with it the addresses of those that died: under a
    name of their own the new ones do not call them. Each puts up a number of its own; all have the same name once each
    sees that every other has seen the same numbers.
    """
    own = uuid.uuid4().hex
    board.set(f"member/{rank}", own)
    end = time.monotonic() + PATIENCE.total_seconds()
    while time.monotonic() < end:
        members = [f"member/{other}" for other in range(size)]
        if board.check(members):
            numbers = [board.get(member).decode() for member in members]
            name = hashlib.sha256(",".join(numbers).encode()).hexdigest()
            board.set(f"saw/{own}", name)
            seen = [f"saw/{number}" for number in numbers]
            if board.check(seen) and all(board.get(one).decode() == name for one in seen):
                return name
        time.sleep(_POLL_SECONDS)
    raise GanzooError(f"process {rank} of {size} never met the others: start the same command on all machines")


@cache
def first_to_say(text: str) -> bool:
    """True in one of the processes that have the same to say, so that it is said once; asked again, the same."""
    if not started_by_torchrun():
        return True
    again = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    try:
        number: int = notice_board().add(f"said/{again}/{hashlib.sha256(text.encode()).hexdigest()}", 1)
        return number == 1
    except (dist.DistError, RuntimeError):
        return True  # twice is better than never

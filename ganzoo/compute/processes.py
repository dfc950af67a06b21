"""Several processes that train one model together, started by torchrun. Alone, everything here does nothing.

Each process holds the whole game and sees its share of every batch. Gradients are averaged after each backward pass,
so that all take the same step. What has to be drawn alike whatever the number of processes, latents above all, is
drawn by all of them from one stream of random numbers, of which each keeps its share.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore

from ..errors import GanzooError, Incompatible
from .torchrun import PATIENCE, agree_on_a_name, first_to_say, notice_board, started_by_torchrun

log = logging.getLogger("ganzoo")


class World:
    """One process, alone."""

    rank = 0
    size = 1

    @property
    def leads(self) -> bool:
        """True for the process that writes and shows."""
        return self.rank == 0

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its mean over all processes. Alone, the tensors are not even looked at."""

    def highest(self, number: int) -> int:
        """The highest of all processes' numbers; all have to call it."""
        return number

    def gather(self, value: Any) -> list[Any]:
        """The values of all processes, by rank; all have to call it."""
        return [value]

    def wait(self) -> None:
        """Go on when all have come here."""

    @contextmanager
    def failing_together(self) -> Iterator[None]:
        """Within, an error of one process ends the others without a word of their own."""
        yield

    @contextmanager
    def shared_draws(self, device: torch.device) -> Iterator[None]:
        """Within, torch's generators are those that all processes have in the same state."""
        yield

    def start(self, seed: int) -> None:
        """The generators have just been seeded: what they give from here on is shared, each process gets its own."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold of the processes; all have to call it."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave, to a world of any size."""


class Crew(World):
    """This process among those that torchrun started. device: what it computes on."""

    def __init__(self, device: torch.device) -> None:
        self.rank, self.size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        self._device = device
        self._machine = os.environ.get("GROUP_RANK", "0")
        self._members: list[tuple[str, int]] = []
        board = notice_board()
        self._name = agree_on_a_name(board, self.rank, self.size)
        with self._saying_who_left():
            if not dist.is_initialized():
                dist.init_process_group(
                    "nccl" if device.type == "cuda" else "gloo",
                    timeout=PATIENCE,
                    store=PrefixStore(self._name, board),
                    rank=self.rank,
                    world_size=self.size,
                )
            # flags and random states stay on the CPU, so that asking for them never waits for the GPU
            self._talk: Any = dist.new_group(backend="gloo", timeout=PATIENCE)
            self._members = self.gather((self._machine, os.getpid()))
        self._shared = _states(device)

    def start(self, seed: int) -> None:
        self._shared = _states(self._device)
        torch.manual_seed((seed + 1) * 1_000_003 + self.rank)

    def average(self, tensors: Iterable[Tensor]) -> None:
        """One message for all tensors of a type."""
        tensors = list(tensors)
        for dtype in {tensor.dtype for tensor in tensors}:
            alike = [tensor for tensor in tensors if tensor.dtype == dtype]
            flat = torch.cat([tensor.reshape(-1) for tensor in alike])
            dist.all_reduce(flat)
            parts = torch.split(flat.div_(self.size), [tensor.numel() for tensor in alike])
            torch._foreach_copy_(alike, [part.view_as(one) for part, one in zip(parts, alike, strict=True)])

    def highest(self, number: int) -> int:
        asked = torch.tensor(number)
        dist.all_reduce(asked, dist.ReduceOp.MAX, group=self._talk)
        return int(asked)

    def gather(self, value: Any) -> list[Any]:
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value, group=self._talk)
        return values

    def wait(self) -> None:
        dist.barrier(group=self._talk)

    @contextmanager
    def failing_together(self) -> Iterator[None]:
        try:
            with self._saying_who_left():
                yield
        except GanzooError as error:
            speaks = first_to_say(str(error))
            first_to_say(f"lost {self._name}")  # the others then go without a word
            self._leave()
            if speaks:
                raise
            raise SystemExit(error.exit_code) from error
        self._leave()

    def _leave(self) -> None:
        """Part from the others. A group that is known until Python ends may abort it, as its threads need Python."""
        self._talk = None
        leave()

    @contextmanager
    def _saying_who_left(self) -> Iterator[None]:
        """Turn what torch says where a process went away into one line of one of those that are left."""
        try:
            yield
        except (dist.DistError, RuntimeError) as error:
            if isinstance(error, dist.DistError) or "Connection closed" in str(error) or "gloo" in str(error).lower():
                if first_to_say(f"lost {self._name}"):
                    log.error("%s: the same command goes on from the last checkpoint", self._who_left())
                raise SystemExit(1) from error
            raise

    def _who_left(self) -> str:
        """In words, which process is gone, as far as one on this machine can see."""
        mine = [(rank, pid) for rank, (machine, pid) in enumerate(self._members) if machine == self._machine]
        gone = [f"process {rank} of {self.size} (pid {pid})" for rank, pid in mine if not _alive(pid)]
        if gone:
            return f"{' and '.join(gone)} was killed or crashed, so the others end too"
        return f"process {self.rank} of {self.size} lost a process, perhaps on another machine, and ends too"

    @contextmanager
    def shared_draws(self, device: torch.device) -> Iterator[None]:
        own = _states(device)
        _set_states(self._shared, device)
        try:
            yield
        finally:
            self._shared = _states(device)
            _set_states(own, device)

    def state_dict(self) -> dict[str, Any]:
        """All processes' own random numbers, by rank; the shared ones are those of a single process."""
        return {"ranks": self.gather(_states(self._device))}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on exactly with as many processes as before; with another number, own random numbers begin anew."""
        # the first process's generators were restored to what all share, those of other GPUs were never used
        self._shared = self.gather(_states(self._device))[0]
        ranks = state.get("ranks", [])
        if len(ranks) == self.size:
            _set_states(ranks[self.rank], self._device)
        else:
            torch.manual_seed(int(self._shared["cpu"].sum()) * 1_000_003 + self.rank)


def splits(batch: int, micro: int, processes: int = 1) -> int:
    """Parts of `micro` samples that each process computes its share of a batch in; 0 stands for the whole share.

    Raises `Incompatible` if the batch does not divide.
    """
    if batch % processes:
        raise Incompatible(
            f"a batch of {batch} cannot be shared by {processes} processes: "
            f"try `--batch {math.ceil(batch / processes) * processes}`"
        )
    share = batch // processes
    if micro == 0 or micro >= share:
        return 1
    if share % micro:
        divisor = next(number for number in range(micro, 0, -1) if share % number == 0)
        raise Incompatible(
            f"a share of {share} samples cannot be computed in parts of {micro}: "
            f"try `--set trainer.micro_batch={divisor}`"
        )
    return share // micro


def joined(device: torch.device) -> World:
    """The world that torchrun's environment speaks of, or this process alone."""
    return Crew(device) if started_by_torchrun() else World()


def _alive(pid: int) -> bool:
    """Whether a process of this machine still runs; one that torchrun has not yet buried does not."""
    if os.name == "nt":
        return True
    try:
        os.kill(pid, 0)
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except ProcessLookupError:
        return False
    except OSError:
        return True


def leave() -> None:
    """Part from the other processes, if there are any."""
    if dist.is_initialized():
        with contextlib.suppress(RuntimeError):
            dist.destroy_process_group()


def _states(device: torch.device) -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def _set_states(states: Mapping[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)

"""Processes that read a stream's samples ahead. One that dies is named; nothing grows however long they work.

The pixels come through memory that all share; through a pipe go only which samples are wanted, and what failed.
"""

from __future__ import annotations

import logging
import math
import mmap
import pickle
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from typing import Any

import numpy as np
import torch
from torch import Tensor, multiprocessing

from ..errors import DataError, GanzooError

log = logging.getLogger("ganzoo")
AHEAD = 2
"""Batches that each worker has in hand."""
_PATIENCE_SECONDS = 5.0

Read = Callable[[int], Mapping[str, Tensor]]


@dataclass(frozen=True)
class _Worker:
    process: BaseProcess
    pipe: Connection


class Workers:
    """Read batches in the order in which they are asked for; batch k by worker k modulo their number.

    read: runs in the workers.  first: one sample of it, which tells the shapes of all.  rows: samples a batch.
    count: of workers, at least 1.
    """

    def __init__(self, read: Read, first: Mapping[str, Tensor], rows: int, count: int) -> None:
        # where a process can be forked safely, readers need no pickling and memory needs no name
        context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
        inherited = context.get_start_method() == "fork"
        self.ahead = AHEAD * count
        self._slots = [
            {name: _shared((rows, *one.shape), one.dtype, inherited) for name, one in first.items()}
            for _ in range(self.ahead)
        ]
        self._workers: list[_Worker] = []
        for number in range(count):
            ours, theirs = context.Pipe()
            arguments = (read, theirs, self._slots)
            name = f"ganzoo data worker {number + 1}"
            process = context.Process(target=_work, args=arguments, name=name, daemon=True)
            with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
                # Python 3.12 warns of forking beside threads. Workers share no lock with them: they read files, compute
                # in one thread of their own, and never touch a GPU
                process.start()
            theirs.close()
            self._workers.append(_Worker(process, ours))
        self._asked = self._answered = 0
        self.close = Finalize(self, _stop, args=(self._workers,), exitpriority=10)

    def ask(self, index: Tensor) -> None:
        """Have the samples of these indices read, (rows,) int64. At most `ahead` batches may be under way."""
        message = np.append(np.int64(self._asked % len(self._slots)), index.numpy())
        try:
            self._workers[self._asked % len(self._workers)].pipe.send_bytes(message.tobytes())
        except OSError:  # it is dead, and `answer` will say so
            log.debug("worker %d takes no more orders", self._asked % len(self._workers) + 1)
        self._asked += 1

    def answer(self) -> Mapping[str, Tensor]:
        """Wait for the oldest batch under way: each field (rows, …), in memory that the next batches overwrite.

        Raises the worker's own error if it is a `GanzooError`, else `DataError` that names the worker.
        """
        number = self._answered % len(self._workers)
        worker = self._workers[number]
        ready = connection.wait([worker.pipe, worker.process.sentinel])
        try:
            reply = worker.pipe.recv() if worker.pipe in ready else _GONE
        except (EOFError, OSError):
            reply = _GONE
        if reply is not None:
            raise self._failure(number, reply)
        self._answered += 1
        return self._slots[(self._answered - 1) % len(self._slots)]

    def _failure(self, number: int, reply: tuple[bytes | None, str, str]) -> GanzooError:
        error, reason, where = reply
        if error is not None:
            known: GanzooError = pickle.loads(error)
            return known
        process, count = self._workers[number].process, len(self._workers)
        fewer = f"--set trainer.workers={count // 2}" + " or 0" * (count > 1)
        advice = f"try fewer workers, {fewer}"
        if where:
            advice = "--set trainer.workers=0 and --debug show where"
        else:
            process.join(_PATIENCE_SECONDS)
            reason = _end(process.exitcode)
        failure = DataError(
            f"worker {number + 1} of {count} that read the data (process {process.pid}) {reason}: {advice}"
        )
        failure.__cause__ = RuntimeError(f"in the worker:\n{where}") if where else None
        return failure


_GONE: tuple[None, str, str] = (None, "", "")


def _end(exitcode: int | None) -> str:
    if exitcode is None:
        return "does not answer"
    if exitcode >= 0:
        return f"ended with exit code {exitcode}"
    known = {one.value: one.name for one in signal.Signals}
    name = known.get(-exitcode, f"signal {-exitcode}")
    return f"was killed by {name}" + ", most often because memory ran out" * (name in ("SIGKILL", "SIGBUS"))


def _shared(shape: Sequence[int], dtype: torch.dtype, inherited: bool) -> Tensor:
    """A tensor that processes share. Memory without a name has no limit such as /dev/shm has in a container."""
    if not inherited:
        named: Tensor = torch.empty(tuple(shape), dtype=dtype).share_memory_()  # type: ignore[no-untyped-call]
        return named
    memory = mmap.mmap(-1, max(1, math.prod(shape)) * dtype.itemsize)
    return torch.frombuffer(memory, dtype=dtype, count=math.prod(shape)).reshape(tuple(shape))


def _stop(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        try:
            worker.pipe.send_bytes(b"")
            worker.pipe.close()
        except OSError:
            pass
    for worker in workers:
        worker.process.join(_PATIENCE_SECONDS)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


def _work(read: Read, pipe: Connection, slots: Sequence[Mapping[str, Tensor]]) -> None:
    """The life of a worker: until it is told to stop, or the process that started it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that trains, which then stops its workers
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    torch.set_num_threads(1)
    parent: Any = parent_process()
    try:
        while pipe in connection.wait([pipe, parent.sentinel]):
            message = pipe.recv_bytes()
            if not message:
                return
            slot, *index = np.frombuffer(message, np.int64).tolist()
            pipe.send(_attempt(read, index, slots[slot]))
    except (EOFError, OSError):
        return


def _attempt(read: Read, index: Sequence[int], slot: Mapping[str, Tensor]) -> tuple[bytes | None, str, str] | None:
    """Fill a slot. Returns None, or the error: as it is if it is a `GanzooError`, its text, and where it was."""
    try:
        fill(read, index, slot)
    except GanzooError as error:
        try:
            sent = pickle.dumps(error)
            pickle.loads(sent)
        except Exception:  # an error of a plugin's own making
            sent = None
        return sent, f"failed: {error}" if sent is None else str(error), traceback.format_exc()
    except Exception as error:  # a plugin may raise anything
        text = (str(error).strip().splitlines() or [""])[-1]
        return None, f"failed, {type(error).__name__}: {text}".rstrip(": "), traceback.format_exc()
    return None


def fill(read: Read, index: Sequence[int], slot: Mapping[str, Tensor]) -> None:
    """Read samples into the rows of a batch. Raises `DataError` for one of another shape or type."""
    for row, number in enumerate(index):
        sample = read(number)
        for name, place in slot.items():
            value = sample[name]
            if value.shape != place.shape[1:] or value.dtype != place.dtype:
                raise DataError(
                    f"sample {number} has a {name} of {value.dtype} {tuple(value.shape)}, the first one "
                    f"{place.dtype} {tuple(place.shape[1:])}: all must be alike"
                )
            place[row].copy_(value)

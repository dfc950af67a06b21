"""What may end training early: signals, a full disk, a folder that is taken away, descriptors that run out."""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

from ..errors import CheckpointError, RunError
from ..files import write_atomically
from .callbacks import CheckpointWriter
from .runfolder import RECIPE
from .trainer import Trainer

log = logging.getLogger("ganzoo")
_ENDING = (signal.SIGINT, signal.SIGTERM)
_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG}
_OF_DESCRIPTORS = {errno.EMFILE, errno.ENFILE}
_RESERVE = 32
"""Descriptors that are held for a last checkpoint: enough for its files, whatever else takes those that come free."""


@contextmanager
def rescued(trainer: Trainer, writer: CheckpointWriter) -> Iterator[None]:
    """Turn a disk that takes no more, a folder removed under way, or descriptors that run out into one line.

    Nothing is lost that can be kept. Raises `RunError` or `CheckpointError`.
    """
    with ExitStack() as reserve:
        for _ in range(_RESERVE):
            reserve.enter_context(open(os.devnull, "rb"))
        try:
            yield
        except Exception as error:
            reserve.close()
            if _out_of_descriptors(error) and trainer.world.size == 1:
                writer.save(trainer)
                raise RunError(
                    f"this process has too many files open: a checkpoint of {trainer.images:,} images was written; "
                    "raise `ulimit -n` and repeat the command, which goes on from there"
                ) from error
            if isinstance(error, OSError | CheckpointError):
                _explain(error, trainer, writer)
            raise


def _out_of_descriptors(error: BaseException | None) -> bool:
    """True if that is what an error, or what led to it, comes from; libraries tell it in words only."""
    while error is not None:
        if (isinstance(error, OSError) and error.errno in _OF_DESCRIPTORS) or "Too many open files" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _explain(error: OSError | CheckpointError, trainer: Trainer, writer: CheckpointWriter) -> None:
    """Raise the line that tells what became of the disk or the folder, if that is what it was."""
    folder = trainer.folder
    if not folder.exists() and trainer.world.size > 1:
        raise RunError(f"{folder} was removed during training: the same command begins anew") from error
    if not folder.exists():
        folder.mkdir(parents=True)
        write_atomically(folder / RECIPE, trainer.recipe.dump().encode())
        writer.save(trainer)
        raise RunError(
            f"{folder} was removed during training: it was made again with a checkpoint of {trainer.images:,} "
            "images; the same command goes on from there, earlier pictures and metrics are gone"
        ) from error
    if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
        raise RunError(
            f"{error.filename or folder} cannot be written: {error.strerror}; mend that and repeat the command, "
            "which goes on from the last checkpoint"
        ) from error


@contextmanager
def stopping(trainer: Trainer) -> Iterator[None]:
    """Let SIGINT and SIGTERM end training after the current iteration, with a checkpoint; a second one ends it at once.

    Python runs its handlers only between its own instructions, and a backward pass is a single one, of minutes perhaps:
    a thread hears of signals when they come.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        trainer.interrupted = trainer.interrupted or signal.Signals(number).name

    heard, told = socket.socketpair()
    told.setblocking(False)
    listener = threading.Thread(target=_listen, args=(heard, trainer.world.leads), name="ganzoo signals", daemon=True)
    listener.start()
    before = {number: signal.signal(number, stop) for number in _ENDING}
    woken = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(woken)
        for number, handler in before.items():
            signal.signal(number, handler)
        told.shutdown(socket.SHUT_RDWR)  # closing would not do: workers that were forked hold it open too
        listener.join()
        told.close()
        heard.close()


def _listen(heard: socket.socket, leads: bool) -> None:
    """Tell of the first signal of a kind, end the process at the second. heard: a byte for each signal."""
    seen = set()
    while number := heard.recv(1):
        if number[0] not in _ENDING:
            continue
        if number in seen:
            if sys.stderr.isatty():
                os.write(sys.stderr.fileno(), b"\x1b[?25h\n")  # the bar has hidden the cursor
            os._exit(128 + number[0])
        seen.add(number)
        if leads:
            log.warning(
                "%s: training stops after this iteration, with a checkpoint; another one ends it at once, without",
                signal.Signals(number[0]).name,
            )

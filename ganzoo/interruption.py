"""What may end training early: signals, a full disk, a folder that is taken away."""

from __future__ import annotations

import errno
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from .callbacks import CheckpointWriter
from .errors import CheckpointError, RunError
from .files import write_atomically
from .runfolder import RECIPE
from .trainer import Trainer

_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG}


@contextmanager
def rescued(trainer: Trainer, writer: CheckpointWriter) -> Iterator[None]:
    """Turn a disk that takes no more, or a folder removed under way, into one line, and lose nothing that can be kept.

    Raises `RunError` or `CheckpointError`.
    """
    folder = trainer.folder
    try:
        yield
    except (OSError, CheckpointError) as error:
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
        raise


@contextmanager
def stopping(trainer: Trainer) -> Iterator[None]:
    """Let SIGINT and SIGTERM end training after the current iteration, with a checkpoint; a second one kills."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        trainer.interrupted = signal.Signals(number).name
        signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

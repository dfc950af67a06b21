"""Memory of the device that a run computes on: how much is free, how much was taken at the peak, and when it is out."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from ..files import readable

_EXHAUSTED = re.compile(
    r"can't allocate memory|not enough memory|out of memory|bad_alloc|cannot allocate"
    # what CUDA's libraries say, cuDNN's last words where no workspace is left
    r"|alloc_failed|allocation_failed|unable to find an engine to execute this computation",
    re.IGNORECASE,
)
_NO_LIMIT = 2**60
_CGROUPS = (
    ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Versions 2 and 1: the folder, and in it the limit, what is used, and how much of that nobody needs."""


@dataclass(frozen=True)
class Room:
    """Bytes of memory: free for this process, and in all."""

    free: int
    total: int

    def __str__(self) -> str:
        return f"{readable(self.free)} of {readable(self.total)}"


def room(device: torch.device) -> Room | None:
    """What is free on the device; on the CPU, within the limits of the process and its control group too.

    None where nobody says.
    """
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return Room(free + cached, total)
    if device.type == "cpu":
        return min([*_machine(), *_control_group(), *_limits()], key=lambda one: one.free, default=None)
    return None


def is_exhaustion(error: BaseException) -> bool:
    """True if an error says that memory ran out, of a GPU, of torch's allocator, of Python or of the system."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and bool(_EXHAUSTED.search(str(error)))


class Peak:
    """Watches the peak of memory from its making on.

    On CUDA that of torch's allocator. On the CPU that of the process's resident memory; where the system cannot
    forget an older peak, only what rises above it counts. Elsewhere nothing is known.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        settle(device)
        self.base = 0
        if device.type == "cuda":
            torch.cuda.init()  # type: ignore[no-untyped-call]
            torch.cuda.reset_peak_memory_stats(device)
            self.base = torch.cuda.memory_allocated(device)
        elif device.type == "cpu":
            with contextlib.suppress(OSError):
                Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far, on Linux
            self.base = _highest_resident()

    def highest(self) -> int | None:
        """The most bytes in use since the beginning, with what was in use before; None where it is not known."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        return (_highest_resident() or None) if self._device.type == "cpu" else None

    def growth(self) -> int | None:
        """By how much the peak exceeds what was in use at the beginning; None where it is not known."""
        highest = self.highest()
        return None if highest is None else max(highest - self.base, 0)


def settle(device: torch.device) -> None:
    """Give back what nobody uses any more."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif sys.platform == "linux":
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)  # glibc's; it would keep freed pages for itself


def wait_for(device: torch.device) -> None:
    """Return when the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _highest_resident() -> int:
    """The process's peak resident memory in bytes; 0 where it is not known."""
    found = _fields("/proc/self/status").get("VmHWM")
    if found is not None:
        return found
    if sys.platform == "win32":
        return 0
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _machine() -> Iterator[Room]:
    known = _fields("/proc/meminfo")
    if {"MemAvailable", "MemTotal"} <= known.keys():
        yield Room(known["MemAvailable"], known["MemTotal"])


def _control_group() -> Iterator[Room]:
    """What a container may use; pages of files that are not in use do not count as taken."""
    for folder, limit, usage, unused in _CGROUPS:
        try:
            total, used = (int(Path(folder, name).read_text()) for name in (limit, usage))
            kept = re.search(rf"^{unused} (\d+)", Path(folder, "memory.stat").read_text(), re.MULTILINE)
        except (OSError, ValueError):  # ValueError: "max", no limit
            continue
        if total < _NO_LIMIT:
            yield Room(max(total - used + int(kept[1] if kept else 0), 0), total)


def _limits() -> Iterator[Room]:
    """What the process may use (`ulimit -v` and `ulimit -d`)."""
    if sys.platform == "win32":
        return
    import resource

    used = _fields("/proc/self/status")
    for limit, field in ((resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData")):
        total, _ = resource.getrlimit(limit)
        if total != resource.RLIM_INFINITY and field in used:
            yield Room(max(total - used[field], 0), total)


def _fields(path: str) -> dict[str, int]:
    """The sizes in a file of /proc, in bytes; nothing where there is no such file."""
    try:
        text = Path(path).read_text()
    except OSError:
        return {}
    return {name: int(size) * 1024 for name, size in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}

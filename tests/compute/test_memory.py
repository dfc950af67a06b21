from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest
import torch

from ganzoo.compute import memory
from ganzoo.compute.memory import Peak, Room, is_exhaustion, room
from ganzoo.files import readable
from ganzoo.models.sampling import generate

CPU = torch.device("cpu")
MIB = 2**20
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (66.4, "66 bytes"), (1536, "1.5 KiB"), (310 * MIB, "310 MiB"), (1.5 * 2**30, "1.5 GiB"),
     (1000 * MIB, "1,000 MiB")],
)  # fmt: skip
def test_bytes_are_shown_in_the_unit_that_fits(count, text):
    assert readable(count) == text


def test_an_allocator_that_gives_up_is_told_from_other_errors():
    with pytest.raises(RuntimeError) as given_up:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_exhaustion(given_up.value)
    assert is_exhaustion(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    assert is_exhaustion(MemoryError()) and is_exhaustion(OSError(errno.ENOMEM, "Cannot allocate memory"))
    for said in (
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "Unable to find an engine to execute this computation",
    ):
        assert is_exhaustion(RuntimeError(said)), said
    assert not is_exhaustion(OSError(errno.ENOSPC, "No space left on device"))
    assert not is_exhaustion(RuntimeError("mat1 and mat2 shapes cannot be multiplied (16x4 and 8x8)"))
    assert not is_exhaustion(ValueError("not enough memory of what was said"))


class _Hungry(torch.nn.Module):
    """Takes at most so many at once. rows: of the batches that it was given."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit, self.rows = limit, list[int]()

    def forward(self, source, label):
        self.rows.append(len(source))
        if len(source) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return source + label[:, None]


def test_samples_are_drawn_in_parts_that_fit():
    source, label = torch.arange(90.0).view(45, 2), torch.arange(45)
    hungry = _Hungry(limit=12)
    assert torch.equal(generate(hungry, source, label), source + label[:, None])
    assert hungry.rows == [45, 22, 11, 11, 11, 11, 1]
    with pytest.raises(torch.OutOfMemoryError):
        generate(_Hungry(limit=0), source, label)


@linux
def test_free_memory_is_the_smallest_of_what_machine_container_and_process_may_use(monkeypatch, tmp_path):
    for name, text in (("max", "1000000\n"), ("current", "700000\n"), ("stat", "anon 1\ninactive_file 200000\n")):
        (tmp_path / f"memory.{name}").write_text(text)
    whole = room(CPU)
    assert whole is not None and 0 < whole.free < whole.total
    monkeypatch.setattr(memory, "_CGROUPS", [(str(tmp_path), "memory.max", "memory.current", "inactive_file")])
    assert room(CPU) == Room(500_000, 1_000_000)
    (tmp_path / "memory.max").write_text("max\n")
    unlimited = room(CPU)
    assert unlimited is not None and unlimited.total == whole.total


def test_nobody_says_how_much_memory_other_devices_have():
    assert room(torch.device("meta")) is None
    assert Peak(torch.device("meta")).growth() is None


@linux
def test_the_peak_holds_what_was_given_back_and_forgets_what_was_before():
    before = torch.ones(200 * MIB, dtype=torch.uint8)
    del before
    watch = Peak(CPU)
    held = torch.ones(100 * MIB, dtype=torch.uint8)
    del held
    growth = watch.growth()
    assert growth is not None and 95 * MIB < growth < 130 * MIB
    second = Peak(CPU).growth()
    assert second is not None and second < 20 * MIB


@linux
def test_where_older_peaks_are_not_forgotten_only_what_exceeds_them_counts(monkeypatch):
    real = Path.write_text

    def refused(self, *arguments, **options):
        if str(self) == "/proc/self/clear_refs":
            raise PermissionError(13, "Permission denied")
        return real(self, *arguments, **options)

    Peak(CPU)
    held = torch.ones(100 * MIB, dtype=torch.uint8)
    del held
    monkeypatch.setattr(Path, "write_text", refused)
    watch = Peak(CPU)
    smaller = torch.ones(40 * MIB, dtype=torch.uint8)
    del smaller
    growth = watch.growth()
    assert growth is not None and growth < 20 * MIB


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_memory_of_a_gpu_is_that_of_torchs_allocator():
    device = torch.device("cuda")
    before = room(device)
    watch = Peak(device)
    held = torch.ones(100 * MIB, dtype=torch.uint8, device=device)
    during = room(device)
    assert before is not None and during is not None and before.total == during.total
    assert before.free - during.free >= 100 * MIB
    del held
    assert watch.growth() == 100 * MIB

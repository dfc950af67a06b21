"""Data of any size: resident or streamed to the same effect, workers that die, and memory that stays flat."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from counting import Operations
from PIL import Image
from torch import Tensor

import ganzoo
from ganzoo import DataSpec, Drawn, Sample, Stream, Table, Unpaired
from ganzoo.data import residence
from ganzoo.data.feed import Feed, describe_feed, make_feed
from ganzoo.data.residence import free_memory, settle

CPU = torch.device("cpu")
COUNT = 50
SPEC = DataSpec({"image": Sample((3, 6, 6))}, classes=3)
PICTURES = torch.randint(0, 256, (COUNT, 8, 7, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
LABELS = torch.arange(COUNT) % 3
PROC = Path("/proc/self/statm").exists()


def read(index: int) -> dict[str, Tensor]:
    return {"image": PICTURES[index]}


@dataclass(frozen=True)
class Reader:
    """Reads one by one, or everything at once."""

    nbytes: int = PICTURES.nbytes

    def __call__(self, index: int) -> Mapping[str, Tensor]:
        return read(index)

    def everything(self) -> Mapping[str, Tensor]:
        return {"image": PICTURES}


def table() -> Table:
    return Table({"image": PICTURES}, LABELS, flip=True, crop=True)


def stream(reader=read) -> Stream:
    return Stream(COUNT, reader, LABELS, flip=True, crop=True)


def feed_of(samples, workers: int = 0, **options) -> Feed:
    return make_feed(samples, SPEC, 12, 5, CPU, workers=workers, **options)


def batches(feed: Feed, count: int = 10) -> list[tuple[Tensor, Tensor]]:
    found = [feed.next() for _ in range(count)]
    return [(batch.fields["image"], batch.label) for batch in found]


def same(a: list[tuple[Tensor, Tensor]], b: list[tuple[Tensor, Tensor]]) -> bool:
    return all(torch.equal(x, y) for one, two in zip(a, b, strict=True) for x, y in zip(one, two, strict=True))


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize(
    ("samples", "share", "where"),
    [(table, 0.0, "streamed"), (stream, 0.5, "streamed"), (lambda: stream(Reader()), 0.5, "resident")],
    ids=["table", "stream", "decodable"],
)
def test_resident_and_streamed_samples_give_the_same_batches(samples, share, where, workers):
    feed = feed_of(samples(), workers, resident_share=share)
    assert describe_feed(feed).startswith(where)
    assert same(batches(feed), batches(feed_of(table())))


def test_batches_do_not_follow_one_another_in_memory():
    """What was handed out stays as it is, though workers write the next batches into the same memory."""
    values = DataSpec({"value": Sample((1,), -torch.inf, torch.inf)})
    feed = make_feed(Stream(COUNT, value, None), values, 5, 0, CPU, workers=2)
    handed = [feed.next().fields["value"] for _ in range(10)]
    assert sorted(torch.cat(handed).flatten().tolist()) == list(range(COUNT))


def test_pictures_that_workers_have_read_are_not_copied_before_they_are_normalised():
    feed = feed_of(stream(), 2)
    feed.next()
    with Operations() as seen:
        feed.next()
    assert "aten::clone" not in seen.counts and "aten::mul_" in seen.counts


@pytest.mark.parametrize("workers", [0, 2])
def test_what_is_no_picture_is_copied_only_if_workers_have_read_it(workers):
    values = DataSpec({"value": Sample((1,), -torch.inf, torch.inf)})
    feed = make_feed(Stream(COUNT, value, None), values, 5, 0, CPU, workers=workers)
    feed.next()
    with Operations() as seen:
        feed.next()
    assert ("aten::clone" in seen.counts) is (workers > 0)


def value(index: int) -> dict[str, Tensor]:
    return {"value": torch.tensor([float(index)])}


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_goes_on_exactly_while_workers_are_ahead(workers):
    whole, part = feed_of(stream(), workers), feed_of(stream(), workers)
    expected = batches(whole, 9)
    batches(part, 4)
    other = feed_of(stream(), 1 - workers // 2)
    other.load_state_dict(part.state_dict())
    part.load_state_dict(part.state_dict())
    assert same(batches(other, 5), expected[4:]) and same(batches(part, 5), expected[4:])


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")
def test_workers_are_forked_beside_threads_without_a_warning(monkeypatch):
    """Python 3.12 and newer warn; CUDA's driver and torch's operations have threads."""
    fork, forked = os.fork, []

    def warns() -> int:
        forked.append("multi-threaded, use of fork() may lead to deadlocks in the child")
        warnings.warn(forked[-1], DeprecationWarning, stacklevel=2)
        return fork()

    monkeypatch.setattr(os, "fork", warns)
    assert same(batches(feed_of(stream(), 2), 3), batches(feed_of(table()), 3))
    assert len(forked) == 2


def test_processes_share_streamed_batches():
    whole = batches(feed_of(table(), share=(0, 1)))
    shares = [batches(feed_of(stream(), 1, share=(rank, 2))) for rank in range(2)]
    joined = [(torch.cat([a, c]), torch.cat([b, d])) for (a, b), (c, d) in zip(*shares, strict=True)]
    assert same(whole, joined)


def test_a_feed_is_described_in_a_line():
    many = Table({"image": torch.zeros(12_000, 64, 64, 3, dtype=torch.uint8)})
    spec = DataSpec({"image": Sample((3, 64, 64))})
    assert describe_feed(make_feed(many, spec, 4, 0, CPU)) == "resident on cpu, 12,000 samples, 147 MB"
    large = Stream(1_000_000, read)
    assert describe_feed(make_feed(large, SPEC, 4, 0, CPU, workers=2)) == "streamed by 2 workers, 1,000,000 samples"
    assert describe_feed(make_feed(large, SPEC, 4, 0, CPU, workers=1)) == "streamed by 1 worker, 1,000,000 samples"
    assert describe_feed(feed_of(large)) == "streamed by the training process, 1,000,000 samples"
    assert describe_feed(make_feed(Drawn(lambda n, g: ({}, None)), SPEC, 4, 0, CPU)).startswith("drawn anew")
    pair = Unpaired({"a": Table({"a": PICTURES}), "b": Stream(7, read)})
    fields = DataSpec({"a": Sample((3, 8, 7)), "b": Sample((3, 8, 7))})
    described = describe_feed(make_feed(pair, fields, 4, 0, CPU))
    assert described == "a resident on cpu, 50 samples, 0.0084 MB; b streamed by the training process, 7 samples"


@pytest.mark.parametrize(
    ("free", "share", "processes", "device", "resident"),
    [
        (2 * PICTURES.nbytes, 0.5, 1, "cuda", True),
        (2 * PICTURES.nbytes - 2, 0.5, 1, "cuda", False),
        (2 * PICTURES.nbytes, 0.5, 2, "cuda", True),
        (2 * PICTURES.nbytes, 0.5, 2, "cpu", False),
        (4 * PICTURES.nbytes, 0.5, 2, "cpu", True),
        (PICTURES.nbytes, 1.0, 1, "cpu", True),
        (10**12, 0.0, 1, "cpu", False),
    ],
)
def test_samples_stay_where_there_is_room_for_them(monkeypatch, free, share, processes, device, resident):
    monkeypatch.setattr(residence, "free_memory", lambda place: free if place.type == device else 10**12)
    settled = settle(stream(Reader()), torch.device(device), share, processes)
    assert isinstance(settled, Table if resident else Stream)
    if device == "cuda":
        settled = settle(table(), torch.device(device), share, processes)
        assert isinstance(settled, Table if resident else Stream)
    assert settled.flip and settled.crop and torch.equal(settled.labels, LABELS)


@dataclass(frozen=True)
class MappedReader(Reader):
    """Reads one by one, or everything at once from the disk."""

    mapped: bool = True


@pytest.mark.parametrize(
    ("free", "processes", "reader", "resident"),
    [
        (2 * PICTURES.nbytes, 1, Reader(), True),
        (2 * PICTURES.nbytes - 2, 1, Reader(), False),
        (2 * PICTURES.nbytes, 2, Reader(), False),
        (4 * PICTURES.nbytes, 2, Reader(), True),
        (0, 1, MappedReader(), True),
        (0, 1, MappedReader(mapped=False), False),
    ],
)
def test_samples_come_to_a_gpu_only_if_they_can_be_decoded_on_the_way(monkeypatch, free, processes, reader, resident):
    """Decoded, they lie in the computer's memory first, once for each process, unless they are mapped from the disk."""
    monkeypatch.setattr(residence, "free_memory", lambda place: free if place.type == "cpu" else 10**12)
    settled = settle(stream(reader), torch.device("cuda"), 0.5, processes)
    assert isinstance(settled, Table if resident else Stream)
    assert isinstance(settle(table(), torch.device("cuda"), 0.5, processes), Table), "it lies there already"


def test_mapped_samples_take_room_on_the_device_itself(monkeypatch):
    monkeypatch.setattr(residence, "free_memory", lambda place: 2 * PICTURES.nbytes - 2)
    for device in ("cpu", "cuda"):
        assert isinstance(settle(stream(MappedReader()), torch.device(device)), Stream)


def test_free_memory_is_known_or_guessed(monkeypatch):
    assert 1_000_000 < free_memory(CPU) < 2**60
    monkeypatch.setattr(residence.memory, "room", lambda device: None)
    assert free_memory(CPU) == 4_000_000_000


def processes(feed: Feed) -> list:
    return [worker.process for worker in feed._workers._workers]


@pytest.mark.timeout(60)
def test_a_worker_that_is_killed_is_named():
    feed = feed_of(stream(), 2)
    feed.next()
    killed = processes(feed)[1]
    os.kill(killed.pid, signal.SIGKILL)
    with pytest.raises(ganzoo.DataError) as caught:
        batches(feed, 20)
    assert str(caught.value) == (
        f"worker 2 of 2 that read the data (process {killed.pid}) was killed by SIGKILL, most often because memory "
        "ran out: try fewer workers, --set trainer.workers=1 or 0"
    )


def fails(index: int) -> dict[str, Tensor]:
    if index == 7:
        raise ValueError("first line\nthe pixels are upside down")
    return read(index)


def refuses(index: int) -> dict[str, Tensor]:
    raise ganzoo.Incompatible("picture 3 is in colour") if index == 7 else ganzoo.DataError("7 comes later")


def leaves(index: int) -> dict[str, Tensor]:
    if index == 7:
        os._exit(3)
    return read(index)


def differs(index: int) -> dict[str, Tensor]:
    return {"image": PICTURES[index, : 7 if index == 7 else 8]}


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("reader", "kind", "message"),
    [
        (
            fails,
            ganzoo.DataError,
            r"worker \d of 2 that read the data \(process \d+\) failed, ValueError: the pixels are upside down: "
            "--set trainer.workers=0 and --debug show where$",
        ),
        (leaves, ganzoo.DataError, r"worker \d of 2 .* ended with exit code 3: try fewer workers"),
        (differs, ganzoo.DataError, r"sample 7 has a image of torch.uint8 \(7, 7, 3\), the first one .* \(8, 7, 3\)"),
    ],
    ids=["raises", "exits", "differs"],
)
def test_a_worker_that_fails_ends_the_run_in_a_line(reader, kind, message):
    feed = feed_of(stream(reader), 2)
    with pytest.raises(kind, match=message) as caught:
        batches(feed, 10)
    assert "\n" not in str(caught.value)
    if reader is fails:
        assert 'raise ValueError("first line' in str(caught.value.__cause__)


@pytest.mark.timeout(60)
def test_an_error_of_ganzoo_comes_out_of_a_worker_as_it_is():
    feed = feed_of(stream(), 1)
    feed._first, feed._stream = read(0), stream(refuses)
    with pytest.raises((ganzoo.DataError, ganzoo.Incompatible), match=r"7 comes later|is in colour"):
        feed.next()


@pytest.mark.timeout(60)
def test_workers_go_with_their_feed():
    feed = feed_of(stream(), 2)
    feed.next()
    workers = processes(feed)
    assert all(worker.is_alive() for worker in workers)
    del feed
    gc.collect()
    assert [worker.exitcode for worker in workers] == [0, 0]


ORPHANS = """
import time, torch
from ganzoo import DataSpec, Sample, Stream
from ganzoo.data import make_feed

spec = DataSpec({"value": Sample((1,), -torch.inf, torch.inf)})
feed = make_feed(Stream(9, lambda i: {"value": torch.ones(1)}), spec, 3, 0, torch.device("cpu"), workers=3)
feed.next()
print(*(worker.process.pid for worker in feed._workers._workers), flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(not PROC, reason="looks into /proc")
@pytest.mark.timeout(90)
def test_workers_go_when_the_process_that_trains_is_killed():
    with subprocess.Popen([sys.executable, "-c", ORPHANS], stdout=subprocess.PIPE, text=True) as trains:
        workers = [int(word) for word in trains.stdout.readline().split()]
        trains.kill()
    assert len(workers) == 3
    for _ in range(100):
        alive = [pid for pid in workers if _running(pid)]
        if not alive:
            break
        time.sleep(0.1)
    assert alive == []


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not PROC, reason="looks into /proc")
@pytest.mark.timeout(120)
def test_a_run_whose_worker_is_killed_ends_with_one_line(tmp_path):
    (tmp_path / "pictures").mkdir()
    for number in range(40):
        Image.new("RGB", (8, 8), (number,) * 3).save(tmp_path / "pictures" / f"{number}.png")
    words = "train dcgan --generator mlp --discriminator mlp --data folder:pictures --images 1M --out run"
    full = "from ganzoo.data import residence; residence.free_memory = lambda device: 0; from ganzoo.cli import main"
    limit = "--set data.resident_bytes=0 --set metrics.every=128"
    command = [sys.executable, "-c", f"{full}; main()", *words.split(), *limit.split()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        child = _child_of(run.pid)
        os.kill(child, signal.SIGKILL)
        _, told = run.communicate(timeout=60)
    last = told.strip().splitlines()[-1]
    assert run.returncode == 1 and "Traceback" not in told
    assert f"of 2 that read the data (process {child}) was killed by SIGKILL" in last
    assert "trainer.workers=1 or 0" in last


def _child_of(pid: int) -> int:
    """Wait for a worker of a process that has begun to train."""
    for _ in range(600):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        rows = Path("run/metrics.jsonl")
        if len(children) >= 2 and rows.exists() and rows.stat().st_size:
            return int(children[0])
        time.sleep(0.1)
    raise AssertionError("no worker was started")


def resident_kilobytes(pid: int | str = "self") -> int:
    """Memory that is this process's own: shared pages count where they were copied."""
    rows = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines())
    return sum(int(row[1]) for row in rows if row[0] in ("Private_Dirty:", "Private_Clean:"))


def flat(epochs: int, count: int) -> None:
    """Memory after the first epoch is that after the last, of the process that trains and of its workers."""
    spec = DataSpec({"value": Sample((256,), -torch.inf, torch.inf)})
    many = Stream(count, wide, torch.zeros(count, dtype=torch.int64))
    feed = make_feed(many, spec, 50, 0, CPU, workers=2)
    rounds = []
    for _ in range(epochs):
        for _ in range(count // 50):
            feed.next()
        feed.state_dict()
        gc.collect()
        rounds.append([resident_kilobytes(), *(resident_kilobytes(worker.pid) for worker in processes(feed))])
    grown = [last - first for first, last in zip(rounds[0], rounds[-1], strict=True)]
    assert max(grown) < 3_000, f"kilobytes after each epoch, of this process and its workers: {rounds}"


def wide(index: int) -> dict[str, Tensor]:
    return {"value": torch.full((256,), float(index))}


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="looks into /proc")
def test_memory_stays_flat_over_streamed_epochs():
    flat(epochs=4, count=10_000)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="looks into /proc")
def test_memory_stays_flat_over_many_streamed_epochs():
    flat(epochs=20, count=100_000)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("samples", [table, stream], ids=["resident", "streamed"])
def test_a_gpu_is_never_waited_for(samples):
    """And it gives the numbers that the CPU gives."""
    feed = make_feed(samples(), SPEC, 12, 5, torch.device("cuda"), workers=2)
    feed.next()
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = batches(feed, 9)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    expected = batches(feed_of(table()), 10)[1:]
    assert all(
        torch.equal(a.cpu(), b) and torch.equal(c.cpu(), d) for (a, c), (b, d) in zip(found, expected, strict=True)
    )

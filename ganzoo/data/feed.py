"""From samples to batches: resident on the training device, drawn, or streamed; every feed resumes exactly.

Order and flips come from a generator on the CPU, so that they are the same whatever the device.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..contract import Batch, DataSpec, Drawn, Sample, Stream, Table, Unpaired
from .order import BatchDraw, Order, draw_batch
from .residence import RESIDENT_SHARE, settle
from .workers import Workers, fill

__all__ = ["Feed", "Order", "describe_feed", "make_feed", "normalise"]

Share = tuple[int, int]
"""The number of a process, and how many there are."""


class Feed:
    """An endless supply of batches. `state_dict` holds the place in the data.

    batch: samples in a whole batch.  share: which part of it this process gets, and of how many equal ones.
    """

    def __init__(self, batch: int, share: Share = (0, 1)) -> None:
        self.batch, self._share = batch, share

    @property
    def rows(self) -> slice:
        """This process's share of a whole batch."""
        number, count = self._share
        return slice(self.batch * number // count, self.batch * (number + 1) // count)

    def resize(self, batch: int) -> None:
        """The batches that follow have so many samples, those that come next in the data."""
        self.batch = batch

    def next(self) -> Batch:
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        raise NotImplementedError

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        raise NotImplementedError

    def __str__(self) -> str:
        """Where the samples are, in a line."""
        raise NotImplementedError


def make_feed(
    samples: Table | Drawn | Stream | Unpaired,
    spec: DataSpec,
    batch: int,
    seed: int,
    device: torch.device,
    workers: int = 0,
    share: Share = (0, 1),
    resident_share: float = RESIDENT_SHARE,
) -> Feed:
    """The feed for these samples; the same batches come whether they are resident on the device or streamed.

    batch: of all processes.  share: of this process, its number and how many there are; it gets as many of each
    batch.  workers: processes that read streamed samples.  resident_share: of the device's free memory; samples that
    fit in it are kept there, larger sets are streamed. Raises `DataError` if the samples are empty or contradict
    the spec.
    """
    if isinstance(samples, Unpaired):
        return UnpairedFeed(samples, spec, batch, seed, device, workers, share, resident_share)
    if isinstance(samples, Drawn):
        return DrawnFeed(samples, batch, seed, device, share)
    samples = settle(samples, device, resident_share, share[1])
    if isinstance(samples, Stream):
        return StreamFeed(samples, spec, batch, seed, device, workers, share)
    return TableFeed(samples, spec, batch, seed, device, share)


def describe_feed(feed: Feed) -> str:
    """Where a feed's samples are, in a line: "resident on cpu, 12,000 samples, 147 MB"."""
    return str(feed)


class TableFeed(Feed):
    """Samples kept on the device, pictures as uint8, gathered by index and normalised there without waiting for it."""

    def __init__(
        self, table: Table, spec: DataSpec, batch: int, seed: int, device: torch.device, share: Share = (0, 1)
    ) -> None:
        super().__init__(batch, share)
        self._fields = {name: _movable(tensor).contiguous().to(device) for name, tensor in table.fields.items()}
        self._labels = _labels(table.labels, len(next(iter(self._fields.values())))).to(device)
        self._order = Order(len(self._labels), seed)
        self._spec, self._device = spec, device
        self._flip, self._crop = table.flip, table.crop

    def next(self) -> Batch:
        draw = draw_batch(self._order, self.batch, self._flip, self._crop, self.rows)
        index = _sent(draw.index, self._device)
        fields = {
            name: normalise(tensor.index_select(0, index), self._spec.fields[name], draw.mirrored, draw.corner)
            for name, tensor in self._fields.items()
        }
        return Batch(fields, self._labels.index_select(0, index))

    def state_dict(self) -> dict[str, Any]:
        return self._order.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._order.load_state_dict(state)

    def __str__(self) -> str:
        megabytes = sum(tensor.nbytes for tensor in self._fields.values()) / 1e6
        size = f"{megabytes:,.0f}" if megabytes >= 1 else f"{megabytes:.2g}"
        return f"resident on {self._device}, {len(self._labels):,} samples, {size} MB"


class DrawnFeed(Feed):
    """Fresh samples of a distribution, from a generator of its own."""

    def __init__(self, drawn: Drawn, batch: int, seed: int, device: torch.device, share: Share = (0, 1)) -> None:
        super().__init__(batch, share)
        self._draw, self._device = drawn.draw, device
        self._generator = torch.Generator().manual_seed(seed)
        self.resize(batch)

    def resize(self, batch: int) -> None:
        super().resize(batch)
        self._unlabelled = _labels(None, batch)[self.rows].to(self._device)

    def next(self) -> Batch:
        fields, labels = self._draw(self.batch, self._generator)
        on_device = {name: self._placed(tensor) for name, tensor in fields.items()}
        return Batch(on_device, self._unlabelled if labels is None else self._placed(labels.to(torch.int64)))

    def _placed(self, tensor: Tensor) -> Tensor:
        """This process's share of a whole batch's values, on the device."""
        return _sent(tensor if self._share[1] == 1 else tensor[self.rows], self._device)

    def state_dict(self) -> dict[str, Any]:
        return {"generator": self._generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._generator.set_state(state["generator"])

    def __str__(self) -> str:
        return "drawn anew for each batch, without end"


class StreamFeed(Feed):
    """Samples read by worker processes, batches ahead; the state is that of the last batch handed out."""

    def __init__(
        self,
        stream: Stream,
        spec: DataSpec,
        batch: int,
        seed: int,
        device: torch.device,
        workers: int,
        share: Share = (0, 1),
    ) -> None:
        super().__init__(batch, share)
        self._stream, self._spec = stream, spec
        self._device, self._count = device, workers
        self._labels = _labels(stream.labels, stream.count)
        self._order = Order(stream.count, seed)
        self._state = self._order.state_dict()
        self._planned: deque[tuple[BatchDraw, dict[str, Any]]] = deque()
        self._first: Mapping[str, Tensor] | None = None
        self._workers: Workers | None = None

    def resize(self, batch: int) -> None:
        if batch != self.batch:
            super().resize(batch)
            self.load_state_dict(self.state_dict())  # what was read ahead is drawn and read anew

    def next(self) -> Batch:
        if not self._planned:
            self._plan()
        fields = self._read()
        draw, self._state = self._planned.popleft()
        on_device = {name: self._placed(name, tensor, draw) for name, tensor in fields.items()}
        return Batch(on_device, _sent(self._labels[draw.index], self._device))

    def _placed(self, name: str, tensor: Tensor, draw: BatchDraw) -> Tensor:
        """A field as training gets it. Workers overwrite what they have read; of pictures others are made at once."""
        sample = self._spec.fields[name]
        own = tensor.clone() if self._count and not sample.is_image else tensor
        return normalise(_sent(own, self._device), sample, draw.mirrored, draw.corner)

    def _plan(self) -> BatchDraw:
        draw = draw_batch(self._order, self.batch, self._stream.flip, self._stream.crop, self.rows)
        self._planned.append((draw, self._order.state_dict()))
        return draw

    def _read(self) -> Mapping[str, Tensor]:
        """The first planned batch, in memory that later ones may overwrite."""
        index = self._planned[0][0].index
        if self._first is None:
            self._first = self._stream.read(int(index[0]))
        if not self._count:
            batch = {name: torch.empty((len(index), *one.shape), dtype=one.dtype) for name, one in self._first.items()}
            fill(self._stream.read, index.tolist(), batch)
            return batch
        if self._workers is None:
            self._workers = Workers(self._stream.read, self._first, len(index), self._count)
            for draw, _ in self._planned:
                self._workers.ask(draw.index)
        while len(self._planned) < self._workers.ahead:
            self._workers.ask(self._plan().index)
        return self._workers.answer()

    def state_dict(self) -> dict[str, Any]:
        return self._state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._order.load_state_dict(state)
        self._state = self._order.state_dict()
        self._planned.clear()
        if self._workers is not None:
            self._workers.close()
            self._workers = None

    def __str__(self) -> str:
        by = f"{self._count} worker{'s' * (self._count != 1)}" if self._count else "the training process"
        return f"streamed by {by}, {self._stream.count:,} samples"


class UnpairedFeed(Feed):
    """Each field from a feed of its own, in an order of its own."""

    def __init__(
        self,
        unpaired: Unpaired,
        spec: DataSpec,
        batch: int,
        seed: int,
        device: torch.device,
        workers: int,
        share: Share = (0, 1),
        resident_share: float = RESIDENT_SHARE,
    ) -> None:
        super().__init__(batch, share)
        room = resident_share / len(unpaired.parts)
        self._feeds = {
            name: make_feed(
                part, DataSpec({name: spec.fields[name]}), batch, seed + number, device, workers, share, room
            )
            for number, (name, part) in enumerate(unpaired.parts.items())
        }
        self._device = device
        self.resize(batch)

    def resize(self, batch: int) -> None:
        super().resize(batch)
        for feed in self._feeds.values():
            if feed.batch != batch:
                feed.resize(batch)
        self._label = torch.zeros(batch // self._share[1], dtype=torch.int64, device=self._device)

    def next(self) -> Batch:
        return Batch({name: feed.next().fields[name] for name, feed in self._feeds.items()}, self._label)

    def state_dict(self) -> dict[str, Any]:
        return {name: feed.state_dict() for name, feed in self._feeds.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name, feed in self._feeds.items():
            feed.load_state_dict(state[name])

    def __str__(self) -> str:
        return "; ".join(f"{name} {feed}" for name, feed in self._feeds.items())


def normalise(tensor: Tensor, sample: Sample, mirrored: Tensor | None = None, corner: Tensor | None = None) -> Tensor:
    """uint8 or uint16 (N, H, W, C) pictures to float32 (N, C, H, W) in the sample's range; float32 values pass as
    they are.

    mirrored: (N,) bool, the pictures to flip left-right.  corner: (N, 2) in [0, 1), where larger pictures are cut.
    Both are on the CPU.
    """
    if not sample.is_image:
        return tensor
    tensor = _movable(tensor)
    if corner is not None:
        tensor = _cropped(tensor, sample, corner)
    if mirrored is not None:
        tensor = _flipped(tensor, mirrored)
    tensor = tensor.view(torch.uint16) if tensor.dtype == torch.int16 else tensor
    picture, scale = tensor.permute(0, 3, 1, 2), (sample.high - sample.low) / torch.iinfo(tensor.dtype).max
    # a CPU has fast kernels for equal types only; elsewhere a pass is saved
    if tensor.device.type == "cpu" or tensor.dtype != torch.uint8:
        return picture.to(torch.float32).mul_(scale).add_(sample.low)
    return picture.mul(scale).add_(sample.low)


def _movable(tensor: Tensor) -> Tensor:
    """uint16 as the int16 of the same bits, which is gathered and flipped on every device; others as they are."""
    return tensor.view(torch.int16) if tensor.dtype == torch.uint16 else tensor


def _flipped(tensor: Tensor, mirrored: Tensor) -> Tensor:
    """(N, H, W, C) pictures, those flipped left-right that are to be mirrored."""
    if tensor.device.type != "cpu":
        return torch.where(_sent(mirrored, tensor.device)[:, None, None, None], tensor.flip(2), tensor)
    chosen = mirrored.nonzero().flatten()  # a flip is the slowest pass on the CPU: only of those that need it
    place = torch.arange(len(tensor))
    place[chosen] = torch.arange(len(tensor), len(tensor) + len(chosen))
    return torch.cat([tensor, tensor.index_select(0, chosen).flip(2)]).index_select(0, place)


def _cropped(tensor: Tensor, sample: Sample, corner: Tensor) -> Tensor:
    """Cut (N, H, W, C) pictures to the sample's size, each at its own corner, a share of the room that there is."""
    n, height, width, _ = tensor.shape
    _, inner_height, inner_width = sample.shape
    room = torch.tensor([height - inner_height + 1, width - inner_width + 1])
    top, left = _sent((corner * room).long(), tensor.device).unbind(1)
    rows = top[:, None] + torch.arange(inner_height, device=tensor.device)
    columns = left[:, None] + torch.arange(inner_width, device=tensor.device)
    number = torch.arange(n, device=tensor.device)
    return tensor[number[:, None, None], rows[:, :, None], columns[:, None, :]]


def _sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on the device, without waiting for a GPU: it copies from pinned memory when it comes to it."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def _labels(labels: Tensor | None, count: int) -> Tensor:
    return torch.zeros(count, dtype=torch.int64) if labels is None else labels.to(torch.int64)

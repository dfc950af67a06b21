"""From samples to batches: resident on the training device, drawn, or streamed; every feed resumes exactly.

Order and flips come from a generator on the CPU, so that they are the same whatever the device.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from .errors import DataError
from .interfaces import Batch, Drawn, Stream, Table, Unpaired
from .specs import DataSpec, Sample

_ALL = slice(None)


class Feed:
    """An endless supply of batches. `state_dict` holds the place in the data."""

    def next(self) -> Batch:
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        raise NotImplementedError

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        raise NotImplementedError


def make_feed(
    samples: Table | Drawn | Stream | Unpaired,
    spec: DataSpec,
    batch: int,
    seed: int,
    device: torch.device,
    workers: int = 0,
    share: tuple[int, int] = (0, 1),
) -> Feed:
    """The feed for these samples.

    batch: of all processes.  share: of this process, its number and how many there are; it gets as many of each
    batch. Raises `DataError` if the samples are empty or contradict the spec.
    """
    rows = slice(batch * share[0] // share[1], batch * (share[0] + 1) // share[1])
    if isinstance(samples, Unpaired):
        return UnpairedFeed(samples, spec, batch, seed, device, workers, share)
    if isinstance(samples, Drawn):
        return DrawnFeed(samples, batch, seed, device, rows)
    if isinstance(samples, Stream):
        return StreamFeed(samples, spec, batch, seed, device, workers, rows)
    return TableFeed(samples, spec, batch, seed, device, rows)


class Order:
    """Endless shuffled indices: each index once an epoch, epochs joined without a gap."""

    def __init__(self, count: int, seed: int) -> None:
        if count < 1:
            raise DataError("the data are empty: no sample was found")
        self._count = count
        self.generator = torch.Generator().manual_seed(seed)
        self._shuffle()

    def _shuffle(self) -> None:
        self._epoch_state = self.generator.get_state()
        self._permutation = torch.randperm(self._count, generator=self.generator)
        self._position = 0

    def next(self, n: int) -> Tensor:
        """The next n indices, (n,) int64."""
        taken = []
        while n > 0:
            if self._position == self._count:
                self._shuffle()
            piece = self._permutation[self._position : self._position + n]
            self._position += len(piece)
            n -= len(piece)
            taken.append(piece)
        return torch.cat(taken)

    def state_dict(self) -> dict[str, Any]:
        return {
            "epoch": self._epoch_state,
            "generator": self.generator.get_state(),
            "position": self._position,
            "count": self._count,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if state["count"] != self._count:
            raise DataError(
                f"the data have {self._count} samples, but the run was begun with {state['count']}: "
                "restore the data, or begin anew with --restart"
            )
        self.generator.set_state(state["epoch"])
        self._shuffle()
        self.generator.set_state(state["generator"])
        self._position = state["position"]


@dataclass(frozen=True)
class BatchDraw:
    """What is drawn for a process's share of one batch: which samples, which to mirror, where to crop, as shares."""

    index: Tensor
    mirrored: Tensor | None
    corner: Tensor | None


def draw_batch(order: Order, batch: int, flip: bool, crop: bool, rows: slice) -> BatchDraw:
    """Draw for a whole batch, whatever share of it is wanted, so that all processes stay in step."""
    index = order.next(batch)[rows]
    mirrored = (torch.rand(batch, generator=order.generator) < 0.5)[rows] if flip else None
    corner = torch.rand(batch, 2, generator=order.generator)[rows] if crop else None
    return BatchDraw(index, mirrored, corner)


class TableFeed(Feed):
    """Samples kept on the device, pictures as uint8, gathered by index and normalised there."""

    def __init__(
        self, table: Table, spec: DataSpec, batch: int, seed: int, device: torch.device, rows: slice = _ALL
    ) -> None:
        counts = {name: len(tensor) for name, tensor in table.fields.items()}
        if len(set(counts.values())) != 1:
            raise DataError(f"the fields have different numbers of samples: {counts}")
        self._fields = {name: tensor.contiguous().to(device) for name, tensor in table.fields.items()}
        self._labels = _labels(table.labels, next(iter(counts.values()))).to(device)
        self._order = Order(len(self._labels), seed)
        self._spec, self._batch, self._device, self._rows = spec, batch, device, rows
        self._flip, self._crop = table.flip, table.crop

    def next(self) -> Batch:
        draw = draw_batch(self._order, self._batch, self._flip, self._crop, self._rows)
        index = draw.index.to(self._device, non_blocking=True)
        mirrored = None if draw.mirrored is None else draw.mirrored.to(self._device, non_blocking=True)
        fields = {
            name: normalise(tensor.index_select(0, index), self._spec.fields[name], mirrored, draw.corner)
            for name, tensor in self._fields.items()
        }
        return Batch(fields, self._labels.index_select(0, index))

    def state_dict(self) -> dict[str, Any]:
        return self._order.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._order.load_state_dict(state)


class DrawnFeed(Feed):
    """Fresh samples of a distribution, from a generator of its own."""

    def __init__(self, drawn: Drawn, batch: int, seed: int, device: torch.device, rows: slice = _ALL) -> None:
        self._draw, self._batch, self._device, self._rows = drawn.draw, batch, device, rows
        self._generator = torch.Generator().manual_seed(seed)

    def next(self) -> Batch:
        fields, labels = self._draw(self._batch, self._generator)
        on_device = {name: tensor[self._rows].to(self._device) for name, tensor in fields.items()}
        return Batch(on_device, _labels(labels, self._batch)[self._rows].to(self._device))

    def state_dict(self) -> dict[str, Any]:
        return {"generator": self._generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._generator.set_state(state["generator"])


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
        rows: slice = _ALL,
    ) -> None:
        self._rows = rows
        self._stream, self._spec, self._batch = stream, spec, batch
        self._device, self._workers = device, workers
        self._labels = _labels(stream.labels, stream.count)
        self._order = Order(stream.count, seed)
        self._state = self._order.state_dict()
        self._batches: Iterator[tuple[dict[str, Tensor], BatchDraw, dict[str, Any]]] | None = None

    def next(self) -> Batch:
        if self._batches is None:
            self._batches = self._read()
        fields, draw, self._state = next(self._batches)
        flips = None if draw.mirrored is None else draw.mirrored.to(self._device)
        on_device = {
            name: normalise(tensor.to(self._device, non_blocking=True), self._spec.fields[name], flips, draw.corner)
            for name, tensor in fields.items()
        }
        return Batch(on_device, self._labels[draw.index].to(self._device))

    def _read(self) -> Iterator[tuple[dict[str, Tensor], BatchDraw, dict[str, Any]]]:
        plans: list[tuple[BatchDraw, dict[str, Any]]] = []

        def indices() -> Iterator[list[int]]:
            while True:
                draw = draw_batch(self._order, self._batch, self._stream.flip, self._stream.crop, self._rows)
                plans.append((draw, copy.deepcopy(self._order.state_dict())))
                yield draw.index.tolist()

        loader: DataLoader[dict[str, Tensor]] = DataLoader(
            _Readable(self._stream),
            batch_sampler=indices(),
            num_workers=self._workers,
            pin_memory=self._device.type == "cuda",
            generator=torch.Generator(),
        )
        for fields in loader:
            yield fields, *plans.pop(0)

    def state_dict(self) -> dict[str, Any]:
        return self._state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._order.load_state_dict(state)
        self._state, self._batches = self._order.state_dict(), None


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
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self._feeds = {
            name: make_feed(part, DataSpec({name: spec.fields[name]}), batch, seed + number, device, workers, share)
            for number, (name, part) in enumerate(unpaired.parts.items())
        }
        self._label = torch.zeros(batch // share[1], dtype=torch.int64, device=device)

    def next(self) -> Batch:
        return Batch({name: feed.next().fields[name] for name, feed in self._feeds.items()}, self._label)

    def state_dict(self) -> dict[str, Any]:
        return {name: feed.state_dict() for name, feed in self._feeds.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name, feed in self._feeds.items():
            feed.load_state_dict(state[name])


class _Readable(Dataset[dict[str, Tensor]]):
    """A stream as torch's loader wants it."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def __len__(self) -> int:
        return self._stream.count

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return dict(self._stream.read(index))


def normalise(tensor: Tensor, sample: Sample, mirrored: Tensor | None = None, corner: Tensor | None = None) -> Tensor:
    """uint8 (N, H, W, C) pictures to float32 (N, C, H, W) in the sample's range; float32 values pass as they are.

    mirrored: (N,) bool, the pictures to flip left-right.  corner: (N, 2) in [0, 1), where larger pictures are cut.
    """
    if not sample.is_image:
        return tensor
    if corner is not None:
        tensor = _cropped(tensor, sample, corner)
    picture = tensor.permute(0, 3, 1, 2)
    if mirrored is not None:
        picture = torch.where(mirrored[:, None, None, None], picture.flip(3), picture)
    return picture.to(torch.float32).mul_((sample.high - sample.low) / 255).add_(sample.low)


def _cropped(tensor: Tensor, sample: Sample, corner: Tensor) -> Tensor:
    """Cut (N, H, W, C) pictures to the sample's size, each at its own corner, a share of the room that there is."""
    n, height, width, _ = tensor.shape
    _, inner_height, inner_width = sample.shape
    room = torch.tensor([height - inner_height + 1, width - inner_width + 1])
    top, left = (corner * room).long().to(tensor.device, non_blocking=True).unbind(1)
    rows = top[:, None] + torch.arange(inner_height, device=tensor.device)
    columns = left[:, None] + torch.arange(inner_width, device=tensor.device)
    number = torch.arange(n, device=tensor.device)
    return tensor[number[:, None, None], rows[:, :, None], columns[:, None, :]]


def _labels(labels: Tensor | None, count: int) -> Tensor:
    return torch.zeros(count, dtype=torch.int64) if labels is None else labels.to(torch.int64)

"""What data sets promise, checked without a network."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ...contract import DataSpec, Drawn, Sample, Stream, Table, Unpaired
from ...data import make_feed
from ...errors import DataError
from ..outcome import NotChecked, expect, promised
from ..trial import BATCH, CPU, Trial


def spec(trial: Trial) -> None:
    """What a sample is, is known before anything is read."""
    dataset = _dataset(trial)
    with without_network(), promised("a spec without reading data", "read names and headers at most"):
        found = dataset.spec
    expect(
        isinstance(found, DataSpec) and bool(found.fields), "a ganzoo.DataSpec with fields", repr(found), "return one"
    )
    for name, sample in found.fields.items():
        good = isinstance(sample, Sample) and sample.low < sample.high and all(axis > 0 for axis in sample.shape)
        expect(good, "fields with a shape and low < high", f"{name} {sample}", "describe one sample, without the batch")
    names = len(dataset.class_names)
    fix = "give a name to every class, or leave class_names empty"
    expect(names in (0, found.classes), f"{found.classes} class names or none", str(names), fix)


def samples(trial: Trial) -> None:
    """Samples are as the spec says, the same each time they are read, and feed a trainer that can resume."""
    dataset = _dataset(trial)
    with without_network():
        try:
            loaded = dataset.load()
        except DataError as error:
            raise NotChecked(f"its files are not here, and nothing is downloaded in a check: {error}") from error
    kinds, kind = "ganzoo.Table, ganzoo.Stream, ganzoo.Drawn or ganzoo.Unpaired", type(loaded).__name__
    expect(isinstance(loaded, Table | Stream | Drawn | Unpaired), f"a {kinds} from load()", kind, f"return a {kinds}")
    found, fields, labels = dataset.spec, *_first(loaded)
    expect(
        set(fields) == set(found.fields), f"fields {sorted(found.fields)}", str(sorted(fields)), "name them as in spec"
    )
    for name, tensor in fields.items():
        part = loaded.parts[name] if isinstance(loaded, Unpaired) else loaded
        larger = not isinstance(part, Drawn) and part.crop
        _check_field(name, tensor, found.fields[name], raw=not isinstance(part, Drawn), larger=larger)
    _check_labels(labels, found.classes)
    with promised("to feed a trainer", "return what the spec describes"):
        feed, again = (make_feed(dataset.load(), found, BATCH, 0, CPU) for _ in range(2))
        first = feed.next()
        again.load_state_dict(feed.state_dict())
        second, resumed = feed.next(), again.next()
    fix = "draw from the generator that is given, and read the same data each time"
    for name, tensor in second.fields.items():
        expect(torch.equal(tensor, resumed.fields[name]), "the same batches after a resume", f"another {name}", fix)
        expect(not torch.equal(tensor, first.fields[name]), "another batch each time", f"the same {name} twice", fix)


def _first(loaded: Table | Stream | Drawn | Unpaired) -> tuple[Mapping[str, Tensor], Tensor | None]:
    if isinstance(loaded, Unpaired):
        return {name: tensor for part in loaded.parts.values() for name, tensor in _first(part)[0].items()}, None
    if isinstance(loaded, Drawn):
        with promised("draw(n, generator) to give (fields, labels)", "return a mapping of tensors, and labels or None"):
            fields, labels = loaded.draw(3, torch.Generator().manual_seed(0))
        return fields, labels
    if isinstance(loaded, Table):
        return {name: tensor[:3] for name, tensor in loaded.fields.items()}, loaded.labels
    with promised("read(index) to give one sample a field", "return a mapping of tensors without a batch axis"):
        return {name: torch.as_tensor(value)[None] for name, value in loaded.read(0).items()}, loaded.labels


def _check_field(name: str, tensor: Tensor, sample: Sample, raw: bool, larger: bool) -> None:
    """raw: pictures come as uint8 or uint16 (N, H, W, C).  larger: of at least the spec's height and width."""
    shape, dtype = sample.shape, torch.float32
    if raw and sample.is_image:
        shape = (*sample.shape[1:], sample.shape[0])
        dtype = torch.uint16 if tensor.dtype == torch.uint16 else torch.uint8
    wanted, found = f"{name}: {dtype} (N, {', '.join(map(str, shape))})", f"{tensor.dtype} {tuple(tensor.shape)}"
    fix = "pictures are uint8 or uint16 with channels last, values and drawn samples float32 as in the spec"
    given = tuple(tensor.shape[1:])
    if larger and len(given) == len(shape) == 3:
        given = (min(given[0], shape[0]), min(given[1], shape[1]), given[2])
    expect(given == shape and tensor.dtype == dtype, wanted, found, fix)
    if dtype == torch.float32:
        inside = (
            bool(torch.isfinite(tensor).all())
            and float(tensor.min()) >= sample.low
            and float(tensor.max()) <= sample.high
        )
        expect(
            inside, f"finite values of {name} in [{sample.low:g}, {sample.high:g}]", "others", "correct low and high"
        )


def _check_labels(labels: Tensor | None, classes: int) -> None:
    if classes == 0:
        return
    expect(labels is not None, f"labels of {classes} classes", "none", "return labels, or a spec without classes")
    good = labels is not None and labels.dtype == torch.int64 and int(labels.min()) >= 0 and int(labels.max()) < classes
    expect(good, f"int64 labels from 0 to {classes - 1}", "others", "renumber the classes from 0")


def _dataset(trial: Trial) -> Any:
    with without_network():
        return trial.part()


@contextmanager
def without_network() -> Iterator[None]:
    """Let every connection fail at once, so that a check downloads nothing."""

    def refuse(*_: object, **__: object) -> Any:
        raise OSError("no network while a plugin is checked")

    before = socket.getaddrinfo, socket.socket.connect
    socket.getaddrinfo, socket.socket.connect = refuse, refuse  # type: ignore[method-assign]
    try:
        yield
    finally:
        socket.getaddrinfo, socket.socket.connect = before  # type: ignore[method-assign]


CHECKS: Mapping[str, Callable[[Trial], None]] = {"spec": spec, "samples": samples}

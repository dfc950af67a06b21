"""Samples in the files that others read: signals as .wav, rows and points as .csv."""

from __future__ import annotations

import csv
import io
import wave
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from ...contract import Columns, Sample, Signal
from .tables import numbers

_PAUSE = 0.25  # seconds between the signals of a file
_LOUDEST = 32767


def suffix_of(spec: Sample) -> str | None:
    """The suffix of a file that holds such samples; None for pictures and others that only pictures show."""
    if isinstance(spec.looks, Signal):
        return ".wav"
    return ".csv" if isinstance(spec.looks, Columns) or (len(spec.shape) == 1 and not spec.looks.single) else None


def write_samples(samples: Tensor, spec: Sample, path: Path) -> None:
    """Write samples, (N, *spec.shape), into a file of the suffix that suits them."""
    samples = samples.detach().float().cpu()
    if isinstance(spec.looks, Signal):
        path.write_bytes(_sound(samples, spec, spec.looks.rate))
    else:
        path.write_text(_csv(samples, spec), encoding="utf-8")


def sound(samples_NCT: Tensor, spec: Sample) -> bytes:
    """Signals one after the other as the content of a .wav file, 16 bits a value."""
    assert isinstance(spec.looks, Signal)
    return _sound(samples_NCT.detach().float().cpu(), spec, spec.looks.rate)


def _sound(samples_NCT: Tensor, spec: Sample, rate: int) -> bytes:
    """A range is played as it is; signals without one are made as loud as the file allows if they are louder."""
    if spec.bounded:
        unit = (samples_NCT - (spec.high + spec.low) / 2) / ((spec.high - spec.low) / 2)
    else:
        unit = samples_NCT / samples_NCT.abs().max().clamp_min(1)
    count, channels, _ = unit.shape
    pause = torch.zeros(count, channels, round(_PAUSE * rate) if count > 1 else 0)
    values = (torch.cat([unit, pause], 2).clamp(-1, 1) * _LOUDEST).round().to(torch.int16)
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(values.permute(0, 2, 1).contiguous().numpy().astype("<i2").tobytes())
    return content.getvalue()


def _csv(samples_ND: Tensor, spec: Sample) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    view = spec.looks
    if isinstance(view, Columns):
        writer.writerow([one.name for one in view.columns])
        writer.writerows(_cells(samples_ND, view))
    else:
        writer.writerow([f"x{place}" for place in range(samples_ND.shape[1])])
        writer.writerows([f"{value:.7g}" for value in row] for row in samples_ND.tolist())
    return text.getvalue()


def _cells(samples_ND: Tensor, view: Columns) -> Iterator[list[str]]:
    for row in numbers(samples_ND, view).tolist():
        yield [
            column.values[int(value)] if column.values else f"{value:.7g}"
            for column, value in zip(view.columns, row, strict=True)
        ]

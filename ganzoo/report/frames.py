"""Pictures and sounds inside the page, within budgets of bytes: the film of the fixed samples, small ones, signals."""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from PIL import Image

from ..models import pictures

Item = TypeVar("Item")
_MOST_FRAMES = 60
_WIDEST = 900
_QUALITY = 82


@dataclass(frozen=True)
class Frame:
    """images: seen when it was drawn.  source: a data URL."""

    images: int
    source: str
    width: int
    height: int


@dataclass(frozen=True)
class Sound:
    """source: a data URL.  seconds: that are played, of the `whole` that the file has."""

    source: str
    seconds: float
    whole: float


def film(previews: Sequence[tuple[int, Path]], budget: int) -> tuple[list[Frame], int]:
    """The pictures, evenly thinned to `budget` bytes, the first and the last kept; and how many cannot be read.

    previews: (images, file), by images.
    """
    whole, damaged = [], 0
    for images, path in evenly(previews, _MOST_FRAMES):
        frame = frame_of(images, path)
        if frame is None:
            damaged += 1
        else:
            whole.append(frame)
    total = sum(len(frame.source) for frame in whole)
    return evenly(whole, max(2, len(whole) * budget // max(total, 1))), damaged


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """At most `most` items, the first and the last among them, the others evenly spread."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def frame_of(images: int, path: Path) -> Frame | None:
    """A picture file for the page, or None if it cannot be read."""
    try:
        with Image.open(path) as picture:
            picture.load()
            return Frame(images, data_url(picture), *picture.size)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def halves_of(path: Path) -> tuple[str, str] | None:
    """Real and generated samples of a picture with both beside each other, as data URLs; None if it cannot be read."""
    try:
        with Image.open(path) as picture:
            picture.load()
            real, generated = pictures.apart(picture)
            return data_url(real), data_url(generated)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def data_url(picture: Image.Image) -> str:
    """A picture as a data URL: PNG or JPEG, whichever is smaller; too wide ones are made smaller."""
    picture = pictures.opaque(picture)
    picture = picture.convert("L" if picture.mode in ("1", "L", "I;16") else "RGB")
    if picture.width > _WIDEST:
        picture = picture.resize((_WIDEST, round(picture.height * _WIDEST / picture.width)), Image.Resampling.LANCZOS)
    choices = []
    for kind, options in (("png", {"optimize": True}), ("jpeg", {"quality": _QUALITY})):
        buffer = io.BytesIO()
        picture.save(buffer, kind, **options)
        choices.append((len(buffer.getvalue()), kind, buffer.getvalue()))
    _, kind, data = min(choices)
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def sound_of(path: Path, budget: int) -> Sound | None:
    """A .wav file for the page, cut to `budget` bytes of values; None if it is not there or cannot be read."""
    content = io.BytesIO()
    try:
        with wave.open(str(path), "rb") as file, wave.open(content, "wb") as played:
            frame, rate, whole = file.getnchannels() * file.getsampwidth(), file.getframerate(), file.getnframes()
            values = file.readframes(min(whole, budget // frame))
            played.setparams(file.getparams())
            played.writeframes(values)
    except (OSError, EOFError, wave.Error):
        return None
    source = f"data:audio/wav;base64,{base64.b64encode(content.getvalue()).decode()}"
    return Sound(source, len(values) / frame / rate, whole / rate)

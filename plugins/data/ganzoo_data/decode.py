"""Turns the bytes of any picture that Pillow reads into gray or RGB, the way a viewer would show it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from .sources import UNREAD_FORMATS

_GRAY_MODES = frozenset({"1", "L", "LA", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
_DEEP_MODES = frozenset({"F", "I", "I;16", "I;16B", "I;16L", "I;16N"})
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How a picture of each EXIF orientation is turned upright."""
_SIDEWAYS = range(5, 9)
_BEGINNINGS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*")
"""The first bytes of PNG, JPEG, GIF, WebP, BMP and TIFF."""


@dataclass(frozen=True)
class Header:
    """A picture's width and height as shown, whether it is gray, and how it is stored."""

    width: int
    height: int
    gray: bool
    kind: str = ""


def read_header(data: bytes) -> Header:
    """Read size and mode without decoding. Raises `ValueError` or whatever Pillow raises on damaged bytes."""
    with _open(data) as picture:
        width, height = picture.size
        if picture.format != "TIFF" and _orientation(picture) in _SIDEWAYS:  # Pillow turns TIFF itself
            width, height = height, width
        return Header(width, height, picture.mode in _GRAY_MODES, _kind(picture))


def decode(data: bytes, alpha: bool = False, bits: int = 8) -> Image.Image:
    """Decode the first frame, turned upright, to mode L if it is gray and RGB otherwise.

    alpha: keep transparency, in modes LA and RGBA; else transparent parts are laid over white.
    bits: 16 keeps values of more than 8 bits, in mode F from 0 to 65535; else they are scaled to 8. Floats are taken
    to lie in [0, 1]. Raises whatever Pillow raises on damaged bytes.
    """
    with _open(data) as opened:
        opened.load()
        turn = _UPRIGHT.get(_orientation(opened))
        picture = opened if turn is None else opened.transpose(turn)
        mode = "L" if picture.mode in _GRAY_MODES else "RGB"
        if picture.mode in _DEEP_MODES:
            return _scaled(picture, bits)
        if alpha:
            return picture.convert(f"{mode}A")
        if picture.has_transparency_data:
            layer = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
        return picture.convert(mode)


def _kind(picture: Image.Image) -> str:
    if picture.mode in _GRAY_MODES:
        kind = "gray of more than 8 bits" if picture.mode in _DEEP_MODES else "gray"
    else:
        kind = {"P": "colour by palette", "CMYK": "CMYK"}.get(picture.mode, "colour")
    return f"{kind} with alpha" if picture.has_transparency_data else kind


def _open(data: bytes) -> Image.Image:
    if not data:
        raise ValueError("it is empty: 0 bytes")
    try:
        return Image.open(io.BytesIO(data), formats=_formats())
    except OSError as error:  # of which one that Pillow does not know is a kind
        if data.startswith(_BEGINNINGS):
            raise ValueError(f"it is cut short or damaged: its {len(data):,} bytes are no whole picture") from error
        raise ValueError("it is no picture in a format that Pillow reads") from error


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(form for form in Image.ID if form not in UNREAD_FORMATS)


def _orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged notes raise anything, and the picture may be whole
        return 1


def _scaled(picture: Image.Image, bits: int) -> Image.Image:
    """Pillow's own conversion would clip values above 255 instead of scaling them."""
    top = 1.0 if picture.mode == "F" else 65535.0
    values = np.clip(np.asarray(picture, dtype=np.float64) / top, 0, 1)
    if bits == 16:
        return Image.fromarray(np.rint(65535 * values).astype(np.float32))
    return Image.fromarray(np.rint(255 * values).astype(np.uint8))

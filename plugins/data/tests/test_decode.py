"""Every kind of picture that Pillow reads ends up as a viewer would show it."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ganzoo_data.decode import Header, decode, read_header


def encoded(picture: Image.Image, form: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


def pixel(data: bytes, at=(0, 0)):
    return decode(data).getpixel(at)


@pytest.mark.parametrize(
    ("picture", "form", "mode", "shown"),
    [
        (Image.new("RGB", (4, 4), (10, 20, 30)), "PNG", "RGB", (10, 20, 30)),
        (Image.new("L", (4, 4), 77), "PNG", "L", 77),
        (Image.new("1", (4, 4), 1), "PNG", "L", 255),
        (Image.new("RGBA", (4, 4), (255, 0, 0, 255)), "PNG", "RGB", (255, 0, 0)),
        (Image.new("RGBA", (4, 4), (255, 0, 0, 0)), "PNG", "RGB", (255, 255, 255)),
        (Image.new("RGBA", (4, 4), (0, 0, 0, 51)), "WEBP", "RGB", (204, 204, 204)),
        (Image.new("LA", (4, 4), (0, 51)), "PNG", "L", 204),
        (Image.new("RGB", (4, 4), (200, 100, 50)).quantize(4), "GIF", "RGB", (200, 100, 50)),
        (Image.new("CMYK", (4, 4), (0, 0, 0, 0)), "TIFF", "RGB", (255, 255, 255)),
        (Image.new("CMYK", (4, 4), (255, 0, 0, 0)), "TIFF", "RGB", (0, 255, 255)),
        (Image.new("F", (4, 4), 0.2), "TIFF", "L", 51),
        (Image.fromarray(np.full((4, 4), 257 * 99, np.uint16)), "PNG", "L", 99),
        (Image.fromarray(np.full((4, 4), 65535, np.uint16)), "TIFF", "L", 255),
        (Image.fromarray(np.full((4, 4), 257 * 7, np.int32)), "TIFF", "L", 7),
        (Image.new("RGB", (4, 4), (1, 2, 3)), "BMP", "RGB", (1, 2, 3)),
        (Image.new("RGB", (4, 4), (1, 2, 3)), "PPM", "RGB", (1, 2, 3)),
        (Image.new("RGB", (4, 4), (1, 2, 3)), "TGA", "RGB", (1, 2, 3)),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else None,
)  # fmt: skip
def test_mode_is_shown_as_expected(picture, form, mode, shown):
    data = encoded(picture, form, **({"lossless": True} if form == "WEBP" else {}))
    assert decode(data).mode == mode and pixel(data) == shown
    header = read_header(data)
    assert replace(header, kind="") == Header(4, 4, gray=mode == "L") and header.kind


def test_cmyk_jpeg_is_not_inverted():
    red = pixel(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG"))
    assert np.abs(np.subtract(red, (255, 0, 0))).max() < 3


def test_transparent_colour_of_a_palette_is_laid_over_white():
    picture = Image.new("P", (4, 4), 1)
    picture.putpalette([0, 0, 0, 9, 9, 9])
    assert pixel(encoded(picture, transparency=1)) == (255, 255, 255)
    assert pixel(encoded(picture, transparency=0)) == (9, 9, 9)


def test_first_frame_of_an_animation_is_taken():
    frames = [Image.new("RGB", (4, 4), (shade, 0, 0)) for shade in (50, 200)]
    data = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert pixel(data) == (50, 0, 0)


# Where the pixel that is shown at the top left lies in the file, for each EXIF orientation.
STORED_AT = {1: (0, 0), 2: (5, 0), 3: (5, 3), 4: (0, 3), 5: (0, 0), 6: (0, 3), 7: (5, 3), 8: (5, 0)}


@pytest.mark.parametrize("orientation", STORED_AT)
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_exif_orientation_is_applied(orientation, form):
    picture = Image.new("L", (6, 4), 0)
    picture.putpixel(STORED_AT[orientation], 255)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(picture, form, exif=exif)
    size = (4, 6) if orientation >= 5 else (6, 4)
    assert decode(data).size == size and pixel(data) == 255
    assert replace(read_header(data), kind="") == Header(*size, gray=True)


def test_damaged_exif_does_not_spoil_a_picture():
    data = encoded(Image.new("RGB", (8, 8), (200, 10, 10)), "JPEG", exif=b"Exif\0\0nonsense")
    assert decode(data).size == (8, 8) and read_header(data).width == 8

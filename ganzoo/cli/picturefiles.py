"""Pictures that the user names, and files that are there already."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError, first_line

if TYPE_CHECKING:
    from PIL.Image import Image

PICTURES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def open_picture(file: Path, asked: str) -> Image:
    """A picture in RGB, with alpha RGBA. asked: how the user named it, as "--input cats". Raises `UsageError`."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as opened:
            return opened.convert("RGBA" if opened.has_transparency_data else "RGB")
    except FileNotFoundError as error:
        raise UsageError(f"{asked}: there is no such file or folder") from error
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        what = "is empty" if file.is_file() and file.stat().st_size == 0 else "cannot be read as a picture"
        raise UsageError(f"{asked.partition(' ')[0]} {file} {what} ({first_line(error)})") from error


def refuse_existing(paths: Iterable[Path]) -> None:
    """Raise `UsageError` if any of the files is there: in a folder, nobody has named the files to be written."""
    there = next((path for path in paths if path.exists()), None)
    if there is not None:
        raise UsageError(f"--out {there.parent} holds {there.name}, which stays as it is: choose an --out without it")

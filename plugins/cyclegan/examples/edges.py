"""Make two sets to translate between out of one: colour pictures, and gray edge drawings of other pictures.

    python edges.py PICTURES OUT [--count 4000]

PICTURES is a folder or .zip. In order of name, every other picture goes to OUT/colour.zip as it is, and the ones
between go to OUT/edges.zip as drawings, so that no picture is on both sides. Then

    ganzoo train cyclegan-mini --data pair:OUT/edges.zip:OUT/colour.zip
"""

from __future__ import annotations

import argparse
import io
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from PIL import Image, ImageChops, ImageFilter, ImageOps


def pictures(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file below a folder or in a .zip that Pillow has an extension for, by name."""
    known = Image.registered_extensions()
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.suffix.lower() in known:
                yield file.relative_to(path).as_posix(), file.read_bytes()
        return
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            if Path(name).suffix.lower() in known:
                yield name, archive.read(name)


def drawing(picture: Image.Image) -> Image.Image:
    """Dark lines on white where any of the three channels changes, in gray."""
    red, green, blue = (channel.filter(ImageFilter.FIND_EDGES) for channel in picture.convert("RGB").split())
    strongest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    # the filter leaves the outermost pixels as they were: white takes their place
    return ImageOps.expand(ImageOps.crop(ImageOps.invert(strongest), 1), 1, fill=255)


def main() -> None:
    """Write the two .zip files."""
    parser = argparse.ArgumentParser(description="Make a set of colour pictures and one of gray edge drawings.")
    parser.add_argument("pictures", type=Path, help="folder or .zip of colour pictures")
    parser.add_argument("out", type=Path, help="folder for colour.zip and edges.zip")
    parser.add_argument("--count", type=int, help="use this many pictures only, the first ones")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with (
        zipfile.ZipFile(options.out / "colour.zip", "w") as colour,
        zipfile.ZipFile(options.out / "edges.zip", "w") as edges,
    ):
        for number, (name, content) in enumerate(islice(pictures(options.pictures), options.count)):
            if number % 2 == 0:
                colour.writestr(name, content)
                continue
            drawn = io.BytesIO()
            with Image.open(io.BytesIO(content)) as picture:
                drawing(picture).save(drawn, "PNG")
            edges.writestr(str(Path(name).with_suffix(".png")), drawn.getvalue())


if __name__ == "__main__":
    main()

"""Pictures of a run for a page: how the same latents evolve, curves of logged values, a corner of a grid.

python -m results.pictures evolution runs/dcgan-seed0 evolution.png
python -m results.pictures curves runs/dcgan-seed0 curves.png --values health/D/separation,health/G/discrepancy
python -m results.pictures corner runs/dcgan-seed0/samples.png corner.png --side 28 --cells 3
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

import ganzoo

GAP = 2
"""Pixels between the cells of a preview."""
SIGNS = "health/D/separation,health/G/discrepancy,health/G/spread"


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("evolution", "curves", "corner"))
    parser.add_argument("source", type=Path, help="a run folder, or a metrics.jsonl for curves, a picture for a corner")
    parser.add_argument("out", type=Path)
    parser.add_argument("--columns", type=int, default=8, help="moments of the evolution")
    parser.add_argument("--rows", type=int, default=4, help="latents of the evolution")
    parser.add_argument("--values", default=SIGNS, help="names in metrics.jsonl")
    parser.add_argument("--side", type=int, default=28, help="pixels of a cell")
    parser.add_argument("--cells", type=int, default=3, help="cells along a corner")
    arguments = parser.parse_args(words)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    if arguments.what == "evolution":
        picture = evolution(arguments.source, arguments.columns, arguments.rows)
    elif arguments.what == "corner":
        edge = arguments.cells * (arguments.side + GAP) + GAP
        picture = Image.open(arguments.source).convert("RGB").crop((0, 0, edge, edge))
    else:
        curves(arguments.source, arguments.values.split(",")).savefig(arguments.out, dpi=100)
        return
    picture.quantize(128, dither=Image.Dither.NONE).save(arguments.out, optimize=True)


def evolution(run: Path, moments: int, rows: int) -> Image.Image:
    """A row a latent, a column a preview, from the first to the last; of plots, which hold all samples, one row."""
    every = sorted((run / "samples").glob("*.png"))
    chosen = [every[round(place * (len(every) - 1) / (moments - 1))] for place in range(moments)]
    sheets = [Image.open(path).convert("RGB") for path in dict.fromkeys(chosen)]
    model = ganzoo.load(run)
    if not model.target.looks.single:
        small = (sheets[0].width // 2, sheets[0].height // 2)
        return beside([sheet.resize(small, Image.Resampling.LANCZOS) for sheet in sheets])
    width, height = (side - GAP for side in model.grid(1, seed=0).size)
    columns = sheets[0].width // width
    cells = [[sheet.crop((x, y, x + width + GAP, y + height + GAP)) for sheet in sheets]
             for row in range(rows) for x, y in [(row % columns * width, row // columns * height)]]  # fmt: skip
    return below([beside(line) for line in cells])


def beside(pictures: list[Image.Image]) -> Image.Image:
    whole = Image.new("RGB", (sum(one.width for one in pictures), pictures[0].height), "white")
    for place, one in enumerate(pictures):
        whole.paste(one, (sum(before.width for before in pictures[:place]), 0))
    return whole


def below(pictures: list[Image.Image]) -> Image.Image:
    whole = Image.new("RGB", (pictures[0].width, sum(one.height for one in pictures)), "white")
    for place, one in enumerate(pictures):
        whole.paste(one, (0, sum(before.height for before in pictures[:place])))
    return whole


def curves(run: Path, names: list[str]) -> Figure:
    """A figure with one axis a value, over the images seen."""
    path = run / "metrics.jsonl" if run.is_dir() else run
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    figure = Figure(figsize=(3.2 * len(names), 2.4), layout="constrained")
    for axis, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        points = [(row["images"] / 1000, row[name]) for row in rows if name in row]
        axis.plot(*zip(*points, strict=True), linewidth=1)
        axis.set(title=name, xlabel="thousand images")
        axis.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    main()

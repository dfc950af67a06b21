"""`ganzoo sample`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import UsageError

_PICTURES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


@click.command(
    epilog="Examples:\n\n  ganzoo sample runs/dcgan-seed0 -n 16 --out clothes.png\n\n"
    "  ganzoo sample runs/dcgan-seed0 --interpolate --out walk.gif\n\n"
    "  ganzoo sample runs/cyclegan-seed0 --input photos --out translated"
)
@click.argument("model")
@click.option("-n", "count", metavar="COUNT", type=click.IntRange(min=1), default=64, help="Samples to draw.")
@click.option("--seed", metavar="NUMBER", type=click.IntRange(min=0), default=0, help="Seed of the latents.")
@click.option("--label", metavar="CLASS", help="A class number or name. [default: each in turn]")
@click.option("--truncation", metavar="SHARE", type=float, help="1 leaves latents as they are, less is less varied.")
@click.option("--interpolate", is_flag=True, help="Walk from latent to latent: a film for .gif and .mp4.")
@click.option("--input", "given", metavar="FILE|DIR", help="Pictures to translate, for a model that translates.")
@click.option("--to", metavar="FIELD", help="What to translate to, as a or b. [default: the first]")
@click.option("--device", metavar="NAME", default="auto", help="auto, cpu, cuda, cuda:1 or mps.")
@click.option(
    "--out", metavar="FILE|DIR", type=click.Path(), default="samples.png",
    help="A .png, .gif or .mp4 file, a .npy file for the numbers, or a folder for one picture a sample.",
)  # fmt: skip
def sample(
    model: str, count: int, out: str, interpolate: bool, device: str, given: str | None, to: str | None, **options: Any
) -> None:
    """Draw samples from MODEL, or translate pictures with it, and print where they were written.

    MODEL is a run folder, a model folder, or user/name[@revision] on the Hugging Face Hub.
    """
    from ..api import load

    path = Path(out)
    if path.suffix not in ("", ".png", ".gif", ".mp4", ".npy"):
        raise UsageError(f"--out {out}: cannot write '{path.suffix}' files: use .png, .gif, .mp4, .npy or a folder")
    if path.suffix in (".gif", ".mp4") and not interpolate:
        raise UsageError(f"--out {out} is a film: add --interpolate, or write a .png")
    if given is not None:
        if interpolate or path.suffix not in ("", ".png") or options["label"] or options["truncation"]:
            raise UsageError("--input goes with --to, --device and an --out that is a .png or a folder, nothing else")
        _translate(load(model, device=device), Path(given), to, path)
        click.echo(str(path))
        return
    if to is not None:
        raise UsageError("--to says what to translate to: name the pictures with --input")
    loaded = load(model, device=device)
    if interpolate:
        if options.pop("truncation") is not None:
            raise UsageError("--truncation does not go with --interpolate")
        corners = min(count, 8) if path.suffix in (".gif", ".mp4") else max(2, count // 8)
        samples = loaded.interpolate(corners, 16 if path.suffix in (".gif", ".mp4") else 8, **options)
    else:
        samples = loaded.sample(count, **options)
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(samples, loaded, path)
    click.echo(str(path))


def _translate(model: Any, given: Path, to: str | None, out: Path) -> None:
    """Translate pictures into a folder, each under its own name, or into one .png beside their originals."""
    from PIL import Image, UnidentifiedImageError

    from .. import pictures

    direction = model.direction(to)
    files = sorted(one for one in given.rglob("*") if one.suffix.lower() in _PICTURES) if given.is_dir() else [given]
    if not files:
        raise UsageError(f"--input {given}: there are no pictures in this folder ({', '.join(_PICTURES)})")
    images: list[Image.Image] = []
    for file in files:
        try:
            with Image.open(file) as opened:
                images.append(opened.convert("RGB"))
        except FileNotFoundError as error:
            raise UsageError(f"--input {given}: there is no such file or folder") from error
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            raise UsageError(f"--input {file} cannot be read as a picture") from error
    source = pictures.from_images(images, direction.reads.sample())
    samples = model.translate(source, to)
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix:
        stages = [(source, direction.reads.sample()), (samples, direction.makes.sample())]
        pictures.columns(stages).save(out)
        return
    for file, image in zip(files, pictures.to_images(samples, direction.makes.sample()), strict=True):
        path = out / file.relative_to(given if given.is_dir() else given.parent).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)


def _write(samples: Any, model: Any, path: Path) -> None:
    from .. import pictures

    if path.suffix == ".npy":
        import numpy as np

        np.save(path, samples.numpy())
    elif not model.target.is_image:
        if path.suffix != ".png":
            raise UsageError(f"--out {path}: samples of values are drawn as one .png, or written as .npy")
        pictures.plot(samples, f"{len(samples):,} samples").save(path)
    elif path.suffix == ".png":
        pictures.grid(samples, model.target).save(path)
    elif path.suffix:
        columns = [pictures.grid(one[None], model.target) for one in samples]
        pictures.film(columns, path, seconds=len(samples) / 16)
    else:
        path.mkdir(exist_ok=True)
        for i, image in enumerate(pictures.to_images(samples, model.target)):
            image.save(path / f"{i:05d}.png")


COMMANDS = {"sample": sample}

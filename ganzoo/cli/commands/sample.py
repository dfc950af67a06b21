"""`ganzoo sample`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...errors import UsageError
from .. import looks
from ..counts import COUNT
from ..looks import Look
from ..picturefiles import PICTURES, open_picture, refuse_existing

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from ...contract import Sample
    from ...models import Latents, Model

_STILLS, _FILMS, _FILES = (".png", ".jpg", ".jpeg"), (".gif", ".mp4", ".webp"), (".npy", ".wav", ".csv")


@click.command(
    epilog="Examples:\n\n  ganzoo sample runs/dcgan-seed0 -n 16 --out clothes.png\n\n"
    "  ganzoo sample runs/dcgan-seed0 --interpolate --out walk.gif\n\n"
    "  ganzoo sample runs/stylegan2-mini-seed0 --mix 0-3:4-8 --out mixed.png\n\n"
    "  ganzoo sample runs/dcgan-seed0 --seeds 0,7,42 --along 1 --loop --out turn.webp\n\n"
    "  ganzoo sample runs/cyclegan-seed0 --input photos --out translated"
)
@click.argument("model")
@click.option("-n", "count", metavar="COUNT", type=COUNT, default=64, help="Samples to draw, such as 16 or 20k.")
@click.option("--seed", metavar="NUMBER", type=click.IntRange(min=0), default=0, help="Seed of the latents.")
@click.option("--label", metavar="CLASS", help="A class number or name. [default: each in turn]")
@click.option(
    "--truncation",
    metavar="SHARE",
    type=click.FloatRange(0, 1),
    help="1 leaves latents as they are, less is less varied.",
)
@looks.options
@click.option("--input", "given", metavar="FILE|DIR", help="Pictures to translate, for a model that translates.")
@click.option("--to", metavar="FIELD", help="What to translate to, as a or b. [default: the first]")
@click.option("--device", metavar="NAME", default="auto", help="auto, cpu, cuda, cuda:1 or mps.")
@click.option(
    "--out", metavar="FILE|DIR", type=click.Path(), default="samples.png",
    help="A .png, .jpg, .gif, .mp4 or .webp file, .npy for the numbers, .wav for signals, .csv for rows and points, or "
    "a folder for one file a sample.",
)  # fmt: skip
def sample(
    model: str, count: int, out: str, device: str, given: str | None, to: str | None, seed: int,
    label: str | None, truncation: float | None, **options: Any,
) -> None:  # fmt: skip
    """Draw samples from MODEL, or translate pictures with it, and print where they were written.

    MODEL is a run folder, a model folder, or user/name[@revision] on the Hugging Face Hub.
    """
    from ...api import load

    path, look = Path(out), Look(**options)
    suffix = _suffix(out, look.moves())
    look.check(suffix, _FILMS, _STILLS)
    if given is not None:
        if any(options.values()) or suffix not in ("", *_STILLS) or label or truncation is not None:
            raise UsageError(
                "--input goes with --to, --device and an --out that is a picture or a folder, nothing else"
            )
        _translate(load(model, device=device), Path(given), to, path, suffix)
        click.echo(str(path))
        return
    if to is not None:
        raise UsageError("--to says what to translate to: name the pictures with --input")
    if truncation is not None and (look.moves() or look.mix is not None):
        raise UsageError("--truncation does not go with --interpolate, --along and --mix")
    if suffix == "" and path.is_dir():
        _refuse_numbered(path, max(count, 16) if look.interpolate else count)
    loaded = load(model, device=device)
    _refuse_unsuited(loaded.target, out, suffix)
    latents = look.given(loaded, label)
    path.parent.mkdir(parents=True, exist_ok=True)
    if look.mix is not None:
        _save(look.mixed(loaded, label), path)
    elif look.along is not None:
        if latents is None:
            latents = loaded.latents(seed, min(count, 4), label)
        _write_moved(look.moved(loaded, latents, suffix in _FILMS), loaded, path, look.loop)
    else:
        if look.interpolate:
            samples = _walk(loaded, count if latents is None else latents, suffix in _FILMS, look.space, seed, label)
        else:
            samples = loaded.sample(count if latents is None else latents, seed, label, truncation)
        _write(samples, loaded, path, suffix, look.loop)
    click.echo(str(path))


def _walk(model: Model, latents: int | Latents, film: bool, space: str | None, seed: int, label: str | None) -> Tensor:
    """Samples of a walk: of fewer latents than samples are asked for, with more steps between them in a film."""
    if isinstance(latents, int):
        latents = min(latents, 8) if film else max(2, latents // 8)
    return model.interpolate(latents, 16 if film else 8, seed, label, space or "z")


def _write_moved(shown: Image | list[Tensor], model: Model, path: Path, loop: bool) -> None:
    from ...models import pictures

    if not isinstance(shown, list):
        _save(shown, path)
        return
    pictures.film([pictures.grid(one, model.target) for one in shown], path, seconds=len(shown) / 16, loop=loop)


def _refuse_numbered(folder: Path, last: int) -> None:
    """Raise `UsageError` if one of the files that are to be written is there."""
    numbered = [one for kind in ("*.png", "*.wav") for one in folder.glob(kind) if one.stem.isdecimal()]
    refuse_existing(
        one for one in sorted(numbered) if one.name == _name(int(one.stem), one.suffix) and int(one.stem) < last
    )


def _suffix(out: str, moves: bool) -> str:
    """What kind of file --out is, or "" for a folder. Raises `UsageError`, before anything is drawn."""
    path = Path(out)
    suffix = "" if path.is_dir() or out.endswith(("/", os.sep)) else path.suffix.lower()
    if suffix not in ("", *_FILES, *_STILLS, *_FILMS):
        kinds = ", ".join((*_STILLS, *_FILMS, *_FILES))
        raise UsageError(f"--out {out}: cannot write '{path.suffix}' files: use {kinds} or a folder")
    if suffix in _FILMS and not moves:
        raise UsageError(f"--out {out} is a film: add --interpolate or --along, or write a .png")
    if suffix == ".mp4":
        from ...models import video_library

        video_library()
    return suffix


def _refuse_unsuited(target: Sample, out: str, suffix: str) -> None:
    """Raise `UsageError` for a file that cannot hold what the model makes."""
    from ...models import suffix_of

    noun, own = target.looks.noun, suffix_of(target)
    if suffix in (".wav", ".csv") and suffix != own:
        raise UsageError(f"--out {out}: this model makes {noun}: use {own or '.png'}, .npy or a picture")
    if not target.looks.single and suffix not in (*_STILLS, ".npy", own):
        raise UsageError(f"--out {out}: {noun} are drawn as one .png, or written as {own or '.npy'} or .npy")


def _name(number: int, suffix: str = ".png") -> str:
    return f"{number:05d}{suffix}"


def _translate(model: Any, given: Path, to: str | None, out: Path, suffix: str) -> None:
    """Translate pictures into a folder, each under its own name, or into one picture beside their originals."""
    from ...models import pictures

    direction = model.direction(to)
    files = sorted(one for one in given.rglob("*") if one.suffix.lower() in PICTURES) if given.is_dir() else [given]
    if not files:
        raise UsageError(f"--input {given}: there are no pictures in this folder ({', '.join(PICTURES)})")
    if suffix and any(file.resolve() == out.resolve() for file in files):
        raise UsageError(f"--out {out} is among the pictures to translate: choose another file")
    folder = given if given.is_dir() else given.parent
    targets = [] if suffix else _targets(files, folder, out)
    refuse_existing(targets)
    images = [open_picture(file, f"--input {given}") for file in files]
    source = pictures.from_images(images, direction.reads.sample())
    samples = model.translate(source, to)
    out.parent.mkdir(parents=True, exist_ok=True)
    if suffix:
        stages = [(source, direction.reads.sample()), (samples, direction.makes.sample())]
        _save(pictures.columns(stages), out)
        return
    for path, image in zip(targets, pictures.to_images(samples, direction.makes.sample()), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)


def _targets(files: Sequence[Path], folder: Path, out: Path) -> list[Path]:
    """Where each picture's translation goes: a.png for a.jpg, or a.jpg.png where there is a second a."""
    stems = Counter(file.with_suffix("") for file in files)
    paths = [out / file.relative_to(folder) for file in files]
    return [
        path.with_suffix(".png") if stems[file.with_suffix("")] == 1 else path.with_name(f"{path.name}.png")
        for file, path in zip(files, paths, strict=True)
    ]


def _save(picture: Image, path: Path) -> None:
    from ...models import pictures

    if path.suffix.lower() != ".png":  # a .jpg has no alpha
        picture = pictures.opaque(picture)
    picture.save(path, quality=95)  # only .jpg knows it


def _write(samples: Any, model: Any, path: Path, suffix: str, loop: bool) -> None:
    from ...models import pictures, suffix_of, write_samples

    if suffix == ".npy":
        import numpy as np

        np.save(path, samples.numpy())
    elif suffix in _FILES:
        write_samples(samples, model.target, path)
    elif suffix in _STILLS:
        _save(pictures.sheet(samples, model.target, f"{len(samples):,} samples"), path)
    elif suffix:
        frames = [pictures.grid(one[None], model.target) for one in samples]
        pictures.film(frames, path, seconds=len(samples) / 16, loop=loop)
    elif own := suffix_of(model.target):
        path.mkdir(exist_ok=True)
        for i, one in enumerate(samples):
            write_samples(one[None], model.target, path / _name(i, own))
    else:
        path.mkdir(exist_ok=True)
        for i, image in enumerate(pictures.to_images(samples, model.target)):
            image.save(path / _name(i))


COMMANDS = {"sample": sample}

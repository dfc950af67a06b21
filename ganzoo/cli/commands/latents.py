"""`ganzoo project` and `ganzoo directions`: what latents stand for."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...errors import UsageError
from ...files import file_hash
from ..counts import COUNT
from ..looks import of_seeds
from ..picturefiles import open_picture, refuse_existing

if TYPE_CHECKING:
    from ...latents.distances import Distance
    from ...models import Model, Projection


@click.command(
    epilog="Examples:\n\n  ganzoo project runs/dcgan-seed0 shoe.jpg\n\n"
    "  ganzoo project runs/stylegan2-mini-seed0 me.png you.png --space w+ --out faces"
)
@click.argument("model")
@click.argument("pictures", metavar="PICTURE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--space", metavar="SPACE", help="z, w or w+. [default: w where there are styles, else z]")
@click.option("--label", metavar="CLASS", help="A class number or name. [default: that of the nearest sample]")
@click.option("--steps", metavar="COUNT", type=COUNT, default=400, help="Steps of gradient descent.")
@click.option("--starts", metavar="COUNT", type=COUNT, default=8, help="Starts at once, fewer for large pictures.")
@click.option("--seed", metavar="NUMBER", type=click.IntRange(min=0), default=0, help="Seed of starts and noise.")
@click.option("--features", metavar="NAME", help="Compare features of this extractor beside pixels.")
@click.option("--device", metavar="NAME", default="auto", help="auto, cpu, cuda, cuda:1 or mps.")
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path, file_okay=False), default="projected")
def project(
    model: str, pictures: Sequence[Path], out: Path, device: str, features: str | None, label: str | None,
    space: str | None, steps: int, starts: int, seed: int,
) -> None:  # fmt: skip
    """Find the latents of pictures: what MODEL would have to draw to make them.

    Of each PICTURE three files are written into a folder: the latents (.safetensors, for `ganzoo sample --latents`),
    the picture beside what was found (.png), and the way there (.gif). MODEL is a run folder, a model folder, or
    user/name[@revision] on the Hugging Face Hub.
    """
    from ...api import load
    from ...latents import project as project_

    stems = Counter(picture.stem for picture in pictures)
    names = [one.stem if stems[one.stem] == 1 else one.name for one in pictures]
    if len(set(names)) < len(names):
        raise UsageError("two of the pictures have the same name: give them to two runs with an --out each")
    refuse_existing(out / f"{name}{suffix}" for name in names for suffix in (".safetensors", ".png", ".gif"))
    images = [open_picture(one, f"PICTURE {one}") for one in pictures]
    loaded = load(model, device=device)
    distance = _distance(loaded, features)
    for name, image in zip(names, images, strict=True):
        with click.progressbar(length=steps, label=name, file=sys.stderr) as bar:
            found = project_(
                loaded, image, space=space, label=label, steps=steps, starts=starts, seed=seed, distance=distance,
                progress=_advance(bar),
            )  # fmt: skip
        out.mkdir(parents=True, exist_ok=True)
        _write(loaded, found, out / name)
        click.echo(f"{out / name}.safetensors  {found.psnr:.1f} dB")


def _advance(bar: Any) -> Callable[[int], None]:
    return lambda _: bar.update(1)


def _distance(model: Model, features: str | None) -> Distance:
    from ...latents.distances import Perceptual, pixels

    if features is None:
        return pixels
    from ...contract import DataSpec
    from ...evaluation import data_to_measure, load_extractor
    from ...registry.registry import registry

    part = data_to_measure(model.config.recipe, None, None, registry())
    spec = DataSpec({"image": model.target}, model.config.classes)
    extractor = load_extractor(features, part, spec, registry(), next(model.generator.parameters()).device)
    return Perceptual(extractor.module, model.target, features)


def _write(model: Model, found: Projection, path: Path) -> None:
    """Latents, both pictures beside each other, and the film. path: without a suffix."""
    from ...models import pictures

    found.latents.save(f"{path}.safetensors")
    real = pictures.grid(found.picture[None], model.target)
    title = f"found, {found.psnr:.1f} dB"
    frames = [pictures.side_by_side(real, pictures.grid(one[None], model.target), ("picture", title))
              for one in model.sample(found.approach)]  # fmt: skip
    frames[-1].save(f"{path}.png")
    pictures.film(frames, Path(f"{path}.gif"), seconds=3)


@click.command(
    epilog="Examples:\n\n  ganzoo directions runs/dcgan-seed0\n\n"
    "  ganzoo directions runs/stylegan2-mini-seed0 --count 16 --seeds 3,14,15 --out directions"
)
@click.argument("model")
@click.option("--count", metavar="COUNT", type=COUNT, default=8, help="Directions to find, strongest first.")
@click.option("--seeds", metavar="NUMBERS", default="0,1,2", help="The samples that are moved, as 0,7,42 or 0-3.")
@click.option("--label", metavar="CLASS", help="A class number or name. [default: each in turn]")
@click.option("--device", metavar="NAME", default="auto", help="auto, cpu, cuda, cuda:1 or mps.")
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
              help="[default: the model's folder]")  # fmt: skip
def directions(model: str, count: int, seeds: str, label: str | None, device: str, out: Path | None) -> None:
    """Find directions in latent space along which MODEL's samples change most, and draw what each one does.

    Writes directions.safetensors and a picture of each, direction-1.png and so on, and prints their names. `ganzoo
    sample --along 1` makes a film. MODEL is a run folder, a model folder, or user/name[@revision] on the Hub.
    """
    from ...api import load
    from ...latents import effects, find_directions
    from ...models import WEIGHTS, is_reference

    if out is None and not Path(model).exists() and is_reference(model):
        raise UsageError(f"{model} is on the Hub, where nothing is written: name a folder with --out")
    loaded = load(model, device=device)
    folder = out or loaded.folder
    found = find_directions(loaded, count)
    latents = of_seeds(loaded, seeds, label, "--seeds")
    sheets = [effects(loaded, latents, found, number + 1) for number in range(len(found))]
    folder.mkdir(parents=True, exist_ok=True)
    click.echo(str(found.save(folder, file_hash(loaded.folder / WEIGHTS))))
    for number, sheet in enumerate(sheets, 1):
        path = folder / f"direction-{number}.png"
        sheet.save(path)
        click.echo(str(path))


COMMANDS = {"project": project, "directions": directions}

"""`ganzoo export`, `page`, `play` and `convert`: models for other programs, browsers among them, and from them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ...errors import UsageError


@click.command(
    epilog="Examples:\n\n  ganzoo export runs/dcgan-seed0 clothes.onnx\n\n"
    "  ganzoo export runs/cyclegan-seed0 zebras.onnx --to b --json"
)
@click.argument("model")
@click.argument("out", metavar="OUT.onnx", type=click.Path(path_type=Path))
@click.option(
    "--truncation",
    metavar="SHARE",
    type=click.FloatRange(0, 1),
    help="Build it in: 1 leaves latents, less is less varied.",
)
@click.option("--to", metavar="FIELD", help="What to translate to, as a or b. [default: the first]")
@click.option("--json", "as_json", is_flag=True, help="Print inputs, outputs and metadata as JSON.")
def export(model: str, out: Path, truncation: float | None, to: str | None, as_json: bool) -> None:
    """Write the generator of MODEL as an ONNX file that runs without ganzoo and torch; print its inputs and outputs.

    MODEL is a run folder, a model folder, or user/name[@revision] on the Hugging Face Hub. The file holds the weights
    and, as metadata, what to feed it. It is written once it gives the samples that torch gives, if onnxruntime is
    installed to run it. Needs `pip install onnx onnxscript`.
    """
    from ...api import load
    from ...export import export as export_
    from ...export import refuse_path

    refuse_path(out)
    exported = export_(load(model, device="cpu"), out, _name(model), to=to, truncation=truncation)
    if as_json:
        click.echo(json.dumps(asdict(exported), indent=2))
        return
    click.echo(exported.path)
    for what, ports in (("input", exported.inputs), ("output", exported.outputs)):
        for port in ports:
            click.echo(f"{what:<6}  {port.name:<6}  {port}")


_RUNTIME = click.option(
    "--runtime", metavar="PATH", type=click.Path(path_type=Path, exists=True),
    help="onnxruntime-web, unpacked or as .tgz. [default: fetched once, by npm_config_registry]",
)  # fmt: skip
_WEBGPU = click.option("--webgpu/--no-webgpu", default=True, help="Whether a visitor's GPU may compute: 27 MB more.")


@click.command(
    epilog="Examples:\n\n  ganzoo page runs/dcgan-seed0 clothes\n\n"
    "  ganzoo page dcgan-fashion-mnist clothes --no-webgpu && python -m http.server --directory clothes"
)
@click.argument("model")
@click.argument("out", metavar="OUT", type=click.Path(path_type=Path))
@_RUNTIME
@_WEBGPU
def page(model: str, out: Path, runtime: Path | None, webgpu: bool) -> None:
    """Write a page that samples MODEL in the visitor's browser into the folder OUT; print its index.html.

    MODEL is a run folder, a model folder, or user/name[@revision] on the Hugging Face Hub. The folder has all that the
    page needs: any server of static files shows it, and it asks no other host. Needs `pip install onnx onnxscript`.
    """
    from ...api import load
    from ...export.page import find_runtime, refuse_folder, write_page
    from ...hub import whole_folder

    refuse_folder(out)
    found = find_runtime(runtime, webgpu)
    with whole_folder(model) as folder:
        click.echo(str(write_page(load(folder), out, _name(model), found)))


@click.command(epilog="Examples:\n\n  ganzoo play runs/dcgan-seed0\n\n  ganzoo play dcgan-fashion-mnist --port 8000")
@click.argument("model")
@click.option("--port", metavar="NUMBER", type=click.IntRange(0, 65535), default=0, help="0 for any free.")
@_RUNTIME
def play(model: str, port: int, runtime: Path | None) -> None:
    """Show the page of MODEL on this machine only, until Ctrl-C; print its address.

    MODEL is a run folder, a model folder, or user/name[@revision] on the Hugging Face Hub. Of a run that is still
    training the page follows the checkpoints. Needs `pip install onnx onnxscript`.
    """
    from ...export import refuse_libraries
    from ...export.page import find_runtime
    from ...export.page import play as play_
    from ...hub import local_folder, model_folder

    refuse_libraries()
    waiting = local_folder(model) is None and (Path(model) / "recipe.toml").is_file()
    folder = Path(model) / "model" if waiting else model_folder(model)
    play_(folder, _name(model), find_runtime(runtime), port, click.echo)


def _name(model: str) -> str:
    """What a model is called in files that others read: no path of this machine."""
    return Path(model).name if Path(model).is_absolute() else model


@click.command(
    epilog="Examples:\n\n  ganzoo convert ffhq.pkl --out ffhq\n\n"
    "  ganzoo convert netG_epoch_24.pth netD_epoch_24.pth --discriminator\n\n"
    "  ganzoo convert huggan/dcgan-mnist --licence mit\n\n"
    "  ganzoo convert runs/dcgan-tutorial-seed0 --to dcgan-example --out netG.pth"
)
@click.argument("files", metavar="FILE|USER/REPO[:FILE]...", nargs=-1, required=True)
@click.option("--as", "name", metavar="CONVERTER", help="Whose file it is. [default: told from its tensors]")
@click.option(
    "--out", metavar="DIR", type=click.Path(path_type=Path), help="[default: the file's name, without ending]"
)
@click.option("--discriminator", is_flag=True, help="Write the discriminator too.")
@click.option("--licence", metavar="ID", help="Of the weights, as the Hub names it. [default: unknown]")
@click.option("--size", metavar="PIXELS", type=click.IntRange(1, 2**14), help="Side, for networks that take any.")
@click.option("--unclamped", is_flag=True, help="Do not keep samples to their range where the original does not.")
@click.option("--to", metavar="CONVERTER", help="The other way: write the generator of a model as that program's file.")
def convert(files: tuple[str, ...], name: str | None, out: Path | None, to: str | None, **options: Any) -> None:
    """Turn another program's checkpoint into a model folder; print its path.

    FILE is a pickle, a file of torch.save or an .npz, or a folder with one of them; nothing in it is run or imported.
    A generator and a discriminator in files of their own are given together. `ganzoo list converter` shows whose files
    are read. With --to, FILE is a run folder, a model folder or a model on the Hub, and --out ends in .pth, .pt or
    .safetensors.
    """
    from ...conversion import Wishes, recognise, write
    from ...registry.registry import registry

    if to is not None:
        _restored(files, to, out, name is not None or any(options.values()))
        return
    if options["licence"] and not options["licence"].isprintable():
        raise UsageError("--licence is one line, as the Hub names it: mit, cc-by-4.0")
    paths, source = _found(files)
    out = out or Path(_named(files[0], paths[0], source))
    found = recognise(paths, name, registry())
    click.echo(f"{found.name}: {found.origin}", err=True)
    for note in write(found, paths, out, Wishes(**options, source=source), registry()):
        click.echo(f"note: {note}", err=True)
    click.echo(str(out))


def _named(given: str, path: Path, source: str | None) -> str:
    """The name of the model: the repository's, the folder's or the file's."""
    if source:
        return given.partition(":")[0].partition("@")[0].rpartition("/")[2]
    return f"{Path(given).resolve().name}-ganzoo" if Path(given).is_dir() else path.stem


def _restored(files: tuple[str, ...], to: str, out: Path | None, others: bool) -> None:
    """Write one model in another program's layout."""
    from ...api import load
    from ...conversion import restore
    from ...registry.registry import registry

    if len(files) != 1 or others:
        raise UsageError("--to takes one model and --out, nothing else")
    out = out or Path(f"{Path(files[0]).name}.pth")
    restore(load(files[0], device="cpu"), to, out, registry())
    click.echo(str(out))


def _found(files: tuple[str, ...]) -> tuple[list[Path], str | None]:
    """Paths of the files, and of those of a repository on the Hub where they come from."""
    paths = [Path(one) for one in files]
    if all(path.exists() for path in paths):
        return [_within(path) if path.is_dir() else path for path in paths], None
    from ...models import is_reference

    repository, _, wanted = files[0].partition(":")
    if len(files) > 1 or not is_reference(repository):
        missing = next(path for path in paths if not path.exists())
        raise UsageError(f"there is no file {missing}: give a file, or user/repo on the Hub")
    return _downloaded(repository, wanted)


_ENDINGS = (".pkl", ".pt", ".pth", ".bin", ".npz")


def _within(folder: Path) -> Path:
    """The only checkpoint of a folder."""
    names = sorted(path.name for path in folder.iterdir() if path.name.endswith(_ENDINGS))
    if len(names) != 1:
        which = f"has {', '.join(names[:10])}: give one of them" if names else "holds no checkpoint"
        raise UsageError(f"{folder} {which}")
    return folder / names[0]


def _downloaded(repository: str, wanted: str) -> tuple[list[Path], str]:
    """The one checkpoint of a repository, or the one that is named."""
    from ...hub import HubRepository

    found = HubRepository(repository)
    names = sorted(name for name in found.sizes if name.endswith(_ENDINGS))
    if wanted and wanted not in found.sizes:
        raise UsageError(f"{repository} has no {wanted}: it has {', '.join(names) or 'no checkpoint'}")
    if not wanted and len(names) != 1:
        which = f"has {', '.join(names[:10])}: choose one, {repository}:FILE" if names else "holds no checkpoint"
        raise UsageError(f"{repository} {which}")
    name = wanted or names[0]
    return [found.download([name]) / name], f"{found.repo_id}@{found.commit} on the Hugging Face Hub"


COMMANDS = {"export": export, "page": page, "play": play, "convert": convert}

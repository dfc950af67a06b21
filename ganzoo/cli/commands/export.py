"""`ganzoo export`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click


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
    name = Path(model).name if Path(model).is_absolute() else model
    exported = export_(load(model, device="cpu"), out, name, to=to, truncation=truncation)
    if as_json:
        click.echo(json.dumps(asdict(exported), indent=2))
        return
    click.echo(exported.path)
    for what, ports in (("input", exported.inputs), ("output", exported.outputs)):
        for port in ports:
            click.echo(f"{what:<6}  {port.name:<6}  {port}")


COMMANDS = {"export": export}

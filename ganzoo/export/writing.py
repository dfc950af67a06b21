"""A model's generator, checked and written as one file."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..files import write_atomically
from ..models import Config, Model
from .comparison import BATCHES, compare, is_random, refuse_invalid
from .facts import facts
from .libraries import library, runtime
from .program import translate
from .subject import Subject

log = logging.getLogger("ganzoo")


@dataclass(frozen=True)
class Port:
    """An input or output of a file. shape: "batch" stands for any number."""

    name: str
    type: str
    shape: tuple[int | str, ...]

    def __str__(self) -> str:
        return f"{self.type} ({', '.join(map(str, self.shape))})"


@dataclass(frozen=True)
class Exported:
    """A file that was written. metadata: what it says of itself.  opset: the version of ONNX's operators.

    difference: the largest from torch's values, None if they were not compared.
    """

    path: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    opset: int
    metadata: dict[str, str]
    difference: float | None


def refuse_path(path: Path) -> None:
    """Raise `UsageError` if no file can be exported to the path, or without the libraries for it. Fast."""
    if path.suffix != ".onnx":
        raise UsageError(f"{path}: an exported model is one file, whose name ends in .onnx")
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name the file to write")
    if not path.parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}")
    refuse_libraries()


def refuse_libraries() -> None:
    """Raise `UsageError` without the libraries that exporting takes. Fast."""
    for module in ("onnx", "onnxscript"):
        library(module)


def export(model: Model, path: Path, name: str, *, to: str | None = None, truncation: float | None = None) -> Exported:
    """Write a model's generator as an ONNX file, whole or not at all, once it gives the samples that torch gives.

    model: on the CPU.  name: what the file calls it.  to: the field to make, for a model that translates.
    truncation: to build in.  The inputs are "latent" (N, ...) or "source" (N, *shape), and "label" (N,) int64 for a
    conditional generator; the output is "sample" (N, *shape) in the sample's range; N may be any number.
    Raises `ModelError` for a generator that torch cannot export, or a file that is not its equal; `UsageError`.
    """
    refuse_path(path)
    exported, data = content(Subject(model, to, truncation), model.config, name)
    if exported.difference is not None:
        batches = " and ".join(map(str, BATCHES))
        log.info("onnxruntime %s gives torch's samples in batches of %s: values differ by %.1g at most",
                 runtime().__version__, batches, exported.difference)  # fmt: skip
    write_atomically(path, data)
    return replace(exported, path=str(path))


def content(subject: Subject, config: Config, name: str) -> tuple[Exported, bytes]:
    """What a file of a subject holds, checked and compared; it is not written yet. Raises `ModelError`."""
    proto = translate(subject.eval(), f"generator {config.generator} of plugin {config.plugin.name}")
    graph = proto.graph
    metadata = facts(subject, config, name, is_random(graph))
    library("onnx").helper.set_model_props(proto, metadata)
    proto.doc_string = f"{name}: generator {config.generator}, exported by ganzoo {metadata['ganzoo']}"
    data: bytes = proto.SerializeToString()
    refuse_invalid(data)
    difference = compare(data, subject)
    if difference is None:
        log.warning("the file was not compared with torch's samples: that needs onnxruntime (pip install onnxruntime)")
    ports = tuple(map(_port, graph.input)), tuple(map(_port, graph.output))
    opset = next(one.version for one in proto.opset_import if not one.domain)
    return Exported("", *ports, opset, metadata, difference), data


def _port(value: Any) -> Port:
    tensor = value.type.tensor_type
    shape = tuple(one.dim_param or one.dim_value for one in tensor.shape.dim)
    return Port(value.name, library("onnx").helper.tensor_dtype_to_np_dtype(tensor.elem_type).name, shape)

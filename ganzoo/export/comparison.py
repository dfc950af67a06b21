"""An ONNX file held to the generator that it was made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ..contract import Sample
from ..errors import ModelError, first_line
from ..models import quietly
from .draws import Draws
from .libraries import library, runtime
from .subject import Subject

BATCHES = (1, 3)
"""Sizes that are tried; neither is the one that was traced."""

TOLERANCE = 1e-3
"""Largest difference from torch, in shares of the range that the samples' values span."""

ROUNDING = 1e-6
"""What is added to it, in shares of the largest value or of the width of the sample's range."""

_RANDOM = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli")


def refuse_invalid(data: bytes) -> None:
    """Raise `ModelError` unless a file's content is valid ONNX, with types and shapes that follow from each other."""
    onnx = library("onnx")
    try:
        onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    except Exception as error:  # the checker, shape inference and protobuf have errors of their own
        raise ModelError(f"the exported file is no valid ONNX: {first_line(error)}") from error


def compare(data: bytes, subject: Subject) -> float | None:
    """Run a file's content and the generator on the same inputs. Returns the largest difference of two values.

    Random numbers that the generator draws are recorded, and take the place of those that the file would draw; then
    the file draws its own, of which only the shape and that they are finite can be judged.
    Returns None if onnxruntime is not installed. Raises `ModelError` if it cannot run the file, or for samples that
    are not those of torch.
    """
    engine = runtime()
    if engine is None:
        return None
    cases = [(inputs, *_by_torch(subject, inputs)) for inputs in map(subject.inputs, BATCHES)]
    followed, places = _with_draws_as_inputs(data)
    if any(len(drawn) != len(places) or not all(map(torch.is_floating_point, drawn)) for *_, drawn in cases):
        raise ModelError(
            "the generator draws random numbers in a way that cannot be followed in the exported file: normal, "
            "uniform, exponential and Bernoulli ones can, and dropout"
        )
    allowed, largest = _allowed([wanted for _, wanted, _ in cases], subject.target), 0.0
    run = _runner(engine, followed)
    for inputs, wanted, drawn in cases:
        found = run(dict(zip([*subject.names, *places], [*inputs, *drawn], strict=True)))
        largest = max(largest, _difference(found, wanted, allowed))
    if places:
        run = _runner(engine, data)
        for inputs, wanted, _ in cases:
            found = run(dict(zip(subject.names, inputs, strict=True)))
            if found.shape != wanted.shape or not found.isfinite().all():
                raise ModelError("the exported file makes no samples with the random numbers that it draws")
    return largest


def is_random(graph: Any) -> bool:
    """True if an ONNX graph draws random numbers itself."""
    return any(node.op_type in _RANDOM for node in graph.node)


def _by_torch(subject: Subject, inputs: tuple[Tensor, ...]) -> tuple[Tensor, list[Tensor]]:
    """The generator's samples, and the random numbers that it drew for them."""
    with quietly(subject.generator, 0), Draws() as draws:
        sample = subject.sample(*inputs)
    if not sample.isfinite().all():
        raise ModelError("the generator makes values that are not finite: there is nothing to hold the file to")
    return sample, draws.tensors


def _with_draws_as_inputs(data: bytes) -> tuple[bytes, list[str]]:
    """The file with its random numbers as inputs behind its own, and the names of these."""
    onnx = library("onnx")
    model = onnx.load_from_string(data)
    drawing = [node for node in model.graph.node if node.op_type in _RANDOM]
    for node in drawing:
        model.graph.input.append(onnx.helper.make_tensor_value_info(node.output[0], onnx.TensorProto.FLOAT, None))
        model.graph.node.remove(node)
    return (model.SerializeToString() if drawing else data), [node.output[0] for node in drawing]


def _runner(engine: Any, data: bytes) -> Callable[[Mapping[str, Tensor]], Tensor]:
    """A function that runs a file's content on tensors by name. Both raise `ModelError`."""
    options = engine.SessionOptions()
    options.log_severity_level = 4  # errors are raised
    options.intra_op_num_threads = torch.get_num_threads()
    with _explained():
        session = engine.InferenceSession(data, options, providers=["CPUExecutionProvider"])

    def run(given: Mapping[str, Tensor]) -> Tensor:
        with _explained():
            (found,) = session.run(None, {name: tensor.numpy() for name, tensor in given.items()})
            return torch.from_numpy(found)

    return run


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # onnxruntime has errors of its own, which are no public classes
        raise ModelError(f"onnxruntime cannot run the exported file: {first_line(error)}") from error


def _allowed(samples: list[Tensor], target: Sample) -> float:
    """How far values may lie apart: what rounding in another order comes to, far less than what can be seen."""
    values = torch.cat([one.flatten() for one in samples])
    width = target.high - target.low if target.bounded else 0.0
    return TOLERANCE * float(values.max() - values.min()) + ROUNDING * max(float(values.abs().max()), width)


def _difference(found: Tensor, wanted: Tensor, allowed: float) -> float:
    """The largest difference of two values. Raises `ModelError` if it is more than is allowed."""
    if found.shape != wanted.shape:
        raise ModelError(f"the exported file makes samples {tuple(found.shape)}, torch {tuple(wanted.shape)}")
    difference = float((found - wanted).abs().max())
    if not difference <= allowed:  # NaN is refused too
        raise ModelError(
            f"the exported file does not give torch's samples: in a batch of {len(wanted)}, values differ by up to "
            f"{difference:.2g}, where {allowed:.2g} is allowed"
        )
    return difference

"""From torch to ONNX, with one line for whatever torch cannot do."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

import torch
from torch.export import ExportedProgram

from ..errors import ModelError, first_line
from .libraries import library
from .subject import Subject

EXAMPLES = 2
"""Samples in the batch that is traced: torch takes 0 and 1 for sizes that never change."""

_FIXED_BATCH = "specialized it to be a constant"
"""In torch's message where an operation was told the size of the traced batch as a number."""

MOST_BYTES = 2**31 - 2**24
"""Of weights: an ONNX file is one protobuf message, which ends at 2 GiB."""


def translate(subject: Subject, what: str) -> Any:
    """The ONNX model of a generator, an `onnx.ModelProto` with a batch of any size, without a trace of this machine.

    what: the generator, for the message of a `ModelError` that says what torch cannot export.
    """
    size = sum(tensor.nbytes for tensor in subject.state_dict().values())
    if size > MOST_BYTES:
        raise ModelError(f"{what} has {size / 2**30:.1f} GiB of weights: an ONNX file holds less than 2 GiB")
    with _hushed(), torch.no_grad():
        shapes = subject.shapes()
        traced = _trace(subject, shapes, what)
        try:
            program = torch.onnx.export(
                traced,
                dynamo=True,
                dynamic_shapes=shapes,
                input_names=subject.names,
                output_names=[subject.output],
                optimize=False,  # its rules take an addend of 1e-8, as in many norms, for 0 and drop it
                verbose=False,
            )
            assert program is not None
            optimizer = library("onnxscript.optimizer")
            optimizer.fold_constants(program.model)
            optimizer.remove_unused_nodes(program.model)
            return _at_work(_bare(program.model_proto))
        except Exception as error:  # torch and onnxscript raise many things
            raise ModelError(f"{what} cannot be exported: {first_line(_origin(error))}") from error


def _trace(subject: Subject, shapes: Any, what: str) -> ExportedProgram:
    """The generator's operations. The second way of tracing is slower, but understands more of Python."""
    problems = []
    for strict in (False, True):
        try:
            return torch.export.export(subject, subject.inputs(EXAMPLES), dynamic_shapes=shapes, strict=strict)
        except Exception as error:  # a plugin's network and torch may raise anything
            problems.append(error)
    reason = first_line(_origin(problems[0]))
    if any(_FIXED_BATCH in str(one) for one in problems):
        reason = "it is tied to one batch size; take that of x from x.shape[0], which may be left open, not from len(x)"
    raise ModelError(f"{what} cannot be exported: torch cannot trace it: {reason}") from problems[-1]


def _origin(error: BaseException) -> BaseException:
    """What was at the bottom of an error."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _bare(model: Any) -> Any:
    """Take away what torch notes of where the operations came from: lines of source code, with their paths."""
    graph = model.graph
    for one in (graph, *graph.node, *graph.value_info, *graph.initializer, *graph.input, *graph.output):
        one.ClearField("metadata_props")
        one.ClearField("doc_string")
    return model


def _at_work(model: Any) -> Any:
    """Write dropout that is at work as what it does, x · (u ≥ p) / (1 - p): onnxruntime takes the operation away."""
    onnx = library("onnx")
    make, nodes = onnx.helper.make_node, list[Any]()
    for node in model.graph.node:
        if node.op_type != "Dropout" or len(node.input) < 3:  # the third input says that it is at work
            nodes.append(onnx.NodeProto.FromString(node.SerializeToString()))
            continue
        (value, share), result = node.input[:2], node.output[0]
        drawn, stays, mask, one, kept, product = (f"{result}.{i}" for i in range(6))
        nodes += [
            make("RandomUniformLike", [value], [drawn]),
            make("GreaterOrEqual", [drawn, share], [stays]),
            make("Cast", [stays], [mask], to=onnx.TensorProto.FLOAT),
            make("Constant", [], [one], value_float=1.0),
            make("Sub", [one, share], [kept]),
            make("Mul", [value, mask], [product]),
            make("Div", [product, kept], [result]),
        ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


@contextmanager
def _hushed() -> Iterator[None]:
    """What torch's exporter warns of, logs and prints is for those who work on it; what fails is raised."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            yield
    finally:
        logging.disable(before)

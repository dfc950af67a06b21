"""Which converter a file is for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConversionError, PluginError, first_line, printable
from ..registry import Registry
from .converter import Conversion, Converter
from .modules import tensors_in
from .reading.parts import Stub
from .reading.reader import read_file


@dataclass(frozen=True)
class Recognised:
    """name: of the converter.  origin: the program."""

    name: str
    origin: str
    conversion: Conversion


def recognise(files: Sequence[Path], name: str | None, registry: Registry) -> Recognised:
    """Turn the files of one model, such as a generator's and a discriminator's, into its networks.

    name: of the converter, by default the only one that knows the files.
    Raises `ConversionError` if none or several know them, `UnknownName` for a converter that nobody provides.
    """
    converters = {one: load_converter(one, registry) for one in ([name] if name else registry.names("converter"))}
    classes = {known for one in converters.values() for known in one.classes}
    contents = {path: read_file(path, classes) for path in files}
    found = {}
    for one, converter in converters.items():
        conversions = {path: _converted(converter, content, path) for path, content in contents.items()}
        known = [conversion for conversion in conversions.values() if conversion is not None]
        if len(known) == len(files):
            found[one] = Recognised(one, converter.origin, _merged(known, files))
    if not found:
        path, content = next(iter(contents.items()))
        whose = f"the converter {name} does not know" if name else "no converter knows"
        raise ConversionError(
            f"{whose} {printable(str(path), 300)}: it holds {_described(content)}; "
            "`ganzoo list converter` shows whose files are read"
        )
    if len(found) > 1:
        raise ConversionError(f"several converters know it, choose one with --as: {', '.join(found)}")
    return next(iter(found.values()))


def load_converter(name: str, registry: Registry) -> Converter:
    """Build the converter of that name. Raises `UnknownName` or `PluginError`."""
    cls = registry.load("converter", name)
    if not isinstance(cls, type) or not issubclass(cls, Converter):
        raise PluginError(f"converter '{name}' is no subclass of ganzoo.Converter")
    converter: Converter = cls()
    return converter


def _converted(converter: Converter, content: Any, path: Path) -> Conversion | None:
    try:
        return converter.convert(content)
    except ConversionError as error:
        raise ConversionError(f"{printable(str(path), 300)}: {error}") from error
    except Exception as error:  # a file that has the program's names and nothing else of it may bring about anything
        raise ConversionError(
            f"{printable(str(path), 300)} is damaged, or no file of {converter.origin}: {first_line(error)}"
        ) from error


def _merged(conversions: Sequence[Conversion], files: Sequence[Path]) -> Conversion:
    """One conversion of the generator of one file and the discriminator of the same or another."""
    makers = [one for one in conversions if one.generator]
    if len(makers) != 1:
        raise ConversionError(
            f"{' and '.join(printable(str(path), 300) for path in files)} hold {len(makers)} generators: "
            "give the file of one, and perhaps that of its discriminator"
        )
    judge = next((one for one in conversions if one.discriminator), makers[0])
    notes = dict.fromkeys(note for one in conversions for note in one.notes)
    return replace(makers[0], discriminator=judge.discriminator, judges_pairs=judge.judges_pairs, notes=tuple(notes))


def _described(content: Any) -> str:
    """The first names and shapes in a file, to tell its owner or a plugin's author what it is."""
    lines = list(_leaves(content))
    return ", ".join(lines[:6]) + (", …" if len(lines) > 6 else "") if lines else "no tensors"


def _leaves(content: Any) -> Iterator[str]:
    parts = {"": content} if tensors_in(content) else content if isinstance(content, dict) else {}
    for name, part in parts.items():
        if isinstance(part, Stub) and not tensors_in(part):
            yield f"{printable(str(name), 60)} of {printable(part.name, 60)}"
        for key, value in (tensors_in(part) or {}).items():
            yield f"{printable(f'{name}.{key}'.lstrip('.'), 80)} {tuple(value.shape)}"
        if isinstance(part, np.ndarray):
            yield f"{printable(str(name), 60)} {tuple(part.shape)}"

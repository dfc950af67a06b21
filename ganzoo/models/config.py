"""`config.json` of a model folder: what the weights are and how to build the network for them. No torch here."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, field, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from ..contract import Sample
from ..errors import ModelError, printable
from ..files import read_bounded, write_atomically
from ..version import DISTRIBUTION
from .strictjson import parse

FORMAT = 1
CONFIG = "config.json"
DIRECTIONS = "directions.safetensors"
EVALUATION = "evaluation.json"
_STRICT = ConfigDict(extra="forbid", strict=True)
MAX_BYTES = 2**20
_MAX_VALUES = 2**28

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=100)]
"""A component's name: never a path or a dotted import."""
DistributionName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$", max_length=100)]
"""A distribution's name as pip takes it: nothing that a shell would understand."""
Line = Annotated[str, Field(pattern=r"^[^\p{Cc}\p{Zl}\p{Zp}\x{202a}-\x{202e}\x{2066}-\x{2069}]*$", max_length=1000)]
"""One line of text without control characters, which could write into the reader's terminal."""
Axis = Annotated[int, Field(ge=1, le=2**20)]


@dataclass(frozen=True, config=_STRICT)
class ColumnConfig:
    """A `Column` in JSON."""

    name: Line
    values: Annotated[list[Line], Field(max_length=2**16)]
    centre: float
    scale: float


@dataclass(frozen=True, config=_STRICT)
class ViewConfig:
    """A `View` in JSON: its kind, and what this kind states; None for what it does not."""

    kind: Literal["picture", "points", "signal", "columns"]
    rate: int | None = None
    columns: Annotated[list[ColumnConfig], Field(min_length=1, max_length=2**16)] | None = None

    def __post_init__(self) -> None:
        if (self.rate is not None) != (self.kind == "signal") or (self.columns is not None) != (self.kind == "columns"):
            raise ValueError("a signal has a rate, and columns their list, nothing else has either")


@dataclass(frozen=True, config=_STRICT)
class SampleConfig:
    """A `Sample` in JSON; None stands for no bound, and for no view of its own."""

    shape: Annotated[list[Axis], Field(min_length=1, max_length=5)]
    low: float | None
    high: float | None
    view: ViewConfig | None = None

    @classmethod
    def of(cls, sample: Sample) -> SampleConfig:
        """A `Sample` as it is written down."""
        return TypeAdapter(cls).validate_json(json.dumps(sample.to_dict()))

    def sample(self) -> Sample:
        """The `Sample` that is meant. Raises ValueError for a view that its shape has not."""
        return Sample.from_dict(asdict(self))


@dataclass(frozen=True, config=_STRICT)
class TranslationConfig:
    """One generator of a model that translates.

    role: what it is called in the game; its tensors' names begin with it.  source, target: fields of the data.
    reads, makes: what samples of the two fields are.
    """

    role: Name
    source: Name
    target: Name
    reads: SampleConfig
    makes: SampleConfig


def _present_name(distribution: str) -> str:
    """Models of before the first release name ganzoo's own distribution as the import is named."""
    return DISTRIBUTION if distribution == "ganzoo" else distribution


@dataclass(frozen=True, config=_STRICT)
class PluginConfig:
    """Where the generator comes from, for the line that installs it."""

    name: DistributionName
    distribution: Annotated[DistributionName, AfterValidator(_present_name)]
    version: Line


@dataclass(frozen=True, config=_STRICT)
class LicenceConfig:
    """Licences as the Hub names them ("cc-by-4.0", "mit"); None where nothing is stated.

    credit: whom the data's licence asks to name.
    """

    weights: Line | None = None
    data: Line | None = None
    credit: Line | None = None


@dataclass(frozen=True, config=_STRICT)
class Metric:
    """One result of an evaluation, with all that is needed to repeat it.

    name: as "fid".  data, split: what it was measured against.  samples: how many were generated.
    provenance: the command, feature extractor, versions, date and the like.
    """

    name: Name
    value: float
    data: Line
    split: Line = "train"
    samples: Annotated[int, Field(ge=0)] = 0
    provenance: dict[Line, Line | int | float | bool | None] = field(default_factory=dict)


@dataclass(frozen=True, config=_STRICT)
class ParentConfig:
    """The model whose weights training started from.

    model: its name; of a folder, the last part of the path.  sha256: of its generator's file.
    repository, revision: on the Hub, if it came from there, and the commit.  licence: of its weights, as it states it.
    fresh: layers that did not start from it, as "G.embed"; a role alone stands for all of its layers.
    """

    model: Line
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    repository: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$", max_length=200)] | None = None
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    licence: Line | None = None
    fresh: list[Line] = field(default_factory=list)


@dataclass(frozen=True, config=_STRICT)
class Config:
    """`config.json`: what the weights are, how to build the network for them, and how they were made."""

    format: Annotated[int, Field(ge=1, le=FORMAT)]
    generator: Name
    options: dict[str, JsonValue]
    source: SampleConfig | None
    target: SampleConfig
    classes: Annotated[int, Field(ge=0, le=2**20)]
    class_names: list[Line]
    plugin: PluginConfig
    recipe: dict[str, JsonValue]
    training: dict[Line, Line | int | float | bool | None]
    metrics: list[Metric] = field(default_factory=list)
    licence: LicenceConfig = LicenceConfig()
    translations: list[TranslationConfig] = field(default_factory=list)
    parent: ParentConfig | None = None

    def to_json(self) -> bytes:
        """The file's content; what has no parent says nothing of one, and samples without a view nothing of that."""
        tree = asdict(self)
        if self.parent is None:
            del tree["parent"]
        pairs = [(one["reads"], one["makes"]) for one in tree["translations"]]
        for sample in (tree["source"], tree["target"], *(one for pair in pairs for one in pair)):
            _drop_unsaid(sample)
        return (json.dumps(tree, indent=2) + "\n").encode()


def _drop_unsaid(sample: dict[str, Any] | None) -> None:
    """Take out of a sample's JSON a view that is not stated, and of a view what its kind has not."""
    if sample is None:
        return
    if sample["view"] is None:
        del sample["view"]
    else:
        sample["view"] = {key: value for key, value in sample["view"].items() if value is not None}


def read_config(folder: Path) -> Config:
    """Read and check `config.json`. Raises `ModelError` for anything that is not exactly as documented."""
    path = folder / CONFIG
    try:
        text = read_bounded(path, MAX_BYTES)
    except OSError as error:
        raise ModelError(f"{folder} is no model folder: {CONFIG} cannot be read ({error.strerror or error})") from error
    return parse_config(text, str(path))


def parse_config(text: bytes, where: str) -> Config:
    """The config that a file's content states. Raises `ModelError` that begins with `where`."""
    try:
        tree = parse(text)
    except ValueError as error:
        raise ModelError(f"{where} is no valid JSON: {error}") from error
    if isinstance(tree, dict) and type(tree.get("format")) is int and tree["format"] > FORMAT:
        raise ModelError(f"{where} has format {tree['format']}, this ganzoo reads up to {FORMAT}: update ganzoo")
    try:
        config = _schema().validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(item) for item in first["loc"]) or "the whole"
        reason = f"{first['msg'][:1].lower()}{first['msg'][1:]}"
        if first["type"] == "string_pattern_mismatch":
            reason = f"{first['input']!r} is not allowed: a plain name or line of text is wanted, no path, no import"
        raise ModelError(f"{where}: {printable(place)}: {printable(reason, 200)}") from error
    problem = _problem(config)
    if problem:
        raise ModelError(f"{where}: {problem}")
    return config


@cache
def _schema() -> TypeAdapter[Config]:
    return TypeAdapter(Config)


def _problem(config: Config) -> str | None:
    """What no type can say."""
    samples = [("source", config.source), ("target", config.target)]
    for number, one in enumerate(config.translations):
        samples += [(f"translations.{number}.reads", one.reads), (f"translations.{number}.makes", one.makes)]
    for key, sample in samples:
        if sample is None:
            continue
        if math.prod(sample.shape) > _MAX_VALUES:
            return f"{key}.shape {sample.shape} has more than {_MAX_VALUES} values"
        if sample.low is not None and sample.high is not None and not sample.low < sample.high:
            return f"{key}.low {sample.low} is not below {key}.high {sample.high}"
        try:
            sample.sample()
        except ValueError as error:
            return f"{key}.view: {printable(str(error), 200)}"
    if bool(config.translations) != (config.source is not None):
        return "translations and source belong together: a model that translates has both, any other neither"
    if len({one.role for one in config.translations}) != len(config.translations):
        return "translations has one role twice"
    if config.class_names and len(config.class_names) != config.classes:
        return f"class_names has {len(config.class_names)} names for {config.classes} classes"
    return None


def write_config(folder: Path, config: Config) -> None:
    """Write `config.json`, whole or not at all."""
    write_atomically(folder / CONFIG, config.to_json())


def record_metrics(folder: Path, metrics: Sequence[Metric]) -> Config:
    """Write an evaluation's results into `evaluation.json` and `config.json`; those of the same kind are replaced.

    Returns the new config. Raises `ModelError` if the folder holds no model.
    """
    config = read_config(folder)
    measured = {
        (one.name, one.data, one.split, one.samples, one.provenance.get("features hash")): one
        for one in [*config.metrics, *metrics]
    }
    config = replace(config, metrics=list(measured.values()))
    results = {"metrics": [asdict(one) for one in config.metrics]}
    write_atomically(folder / EVALUATION, (json.dumps(results, indent=2) + "\n").encode())
    write_config(folder, config)
    return config


def as_samples(config: Config) -> tuple[Sample | None, Sample]:
    """The source, None for latents, and the target."""
    return None if config.source is None else config.source.sample(), config.target.sample()

"""Which data to measure against, and which to learn features from."""

from __future__ import annotations

import inspect
import logging
import typing
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..contract import Dataset, DataSpec, Sample
from ..errors import DataError, UsageError, printable
from ..recipes import Part, checked_options, parse_data
from ..registry import Registry
from .features import Lesson, data_name
from .reference import RealPictures

log = logging.getLogger("ganzoo")


def data_to_measure(recipe: Mapping[str, Any], data: str | None, split: str | None, registry: Registry) -> Part:
    """The published data of a model's recipe, or others at its size.

    recipe: of a model or run that others may have made. It chooses no files here: of it are taken a data set's name
    and options that cannot name a place.
    data: as in `ganzoo train --data`; a `limit` of the recipe does not hold for data that are named so.
    split: another part of the data than the recipe's. Raises `UsageError` if the data have no other, or if the recipe
    names none that can be found without it.
    """
    known = recipe.get("data")
    stated: dict[str, Any] = dict(known) if isinstance(known, Mapping) else {}
    name = stated.pop("name", None)
    if data is None and not isinstance(name, str):
        raise UsageError("the model's recipe names no data: name them with --data")
    named = {"name": printable(str(name))} if data is None else parse_data(data)
    cls = registry.load("dataset", named["name"])
    accepted = inspect.signature(cls).parameters
    stated = {key: value for key, value in stated.items() if key in accepted or named["name"] == name}
    options = {key: value for key, value in stated.items() if key not in accepted or _names_no_place(cls, key, value)}
    if data is not None:
        options = {key: value for key, value in options.items() if key != "limit"} | named
    else:
        options |= named
        _refuse_places(named["name"], accepted.values(), options)
    for key in stated.keys() - options.keys() - {"limit", "path"}:
        log.warning("data.%s of the model's recipe is left out: it could name a file, and only you choose those", key)
    if split is not None:
        if "split" not in accepted and split != "train":
            raise UsageError(f"data {options['name']} have no split '{split}': leave --split out")
        options |= {"split": split} if "split" in accepted else {}
    return Part(options.pop("name"), options)


def _refuse_places(name: str, accepted: Iterable[inspect.Parameter], options: Mapping[str, Any]) -> None:
    """Raise `UsageError` if data of this name cannot be had without an option that says where they are."""
    missing = [one.name for one in accepted if one.default is one.empty and one.name not in options]
    if missing:
        raise UsageError(
            f"the model's recipe names data of its maker's own, {name}, and a recipe chooses no files here: "
            f"name the data with --data {name}:PATH"
        )


def _names_no_place(cls: type, key: str, value: Any) -> bool:
    """True for an option that is no free text: numbers, one of the words that are allowed, names of classes."""
    if isinstance(value, list | tuple):
        return all(_names_no_place(cls, key, one) for one in value)
    if not isinstance(value, str):
        return value is None or isinstance(value, int | float)
    return key == "classes" or value in _words(typing.get_type_hints(cls.__init__).get(key))  # type: ignore[misc]


def _words(hint: Any) -> tuple[Any, ...]:
    """What the literals in an annotation allow."""
    if typing.get_origin(hint) is typing.Literal:
        return typing.get_args(hint)
    return tuple(word for one in typing.get_args(hint) for word in _words(one))


def build_dataset(part: Part, registry: Registry) -> Dataset:
    """The data set of a part. Raises `UsageError` or `DataError`."""
    cls = registry.load("dataset", part.name)
    try:
        dataset: Dataset = cls(**checked_options(cls, part.options, 0, f"dataset {part.name}"))
    except (TypeError, ValueError) as error:
        raise UsageError(f"dataset {part.name} cannot be built: {error}") from error
    return dataset


def lesson(part: Part, registry: Registry) -> Lesson:
    """Labelled pictures for an extractor to learn from, and others to be tested on.

    The others are those of the data's test split; a tenth of all where there is none. Raises `UsageError` for data
    without labels or of more than one field.
    """
    dataset = build_dataset(part, registry)
    if dataset.spec.classes < 2 or len(dataset.spec.fields) != 1:
        raise UsageError(f"features are learned from pictures of at least 2 classes, {data_name(part)} have none")
    image, label = _labelled(dataset)
    test = _test_split(part, dataset, registry)
    if test is None:
        kept = len(image) - max(1, len(image) // 10)
        test, image, label = (image[kept:], label[kept:]), image[:kept], label[:kept]
        source = f"{data_name(part)}, tested on a tenth that was held out"
    else:
        source = f"{data_name(part)}, tested on split test"
    return Lesson(image, label, *test, dataset.spec.classes, source)


def _test_split(part: Part, dataset: Dataset, registry: Registry) -> tuple[Tensor, Tensor] | None:
    """Pictures and labels of the split "test", if the data have one that is not this one."""
    if "split" not in inspect.signature(type(dataset)).parameters or split_of(part, type(dataset)) == "test":
        return None
    try:
        return _labelled(build_dataset(Part(part.name, {**part.options, "split": "test"}), registry))
    except DataError:  # data of the user's own may come without
        return None


def _labelled(dataset: Dataset) -> tuple[Tensor, Tensor]:
    """All pictures, uint8 (N, 3, H, W), and labels, (N,)."""
    (field,) = dataset.spec.fields
    pictures = RealPictures(dataset, field)
    if pictures.labels is None:
        raise DataError("these data state classes but have no labels")
    return torch.cat(list(pictures.chunks())), pictures.labels


def split_of(part: Part, cls: type) -> str:
    """The split that a part of this class reads: its option, else the class's own choice, else "train"."""
    parameter = inspect.signature(cls).parameters.get("split")
    chosen = part.options.get("split", parameter.default if parameter else None)
    return chosen if isinstance(chosen, str) else "train"


def only_field(spec: DataSpec, target: Sample) -> str:
    """The field of samples such as `target`. Raises `UsageError` if there is none, or more than one."""
    if len(spec.fields) != 1:
        raise UsageError(f"the data have the fields {', '.join(spec.fields)}: only data with one are measured against")
    ((field, sample),) = spec.fields.items()
    if sample.shape != target.shape:
        shapes = ["x".join(map(str, one.shape)) for one in (target, sample)]
        raise UsageError(f"the model makes samples of {shapes[0]}, the data hold {shapes[1]}: name data of its size")
    return field

"""The conformance suite: which checks a plugin gets, and what comes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from ..public import public
from .outcome import ConformanceError, Failure, NotChecked, promised
from .promises import data, games, layouts, module, networks, optimizers, parts
from .subject import Options, Partners, Subject, subjects
from .trial import Trial, undisturbed

_PLUGIN: Mapping[str, Callable[[Subject], None]] = {
    "hook": module.hook,
    "lazy import": module.lazy_import,
    "docstring": module.documented_module,
    "pickling-free": module.pickling_free,
}
_EVERY: Mapping[str, Callable[[Trial], None]] = {"docstrings": module.documented, "options": module.annotated}
_KINDS: Mapping[str, Mapping[str, Callable[[Trial], None]]] = {
    "generator": {**networks.GENERATOR, **layouts.CHECKS, **games.NETWORK},
    "discriminator": {**networks.DISCRIMINATOR, **layouts.CHECKS, **games.NETWORK},
    "loss": {**parts.LOSS, **games.CHECKS},
    "penalty": games.CHECKS,
    "augmentation": {**parts.AUGMENTATION, **games.CHECKS},
    "dataset": {**data.CHECKS, **games.CHECKS},
    "optimizer": {**optimizers.CHECKS, **games.CHECKS},
    "callback": parts.CALLBACK,
    "features": parts.FEATURES,
    "converter": parts.CONVERTER,
    "recipe": parts.RECIPE,
    "command": parts.COMMAND,
}


@public
@dataclass(frozen=True)
class Case:
    """One check. name: of the component and what is checked.  Calling it raises `Failure` or `NotChecked`."""

    name: str
    check: Callable[[], None]
    subject: Subject

    def __call__(self) -> None:
        fix = "this comes from the plugin's code, or from the way ganzoo calls it: see docs/plugins.md"
        with undisturbed(), self.subject.importable(), promised("no error", fix):
            self.check()

    def __str__(self) -> str:
        return self.name


@public
def cases(
    plugin: ModuleType | str | Path,
    *,
    options: Options | None = None,
    shapes: Any = (),
    partners: Partners | None = None,
) -> list[Case]:
    """Every check of a plugin, for `pytest.mark.parametrize("case", cases(…), ids=str)`. Arguments: `check_plugin`.

    A plugin that the registry leaves out gets the checks of its module alone, which say why.
    """
    return [case for subject in subjects(plugin, options, shapes, partners) for case in _cases(subject)]


def _cases(subject: Subject) -> Iterator[Case]:
    for title, check in _PLUGIN.items():
        yield Case(f"plugin {subject.name}: {title}", partial(check, subject), subject)
    try:
        trials = subject.trials()
    except Exception:  # whatever it is, the case "hook" reports it
        return
    for trial in trials:
        for title, check_part in {**_EVERY, **_KINDS[trial.component.kind]}.items():
            yield Case(f"{trial.what}: {title}", partial(check_part, trial), subject)


@public
def check_plugin(
    plugin: ModuleType | str | Path,
    *,
    options: Options | None = None,
    shapes: Any = (),
    partners: Partners | None = None,
) -> None:
    """Run the conformance suite on a plugin, installed or not.

    plugin: its module; the name of its module, entry point or distribution; or its folder.
    options: to build components with, by kind and name: {"generator": {"sagan": {"width": 8}}}. For networks whose
    defaults are large, and for data sets that need a path.  shapes: further (C, H, W) or (D,) that networks are asked
    for, in [-1, 1].  partners: who components play with where the small reference partners do not fit, by kind and
    name: the name of a recipe, or parts of one: {"loss": {"infogan": {"generator": "infogan"}}}.
    A folder's pyproject.toml may say all three in [tool.ganzoo.testing].
    Raises `ConformanceError`, an AssertionError, with every failure: what was expected, what was found, the fix.
    """
    failures = []
    for case in cases(plugin, options=options, shapes=shapes, partners=partners):
        try:
            case()
        except Failure as failure:
            failures.append((case.name, failure))
        except NotChecked:
            continue
    if failures:
        raise ConformanceError(str(getattr(plugin, "__name__", plugin)), failures)

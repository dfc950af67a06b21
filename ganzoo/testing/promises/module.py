"""What a plugin's module promises as a whole: cheap to find, documented, free of pickle."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

from ...errors import GanzooError
from ...recipes import checked_options
from ...registry import HEAVY
from ..outcome import Failure, NotChecked, expect, promised
from ..subject import Subject
from ..trial import Trial

_CLASSES = (
    "generator", "discriminator", "loss", "penalty", "augmentation", "dataset", "optimizer", "callback", "features",
)  # fmt: skip
_FIXED = {"generator": 3, "discriminator": 3, "augmentation": 1, "optimizer": 1}
"""How many of a constructor's parameters are no options, where there are any."""
_PICKLING = {
    "pickle": ("load", "loads", "dump", "dumps", "Unpickler", "Pickler"),
    "torch": ("load", "save"),
    "dill": None, "cloudpickle": None, "joblib": None, "shelve": None, "marshal": None,
}  # fmt: skip
"""Calls that read or write pickles, by module; None stands for every import of it."""


def hook(subject: Subject) -> None:
    """The module is found and its hook lists well-formed components, none of them twice."""
    fix = "`ganzoo plugins` says the same; docs/plugins.md shows the hook"
    with promised("a module with the hook ganzoo_components", fix):
        names = [(trial.component.kind, trial.component.name) for trial in subject.trials()]
    twice = {f"{kind} {name}" for kind, name in names if names.count((kind, name)) > 1}
    expect(not twice, "every name once", ", ".join(sorted(twice)), "rename one of them")
    expect(bool(names), "at least one component", "none", "return what the plugin provides")


def lazy_import(subject: Subject) -> None:
    """Finding the plugin and reading its recipes imports nothing heavy."""
    recipes = [trial.component.target.partition(":")[0] for trial in subject.trials() if _is_recipe(trial)]
    code = (
        f"import sys, importlib; importlib.import_module({subject.module!r}).ganzoo_components()\n"
        f"for name in {sorted(set(recipes))!r}: importlib.import_module(name)\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    places = [*([str(subject.path)] if subject.path else []), *sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=environment)
    last = (done.stderr.strip().splitlines() or [""])[-1]
    expect(done.returncode == 0, "to be importable on its own", last, "import it in a fresh Python and see")
    heavy = done.stdout.split()
    fix = "name targets as text, and keep recipes in a module that imports nothing"
    expect(not heavy, "no heavy import before a component is used", f"{' and '.join(heavy)} imported", fix)


def _is_recipe(trial: Trial) -> bool:
    return trial.component.kind == "recipe"


def pickling_free(subject: Subject) -> None:
    """Nothing reads or writes pickles: they can run code."""
    for path in _sources(subject):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found = _pickling(node)
            fix = "use safetensors for tensors and JSON for the rest"
            expect(found is None, "no pickle", f"{path.name}:{getattr(node, 'lineno', 0)} uses {found}", fix)


def _pickling(node: ast.AST) -> str | None:
    if isinstance(node, ast.Import | ast.ImportFrom):
        origin = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
        tops = [name.partition(".")[0] for name in origin]
        return next((top for top in tops if top in _PICKLING and _PICKLING[top] is None), None)
    if not isinstance(node, ast.Call):
        return None
    if any(key.arg == "allow_pickle" and ast.unparse(key.value) == "True" for key in node.keywords):
        return "allow_pickle=True"
    called = ast.unparse(node.func)
    module, _, name = called.rpartition(".")
    if name in (_PICKLING.get(module) or ()):
        safe = any(key.arg == "weights_only" and ast.unparse(key.value) == "True" for key in node.keywords)
        return None if safe else called
    return None


def _sources(subject: Subject) -> list[Path]:
    with subject.importable():
        spec = importlib.util.find_spec(subject.module.partition(".")[0])
    if spec is None or spec.origin is None:
        raise NotChecked(f"{subject.module} has no source")
    origin = Path(spec.origin)
    return sorted(origin.parent.rglob("*.py")) if origin.name == "__init__.py" else [origin]


def documented_module(subject: Subject) -> None:
    """The plugin's module says what it is."""
    expect(bool(subject.load().__doc__), f"a docstring of {subject.module}", "none", "say what the plugin provides")


def documented(trial: Trial) -> None:
    """The class says what it does, and every option what it is for; `ganzoo show` prints both."""
    component, target = trial.component, trial.target
    expect(bool(component.summary), "a summary for tables", "none", "give the Component a summary")
    if component.kind not in _CLASSES:
        return
    doc = inspect.getdoc(target) if target.__dict__.get("__doc__") else None
    if doc is None:
        raise Failure(f"a docstring of {target.__name__}", "none", "say what it does, its options and its paper")
    module = sys.modules[target.__module__]
    expect(bool(module.__doc__), f"a docstring of {module.__name__}", "none", "open the file with paper and licence")
    if "ptions:" in doc:
        return  # described elsewhere, where the docstring points to
    fixed = _FIXED.get(component.kind, 0)
    options = list(inspect.signature(target).parameters)[fixed:]
    silent = [name for name in options if not re.search(rf"\b{re.escape(name)}\b", doc)]
    fix = "write 'name: what it does' in the class's docstring"
    expect(not silent, "every option explained", f"nothing about {', '.join(silent)}", fix)


def annotated(trial: Trial) -> None:
    """Options have types, which is how values on the command line are checked, and defaults that pass the check."""
    if trial.component.kind not in _CLASSES:
        return
    fixed = _FIXED.get(trial.component.kind, 0)
    options = list(inspect.signature(trial.target).parameters.values())[fixed:]
    bare = [
        one.name for one in options if one.annotation is one.empty or one.kind in (one.VAR_KEYWORD, one.VAR_POSITIONAL)
    ]
    fix = "annotate it: int, float, bool, str, tuple[int, ...] or Literal[…], no *args or **kwargs"
    expect(not bare, "an annotation for every option", f"none for {', '.join(bare)}", fix)
    defaults = {one.name: one.default for one in options if one.default is not one.empty}
    missing = {one.name for one in options} - set(defaults) - set(trial.options)
    if missing:
        return
    try:
        checked_options(trial.target, {**defaults, **trial.options}, fixed, trial.what)
    except GanzooError as error:
        raise Failure("defaults of the annotated types", str(error), "correct the default or the annotation") from error

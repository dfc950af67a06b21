"""Options and documentation of a component, read from its source so that nothing heavy is imported."""

from __future__ import annotations

import ast
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from ..errors import PluginError

_GIVEN = ("source", "target", "sample", "classes", "parameters")
"""Leading parameters without a default that the core fills in; with a default they are options like any other."""


@dataclass(frozen=True)
class Option:
    """One constructor option, as its source spells it. default None: it must be given."""

    name: str
    annotation: str
    default: str | None


@dataclass(frozen=True)
class Description:
    """doc: the class's docstring.  options: of its constructor, in order."""

    doc: str
    options: tuple[Option, ...]


def describe(target: str) -> Description:
    """Read "package.module:Class" from the module's source, or of the one that it has the class from; only the package
    above it is imported.

    Raises `PluginError` if there is no such source.
    """
    module, _, name = target.partition(":")
    try:
        spec = importlib.util.find_spec(module)
    except ImportError as error:
        raise PluginError(f"{target} does not load: {error}") from error
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise PluginError(f"there is no source for {target}")
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    if name not in classes:
        elsewhere = _imported(tree, spec.parent or "", name)
        return describe(elsewhere) if elsewhere else Description("", ())
    lineage = _lineage(classes[name], classes)
    constructors = [
        node for cls in lineage for node in cls.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"
    ]
    doc = next((text for cls in lineage if (text := ast.get_docstring(cls))), "")
    return Description(doc, _options(constructors[0].args) if constructors else ())


def _imported(tree: ast.Module, package: str, name: str) -> str | None:
    """Where a module of the package has a name from, as "package.module:Class"."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            module = importlib.util.resolve_name("." * node.level + node.module, package)
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return f"{module}:{alias.name}"
    return None


def _lineage(cls: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> list[ast.ClassDef]:
    """The class and those it inherits from within its module, nearest first."""
    found = [cls]
    for base in cls.bases:
        if isinstance(base, ast.Name) and base.id in classes:
            found += _lineage(classes[base.id], classes)
    return found


def _options(arguments: ast.arguments) -> tuple[Option, ...]:
    positional = [*arguments.posonlyargs, *arguments.args]
    missing = [None] * (len(positional) - len(arguments.defaults))
    pairs = [*zip(positional, [*missing, *arguments.defaults], strict=True)]
    given = {"self", *(argument.arg for argument, default in pairs if default is None and argument.arg in _GIVEN)}
    pairs += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return tuple(
        Option(
            argument.arg,
            ast.unparse(argument.annotation) if argument.annotation else "",
            None if default is None else ast.unparse(default),
        )
        for argument, default in pairs
        if argument.arg not in given
    )

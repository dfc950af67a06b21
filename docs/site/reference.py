"""The reference, made from the code: commands, Python's public names, recipes with their keys, hooks and components."""

from __future__ import annotations

import ast
import html
import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

import click
import tomli_w
from sources import ROOT

import ganzoo
from ganzoo.cli import cli
from ganzoo.contract.hookspecs import COMMANDS, KINDS
from ganzoo.recipes import Recipe
from ganzoo.registry import Registered, Registry, describe

GENERATED = ("reference/commands.md", "reference/python.md", "reference/recipes.md", "reference/hooks.md")
_PARAMETER = re.compile(r"(?:\A|(?<=\.)(?:  |\n))(?=[a-zA-Z_]\w*(?:, [a-zA-Z_]\w*)*: )")
_MADE = "*Made from the code of this version.*"
_FOR_PLUGINS = "Names that plugins build on have their signatures in [Write a plugin](../plugins.md#reference), too."


def generated() -> dict[str, str]:
    """Text by page; links are those of a file of that name under docs/."""
    registry = Registry()
    return {
        "reference/commands.md": _commands(),
        "reference/python.md": _python(),
        "reference/recipes.md": _recipes(registry),
        "reference/hooks.md": _hooks(registry),
    }


def _commands() -> str:
    context = click.Context(cli, info_name="ganzoo")
    parts = ["# Commands", _MADE]
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        parts += _command(command, click.Context(command, context, name), 2)
    return "\n\n".join(parts) + "\n"


def _command(command: click.Command, context: click.Context, level: int) -> Iterator[str]:
    yield f"{'#' * level} {context.command_path}"
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"```text\n{usage}\n```"
    yield _escaped(inspect.cleandoc(command.help or "").replace("\b\n", ""))
    rows = [record for one in command.params if (record := one.get_help_record(context)) and record[1]]
    yield _table("option | ", [(_code(option), _cell(_escaped(what))) for option, what in rows])
    if command.epilog:
        lines = [one.strip() for one in command.epilog.partition("Examples:")[2].splitlines() if one.strip()]
        yield "```sh\n" + "\n".join(lines) + "\n```"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _command(inner, click.Context(inner, context, name), level + 1)


def _python() -> str:
    nodes = _public_definitions()
    parts = ["# Python", _MADE, _FOR_PLUGINS]
    names = [name for name in ganzoo.__all__ if name in nodes]
    functions = [name for name in names if isinstance(nodes[name], ast.FunctionDef)]
    for name in [*functions, *(name for name in names if name not in functions)]:
        parts += _documented(nodes[name], f"ganzoo.{'list' if name == 'names' else name}", 2)
    return "\n\n".join(parts) + "\n"


def _public_definitions() -> dict[str, ast.ClassDef | ast.FunctionDef]:
    """Every class and function marked `@public`, by name; nothing is imported."""
    found = {}
    for path in sorted((ROOT / "ganzoo").rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and _is_public(node):
                found[node.name] = node
    return found | ({"list": found["names"]} if "names" in found else {})


def _is_public(node: ast.ClassDef | ast.FunctionDef) -> bool:
    return any(ast.unparse(one).partition("(")[0] == "public" for one in node.decorator_list)


def _documented(node: ast.ClassDef | ast.FunctionDef, name: str, level: int) -> Iterator[str]:
    yield f"{'#' * level} `{name}`"
    yield f"```python\n{_signature(node, name.rpartition('.')[2])}\n```"
    doc = ast.get_docstring(node)
    if doc:
        yield _prose(doc)
    if isinstance(node, ast.ClassDef):
        for one in node.body:
            if isinstance(one, ast.FunctionDef) and not one.name.startswith("_") and ast.get_docstring(one):
                yield from _documented(one, f"{name.rpartition('.')[2]}.{one.name}", level + 1)


def _signature(node: ast.ClassDef | ast.FunctionDef, name: str) -> str:
    if isinstance(node, ast.FunctionDef):
        marks = [f"@{ast.unparse(one)}\n" for one in node.decorator_list if "property" in ast.unparse(one)]
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        return f"{''.join(marks)}def {name}({ast.unparse(node.args)}){returns}"
    made = next((one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None)
    values = [ast.unparse(one) for one in node.body if isinstance(one, ast.AnnAssign)]
    values = [one for one in values if not one.startswith("_")]
    bases = ", ".join(ast.unparse(one) for one in node.bases)
    head = f"class {name}({bases}):" if bases else f"class {name}:"
    inner = [f"    def __init__({ast.unparse(made.args)})"] if made else [f"    {one}" for one in values] or ["    ..."]
    return "\n".join([head, *inner])


def _recipes(registry: Registry) -> str:
    parts = ["# Recipes", _MADE, "What each key does is told in [Recipes and their options](../recipes.md).", "## Keys",
             _keys(Recipe)]  # fmt: skip
    for one in fields(Recipe):
        default = one.default if one.default is not MISSING else None
        if is_dataclass(default) and not isinstance(default, type):
            parts += [f"### {one.name}", _escaped(_prose(type(default).__doc__ or "")), _keys(type(default))]
    parts.append("## Recipes of the zoo")
    for entry in registry.all("recipe"):
        parts += _recipe(registry, entry)
    return "\n\n".join(parts) + "\n"


def _keys(kind: Any) -> str:
    rows = [(_code(one.name), _code(str(one.type)), _default(one)) for one in fields(kind) if one.name[0] != "_"]
    return _table("key | type | default", rows)


def _default(one: Any) -> str:
    value = one.default
    value = getattr(value, "default", value)  # pydantic's Field
    if is_dataclass(value):
        return "see below"
    if value is MISSING or type(value).__name__ == "PydanticUndefinedType":
        return "must be given" if one.default_factory is MISSING else "none"
    return _code(repr(value))


def _recipe(registry: Registry, entry: Registered) -> Iterator[str]:
    name = entry.component.name
    given = dict(registry.load("recipe", name))
    whole = Recipe.from_dict({"name": name, **given}).to_dict()
    written = {key: value for key, value in whole.items() if key in given}
    yield f"### {name}"
    yield f"{_escaped(entry.component.summary)}. Plugin `{entry.plugin.name}`. {_escaped(entry.component.paper)}"
    yield f"```toml\n{tomli_w.dumps(written).strip()}\n```"


def _hooks(registry: Registry) -> str:
    hook = "\n".join(ast.get_docstring(node) or "" for node in _hookspecs())
    parts = ["# Hooks and kinds", _MADE, "## `ganzoo_components`", _prose(hook),
             "A plugin has one hook, which returns components of these kinds. [Write a plugin](../plugins.md) builds "
             "one of each."]  # fmt: skip
    for kind in (one for one in KINDS if one not in ("recipe", "command")):
        parts.append(f"## {kind}")
        for entry in registry.all(kind):
            parts += _component(entry)
    return "\n\n".join(parts) + "\n"


def _hookspecs() -> list[ast.FunctionDef]:
    tree = ast.parse((ROOT / "ganzoo" / "contract" / "hookspecs.py").read_text(encoding="utf-8"))
    return [node for node in tree.body if isinstance(node, ast.FunctionDef)]


def _component(entry: Registered) -> Iterator[str]:
    one = entry.component
    described = describe(one.target)
    yield f"### {one.kind} {one.name}"
    yield f"{_escaped(one.summary)}. Plugin `{entry.plugin.name}`. {_escaped(one.paper)}"
    if described.doc:
        yield _prose(described.doc)
    if described.options:
        rows = [(_code(one.name), _code(one.annotation), _given(one.default)) for one in described.options]
        yield _table("option | type | default", rows)


def _given(default: str | None) -> str:
    return "must be given" if default is None else _code(default)


def _prose(doc: str) -> str:
    """A docstring as Markdown: paragraphs, in which parameters, `name: what it is.  other: …`, become a list."""
    return "\n\n".join(map(_paragraph, _escaped(inspect.cleandoc(doc)).split("\n\n")))


def _paragraph(text: str) -> str:
    parts = _PARAMETER.split(text)
    return text if len(parts) == 1 else "\n".join([parts[0], "", *(f"- {' '.join(one.split())}" for one in parts[1:])])


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", "\\*").replace("$", "\\$").replace("[", "\\[")


def _table(head: str, rows: Iterable[Iterable[str]]) -> str:
    lines = [head, "|".join("---" for _ in head.split("|")), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)


def _code(text: str) -> str:
    """Code in a cell, where a bar would end it."""
    return f"<code>{html.escape(_cell(text), quote=False).replace(chr(92) + '|', '&#124;')}</code>" if text else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")

"""The reference in docs/plugins.md is the code's own signatures: `python tests/test_reference.py` writes it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import ganzoo
from ganzoo import testing
from ganzoo.contract import hookspecs

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs" / "plugins.md"
TITLE = "## Reference\n"
CONTENTS = {
    "The hook": ("hookspecs", ["ganzoo_components", "Component"]),
    "What a sample is": ("specs", ["Sample", "DataSpec"]),
    "Networks": ("interfaces", ["Generator", "Discriminator"]),
    "Losses": ("interfaces", ["Loss", "AdversarialLoss", "Role", "Phase"]),
    "What a loss sees": ("turn", ["Turn"]),
    "Penalties and augmentations": ("interfaces", ["Penalty", "Augmentation"]),
    "Courses": ("course", ["Varying", "Course"]),
    "Dials": ("dial", ["Dial"]),
    "Data": ("interfaces", ["Dataset", "Table", "Stream", "Drawn", "Unpaired", "Density", "Batch"]),
    "Callbacks": ("interfaces", ["Callback"]),
    "Feature extractors": ("interfaces", ["FeatureExtractor"]),
    "Errors": (
        "errors",
        ["GanzooError", "UsageError", "Incompatible", "DataError", "PluginError", "UnknownName", "printable"],
    ),
    "Checks": ("testing/suite", ["check_plugin", "cases"]),
}
"""Heading -> module, and the names of it that plugins build on."""


def reference() -> str:
    """The section as it should stand."""
    parts = [
        TITLE,
        "Every signature that a plugin meets, with the first sentence of its docstring; `help()` has the rest.\n",
    ]
    for heading, (module, names) in CONTENTS.items():
        tree = ast.parse((ROOT / "ganzoo" / f"{module}.py").read_text())
        nodes: dict[str, ast.stmt] = {
            node.name: node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)
        }
        nodes |= {ast.unparse(node.targets[0]): node for node in tree.body if isinstance(node, ast.Assign)}
        stubs = "\n\n".join("\n".join(_stub(nodes[name])) for name in names)
        parts.append(f"### {heading}\n\n```pyi\n{stubs}\n```\n")
    return "\n".join(parts)


def _stub(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.Assign):
        yield ast.unparse(node)
        return
    if isinstance(node, ast.FunctionDef):
        yield from _function(node)
        return
    bases = [ast.unparse(base) for base in node.bases]
    if any("dataclass" in ast.unparse(one) for one in node.decorator_list):
        yield "@dataclass(frozen=True)"
    yield f"class {node.name}({', '.join(bases)}):" if bases else f"class {node.name}:"
    yield from (f"    {line}" for line in _said(node))
    for one in node.body:
        if isinstance(one, ast.AnnAssign) and not ast.unparse(one.target).startswith("_"):
            yield f"    {ast.unparse(one)}"
        elif isinstance(one, ast.FunctionDef) and _is_public(node.name, one.name):
            yield from (f"    {line}" for line in _function(one))


def _is_public(owner: str, name: str) -> bool:
    """A turn is made by the trainer alone."""
    return not name.startswith("_") or (name == "__init__" and owner != "Turn")


def _function(node: ast.FunctionDef) -> Iterator[str]:
    yield from (f"@{ast.unparse(one)}" for one in node.decorator_list)
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    yield f"def {node.name}({ast.unparse(node.args)}){returns}: ..."
    yield from (f"    {line}" for line in _said(node))


def _said(node: ast.ClassDef | ast.FunctionDef) -> Iterator[str]:
    doc = ast.get_docstring(node)
    if doc:
        first = " ".join(doc.split("\n\n")[0].split())
        yield f"# {first.partition('. ')[0].removesuffix('.')}."


def test_the_reference_is_that_of_the_code():
    text = DOCS.read_text()
    assert text.count(TITLE) == 1
    assert text[text.index(TITLE) :].rstrip() == reference().rstrip(), "run `python tests/test_reference.py`"


def test_every_public_name_that_plugins_build_on_is_in_it():
    listed = {name for _, names in CONTENTS.values() for name in names}
    for_users = {
        "ANY_FIELD", "CheckpointError", "Diverged", "HubError", "HubRepository",
        "Model", "ModelError", "RecipeError", "Run", "RunError", "hookimpl",
        "list", "load", "train",
    }  # fmt: skip
    assert set(ganzoo.__all__) - for_users <= listed
    assert {name for name in vars(hookspecs) if name.startswith("ganzoo_")} <= listed
    assert {"check_plugin", "cases"} <= set(testing.__all__) & listed


if __name__ == "__main__":
    kept = DOCS.read_text().partition(TITLE)[0]
    DOCS.write_text(kept.rstrip() + "\n\n" + reference().rstrip() + "\n")

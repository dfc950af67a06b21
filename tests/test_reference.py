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
    "The hook": ["ganzoo_components", "Component"],
    "What a sample is": ["Sample", "DataSpec", "View", "Picture", "Points", "Signal", "Columns", "Column"],
    "Networks": ["Generator", "Discriminator", "StyleSpace", "Settling", "halvings"],
    "Layers": ["UpsampleConv2d", "DownsampleConv2d", "SpectralNorm", "differentiated_twice"],
    "Losses": ["Loss", "AdversarialLoss", "Role", "Phase"],
    "What a loss sees": ["Turn"],
    "Penalties and augmentations": ["Penalty", "Augmentation"],
    "Courses": ["Varying", "Course"],
    "Dials": ["Dial"],
    "Data": ["Dataset", "Table", "Stream", "Drawn", "Unpaired", "Density", "Survey", "Batch"],
    "Callbacks": ["Callback"],
    "Feature extractors": ["FeatureExtractor"],
    "Converters": ["Converter", "Conversion", "Converted"],
    "Parts of parts": ["build"],
    "Files of others": ["read_bounded", "read_pickle"],
    "Errors": [
        "GanzooError", "UsageError", "Incompatible", "DataError", "ConversionError", "PluginError", "UnknownName",
        "printable",
    ],
    "Checks": ["check_plugin", "cases"],
}  # fmt: skip
"""Heading -> the names that plugins build on."""
FILES = [
    "api.py",
    "compute/resampling.py",
    "compute/spectral.py",
    "compute/twice.py",
    "contract/*.py",
    "errors.py",
    "contract/turning/*.py",
    "files.py",
    "conversion/converter.py",
    "conversion/reading/reader.py",
    "testing/suite.py",
]
"""Where they are defined, below ganzoo/."""


def reference() -> str:
    """The section as it should stand."""
    parts = [
        TITLE,
        "Every signature that a plugin meets, with the first sentence of its docstring; `help()` has the rest.\n",
    ]
    nodes = _definitions()
    for heading, names in CONTENTS.items():
        stubs = "\n\n".join("\n".join(_stub(nodes[name])) for name in names)
        parts.append(f"### {heading}\n\n```pyi\n{stubs}\n```\n")
    return "\n".join(parts)


def _definitions() -> dict[str, ast.stmt]:
    """Every class, function and constant of the files, by name."""
    nodes: dict[str, ast.stmt] = {}
    for path in (path for pattern in FILES for path in sorted((ROOT / "ganzoo").glob(pattern))):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                nodes[node.name] = node
            elif isinstance(node, ast.Assign):
                nodes[ast.unparse(node.targets[0])] = node
    return nodes


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
    listed = {name for names in CONTENTS.values() for name in names}
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

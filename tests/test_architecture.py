"""The rules of the house, read from the source."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import ganzoo
from ganzoo.contract import hookspecs

ROOT = Path(__file__).parents[1]
CORE = ROOT / "ganzoo"

LAYERS = [
    {
        "errors",
        "specs",
        "files",
        "strictjson",
        "sections",
        "history",
        "symptoms",
        "version",
        "metricnames",
        "publication",
    },
    {"errors", "specs", "files", "strictjson", "sections", "markdown", "history", "symptoms"},
    {"errors", "specs", "files", "strictjson", "stricttoml", "sections", "history", "symptoms"},
    {"verdict"},
    {"errors", "specs", "files", "strictjson", "sections", "history", "symptoms", "course"},
    {"hookspecs", "interfaces", "health", "dial"},
    {"admission", "source", "registry"},
    {"recipe"},
    {"distributed"},
    {"turn", "tensorfile"},
    {"build", "normalisation", "optim", "device", "linear", "memory", "checkpoint", "sampling", "pictures", "config"},
    {"data", "order", "residence", "workers"},
    {"weights", "hubguard", "hubclient", "hubsnapshot", "frontmatter", "blueprint", "features", "values", "comparison"},
    {"distances"},
    {"check", "diagnosis"},
    {"plan"},
    {"reference"},
    {"command", "hub"},
    {"card", "hubrepository"},
    {"datachoice"},
    {"pieces", "tracing", "meter", "undo", "recordable", "team", "threads", "fingerprint"},
    {"pieces", "tracing", "meter", "undo", "recordable", "team", "threads", "clock"},
    {"recordings"},
    {"chain", "graphs", "proof"},
    {"capture"},
    {"speed"},
    {"trainer", "evaluation"},
    {"model", "modelfolder", "publish", "pull", "space", "export", "savemodel"},
    {"conversion"},
    {"callbacks", "report"},
    {"rounds", "rehearsal", "fitting", "runfolder"},
    {"interruption", "measure"},
    {"api"},
    {"__init__"},
    {"doctor", "scaffold"},
    {"cli", "testing", "pytest_plugin", "__main__"},
]
"""Lowest first; a module may import from its own layer and those below, at run time."""


def _level(module: str) -> int:
    for level, names in enumerate(LAYERS):
        if module in names:
            return level
    raise AssertionError(f"ganzoo/{module} has no place in LAYERS")


def _runtime_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from _runtime_nodes(node)


def _imports(path: Path) -> Iterator[str]:
    """Absolute names of the modules that a file imports at run time."""
    package = ["ganzoo", *path.relative_to(CORE).parts[:-1]] if CORE in path.parents else []
    for node in _runtime_nodes(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            if node.module and not (node.level and module == "ganzoo"):
                yield module
            else:
                yield from (f"{module}.{alias.name}" for alias in node.names)


def _violations(level_of: dict[str, int], imports: dict[str, list[str]]) -> list[str]:
    return [
        f"{module} imports {imported}"
        for module, names in imports.items()
        for imported in names
        if imported in level_of and level_of[imported] > level_of[module]
    ]


def test_lower_layers_never_import_higher_ones():
    files = {path: path.relative_to(CORE).parts[0].removesuffix(".py") for path in CORE.rglob("*.py")}
    levels = {name: _level(name) for name in set(files.values())}
    imports: dict[str, list[str]] = {}
    for path, module in files.items():
        if module == "__init__":
            continue  # the package's face imports lazily, from above
        found = [name.split(".")[1] for name in _imports(path) if name.startswith("ganzoo.")]
        imports.setdefault(module, []).extend(found)
    assert imports["trainer"], "no import was read"
    assert _violations(levels, imports) == []


def test_the_layer_check_sees_a_violation():
    assert _violations({"low": 0, "high": 1}, {"low": ["high"]}) == ["low imports high"]


def test_the_core_imports_no_plugin():
    found = [(path.name, name) for path in CORE.rglob("*.py") for name in _imports(path) if name.startswith("ganzoo_")]
    assert found == []


def test_click_is_imported_by_the_command_line_only():
    users = {path.relative_to(CORE).parts[0] for path in CORE.rglob("*.py") if "click" in set(_imports(path))}
    assert users == {"cli"}


def _plugin_files() -> list[Path]:
    return sorted(path for path in (ROOT / "plugins").glob("*/ganzoo_*/**/*.py"))


@pytest.mark.parametrize("path", _plugin_files(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_plugins_import_only_public_names(path: Path):
    own = path.relative_to(ROOT / "plugins").parts[1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "ganzoo":
            names = {alias.name for alias in node.names}
            assert names <= set(ganzoo.__all__), names - set(ganzoo.__all__)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            top = (node.module or "").split(".")
            assert top[0] != "ganzoo", f"{path.name} imports from {node.module}"
            assert not top[0].startswith("ganzoo_") or top[0] == own, f"{path.name} imports {node.module}"
        elif isinstance(node, ast.Import):
            assert not any(alias.name.startswith("ganzoo.") for alias in node.names)


def test_the_trainer_names_no_part_of_the_zoo():
    names = {
        component.component.name
        for component in ganzoo_registry().all()
        if component.component.kind not in ("recipe", "command")
    } - {"folder"}  # every run has a folder, which is no data set
    assert {"dcgan", "hinge", "cifar10", "r1"} <= names
    words = {word for name in names for word in (name, name.replace("-", "_"), name.replace("-", ""))}
    assert _named((CORE / "trainer.py").read_text(), words) == set()


def _words_of(path: Path) -> set[str]:
    """What a file's code can tell apart: identifiers, and whole strings that are no docstrings."""
    tree = ast.parse(path.read_text())
    words = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    words |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    words |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {word.lower().replace("_", "-") for word in words}


def test_the_core_names_no_network_loss_penalty_or_augmentation():
    kinds = ("generator", "discriminator", "loss", "penalty", "augmentation")
    names = {one.component.name for one in ganzoo_registry().all() if one.component.kind in kinds}
    assert {"dcgan", "cyclegan", "stylegan2", "path-length", "ada", "lecam", "wgan-gp"} <= names
    found = {
        f"{path.relative_to(CORE)} names {name}"
        for path in CORE.rglob("*.py")
        for name in names & _words_of(path)
        if "templates" not in path.parts
    }
    # a distance of that name, between samples and data, is no loss
    assert found - {"values.py names wasserstein"} == set()


def test_the_name_check_sees_a_name():
    assert _named("if loss == 'Hinge': pass", {"hinge"}) == {"hinge"}


def _named(text: str, words: set[str]) -> set[str]:
    return {word for word in words if re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE)}


def ganzoo_registry():
    from ganzoo.registry.registry import registry

    return registry()


def test_the_trainer_tests_no_feature_flag():
    """Every branch of the trainer is about its own loop, never about what is being trained."""
    text = (CORE / "trainer.py").read_text()
    assert "hasattr" not in text and "isinstance(loss" not in text
    tests = [ast.unparse(node.test) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.If)]
    flags = [test for test in tests if re.search(r"\.kind|\.name\b|conditional|options\.", test)]
    assert flags == []


def test_root_entry_points_are_the_union_of_the_plugins():
    root = tomllib.loads((ROOT / "pyproject.toml").read_text())
    union: dict[str, str] = {}
    for path in sorted((ROOT / "plugins").glob("*/pyproject.toml")):
        union |= tomllib.loads(path.read_text())["project"]["entry-points"]["ganzoo"]
    assert root["project"]["entry-points"]["ganzoo"] == union
    packages = {Path(name).name for name in root["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]}
    assert packages == {"ganzoo", *union.values()}


def test_every_hook_is_documented_and_used_by_a_bundled_plugin():
    hooks = [name for name in vars(hookspecs) if name.startswith("ganzoo_")]
    docs = (ROOT / "docs" / "plugins.md").read_text()
    plugins = "".join(path.read_text() for path in _plugin_files())
    assert hooks
    for hook in hooks:
        assert f"`{hook}`" in docs, f"docs/plugins.md does not document {hook}"
        assert f"def {hook}(" in plugins, f"no bundled plugin implements {hook}"


def test_every_kind_is_documented():
    docs = (ROOT / "docs" / "plugins.md").read_text()
    assert [kind for kind in hookspecs.KINDS if f"`{kind}`" not in docs] == []


def test_every_plugin_has_a_readme_and_tests():
    for folder in sorted((ROOT / "plugins").iterdir()):
        if folder.is_dir():
            assert (folder / "README.md").stat().st_size > 200, folder
            assert list((folder / "tests").glob("test_*.py")), folder

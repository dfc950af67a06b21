"""The rules of the house, read from the source."""

from __future__ import annotations

import ast
import importlib
import re
import sys
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

import ganzoo
from ganzoo.contract import hookspecs

ROOT = Path(__file__).parents[1]
CORE = ROOT / "ganzoo"

GROUND = {"errors", "files", "public", "version"}
"""Modules on top that all rooms stand on."""

ROOMS = [
    {"contract"},
    {"compute", "registry"},
    {"recipes"},
    {"models"},
    {"data", "recording", "health"},
    {"evaluation"},
    {"training"},
    {"planning"},
    {"conversion", "latents"},
    {"hub", "report", "testing"},
    {"export"},
    {"api"},
    {"cli"},
]
"""Lowest first; a room imports those below it, never one beside it or above. `api` is a module, the highest but one."""

WAYS_UP = {
    "models.model imports hub.publish",
    "models.model imports latents.directions",
    "models.model imports latents.mixing",
    "models.model imports latents.projection",
}
"""Methods of `Model`: `push`, `directions`, `mix` and `project`, late; nothing else may."""

MOST_ROOMS, MOST_ON_TOP, MOST_IN_A_ROOM = 18, 9, 12


def _name(path: Path) -> str:
    """ "training.trainer" for ganzoo/training/trainer.py, "training" for the room's door, "" for the package's."""
    return ".".join(path.relative_to(CORE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _nodes(tree: ast.AST, *, late: bool) -> Iterator[ast.AST]:
    """All nodes; without those inside functions if not `late`."""
    for node in ast.iter_child_nodes(tree):
        if not late and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        yield node
        yield from _nodes(node, late=late)


def _imports(path: Path, *, late: bool = True) -> Iterator[str]:
    """Absolute names of what a file imports, at run time and for type checkers, as "module" or "module.name"."""
    package = ["ganzoo", *path.relative_to(CORE).parts[:-1]] if CORE in path.parents else []
    for node in _nodes(ast.parse(path.read_text()), late=late):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _doors() -> dict[str, str]:
    """What the rooms' doors lead to: {"compute.World": "compute.distributed"}, from their stubs."""
    found = {}
    for stub in CORE.glob("*/__init__.pyi"):
        room = stub.parent.name
        for node in ast.walk(ast.parse(stub.read_text())):
            if isinstance(node, ast.ImportFrom):
                inside = f"{room}.{node.module}" if node.module else ""
                found |= {f"{room}.{alias.name}": inside or f"{room}.{alias.name}" for alias in node.names}
    return found


def _module_of(imported: str, modules: Collection[str], doors: Mapping[str, str]) -> str | None:
    """The module of ganzoo that an import reaches, through a room's door if there is one; None for all others."""
    name = imported.removeprefix("ganzoo.")
    if not imported.startswith("ganzoo.") or name in modules:
        return name if imported.startswith("ganzoo.") else None
    if name in doors:
        return doors[name]
    parent = name.rpartition(".")[0]
    return parent if parent in modules else None


def _graph(*, late: bool) -> dict[str, set[str]]:
    """Every module of ganzoo with those that it imports."""
    modules = {_name(path): path for path in CORE.rglob("*.py") if "templates" not in path.parts}
    doors = _doors()
    return {
        name: {one for wanted in _imports(path, late=late) if (one := _module_of(wanted, modules, doors))} - {name}
        for name, path in modules.items()
    }


def _violations(graph: Mapping[str, Collection[str]], rooms: Sequence[Collection[str]]) -> set[str]:
    """Imports that lead out of a room to one that is not below it."""
    level = {room: number for number, named in enumerate(rooms) for room in named}

    def allowed(room: str, other: str) -> bool:
        return room == other or other in GROUND or (room not in GROUND and level[other] < level[room])

    return {
        f"{module} imports {other}"
        for module, others in graph.items()
        for other in others
        if not allowed(module.split(".")[0], other.split(".")[0])
    }


def _circle(graph: Mapping[str, Collection[str]]) -> list[str]:
    """The modules of a circle of imports, if there is one."""
    done: set[str] = set()

    def follow(module: str, way: list[str]) -> list[str]:
        if module in way:
            return [*way[way.index(module) :], module]
        if module in done:
            return []
        for other in sorted(graph.get(module, ())):
            if found := follow(other, [*way, module]):
                return found
        done.add(module)
        return []

    return next((found for module in sorted(graph) if (found := follow(module, []))), [])


def _without_faces(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Without the package's own face, which hands on names from above, and the line that starts the program."""
    return {module: others for module, others in graph.items() if module not in ("", "__main__")}


def test_rooms_import_only_rooms_below_them():
    graph = _without_faces(_graph(late=True))
    assert {"compute.device", "contract.turning.turn", "recording.capture"} <= graph["training.trainer"], (
        "no import was read"
    )
    assert {module.split(".")[0] for module in graph} == GROUND.union(*ROOMS)
    assert _violations(graph, ROOMS) == WAYS_UP


def test_no_circle_of_imports_exists_for_python_or_type_checkers():
    assert _circle(_without_faces(_graph(late=False))) == []


def test_violations_and_circles_are_seen(tmp_path, monkeypatch):
    rooms = [{"low"}, {"high", "beside"}]
    planted = {"low.a": {"high.b", "errors"}, "high.b": {"low.a", "beside.c"}, "beside.c": set(), "errors": {"low.a"}}
    assert _violations(planted, rooms) == {
        "low.a imports high.b", "high.b imports beside.c", "errors imports low.a"
    }  # fmt: skip
    assert _circle(planted) == ["errors", "low.a", "errors"]
    assert _circle({"low.a": set(), "high.b": {"low.a"}}) == []
    monkeypatch.setattr(sys.modules[__name__], "CORE", tmp_path / "ganzoo")
    (tmp_path / "ganzoo" / "models").mkdir(parents=True)
    planted_file = tmp_path / "ganzoo" / "models" / "card.py"
    planted_file.write_text(
        "if TYPE_CHECKING:\n    from ..training.trainer import Trainer\ndef f():\n    from ..hub import publish\n"
    )
    assert list(_imports(planted_file)) == ["ganzoo.training.trainer.Trainer", "ganzoo.hub.publish"]
    assert list(_imports(planted_file, late=False)) == ["ganzoo.training.trainer.Trainer"]


def test_there_are_few_rooms_on_the_plan_and_no_others():
    planned = {room for named in ROOMS for room in named} - {"api"}
    assert len(planned) <= MOST_ROOMS
    assert planned == {path.parent.name for path in CORE.glob("*/__init__.py")}


def test_the_top_and_the_rooms_stay_small():
    assert len(list(CORE.glob("*.py"))) <= MOST_ON_TOP
    folders = {path.parent for path in CORE.rglob("*.py") if "templates" not in path.parts} - {CORE}
    rooms = {path: [one for one in path.glob("*.py") if one.name != "__init__.py"] for path in folders}
    crowded = {path.name: len(files) for path, files in rooms.items() if len(files) > MOST_IN_A_ROOM}
    assert crowded == {}


def test_every_room_says_what_it_is_for():
    for room in {room for named in ROOMS for room in named} - {"api"}:
        text = ast.get_docstring(ast.parse((CORE / room / "__init__.py").read_text()))
        assert text, room
        assert f"{room}/ " in (ROOT / "docs" / "architecture.md").read_text(), room


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
            top, _, rest = (node.module or "").partition(".")
            assert top != "ganzoo", f"{path.name} imports from {node.module}"
            if top.startswith("ganzoo_") and top != own:
                assert rest == "parts", (
                    f"{path.name} imports {node.module}: others' plugins lend what is in their `parts`"
                )
                assert {alias.name for alias in node.names} <= set(importlib.import_module(node.module).__all__)
        elif isinstance(node, ast.Import):
            assert not any(alias.name.startswith(("ganzoo.", "ganzoo_")) for alias in node.names)


def test_plugins_borrow_in_one_direction():
    found: dict[str, set[str]] = {}
    for path in _plugin_files():
        names = {name.partition(".")[0] for name in _imports(path)}
        own = path.relative_to(ROOT / "plugins").parts[1]
        found.setdefault(own, set()).update(name for name in names if name.startswith("ganzoo_") and name != own)
    assert found["ganzoo_stylegan"] == {"ganzoo_stylegan2"}
    assert _circle(found) == []


def test_the_trainer_names_no_part_of_the_zoo():
    names = {
        component.component.name
        for component in ganzoo_registry().all()
        if component.component.kind not in ("recipe", "command")
    } - {"folder"}  # every run has a folder, which is no data set
    assert {"dcgan", "hinge", "cifar10", "r1"} <= names
    words = {word for name in names for word in (name, name.replace("-", "_"), name.replace("-", ""))}
    assert _named((CORE / "training" / "trainer.py").read_text(), words) == set()


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
    assert found - {"evaluation/values.py names wasserstein"} == set()


def test_the_name_check_sees_a_name():
    assert _named("if loss == 'Hinge': pass", {"hinge"}) == {"hinge"}


def _named(text: str, words: set[str]) -> set[str]:
    return {word for word in words if re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE)}


def ganzoo_registry():
    from ganzoo.registry.registry import registry

    return registry()


def test_the_trainer_tests_no_feature_flag():
    """Every branch of the trainer is about its own loop, never about what is being trained."""
    text = (CORE / "training" / "trainer.py").read_text()
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

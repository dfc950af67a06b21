from __future__ import annotations

import sys
from types import ModuleType

import pytest
from fakes import FakePoint, fake_plugin

from ganzoo import Component, PluginError
from ganzoo.contract import hookspecs
from ganzoo.registry import admission
from ganzoo.registry.registry import Registry

HINGE = Component("loss", "hinge", "ganzoo_losses.adversarial:Hinge", "margin")


class Distribution:
    def __init__(self, *requires: str) -> None:
        self.requires = list(requires) or None


@pytest.mark.parametrize(
    "requires",
    [
        (),
        ("torch>=99",),
        ("torch-ganzoo",),
        ("torch-ganzoo>=0.1",),
        ("torch-ganzoo>=1.2.0",),
        ("torch-ganzoo >= 1",),
        ("torch-ganzoo (>=1.0)",),
        ("torch-ganzoo<2,>=1",),
        ("torch-ganzoo[video]>=1.2",),
        ("torch-ganzoo>=9; extra == 'later'",),
        ("torch-ganzoo>=9; python_version < '3'",),
        ("ganzoo>=1.2",),
        ("ganzoo-sagan>=9", "ganzoo_x>=9", "ganzoo.y>=9"),
    ],
)
def test_a_plugin_that_this_release_satisfies_comes_in(requires):
    admission.refuse_other_ganzoo(Distribution(*requires), "1.2")


@pytest.mark.parametrize(
    ("stated", "wanted"),
    [
        ("torch-ganzoo>=1.3", ">=1.3"),
        ("torch-ganzoo>=1.2.1", ">=1.2.1"),
        ("torch-ganzoo~=2.0", "~=2.0"),
        ("torch_ganzoo<1", "<1"),
        ("Torch-Ganzoo>=1.10", ">=1.10"),
        ("ganzoo==1.3", "==1.3"),
    ],
)
def test_a_plugin_that_wants_another_ganzoo_gets_the_line_that_helps(stated, wanted):
    with pytest.raises(PluginError) as refusal:
        admission.refuse_other_ganzoo(Distribution("torch", stated), "1.2")
    wanted = f"torch-ganzoo{wanted}"
    assert str(refusal.value) == f"it needs {wanted}, this is ganzoo 1.2: pip install --upgrade '{wanted}'"


def test_one_that_needs_a_newer_ganzoo_is_not_even_imported():
    point = FakePoint("late", "dist", ImportError("from the future"), requires=["torch-ganzoo>=99"])
    (plugin,) = Registry([point]).plugins
    assert "needs torch-ganzoo>=99" in plugin.problem and "future" not in plugin.problem


def stating(**attributes: object) -> ModuleType:
    module = ModuleType("plugin")
    vars(module).update(attributes)
    return module


def test_a_plugin_that_states_no_interface_was_written_for_the_first():
    assert admission.interface_of(stating()) == 1
    assert admission.interface_of(stating(GANZOO_INTERFACE=1)) == 1


@pytest.mark.parametrize(
    ("stated", "words"),
    [(2, "for interface 2, this ganzoo speaks 1: pip install --upgrade torch-ganzoo"), (0, "look for a newer release"),
     ("1", "write a whole number"), (True, "write a whole number"), (None, "write a whole number")],
)  # fmt: skip
def test_an_interface_that_is_not_spoken_is_refused(stated, words):
    with pytest.raises(PluginError, match=words):
        admission.interface_of(stating(GANZOO_INTERFACE=stated))


def test_an_old_interface_still_works_but_its_users_are_told_when_it_ends(monkeypatch):
    for module in (hookspecs, admission):
        monkeypatch.setattr(module, "INTERFACE", 2)
        monkeypatch.setattr(module, "INTERFACES", {1: "0.4", 2: None})
    old, new = fake_plugin("old", "dist-a", [HINGE]), fake_plugin("new", "dist-b", [])
    vars(new.load())["GANZOO_INTERFACE"] = 2
    registry = Registry([old, new])
    told = {plugin.name: (plugin.interface, plugin.problem, plugin.notes) for plugin in registry.plugins}
    words = "it was written for interface 1, which ends with ganzoo 0.4: look for a newer release of it"
    assert told == {"old": (1, None, [words]), "new": (2, None, [])}
    assert registry.names("loss") == ["hinge"]


@pytest.mark.parametrize("error", [SystemExit(3), ValueError(""), RuntimeError("first\nsecond"), TypeError("\x1b[2J")])
def test_whatever_a_plugin_raises_is_one_printable_line(error):
    registry = Registry([FakePoint("bad", "dist", error), fake_plugin("good", "dist", [HINGE])])
    problem = {plugin.name: plugin.problem for plugin in registry.plugins}["bad"]
    assert problem.startswith(type(error).__name__) and problem.isprintable() and "second" not in problem
    assert registry.names("loss") == ["hinge"]


@pytest.mark.parametrize(
    "component",
    [
        Component("loss", 3, "a:b", ""),
        Component("loss", "", "a:b", ""),
        Component("loss", "has space", "a:b", ""),
        Component("loss", "x", "a:b", "two\nlines"),
        Component("loss", "x", "a:b", "\x1b[31mred"),
        Component(["loss"], "x", "a:b", ""),
        Component("loss", "x", "a:b:c", ""),
        Component("loss", "x", "../a:b", ""),
    ],
)
def test_a_component_that_makes_no_sense_is_refused(component):
    with pytest.raises(PluginError):
        admission.checked(component)


def test_a_heavy_import_is_noted_for_who_does_it_first_and_for_who_does_it_again(tmp_path, monkeypatch):
    (tmp_path / "scipy_like.py").write_text("")
    for name in ("first_eager", "second_eager"):
        (tmp_path / f"{name}.py").write_text("import scipy_like\n")
    (tmp_path / "modest.py").write_text("import math\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(admission, "HEAVY", ("scipy_like",))
    found = {}
    for name in ("first_eager", "second_eager", "modest"):
        with admission.watched(name) as cost:
            __import__(name)
        found[name] = cost.heavy
    assert found == {"first_eager": ("scipy_like",), "second_eager": ("scipy_like",), "modest": ()}
    for name in ("scipy_like", "first_eager", "second_eager", "modest"):
        del sys.modules[name]


def test_rivals_are_told_of_each_other_and_the_rest_of_them_works():
    other = Component("loss", "other", "x:y", "")
    registry = Registry([fake_plugin("a", "dist-a", [HINGE, other]), fake_plugin("b", "dist-b", [HINGE])])
    notes = {plugin.name: plugin.notes for plugin in registry.plugins}
    assert "claimed by dist-b (b)" in notes["a"][0] and "claimed by dist-a (a)" in notes["b"][0]
    assert registry.find("loss", "other").plugin.name == "a"


def test_two_distributions_with_one_module_are_told_apart():
    first = fake_plugin("a", "dist-a", [HINGE])
    second = FakePoint("b", "dist-b", first.load())
    problems = {plugin.name: plugin.problem for plugin in Registry([first, second]).plugins}
    assert problems["a"] is None and "is that of dist-a:a too" in problems["b"]

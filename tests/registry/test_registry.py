from __future__ import annotations

import pytest
from fakes import FakePoint, fake_plugin

import ganzoo
from ganzoo import Component
from ganzoo.registry.registry import KNOWN_DISTRIBUTIONS, Registry

HINGE = Component("loss", "hinge", "ganzoo_losses.adversarial:Hinge", "margin")


def test_components_are_found_by_kind_and_name():
    registry = Registry([fake_plugin("a", "dist-a", [HINGE])])
    assert registry.names("loss") == ["hinge"]
    assert registry.find("loss", "hinge").plugin.distribution == "dist-a"
    assert registry.load("loss", "hinge").__name__ == "Hinge"


def test_two_distributions_claiming_a_name_are_both_named_and_the_rest_works():
    other = Component("loss", "other", "ganzoo_losses.adversarial:Hinge", "margin")
    registry = Registry([fake_plugin("a", "dist-a", [HINGE]), fake_plugin("b", "dist-b", [HINGE, other])])
    with pytest.raises(ganzoo.PluginError, match=r"dist-a.*dist-b"):
        registry.load("loss", "hinge")
    assert registry.load("loss", "other").__name__ == "Hinge"


def test_entry_points_of_the_same_name_in_two_distributions_are_both_read():
    other = Component("loss", "other", "x:y", "margin")
    registry = Registry([fake_plugin("same", "dist-a", [HINGE]), fake_plugin("same", "dist-b", [other])])
    assert registry.names("loss") == ["hinge", "other"]


@pytest.mark.parametrize(
    ("point", "words"),
    [
        (FakePoint("broken", "dist", ImportError("no module named foo")), "no module named foo"),
        (fake_plugin("broken", "dist", RuntimeError("boom")), "boom"),
        (fake_plugin("broken", "dist", ["text"]), "list of ganzoo.Component"),
        (fake_plugin("broken", "dist", 3), "not iterable"),
        (fake_plugin("broken", "dist", None), "implements no hook"),
        (fake_plugin("broken", "dist", [Component("los", "x", "a:b", "")]), "did you mean 'loss'"),
        (fake_plugin("broken", "dist", [Component("loss", "x", "a.b", "")]), "package.module:attribute"),
        (fake_plugin("broken", "dist", [], hook="ganzoo_component"), "did you mean 'ganzoo_components'"),
    ],
)
def test_a_broken_plugin_is_named_with_its_fault_and_the_rest_works(point, words):
    registry = Registry([point, fake_plugin("good", "dist-good", [HINGE])])
    broken = {plugin.name: plugin.problem for plugin in registry.plugins}
    assert words in broken["broken"] and broken["good"] is None
    assert registry.names("loss") == ["hinge"]


def test_unknown_names_get_the_nearest_one():
    registry = Registry([fake_plugin("a", "dist-a", [HINGE])])
    with pytest.raises(ganzoo.UnknownName, match="did you mean 'hinge'"):
        registry.find("loss", "hing")


def test_a_name_from_a_known_distribution_gets_its_pip_line(monkeypatch):
    monkeypatch.setitem(KNOWN_DISTRIBUTIONS, ("generator", "sagan"), "ganzoo-sagan")
    with pytest.raises(ganzoo.UnknownName, match="pip install ganzoo-sagan"):
        Registry([]).find("generator", "sagan")


def test_a_target_that_does_not_load_names_the_distribution():
    registry = Registry([fake_plugin("a", "dist-a", [Component("loss", "x", "ganzoo_losses.nowhere:X", "")])])
    with pytest.raises(ganzoo.PluginError, match=r"dist-a.*nowhere"):
        registry.load("loss", "x")


def test_ganzoo_plugins_limits_what_is_loaded(monkeypatch):
    monkeypatch.setenv("GANZOO_PLUGINS", "losses")
    registry = Registry()
    assert [plugin.name for plugin in registry.plugins] == ["losses"]
    with pytest.raises(ganzoo.UnknownName, match="GANZOO_PLUGINS limits"):
        registry.find("generator", "dcgan")


def test_every_bundled_plugin_is_healthy_and_every_target_loads():
    registry = Registry()
    assert {plugin.problem for plugin in registry.plugins} == {None}
    for one in registry.all():
        assert registry.load(one.component.kind, one.component.name) is not None
        assert one.component.summary

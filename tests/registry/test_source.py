from __future__ import annotations

import inspect

import pytest

import ganzoo
from ganzoo.registry.registry import registry
from ganzoo.registry.source import describe

BUILT = [one for one in registry().all() if one.component.kind not in ("recipe", "command")]


@pytest.mark.parametrize("one", BUILT, ids=lambda one: f"{one.component.kind}-{one.component.name}")
def test_what_is_read_from_the_source_is_what_python_sees(one):
    cls = registry().load(one.component.kind, one.component.name)
    described = describe(one.component.target)
    given = {"generator": 3, "discriminator": 3, "augmentation": 1, "optimizer": 1}.get(one.component.kind, 0)
    parameters = list(inspect.signature(cls).parameters.values())[given:]
    assert [option.name for option in described.options] == [p.name for p in parameters]
    for option, parameter in zip(described.options, parameters, strict=True):
        assert (option.default is None) == (parameter.default is parameter.empty)
    assert described.doc == inspect.getdoc(cls)


def test_a_target_without_source_is_named():
    with pytest.raises(ganzoo.PluginError, match="nowhere"):
        describe("ganzoo_losses.nowhere:X")
    with pytest.raises(ganzoo.PluginError, match="no_such_package"):
        describe("no_such_package.nowhere:X")

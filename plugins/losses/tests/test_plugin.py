"""The plugin's list of components: lazy, complete, and each with a paper."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import ganzoo
import ganzoo_losses

COMPONENTS = ganzoo_losses.ganzoo_components()


def test_listing_the_components_imports_no_torch():
    code = "import sys, ganzoo_losses; ganzoo_losses.ganzoo_components(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.name)
def test_component_is_a_documented_class_of_its_kind(component):
    module, attribute = component.target.split(":")
    found = getattr(importlib.import_module(module), attribute)
    assert issubclass(found, {"loss": ganzoo.AdversarialLoss, "penalty": ganzoo.Penalty}[component.kind])
    assert "__init__" in vars(found), "options are read from the class's own signature"
    assert "arXiv" in component.paper and "arXiv" in found.__doc__


def test_every_loss_and_penalty_of_the_modules_is_listed():
    listed = {component.target for component in COMPONENTS}
    for name in ("ganzoo_losses.adversarial", "ganzoo_losses.gradient_penalties"):
        for attribute, value in vars(importlib.import_module(name)).items():
            if isinstance(value, type) and value.__module__ == name and not attribute.startswith("_"):
                assert f"{name}:{attribute}" in listed

"""The plugin's hook: cheap to call, and every reference leads to a data set."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import ganzoo
import ganzoo_data

COMPONENTS = ganzoo_data.ganzoo_components()


def test_hook_imports_neither_torch_nor_numpy_nor_pillow():
    heavy = "{'torch', 'torchvision', 'numpy', 'PIL'}"
    program = f"import sys, ganzoo_data; ganzoo_data.ganzoo_components(); print({heavy} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == "set()"


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.name)
def test_reference_leads_to_a_documented_data_set(component):
    module, _, name = component.target.partition(":")
    cls = getattr(importlib.import_module(module), name)
    assert issubclass(cls, ganzoo.Dataset) and cls.__doc__ and component.summary


def test_specs_of_published_sets_need_no_files_and_no_torchvision():
    program = """
import importlib, sys, ganzoo_data
for component in ganzoo_data.ganzoo_components():
    if component.name not in ("folder", "shards", "pair", "paired", "npz", "hub"):
        module, _, name = component.target.partition(":")
        print(component.name, getattr(importlib.import_module(module), name)().spec)
assert "torchvision" not in sys.modules
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    lines = dict(line.split(" ", 1) for line in result.stdout.splitlines())
    assert lines == {
        **dict.fromkeys(["mnist", "fashion-mnist", "kmnist", "fashion-mini"], "image 1x28x28 in [-1, 1], 10 classes"),
        "stacked-mnist": "image 3x28x28 in [-1, 1], 1000 classes",
        "emnist": "image 1x28x28 in [-1, 1], 47 classes",
        "cifar10": "image 3x32x32 in [-1, 1], 10 classes",
        "cifar100": "image 3x32x32 in [-1, 1], 100 classes",
        "svhn": "image 3x32x32 in [-1, 1], 10 classes",
        "stl10": "image 3x96x96 in [-1, 1], 10 classes",
        "celeba": "image 3x218x178 in [-1, 1]",
        "gaussian": "value 1 in [-inf, inf]",
        **dict.fromkeys(["ring", "grid", "two-moons"], "value 2 in [-inf, inf]"),
    }, result.stderr

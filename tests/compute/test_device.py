"""Which device, how precisely, and that a GPU which nobody uses is left asleep. CUDA is acted."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ganzoo.compute.device import pick_precision, random_state, set_deterministic, set_precision, set_random_state
from ganzoo.errors import Incompatible
from ganzoo.recipes.check import check
from ganzoo.registry.registry import registry

CUDA = torch.device("cuda:1")


@pytest.mark.parametrize(
    ("capability", "precision"), [((7, 0), "fp32"), ((7, 5), "fp32"), ((8, 0), "bf16"), ((9, 0), "bf16")]
)
def test_bf16_is_chosen_where_the_device_of_the_run_computes_in_it(monkeypatch, capability, precision):
    """torch says yes of a T4 and a V100, which emulate it and have no convolutions."""
    asked = []
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: asked.append(device) or capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_: True)
    assert pick_precision("auto", CUDA, [nn.Conv2d(1, 1, 3)]) == precision
    assert asked == [CUDA]
    assert pick_precision("auto", CUDA, [nn.Linear(2, 2)]) == "fp32"


@pytest.mark.parametrize(
    ("amx", "layer", "precision"),
    [
        (True, nn.Conv2d(4, 4, 3), "bf16"),
        (True, nn.Conv2d(4, 4, 3, groups=2), "fp32"),
        (True, nn.Linear(4, 4), "fp32"),
        (False, nn.Conv2d(4, 4, 3), "fp32"),
    ],
)
def test_bf16_is_chosen_on_a_processor_that_convolves_faster_in_it(monkeypatch, amx, layer, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": amx, "avx512_bf16": True})
    assert pick_precision("auto", torch.device("cpu"), [nn.Sequential(layer)]) == precision


@pytest.fixture
def flags(monkeypatch):
    """torch's settings, given back after the test; `set_device` only writes down."""
    chosen = []
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    before = torch.get_float32_matmul_precision(), torch.are_deterministic_algorithms_enabled()
    yield chosen
    torch.set_float32_matmul_precision(before[0])
    torch.use_deterministic_algorithms(before[1])


@pytest.mark.parametrize("deterministic", [False, True])
def test_cudnn_tries_its_algorithms_unless_results_have_to_be_the_same(flags, deterministic):
    torch.use_deterministic_algorithms(deterministic)
    set_precision("fp32", CUDA)
    assert torch.backends.cudnn.benchmark is not deterministic


def test_the_runs_device_is_torchs_current_one(flags):
    """torch.cuda.graph, for one, synchronises the current device."""
    set_precision("fp32", torch.device("cuda"))
    assert not flags
    set_precision("fp32", CUDA)
    assert flags == [CUDA]


def test_layers_without_a_deterministic_way_back_on_cuda_are_refused_in_a_line(flags):
    players = {"G": nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReflectionPad2d(1))}
    with pytest.raises(Incompatible, match="no deterministic way back through ReflectionPad2d on CUDA, which G uses"):
        set_deterministic(players, CUDA)
    assert not torch.are_deterministic_algorithms_enabled()
    set_deterministic(players, torch.device("cpu"))
    set_deterministic({"G": players["G"][0]}, CUDA)
    assert torch.are_deterministic_algorithms_enabled()


@pytest.fixture
def asleep(monkeypatch):
    """Two GPUs that nobody has used, and that must not be touched."""

    def touched(*_, **__):
        raise AssertionError("the GPU was woken up")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    for name in ("_lazy_init", "get_rng_state", "get_rng_state_all", "set_rng_state", "set_rng_state_all"):
        monkeypatch.setattr(torch.cuda, name, touched)


def test_checking_and_checkpoints_of_a_cpu_run_leave_gpus_asleep(asleep, small):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    check(small(), registry())
    assert torch.equal(torch.get_rng_state(), before)
    state = random_state()
    assert "cuda" not in state
    set_random_state({**state, "cuda": [torch.zeros(16, dtype=torch.uint8)] * 2})

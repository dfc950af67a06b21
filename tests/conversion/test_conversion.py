"""Checkpoints become model folders: whose they are is recognised, and what does not fit is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hostile_files
import numpy as np
import pytest
import torch

import ganzoo
from ganzoo.cli import main
from ganzoo.conversion.modules import tensors_in
from ganzoo.conversion.reading.parts import Stub


@pytest.fixture
def call(capsys):
    """A function that runs the command line in this process: (exit code, stdout, stderr)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return run


def dcgan_state(latent: int = 5, width: int = 4, channels: int = 3) -> dict[str, torch.Tensor]:
    """A state dict as PyTorch's example writes it, for 16x16 pictures."""
    generator = torch.Generator().manual_seed(0)
    kernels = {0: (latent, 2 * width, 4, 4), 3: (2 * width, width, 4, 4), 6: (width, channels, 4, 4)}
    state = {}
    for place, shape in kernels.items():
        state[f"main.{place}.weight"] = torch.randn(shape, generator=generator)
        if place < 6:
            for name in ("weight", "bias", "running_mean", "running_var"):
                state[f"main.{place + 1}.{name}"] = torch.rand(shape[1], generator=generator)
            state[f"main.{place + 1}.num_batches_tracked"] = torch.tensor(7)
    return state


@pytest.fixture
def checkpoint(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    torch.save(dcgan_state(), tmp_path / "netG.pth")
    return tmp_path / "netG.pth"


def test_a_converted_model_says_where_it_comes_from(call, checkpoint):
    import hashlib

    code, out, err = call("convert", "netG.pth", "--licence", "mit")
    assert (code, out) == (0, "netG\n"), err
    assert "dcgan-example: PyTorch's DCGAN example" in err
    config = json.loads(Path("netG/config.json").read_text())
    facts = config["training"]
    assert facts["sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest() and facts["file"] == "netG.pth"
    assert config["licence"]["weights"] == "mit" and config["target"]["shape"] == [3, 16, 16]
    card = Path("netG/README.md").read_text()
    assert "license: mit" in card and "converted from PyTorch's DCGAN example" in card
    assert "Not trained with ganzoo" in card and "ganzoo train" not in card
    assert Path("netG/samples.png").exists()
    assert ganzoo.load("netG").sample(2, seed=0).shape == (2, 3, 16, 16)


def test_a_licence_is_one_line(call, checkpoint):
    assert "--licence is one line" in refused(call, "netG.pth", "--licence", "a\nb")


def test_the_other_way_takes_a_model_and_nothing_else(call, checkpoint):
    assert call("convert", "netG.pth")[0] == 0
    assert "--to takes one model" in refused(call, "netG", "--to", "dcgan-example", "--licence", "mit")
    assert "none of .pth, .pt, .safetensors" in refused(call, "netG", "--to", "dcgan-example", "--out", "a.bin")
    assert "netG.pth exists already" in refused(call, "netG", "--to", "dcgan-example")
    assert "are read, not written" in refused(call, "netG", "--to", "dcgan-zoo", "--out", "a.pth")


def test_a_licence_that_nobody_stated_is_unknown(call, checkpoint):
    assert call("convert", "netG.pth")[0] == 0
    assert "unknown: ask the authors" in Path("netG/README.md").read_text()


def test_a_folder_in_use_is_left_alone(call, checkpoint):
    Path("netG").mkdir()
    Path("netG/mine.txt").write_text("mine")
    code, _, err = call("convert", "netG.pth")
    assert code == 1 and err.splitlines()[-1].startswith("Error: netG exists already")
    assert [path.name for path in Path("netG").iterdir()] == ["mine.txt"]


def refused(call: Any, *arguments: str) -> str:
    """The one line of a refusal, after which there is no folder."""
    before = sorted(Path().iterdir())
    code, out, err = call("convert", *arguments)
    assert code != 0 and out == "" and sorted(Path().iterdir()) == before
    errors = [line for line in err.splitlines() if line.startswith("Error")]
    assert len(errors) == 1, err
    return errors[0]


def test_what_does_not_fit_is_refused_by_name(call, checkpoint):
    state = dcgan_state()
    torch.save(state | {"main.3.weight": torch.randn(8, 4, 5, 5)}, "kernel.pth")
    assert "layers.3.weight is (8, 4, 5, 5), the network has (8, 4, 4, 4)" in refused(call, "kernel.pth")
    torch.save(state | {"main.6.weight": torch.full((4, 3, 4, 4), torch.nan)}, "nan.pth")
    assert "layers.6.weight has values that are not finite" in refused(call, "nan.pth")
    torch.save(state | {"main.9.weight": torch.zeros(3)}, "more.pth")
    assert "it has an unknown layers.9.weight" in refused(call, "more.pth")
    del state["main.4.running_var"]
    torch.save(state, "less.pth")
    assert "it lacks layers.4.running_var" in refused(call, "less.pth")


def test_what_no_converter_knows_is_described(call, checkpoint):
    torch.save({"encoder.weight": torch.zeros(2, 3), "step": torch.tensor(1)}, "other.pth")
    said = refused(call, "other.pth")
    assert "no converter knows other.pth: it holds encoder.weight (2, 3), step ()" in said
    assert "the converter dcgan-zoo does not know netG.pth" in refused(call, "netG.pth", "--as", "dcgan-zoo")
    assert "did you mean 'dcgan-example'" in refused(call, "netG.pth", "--as", "dcgan-exampel")


def test_options_that_make_no_sense_are_refused(call, checkpoint):
    assert "3x16x16, which --size cannot change" in refused(call, "netG.pth", "--size", "32")
    assert "not clamped" in refused(call, "netG.pth", "--unclamped")
    assert "holds no discriminator" in refused(call, "netG.pth", "--discriminator")
    Path("again.pth").write_bytes(checkpoint.read_bytes())
    assert "hold 2 generators" in refused(call, "netG.pth", "again.pth")
    assert "there is no file missing.pth" in refused(call, "missing.pth")


@pytest.mark.parametrize("what", ["reduce posix system", "zip bomb as storage", "legacy: class with source"])
def test_a_hostile_file_is_one_line(call, checkpoint, what):
    Path("hostile.pkl").write_bytes(hostile_files.made_by_hand()[what])
    assert "hostile.pkl is not read" in refused(call, "hostile.pkl")


def test_tensors_are_found_in_modules_without_those_that_are_not_saved():
    inner = Stub("torch.nn.modules.linear.Linear", state={"_parameters": {"weight": np.ones(2), "bias": None}})
    state = {
        "_parameters": {},
        "_buffers": {"kept": np.zeros(1), "transient": np.zeros(1)},
        "_non_persistent_buffers_set": {"transient"},
        "_modules": {"inner": inner},
    }
    assert list(tensors_in(Stub("any.Net", state=state))) == ["kept", "inner.weight"]
    persistent = Stub("persistence", arguments=({"type": "class", "state": state},))
    assert list(tensors_in(persistent)) == ["kept", "inner.weight"]


def test_a_module_that_holds_itself_is_no_endless_walk():
    module = Stub("any.Net", state={"_parameters": {"weight": np.ones(2)}, "_modules": {}})
    module.state["_modules"]["again"] = module
    assert list(tensors_in(module)) == ["weight"]


def test_names_of_several_gpus_lose_their_prefix():
    assert list(tensors_in({"module.a": np.ones(1), "module.b": np.ones(1)})) == ["a", "b"]
    assert list(tensors_in({"module.a": np.ones(1), "b": np.ones(1)})) == ["module.a", "b"]
    assert tensors_in({"a": 3}) is None and tensors_in([]) is None


def test_a_rule_names_what_it_does_not_know():
    rename = ganzoo.Converter.renamed
    assert list(rename({"a.1": np.ones(1), "b": np.ones(1)}, [(r"a\.(\d)", r"x.\1"), ("b", None)])) == ["x.1"]
    with pytest.raises(ganzoo.ConversionError, match="its tensor c has no place"):
        rename({"c": np.ones(1)}, [])
    with pytest.raises(ganzoo.ConversionError, match="two of its tensors would be x"):
        rename({"a": np.ones(1), "b": np.ones(1)}, [("[ab]", "x")])


def test_a_folder_stands_for_its_only_checkpoint(call):
    folder = Path("several")
    folder.mkdir()
    assert "several holds no checkpoint" in refused(call, "several")
    for name in ("a.pth", "b.bin", "notes.txt"):
        (folder / name).write_bytes(b"")
    assert "several has a.pth, b.bin: give one of them" in refused(call, "several")

"""Checkpoints on the Hub are converted by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from huggingface_hub import HfApi

import ganzoo
from ganzoo.cli import main

pytest_plugins = ["hub.fixtures"]


@pytest.fixture
def repository(hub, monkeypatch, tmp_path):
    """A function that publishes checkpoints of alice's by name."""
    folder = tmp_path / "up"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    layers = {"0": torch.randn(5, 8, 4, 4), "3": torch.randn(8, 3, 4, 4)}
    norm = {f"1.{name}": torch.rand(8) for name in ("weight", "bias", "running_mean", "running_var")}
    norm["1.num_batches_tracked"] = torch.tensor(1)
    state = {f"{place}.weight": value for place, value in layers.items()} | norm

    def publish(*names: str) -> str:
        for name in names:
            torch.save({f"model.{key}": value for key, value in state.items()}, folder / name)
        api = HfApi(hub.url, "hf_alice_secret")
        api.create_repo("alice/faces")
        api.upload_folder(repo_id="alice/faces", folder_path=folder)
        return str(api.model_info("alice/faces").sha)

    return publish


def convert(capsys, *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as caught:
        main(["convert", *arguments])
    return caught.value.code, capsys.readouterr().err


def test_a_repositorys_checkpoint_is_converted(repository, capsys):
    commit = repository("pytorch_model.bin")
    code, err = convert(capsys, "alice/faces")
    assert code == 0, err
    facts = json.loads(Path("faces/config.json").read_text())["training"]
    assert facts["source"] == f"alice/faces@{commit} on the Hugging Face Hub" and facts["file"] == "pytorch_model.bin"
    assert ganzoo.load("faces").sample(2, seed=0).shape == (2, 3, 8, 8)


def test_one_of_several_is_named(repository, capsys):
    repository("a.pth", "b.pth")
    code, err = convert(capsys, "alice/faces")
    assert code == 2 and "alice/faces has a.pth, b.pth: choose one, alice/faces:FILE" in err
    code, err = convert(capsys, "alice/faces:c.pth")
    assert code == 2 and "alice/faces has no c.pth: it has a.pth, b.pth" in err
    assert convert(capsys, "alice/faces:b.pth", "--out", "b")[0] == 0
    assert json.loads(Path("b/config.json").read_text())["training"]["file"] == "b.pth"

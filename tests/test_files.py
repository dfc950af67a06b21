"""Files of strangers: what is no regular file is refused at once, and no more is read than is stated."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

import ganzoo
from ganzoo.files import file_hash, open_regular, read_bounded
from ganzoo.health.history import read_history, read_rows
from ganzoo.models.cards.card import write_card
from ganzoo.models.config import read_config
from ganzoo.models.modelfolder import load_model
from ganzoo.recipes.parsing import find_recipe
from ganzoo.registry.registry import registry

pytest_plugins = ["hub.fixtures"]

KINDS = ["pipe", "link to a pipe", "device", "folder"]


def put(kind: str, path: Path) -> Path:
    """Put something that is no regular file in a path."""
    path.unlink(missing_ok=True)
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "link to a pipe":
            os.mkfifo(path.with_suffix(".pipe"))
            path.symlink_to(path.with_suffix(".pipe"))
        case "device":
            path.symlink_to("/dev/zero")
        case _:
            path.mkdir()
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_regular_file_is_not_opened(kind, tmp_path):
    path = put(kind, tmp_path / "it")
    for read in (open_regular, file_hash, lambda one: read_bounded(one, 10)):
        with pytest.raises(OSError, match=r"it is no regular file|Is a directory"):
            read(path)


def test_a_link_to_a_file_is_read(tmp_path):
    (tmp_path / "file").write_bytes(b"text")
    (tmp_path / "link").symlink_to("file")
    assert read_bounded(tmp_path / "link", 4) == b"text"
    with pytest.raises(OSError, match="more than the 3 bytes that are read"):
        read_bounded(tmp_path / "link", 3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_model_of_special_files_is_refused(run_of, kind, name):
    folder = run_of("line") / "model"
    put(kind, folder / name)
    with pytest.raises(ganzoo.ModelError, match=r"cannot be read.*(no regular file|Is a directory)"):
        load_model(folder, torch.device("cpu"))


@pytest.mark.parametrize("kind", KINDS)
def test_run_folders_and_recipes_of_special_files_are_refused(run_of, kind, tmp_path):
    run = run_of("line")
    assert read_rows(put(kind, run / "metrics.jsonl")) == ([], 0)
    put(kind, run / "model" / "config.json")
    assert read_history(run).training == {}
    put(kind, run / "recipe.toml")
    with pytest.raises(ganzoo.RunError, match=r"cannot be read: it is no regular file|it has no recipe\.toml"):
        read_history(run)
    with pytest.raises(ganzoo.RecipeError, match=r"cannot be read: (it is no regular file|Is a directory)"):
        find_recipe(str(put(kind, tmp_path / "a.toml")), registry())


def test_a_card_that_is_a_pipe_is_refused(run_of):
    folder = run_of("line") / "model"
    put("pipe", folder / "README.md")
    assert read_config(folder)
    with pytest.raises(ganzoo.ModelError, match=r"README\.md cannot be read \(it is no regular file\)"):
        write_card(folder)

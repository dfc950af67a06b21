from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

import ganzoo
from ganzoo.cli import main
from ganzoo.models.spaces import Latents

CARDS = Path(__file__).parents[2] / "model_cards"
MODEL = str(CARDS / "mlp-fashion-mnist")


@pytest.fixture
def call(capsys, tmp_path, monkeypatch):
    """A function that runs the command line in an empty folder; gives exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def test_a_picture_is_projected_and_its_latents_make_it_again(call, tmp_path):
    assert call("sample", MODEL, "--seeds", "5", "--out", "own/")[0] == 0
    code, out, _ = call("project", MODEL, "own/00000.png", "--steps", "3", "--starts", "2", "--device", "cpu")
    assert code == 0 and out.startswith("projected/00000.safetensors  ") and out.endswith(" dB\n")
    with Image.open("projected/00000.png") as still, Image.open("projected/00000.gif") as film:
        assert film.n_frames == 4 and film.width >= 256 and still.size[0] > 2 * 56
    assert call("sample", MODEL, "--latents", "projected/00000.safetensors", "--out", "again.npy")[0] == 0
    assert len(Latents.read("projected/00000.safetensors")) == 1
    code, _, err = call("project", MODEL, "own/00000.png")
    assert code == 2 and "--out projected holds 00000.safetensors, which stays as it is" in err


def test_seeds_draw_what_each_would_draw_alone(call):
    import numpy as np

    assert call("sample", MODEL, "--seeds", "7,42", "--out", "two.npy", "--device", "cpu")[0] == 0
    model = ganzoo.load(MODEL)
    alone = torch.cat([model.sample(1, seed=7), model.sample(1, seed=42)])
    torch.testing.assert_close(torch.from_numpy(np.load("two.npy")), alone)


def test_directions_are_drawn_and_saved(call):
    code, out, _ = call("directions", MODEL, "--count", "2", "--seeds", "3", "--out", "found")
    assert (code, out.split()) == (
        0,
        [f"found/{name}" for name in ("directions.safetensors", "direction-1.png", "direction-2.png")],
    )
    with Image.open("found/direction-2.png") as picture:
        assert picture.width == 7 * 58 + 2


@pytest.mark.parametrize("name", ["turn.gif", "turn.webp", "turn.png"])
def test_samples_move_along_a_direction(call, name):
    loop = [] if name.endswith("png") else ["--loop"]
    assert call("sample", MODEL, "-n", "1", "--along", "1", *loop, "--out", name)[0] == 0
    with Image.open(name) as film:
        assert getattr(film, "n_frames", 1) == (1 if name.endswith("png") else 96)
        if name.endswith("gif"):
            assert film.width >= 256
            film.seek(95)
            assert film.info["duration"] < 100  # no pause where the loop closes


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--mix", "0:1"], "no styles, so no space w+"),
        (["--mix", "0"], "write seeds of rows, a colon"),
        (["--mix", "0:1", "--along", "1"], "--along and --mix are two things to look at"),
        (["--mix", "0:1", "--out", "a.npy"], "--mix is one picture"),
        (["--seeds", "0", "--latents", "x"], "both say which latents"),
        (["--seeds", "one"], "--seeds one: write seeds such as 0,7,42"),
        (["--latents", "nowhere"], "latents nowhere: there is no such file"),
        (["--layers", "fine"], "--layers goes with --mix"),
        (["--loop"], "--loop is for films"),
        (["--along", "101", "--out", "a.gif"], "there is no direction 101: there are 100"),
        (["--along", "1", "--truncation", "0.5"], "--truncation does not go with"),
        (["--along", "1", "--out", "folder/"], "--along is a picture or a film"),
        (["--out", "a.webp"], "is a film: add --interpolate or --along"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_does_not_go_together_gets_one_line(call, arguments, words):
    code, out, err = call("sample", MODEL, *arguments)
    assert code != 0 and out == "" and words in err and "Traceback" not in err


def test_pictures_that_cannot_be_projected_get_one_line(call):
    Path("empty.png").touch()
    for arguments, words in (
        (["nowhere.png"], "PICTURE nowhere.png: there is no such file"),
        (["empty.png"], "PICTURE empty.png is empty"),
        (["empty.png", "empty.png"], "two of the pictures have the same name"),
    ):
        code, _, err = call("project", MODEL, *arguments)
        assert code == 2 and words in err
    code, _, err = call("directions", "user/somebody")
    assert code == 2 and "user/somebody is on the Hub" in err

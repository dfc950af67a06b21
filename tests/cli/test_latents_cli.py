from __future__ import annotations

import gc
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

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


def test_saved_directions_are_used_where_they_fit_the_weights(call, tmp_path, monkeypatch):
    folder = tmp_path / "model"
    shutil.copytree(MODEL, folder)
    assert call("directions", str(folder), "--count", "2", "--seeds", "3")[0] == 0

    def another(*given):
        raise AssertionError("directions were found anew")

    monkeypatch.setattr("ganzoo.latents.find_directions", another)
    assert call("sample", str(folder), "--seeds", "3", "--along", "2", "--out", "own.png", "--device", "cpu")[0] == 0
    named = f"{folder}/directions.safetensors:2"
    assert call("sample", MODEL, "--seeds", "3", "--along", named, "--out", "named.png", "--device", "cpu")[0] == 0
    for name in ("own.png", "named.png"):
        assert Path(name).read_bytes() == (folder / "direction-2.png").read_bytes()
    code, _, err = call("sample", MODEL, "--along", f"{folder}/directions.safetensors:3", "--out", "third.png")
    assert code == 2 and "there is no direction 3: there are 2" in err


def test_directions_of_other_weights_are_found_anew_and_files_that_hold_none_are_refused(call, tmp_path, caplog):
    folder = tmp_path / "model"
    shutil.copytree(MODEL, folder)
    call("directions", str(folder), "--count", "1", "--seeds", "3")
    weights = load_file(folder / "model.safetensors")
    key = next(iter(weights))
    save_file({**weights, key: weights[key] + 1}, folder / "model.safetensors")
    assert call("sample", str(folder), "-n", "1", "--along", "1", "--out", "anew.png")[0] == 0
    assert "found in other weights: run `ganzoo directions` again" in caplog.text
    save_file({"weight": torch.zeros(2)}, tmp_path / "none.safetensors")
    refused = {"none.safetensors:1": "hold weight", "nowhere:1": "no such file", "1:x": "write a number",
               "0": "write a number"}  # fmt: skip
    for asked, words in refused.items():
        code, _, err = call("sample", MODEL, "--along", asked, "--out", "x.png")
        assert code == 2 and words in err and not Path("x.png").exists()


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


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # imageio-ffmpeg leaves its pipes open
def test_an_mp4_has_every_frame_at_a_size_that_one_sees(call):
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    assert call("sample", MODEL, "-n", "1", "--along", "1", "--out", "turn.mp4", "--device", "cpu")[0] == 0
    assert ffmpeg.count_frames_and_secs("turn.mp4")[0] == 49
    reader = ffmpeg.read_frames("turn.mp4")
    assert min(next(reader)["size"]) >= 256
    first, *_, last = reader
    assert first != last
    del reader
    gc.collect()


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

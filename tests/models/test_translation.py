"""Models that translate pictures: previews, model folders, Python, the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import ganzoo
from ganzoo.cli import main
from ganzoo.training.callbacks.previews import journeys

SIDE = 16
SETTINGS = [
    "data.size=16", "generator.width=4", "generator.blocks=1", "discriminator.width=4", "discriminator.layers=1",
    "loss.identity=0", "loss.pool=2", "previews.first=2", "checkpoints.every=4", "optimizer.decay_start_images=2",
]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A run that translates colour pictures (a) to gray ones (b) and back."""
    root = tmp_path_factory.mktemp("translation")
    for side, mode in (("a", "RGB"), ("b", "L")):
        (root / side).mkdir()
        for number in range(4):
            Image.effect_noise((20, 20), 60 + number).convert(mode).save(root / side / f"{number}.png")
    ganzoo.train(
        "cyclegan",
        data=f"pair:{root}/a:{root}/b",
        images=8,
        batch=2,
        set=SETTINGS,
        out=root / "run",
        device="cpu",
        progress=False,
    )
    return root / "run"


@pytest.fixture
def call(capsys):
    """A function that runs the command line in this process: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit:
            main(list(arguments))
        out, err = capsys.readouterr()
        return int(exit.value.code or 0), out, err

    return run


@pytest.fixture
def model(trained) -> ganzoo.Model:
    return ganzoo.load(trained)


def test_each_generator_is_followed_by_the_way_back():
    roles = {
        "G_ab": ganzoo.Role("generator", "b", "a"),
        "G_ba": ganzoo.Role("generator", "a", "b"),
        "G_ac": ganzoo.Role("generator", "c", "a"),
        "D_a": ganzoo.Role("discriminator", "a"),
    }
    assert journeys(roles) == [("G_ab", "G_ba"), ("G_ba", "G_ab"), ("G_ac",)]
    assert journeys({"G": ganzoo.Role("generator")}) == []


def test_previews_show_three_stages_of_both_directions(trained):
    (first, *_, last) = sorted((trained / "samples").glob("*.png"))
    with Image.open(first) as before, Image.open(last) as after:
        before.load(), after.load()
    assert before.mode == "RGB" and before.width == 6 * (64 + 2 + 2)
    column = before.width // 6
    for stage, changes in enumerate([False, True, True, False, True, True]):
        box = (stage * column, 0, (stage + 1) * column, before.height)
        assert (before.crop(box).tobytes() != after.crop(box).tobytes()) == changes


def test_both_generators_are_published_under_their_roles(trained):
    names = load_file(trained / "model" / "model.safetensors")
    assert {name.split(".")[0] for name in names} == {"G_ab", "G_ba"}
    config = json.loads((trained / "model" / "config.json").read_text())
    assert [(one["source"], one["target"]) for one in config["translations"]] == [("a", "b"), ("b", "a")]
    assert config["translations"][1]["reads"]["shape"] == [1, SIDE, SIDE]
    card = (trained / "model" / "README.md").read_text()
    assert "model.translate" in card and ".sample(" not in card and "image-to-image" in card
    assert str(trained.parent) not in card


def test_translating_equals_the_generator_itself(model):
    sample = torch.rand(3, 1, SIDE, SIDE) * 2 - 1
    with torch.inference_mode():
        expected = model.translators["b", "a"](sample, torch.zeros(3, dtype=torch.int64))
    assert torch.equal(model.translate(sample, to="a"), expected)
    assert model.translate(torch.zeros(2, 3, SIDE, SIDE)).shape == (2, 1, SIDE, SIDE)


def test_pictures_of_any_size_and_mode_are_fitted(model):
    pictures = [Image.new("RGBA", (40, 20)), Image.new("L", (16, 16), 255), Image.new("P", (5, 90))]
    assert model.translate(pictures, to="b").shape == (3, 1, SIDE, SIDE)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda model: model.sample(4), "no latents"),
        (lambda model: model.interpolate(), "no latents"),
        (lambda model: model.translate(torch.zeros(1, 3, 16, 16), to="c"), "does not translate to 'c'"),
        (lambda model: model.translate(torch.zeros(1, 1, 16, 16), to="b"), r"\(1, 16, 16\) cannot be translated"),
    ],
)
def test_what_it_cannot_do_is_said(model, call, words):
    with pytest.raises(ganzoo.ModelError, match=words):
        call(model)


def test_a_model_with_latents_translates_nothing(small):
    from ganzoo.api import train

    run = train(small(images=32), out="values", progress=False)
    with pytest.raises(ganzoo.ModelError, match="translates nothing"):
        run.model().translate(torch.zeros(1, 2))


@pytest.mark.parametrize("to", ["a", "b"])
def test_files_are_translated_each_under_its_own_name(trained, tmp_path, to, call):
    given = tmp_path / "given"
    (given / "below").mkdir(parents=True)
    Image.new("RGB", (30, 20), (200, 10, 10)).save(given / "one.jpg")
    Image.new("L", (20, 20), 40).save(given / "below" / "two.png")
    (given / "notes.txt").write_text("not a picture")
    code, out, _ = call("sample", str(trained), "--input", str(given), "--to", to, "--out", "out")
    assert (code, out) == (0, "out\n")
    found = sorted(path.relative_to("out").as_posix() for path in Path("out").rglob("*.png"))
    assert found == ["below/two.png", "one.png"]
    with Image.open("out/one.png") as picture:
        assert (picture.mode, picture.size) == ({"a": "RGB", "b": "L"}[to], (SIDE, SIDE))


def test_originals_that_differ_in_the_suffix_alone_have_a_translation_each(trained, tmp_path, call):
    (tmp_path / "given").mkdir()
    for name in ("one.jpg", "one.png", "two.png"):
        Image.new("RGB", (16, 16), "red").save(tmp_path / "given" / name)
    assert call("sample", str(trained), "--input", "given", "--out", "out")[0] == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["one.jpg.png", "one.png.png", "two.png"]


def test_neither_originals_nor_other_files_are_overwritten(trained, tmp_path, call):
    given = tmp_path / "given"
    given.mkdir()
    for name in ("0.png", "1.png"):
        Image.new("RGB", (16, 16), "red").save(given / name)
    before = {path.name: path.read_bytes() for path in given.iterdir()}
    for arguments in (["--input", "given", "--out", "given"], ["--input", "given/0.png", "--out", "given/0.png"]):
        code, _, err = call("sample", str(trained), *arguments)
        assert code == 2 and ("stays as it is" in err or "among the pictures to translate" in err)
    assert {path.name: path.read_bytes() for path in given.iterdir()} == before


def test_a_picture_to_translate_that_is_empty_is_named_as_that(trained, call):
    Path("void.png").touch()
    code, _, err = call("sample", str(trained), "--input", "void.png", "--out", "out")
    assert code == 2 and "--input void.png is empty" in err


def test_one_picture_may_go_beside_its_translation(trained, call):
    Image.new("RGB", (30, 20), (200, 10, 10)).save("one.jpg")
    assert call("sample", str(trained), "--input", "one.jpg", "--out", "both.png")[0] == 0
    with Image.open("both.png") as picture:
        assert picture.size == (2 * (64 + 4), 64 + 4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--input", "nowhere.png"], "no such file"),
        (["--input", "empty"], "no pictures in this folder"),
        (["--input", "broken.png"], "cannot be read as a picture"),
        (["--input", "empty", "--to", "z"], "does not translate to 'z'"),
        (["--input", "empty", "--interpolate"], "--input goes with"),
        (["--to", "a"], "--to says what to translate to"),
        ([], "no latents"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_gets_one_line(trained, options, words, call):
    Path("empty").mkdir()
    Path("broken.png").write_bytes(b"\x89PNG but not really")
    code, _, error = call("sample", str(trained), *options, "--out", "out")
    assert code != 0
    assert words in error and len(error.strip().splitlines()) == 1
    assert not Path("out").exists()


@pytest.mark.parametrize("change", ["no translations", "role twice", "source missing", "tensor of a third role"])
def test_a_folder_that_contradicts_itself_is_refused(trained, tmp_path, change):
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(trained / "model", folder)
    config = json.loads((folder / "config.json").read_text())
    match change:
        case "no translations":
            config["translations"] = []
        case "role twice":
            config["translations"][1]["role"] = "G_ab"
        case "source missing":
            config["source"] = None
        case _:
            tensors = load_file(folder / "model.safetensors")
            save_file({**tensors, "G_x.weight": torch.zeros(1)}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ganzoo.ModelError):
        ganzoo.load(folder)

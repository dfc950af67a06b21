from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from ganzoo import cli

QUICK = ["--images", "64", "--batch", "16", "--device", "cpu"]
NARROW = ["--set", "generator.width=4", "--set", "discriminator.width=4"]


@pytest.fixture
def call(capsys):
    """A function that runs the command line in this process: (exit code, stdout, stderr)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(list(arguments))
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return run


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("sample x --truncation 2", "Invalid value for '--truncation'"),
        ("sample x --seed much", "Invalid value for '--seed'"),
        ("sample", "Missing argument 'MODEL'"),
        ("eval x --devcie cpu", "No such option '--devcie'. Did you mean '--device'?"),
        ("trian", "did you mean 'train'?"),
    ],
)
def test_a_command_line_that_click_refuses_is_told_in_one_line(call, arguments, told):
    code, out, err = call(*arguments.split())
    assert code == 2 and not out and err.startswith("Error: ") and err.count("\n") == 1
    assert told in err and "--help)" in err


@pytest.mark.parametrize(
    "arguments",
    [
        "--help",
        "list",
        "show dcgan",
        "show gaussian",
        "plugins",
        "train --help",
        "list loss --json",
        "runs .",
        "runs --json .",
    ],
)
def test_looking_around_imports_no_torch(arguments):
    run = Path("half-trained")
    (run / "checkpoints/000000064").mkdir(parents=True)
    (run / "recipe.toml").write_text('name = "half-trained"\nimages = 128\n')
    script = (
        "import sys; from ganzoo import cli\n"
        f"try: cli.main({arguments.split()!r})\nexcept SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'torchvision', 'numpy', 'PIL', 'matplotlib', 'huggingface_hub'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_a_run_from_the_shell_prints_its_folder_and_resumes(call, caplog):
    code, out, err = call("train", "dcgan", *QUICK, *NARROW)
    assert (code, out.strip()) == (0, "runs/dcgan-seed0")
    assert "64/64 images" in err and "D(real)" in err
    assert call("train", "dcgan", *QUICK, *NARROW)[0] == 0
    assert "training in runs/dcgan-seed0: look at samples/, or `ganzoo report runs/dcgan-seed0`" in caplog.messages
    assert "resuming runs/dcgan-seed0 at 64 images: look at samples/" in caplog.text


def test_without_a_recipe_the_clothes_are_trained(call):
    code, out, _ = call("train", "--dump")
    assert code == 0 and out == call("train", "clothes", "--dump")[1]
    assert 'name = "relativistic"' in out and "batch_norm = false" in out
    assert call("check", "--images", "64")[0] == 0


def test_the_default_folder_is_named_after_the_choices(call):
    code, out, _ = call("train", "mlp", "--data", "ring", "--loss", "hinge", "--penalty", "r1", "--seed", "7", *QUICK)
    assert (code, out.strip()) == (0, "runs/mlp-ring-hinge-r1-seed7")


def test_dump_writes_a_recipe_that_trains_the_same(call, tmp_path):
    _, out, _ = call("train", "dcgan", *QUICK, *NARROW, "--dump")
    (tmp_path / "mine.toml").write_text(out)
    assert tomllib.loads(out)["images"] == 64
    assert call("train", "mine.toml", "--out", "a", "--device", "cpu")[0] == 0
    assert call("train", "dcgan", *QUICK, *NARROW, "--out", "b")[0] == 0
    model = "model/model.safetensors"
    assert (tmp_path / "a" / model).read_bytes() == (tmp_path / "b" / model).read_bytes()


def test_check_prints_the_plan(call):
    code, out, _ = call("check", "dcgan", "--penalty", "r1", "--set", "penalty.r1.every=16")
    assert code == 0
    for words in ("data", "1x28x28", "G ", "parameters", "D/r1", "every 16 iterations", "250,000 images"):
        assert words in out
    code, out, _ = call("check", "dcgan", "--json")
    assert json.loads(out)["recipe"]["generator"]["name"] == "dcgan"


def test_every_reason_is_a_line_and_the_exit_code_is_2(call):
    code, out, err = call("check", "dcgan", "--data", "gaussian", "--penalty", "gradient-penaltie", "--loss", "hing")
    assert code == 2 and out == ""
    assert len(err.splitlines()) == 3 and all(line.startswith("Error: ") for line in err.splitlines())
    assert "did you mean 'gradient-penalty'" in err and "did you mean 'hinge'" in err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["trian"], 2, "did you mean 'train'"),
        (["train", "dcgam"], 2, "did you mean 'dcgan'"),
        (["train", "dcgan", "--images", "many"], 2, "no count"),
        (["train", "dcgan", "--batch", "0"], 2, "--batch"),
        (["train", "dcgan", "--data", "cifra10"], 2, "did you mean 'cifar10'"),
        (["train", "dcgan", "--set", "lr=3"], 2, "part.option=value"),
        (["train", "dcgan", "--set", "generator.widht=3"], 2, "did you mean 'width'"),
        (["train", "dcgan", "--set", "trainr.precision=bf16"], 2, "did you mean 'trainer'"),
        (["train", "dcgan", "--device", "gpu"], 2, "no device 'gpu'"),
        (["train", "dcgan", "--precision", "tf32", "--device", "cpu"], 2, "needs a CUDA device"),
        (["train", "anime-face"], 2, "--data folder:PATH"),
        (["train", "anime-face", "--data", "folder:nowhere"], 2, "nowhere"),
        (["train", "nowhere.toml"], 2, "nowhere.toml"),
        (["train", "dcgan", "--data", "cifar10", "--set", "data.root=nowhere"], 1, "cifar-10"),
        (["train", "dcgan", "--set", "lr=3"], 2, "did you mean 'optimizer.lr'?"),
        (["train", "dcgan", "--set", "batch_size=3"], 2, "did you mean 'batch'?"),
        (["train", "dcgan", "--set", "generator.learning_rate=3"], 2, "did you mean 'optimizer.lr'?"),
        (["train", "dcgan", "--set", "generator.Width=3"], 2, "did you mean 'width'?"),
        (["train", "dcgan", "--loss", "BCE"], 2, "did you mean 'non-saturating'?"),
        (["train", "dcgan", "--loss", "lsgan"], 2, "did you mean 'least-squares'?"),
        (["train", "dcgan", "--loss", "Non_Saturating"], 2, "did you mean 'non-saturating'?"),
        (["train", "dcgan", "--data", "CIFAR10"], 2, "did you mean 'cifar10'?"),
        (["train", "dcgan", "--data", "folder:"], 2, "--data folder:: no path follows the colon: write folder:PATH"),
        (["train", "dcgan", "--data", "folder", "--set", "data.path="], 2, "data.path is empty"),
        (["train", "dcgan", "--data", "pics"], 2, "no dataset 'pics'; 'pics' is a folder here: write folder:pics"),
        (["train", "dcgan", "--data", "pics.zip"], 2, "'pics.zip' is a file here: write folder:pics.zip"),
        (["list", "lose"], 2, "did you mean 'loss'"),
        (["show", "dcgam"], 2, "did you mean 'dcgan'"),
        (["sample", "nowhere"], 1, "nowhere"),
        (["sample", "x", "--out", "a.bmp"], 2, ".png"),
        (["sample", "x", "--out", "a.gif"], 2, "--interpolate"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_gets_one_line_without_a_traceback(call, arguments, code, words, monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", lambda *a, **k: (_ for _ in ()).throw(OSError("no network")))
    Path("pics").mkdir()
    Path("pics.zip").touch()
    found, out, err = call(*arguments)
    assert (found, out) == (code, ""), err
    assert words in err and "Traceback" not in err
    assert len([line for line in err.splitlines() if line.startswith("Error")]) == 1


def test_the_report_of_torchrun_ends_with_the_line_that_says_what_is_wrong(call, monkeypatch):
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", "error.json")
    code, _, err = call("train", "dcgan", "--loss", "BCE")
    report = str(ChildFailedError("ganzoo", {0: ProcessFailure(0, 1, code, "error.json")}))
    assert err == "Error: no loss 'BCE' (did you mean 'non-saturating'?)\n"
    assert report.splitlines()[-2] == f"  traceback : {err.strip()}"


def test_control_characters_in_names_are_shown_escaped(call):
    code, out, err = call("sample", "runs/\x1b[2Jnone")
    assert code != 0 and out == "" and "\x1b" not in err and "runs/\\x1b[2Jnone" in err
    assert call("sample", "no\nsuch")[2].count("\n") == 2  # a line end is left alone


def test_debug_shows_the_traceback(run_ganzoo):
    assert "Traceback" in run_ganzoo("train", "dcgam", "--debug").stderr


def test_list_and_plugins_are_tables_or_json(call):
    _, out, _ = call("list", "loss")
    assert "hinge" in out and "wasserstein" in out and "ganzoo" in out
    _, out, _ = call("list", "--json")
    kinds = {row["kind"] for row in json.loads(out)}
    assert {"recipe", "generator", "discriminator", "loss", "penalty", "dataset"} <= kinds
    _, out, _ = call("plugins", "--json")
    assert {row["problem"] for row in json.loads(out)} == {None}
    assert "ok" in call("plugins")[1]


def test_show_gives_options_with_defaults_paper_and_size(call):
    _, out, _ = call("show", "dcgan")
    for words in ("arXiv:1511.06434", "parameters", "latent: int, default 100", "recipe dcgan"):
        assert words in out
    _, out, _ = call("show", "folder")
    assert "path: str" in out and "classes:" in out


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of clothes, conditional, and one of values."""
    import ganzoo

    folder = tmp_path_factory.mktemp("trained")
    narrow = {"generator.width": 4, "discriminator.width": 4, "generator.conditional": True}
    options = {"images": 64, "batch": 16, "device": "cpu", "progress": False}
    ganzoo.train("dcgan", out=folder / "clothes", set=narrow, **options)
    ganzoo.train("gaussian", out=folder / "values", **options)
    return folder


@pytest.mark.parametrize("name", ["one.png", "one.JPG", "film.gif"])
def test_samples_are_written_as_asked(call, trained, name):
    walk = ["--interpolate"] if name.endswith("gif") else []
    code, out, _ = call("sample", str(trained / "clothes"), "-n", "4", *walk, "--out", name)
    assert (code, out.strip()) == (0, name)
    with Image.open(name) as picture:
        assert picture.width >= (256 if walk else 56) and getattr(picture, "n_frames", 1) == (64 if walk else 1)


def test_a_folder_gets_one_picture_a_sample(call, trained, tmp_path):
    assert call("sample", str(trained / "clothes"), "-n", "5", "--label", "Bag", "--out", "many")[0] == 0
    pictures = sorted((tmp_path / "many").iterdir())
    assert [path.name for path in pictures] == [f"{i:05d}.png" for i in range(5)]
    with Image.open(pictures[0]) as picture:
        assert picture.size == (28, 28)


def test_a_folder_keeps_the_files_that_are_in_it(call, trained):
    Path("mine").mkdir()
    Path("mine/00003.png").write_bytes(b"a picture of my own")
    code, _, err = call("sample", str(trained / "clothes"), "-n", "4", "--out", "mine")
    assert (code, err) == (2, "Error: --out mine holds 00003.png, which stays as it is: choose an --out without it\n")
    assert [path.name for path in Path("mine").iterdir()] == ["00003.png"]
    assert call("sample", str(trained / "clothes"), "-n", "3", "--out", "mine")[0] == 0
    assert Path("mine/00003.png").read_bytes() == b"a picture of my own"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-n", "0.03k", "--out", "many.npy"], ""),
        (["-n", "0"], "Error: -n 0: at least 1"),
        (["-n", "some"], "Error: -n: 'some' is no count: write 2000, 200k or 1.5M"),
        (["--truncation", "1.5"], "1.5 is not in the range 0<=x<=1"),
        (["--truncation", "-1"], "-1.0 is not in the range 0<=x<=1"),
        (["--truncation", "nan"], "truncation nan is not between 0, the mean sample, and 1, latents as they are"),
    ],
)
def test_counts_have_units_and_truncation_has_a_range(call, trained, arguments, words):
    import numpy as np

    code, _, err = call("sample", str(trained / "clothes"), *arguments)
    assert words in err and (code == 0) == (words == "")
    assert code or len(np.load("many.npy")) == 30


def test_a_film_that_cannot_be_written_is_told_before_anything_is_drawn(call, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    code, _, err = call("sample", "no-such-model", "--interpolate", "--out", "walk.mp4")
    assert code == 2 and "pip install 'imageio[ffmpeg]', or write a .gif" in err


def test_values_are_written_as_a_plot_or_as_numbers(call, trained):
    import numpy as np

    assert call("sample", str(trained / "values"), "-n", "100", "--out", "plot.png")[0] == 0
    assert call("sample", str(trained / "values"), "-n", "100", "--out", "numbers.npy")[0] == 0
    assert np.load("numbers.npy").shape == (100, 1)
    code, _, err = call("sample", str(trained / "values"), "--out", "folder")
    assert code == 2 and ".npy" in err


def test_samples_that_do_not_fit_into_memory_get_one_line(call, trained):
    code, _, err = call("sample", str(trained / "clothes"), "-n", "1" + 12 * "0", "--out", "many.npy")
    assert code == 2 and re.match(r"Error: \S+ samples take .* of memory, .* free: draw fewer at once\n$", err)
    assert not Path("many.npy").exists()


@pytest.mark.parametrize("label", ["10", "Bga", "-1"])
def test_an_unknown_label_names_the_classes(call, trained, label):
    code, _, err = call("sample", str(trained / "clothes"), f"--label={label}")
    assert code == 1 and "10 classes" in err and "Bag" in err
    assert label != "Bga" or "10 classes (did you mean 'Bag'?): " in err


def test_cifar10_trains_from_the_files_that_torchvision_uses(call, tmp_path):
    """Five batches and a meta file, pickled as the published archive has them."""
    import pickle

    import numpy as np

    folder = tmp_path / "data" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        batch = {
            "data": rng.integers(0, 256, (8, 3072), dtype=np.uint8),
            "labels": rng.integers(0, 10, 8).tolist(),
            "batch_label": name,
            "filenames": ["x.png"] * 8,
        }
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    meta = {"label_names": names, "num_cases_per_batch": 8, "num_vis": 3072}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta, protocol=2))
    root = f"data.root={tmp_path / 'data'}"
    code, out, err = call("train", "dcgan", "--data", "cifar10", "--set", root, *QUICK, *NARROW)
    assert (code, out.strip()) == (0, "runs/dcgan-cifar10-seed0"), err
    config = json.loads((tmp_path / "runs/dcgan-cifar10-seed0/model/config.json").read_text())
    assert config["target"]["shape"] == [3, 32, 32] and config["class_names"] == names

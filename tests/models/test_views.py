"""What a sample looks like, said once in its spec: how it is drawn, written, measured, published."""

from __future__ import annotations

import csv
import io
import json
import math
import wave

import numpy as np
import pytest
import torch
from PIL import Image

import ganzoo
from ganzoo.cli import main
from ganzoo.evaluation.values import margins_distance, measure_values, spectrum_distance
from ganzoo.models import SampleConfig, numbers, pictures, read_config, suffix_of, write_samples
from ganzoo.models.config import Config, PluginConfig, parse_config
from ganzoo.models.views.samplefiles import sound
from ganzoo.recipes.recipe import Recipe
from ganzoo.registry.registry import registry

RATE = 800
TONE = ganzoo.Sample((1, 160), view=ganzoo.Signal(RATE))
ADULTS = ganzoo.Columns(
    (ganzoo.Column("age", centre=40.0, scale=10.0), ganzoo.Column("work", ("none", "part", "full")))
)
ROWS = ganzoo.Sample((4,), -math.inf, math.inf, ADULTS)


class Tones(ganzoo.Dataset):
    """Sines of 40 to 80 Hz."""

    @property
    def spec(self):
        return ganzoo.DataSpec({"sound": TONE})

    def load(self):
        return ganzoo.Drawn(self._draw)

    def _draw(self, n, generator):
        pitch = 40 + 40 * torch.rand(n, 1, 1, generator=generator)
        return {"sound": (2 * torch.pi * pitch * torch.arange(160) / RATE).sin()}, None


class Adults(ganzoo.Dataset):
    """The older, the more they work."""

    @property
    def spec(self):
        return ganzoo.DataSpec({"row": ROWS})

    def load(self):
        return ganzoo.Drawn(self._draw)

    def _draw(self, n, generator):
        age = torch.randn(n, generator=generator)
        work = torch.bucketize(age, torch.tensor([-0.5, 0.5]))
        return {"row": torch.cat([age[:, None], torch.nn.functional.one_hot(work, 3).float()], 1)}, None


@pytest.fixture(autouse=True)
def _data(monkeypatch):
    load, own = registry().load, {("dataset", "tones"): Tones, ("dataset", "adults"): Adults}
    monkeypatch.setattr(registry(), "load", lambda kind, name: own.get((kind, name)) or load(kind, name))


@pytest.mark.parametrize(
    ("shape", "view", "words"),
    [
        ((64,), ganzoo.Signal(8000), r"signals have the shape \(C, T\), not \(64,\)"),
        ((1, 64), ganzoo.Signal(0), "a number of values a second, not 0"),
        ((2, 2), ganzoo.Picture(), r"pictures have the shape \(C, H, W\)"),
        ((5,), ADULTS, r"rows of these columns have 4 values, not the shape \(5,\)"),
        ((2,), ganzoo.Columns((ganzoo.Column("a"),) * 2), "one column of a name"),
        ((1,), ganzoo.Columns((ganzoo.Column("a", ("x",)),)), "two or more are needed"),
        ((1,), ganzoo.Columns((ganzoo.Column("a", scale=0.0),)), "the scale above 0"),
    ],
)
def test_a_view_that_the_shape_has_not_is_refused(shape, view, words):
    with pytest.raises(ValueError, match=words):
        ganzoo.Sample(shape, view=view)


def test_what_states_no_view_looks_as_before():
    assert ganzoo.Sample((3, 8, 8)).looks == ganzoo.Picture() and ganzoo.Sample((2,)).looks == ganzoo.Points()
    assert (
        ganzoo.Sample((1, 64)).looks == ganzoo.Points() and not ganzoo.Sample((3, 8, 8), view=ganzoo.Points()).is_image
    )
    assert "view" not in ganzoo.Sample((3, 8, 8)).to_dict()


@pytest.mark.parametrize("sample", [TONE, ROWS, ganzoo.Sample((3, 8, 8), view=ganzoo.Picture()), ganzoo.Sample((2,))])
def test_a_sample_goes_through_json(sample):
    assert ganzoo.Sample.from_dict(json.loads(json.dumps(sample.to_dict()))) == sample
    assert SampleConfig.of(sample).sample() == sample


def test_signals_are_drawn_as_waves():
    still, loud = torch.zeros(1, 1, 160), torch.ones(1, 1, 160)
    loud[..., ::2] = -1
    sheet = np.asarray(pictures.grid(torch.cat([still, loud]), TONE))
    upper, lower = sheet[: sheet.shape[0] // 2], sheet[sheet.shape[0] // 2 :]
    assert (upper < 128).any(1).sum() == 1, "silence is one line"
    assert (lower < 128).mean() > 0.9, "a wave up and down fills its tile"
    stereo = ganzoo.Sample((2, 40), -math.inf, math.inf, ganzoo.Signal(8000))
    assert pictures.grid(torch.randn(3, 2, 40), stereo).mode == "L"


def test_sounds_are_read_back_as_they_were_written(tmp_path):
    samples = torch.rand(3, 2, 50) * 2 - 1
    spec = ganzoo.Sample((2, 50), view=ganzoo.Signal(1000))
    write_samples(samples, spec, tmp_path / "a.wav")
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, 1000, 3 * (50 + 250))
        values = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(3, 300, 2)
    assert np.abs(values[:, :50] / 32767 - samples.numpy().transpose(0, 2, 1)).max() < 1e-4
    assert not values[:, 50:].any(), "a pause behind each"


def test_signals_without_a_range_are_not_cut_off():
    spec = ganzoo.Sample((1, 50), -math.inf, math.inf, ganzoo.Signal(1000))
    with wave.open(io.BytesIO(sound(torch.linspace(-4, 4, 50)[None, None], spec))) as file:
        values = np.frombuffer(file.readframes(50), "<i2")
    assert values[0] == -32767 and values[-1] == 32767 and len(set(values)) == 50


def test_rows_are_written_in_their_own_words(tmp_path):
    samples = torch.tensor([[-1.0, 0.2, 0.9, 0.1], [0.5, 0.0, -3.0, 2.0]])
    assert suffix_of(ROWS) == ".csv"
    write_samples(samples, ROWS, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "age,work\n30,part\n45,full\n"
    assert numbers(samples, ADULTS).tolist() == [[30, 1], [45, 2]]


def test_a_table_is_drawn_whatever_is_in_it():
    rows = Adults()._draw(500, torch.Generator().manual_seed(0))[0]["row"]
    for real in (None, rows):
        assert pictures.sheet(torch.randn(400, 4), ROWS, "title", real).size == (960, 640)
    assert pictures.sheet(torch.zeros(50, 4), ROWS, "title", rows).size == (960, 640)
    wide = ganzoo.Columns(tuple(ganzoo.Column(f"c{i}") for i in range(30)))
    sample = ganzoo.Sample((30,), -math.inf, math.inf, wide)
    assert pictures.sheet(torch.randn(50, 30), sample, "title").size == (960, 640)


def test_margins_and_correlations_are_measured():
    rows = Adults()._draw(4000, torch.Generator().manual_seed(0))[0]["row"]
    shifted = rows + torch.tensor([1.0, 0, 0, 0])
    assert margins_distance(rows, rows, ADULTS) == 0
    assert margins_distance(shifted, rows, ADULTS) == pytest.approx(0.5, abs=0.02), "one of two columns, by one σ"
    one = torch.cat([rows[:, :1], torch.tensor([[1.0, 0, 0]]).expand(4000, 3)], 1)
    assert margins_distance(one, rows, ADULTS) == pytest.approx((1 - rows[:, 1].mean().item()) / 2, abs=1e-3)
    loose = torch.cat([rows[:, :1], rows[torch.randperm(4000), 1:]], 1)
    apart = [measure_values(some, rows, None, ROWS)["correlations-distance"] for some in (rows, loose)]
    assert apart[0] == 0 and apart[1] > 0.1
    assert margins_distance(loose, rows, ADULTS) == pytest.approx(0, abs=1e-6), "margins do not see it"


def test_spectra_tell_pitches_and_loudness_apart():
    time = torch.arange(160) / RATE
    low, high = ((2 * torch.pi * pitch * time).sin()[None, None] for pitch in (50.0, 100.0))
    assert spectrum_distance(low, low) == 0
    assert spectrum_distance(10 * low, low) < spectrum_distance(high, low) < 10
    white = torch.randn(64, 1, 160, generator=torch.Generator().manual_seed(0))
    assert spectrum_distance(10**0.5 * white, white) == pytest.approx(10, abs=1e-3)


def exit_code(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code)


def train(data: str, out, **changes):
    recipe = {
        "name": "viewed", "data": {"name": data}, "generator": {"name": "mlp", "latent": 4, "widths": [8]},
        "discriminator": {"name": "mlp", "widths": [8]}, "loss": {"name": "non-saturating"}, "images": 64, "batch": 16,
        "previews": {"count": 9, "every": 48}, **changes,
    }  # fmt: skip
    return ganzoo.train(Recipe.from_dict(recipe), out=out, device="cpu", progress=False)


def test_a_run_on_signals_shows_writes_measures_and_publishes_them(tmp_path, capsys):
    out = tmp_path / "run"
    train("tones", out, eval={"every": 64, "samples": 50})
    config = read_config(out / "model")
    assert config.target.sample() == TONE
    assert [metric.name for metric in config.metrics if "spectrum" in metric.name] == ["spectrum-distance"]
    with Image.open(out / "samples.png") as picture, wave.open(str(out / "samples.wav")) as heard:
        assert picture.mode == "L" and picture.size == (3 * 114 + 2, 3 * 58 + 2)
        assert heard.getnframes() == 9 * (160 + 200)
    assert (out / "real-versus-generated.png").exists() and (out / "evolution.gif").exists()
    card = (out / "model" / "README.md").read_text()
    assert "makes signals (1×160)" in card and "--out samples.wav" in card and "pipeline_tag" not in card
    model = ganzoo.load(out)
    assert "data:audio/wav" in model._repr_html_()
    with pytest.raises(ganzoo.ModelError, match="makes signals of shape"):
        model.images(2)
    for name in ("a.wav", "a.png", "a.npy", "many"):
        assert exit_code(["sample", str(out), "-n", "3", "--out", str(tmp_path / name)]) == 0
    assert sorted(one.name for one in (tmp_path / "many").iterdir()) == [f"0000{i}.wav" for i in range(3)]
    assert exit_code(["sample", str(out), "-n", "3", "--out", str(tmp_path / "many")]) == 2
    assert exit_code(["sample", str(out), "--out", str(tmp_path / "a.csv")]) == 2
    assert "this model makes signals: use .wav" in capsys.readouterr().err
    assert exit_code(["report", str(out)]) == 0


def test_a_run_on_a_table_shows_writes_measures_and_publishes_it(tmp_path, capsys):
    out = tmp_path / "run"
    train("adults", out, eval={"every": 64, "samples": 50}, previews={"every": 64})
    config = read_config(out / "model")
    assert config.target.sample() == ROWS
    assert {"margins-distance", "correlations-distance"} <= {metric.name for metric in config.metrics}
    with Image.open(out / "samples.png") as picture:
        assert picture.size == (960, 640)
    with (out / "samples.csv").open() as file:
        first = next(csv.DictReader(file))
    assert first["work"] in ("none", "part", "full") and -100 < float(first["age"]) < 200
    assert "makes rows (4)" in (out / "model" / "README.md").read_text()
    assert exit_code(["sample", str(out), "-n", "3", "--out", str(tmp_path / "b.csv")]) == 0
    assert len((tmp_path / "b.csv").read_text().splitlines()) == 4
    assert exit_code(["sample", str(out), "--out", str(tmp_path / "b.wav")]) == 2
    assert "this model makes rows: use .csv" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ({"kind": "signal"}, "a signal has a rate"),
        ({"kind": "signal", "rate": 0}, "not 0"),
        ({"kind": "signal", "rate": "8000"}, "rate"),
        ({"kind": "columns", "columns": []}, "columns"),
        ({"kind": "volume"}, "kind"),
        ({"kind": "picture", "more": 1}, "more"),
        ({"kind": "points", "rate": 3}, "nothing else"),
        ({"kind": "columns", "columns": [{"name": "a", "values": [], "centre": 0.0, "scale": 1.0}]}, "1 values"),
    ],
)
def test_a_view_in_a_strangers_config_is_read_strictly(view, words):
    plugin = PluginConfig("mlp", "torch-ganzoo", "0.1.0")
    config = Config(1, "mlp", {}, None, SampleConfig.of(TONE), 0, [], plugin, {}, {})
    assert parse_config(config.to_json(), "here") == config
    tree = json.loads(config.to_json())
    assert tree["target"].pop("view") == {"kind": "signal", "rate": RATE}
    tree["target"]["view"] = view
    with pytest.raises(ganzoo.ModelError, match=words):
        parse_config(json.dumps(tree).encode(), "here")

"""The benchmarks measure what they say: the same work on both sides, in turn. How fast it is, no test asks."""

from __future__ import annotations

import importlib
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import (  # noqa: E402
    cyclegan,
    data,
    dcgan,
    gaussian,
    mlp,
    pairs,
    pictures,
    sngan,
    stylegan2,
    telling,
    wgan_gp,
)

SHORT = pairs.Plan(rounds=2, seconds=0.01, warmup=1)
PAIRED = ("dcgan", "cyclegan", "mlp", "gaussian", "sngan", "stylegan2", "wgan_gp")


@pytest.fixture(autouse=True)
def few_pictures(monkeypatch):
    monkeypatch.setattr(mlp, "clothes", lambda: torch.randint(0, 256, (128, 28, 28, 1), dtype=torch.uint8))
    monkeypatch.setattr(wgan_gp, "clothes", mlp.clothes)


def flops(step) -> int:
    with pairs.Flops() as counter:
        step()
    return counter.total


def counted_in_words(layers: list[tuple[int, int]]) -> int:
    """FLOPs of a forward pass through linear layers, for one sample."""
    return sum(2 * before * after for before, after in layers)


@pytest.mark.parametrize(("size", "tutorial", "lean"), [(64, 2482, 2274.6), (32, 420, 385.0)])
def test_a_step_of_dcgan_costs_what_its_architecture_does(size, tutorial, lean):
    images = dcgan.pictures(size, 4)
    for rival, expected in ((dcgan.tutorial(images, 2, workers=0), tutorial), (dcgan.lean(images, 2), lean)):
        assert flops(rival.step) / 2e6 == pytest.approx(expected, rel=1e-3), rival.name


def test_ganzoos_dcgan_costs_what_the_lean_loop_does(monkeypatch):
    monkeypatch.setattr(pairs, "matrix_rate", lambda rate=pairs.matrix_rate: rate((64,), 1))
    told = dcgan.run(32, pairs.Plan(1, 0.01, 1), batch=4, width=8, count=16, workers=0)
    cost = told["mflop_per_image"]
    assert cost["ganzoo"] == cost["lean"] < cost["tutorial"]
    assert told["matrix_gflops"] > 0
    assert set(told["matrix_share"]) == {"ganzoo", "tutorial", "lean"} and told["matrix_share_wanted"] == 0.5


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_dcgan_is_measured_on_a_gpu():
    told = dcgan.run(32, pairs.Plan(1, 0.1, 20, "cuda"), batch=4, width=8, count=16, workers=0)
    assert all(speed > 0 for speed in told["speed"].values()) and "matrix_share" not in told


def test_the_networks_of_dcgan_are_those_of_the_plugin():
    import ganzoo
    from ganzoo_dcgan.dcgan import DCGANDiscriminator, DCGANGenerator

    for size in (32, 64):
        target = ganzoo.Sample((3, size, size))
        plugin = (
            DCGANGenerator(None, target, 0, width=8, kernel=4),
            DCGANDiscriminator(None, target, 0, width=8, kernel=4),
        )
        for ours, theirs in zip(plugin, (dcgan.generator(size, 8), dcgan.discriminator(size, 8)), strict=True):
            shapes = [[p.shape for p in network.parameters()] for network in (ours, theirs)]
            assert shapes[0] == shapes[1]


def test_ganzoos_mlp_costs_what_the_lean_loop_does():
    told = mlp.run(SHORT, batch=8)
    g = [(100, 128), (128, 256), (256, 512), (512, 1024), (1024, 784)]
    d = [(784, 512), (512, 256), (256, 1)]
    forward_g, forward_d, first_g, first_d = map(counted_in_words, (g, d, g[:1], d[:1]))
    # weights and inputs: twice the forward pass again, but inputs of a network's first layer need no gradient
    lean = 3 * forward_g - first_g + 2 * (3 * forward_d - first_d) + 2 * forward_d
    cost = told["mflop_per_image"]
    assert cost["ganzoo"] == cost["lean"] == pytest.approx(lean / 1e6)
    assert cost["tutorial"] == pytest.approx((lean + forward_d) / 1e6)


def test_ganzoos_cyclegan_costs_what_the_published_program_does():
    """Six translations, four judgements in G's update and four in D's: no picture is generated for D alone."""
    told = cyclegan.run(32, pairs.Plan(1, 0.01, 1), width=4, count=4, workers=0)
    cost = told["mflop_per_image"]
    assert cost["ganzoo"] == cost["published"] > 0
    (row,) = told["ratios"]
    assert row["rival"] == "published" and row["wanted"] == 1.0


def test_the_networks_of_cyclegan_are_those_of_the_plugin():
    import ganzoo
    from ganzoo_cyclegan.generator import CycleGANGenerator
    from ganzoo_cyclegan.patchgan import PatchGANDiscriminator

    sample, label = ganzoo.Sample((3, 32, 32)), torch.zeros(2, dtype=torch.int64)
    plugin = CycleGANGenerator(sample, sample, 0, width=4), PatchGANDiscriminator(None, sample, 0, width=4)
    picture = torch.rand(2, 3, 32, 32) * 2 - 1
    for ours, theirs in zip(plugin, (cyclegan.generator(32, 4), cyclegan.discriminator(4)), strict=True):
        weights = dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True))
        ours.load_state_dict(weights)
        torch.testing.assert_close(ours(picture, label), theirs(picture))


def test_sngan_computes_less_than_the_plain_loop_and_learns_as_it_does():
    told = sngan.run(pairs.Plan(1, 0.01, 1), batch=2, width=4, count=16, workers=0)
    cost = told["mflop_per_image"]
    assert 0 < cost["ganzoo"] < cost["plain"] and [row["rival"] for row in told["ratios"]] == ["plain"]


def test_stylegan2_computes_less_than_the_plain_loop():
    told = stylegan2.run(8, pairs.Plan(1, 0.01, 1), batch=4, count=16, workers=0)
    cost = told["mflop_per_image"]
    assert 0 < cost["ganzoo"] < cost["plain"] and [row["rival"] for row in told["ratios"]] == ["plain"]


def test_the_networks_of_stylegan2_are_those_of_the_recipe():
    from ganzoo.recipes.building.build import build
    from ganzoo.recipes.plan import Request, resolve
    from ganzoo.registry.registry import registry

    game = build(resolve("stylegan2-mini", Request(set=["data.gray=false"]), registry()), registry())
    for role, theirs in (("G", stylegan2.Generator(32)), ("D", stylegan2.Discriminator(32))):
        ours = game.players[role]
        sizes = [sorted(math.prod(one.shape) for one in player.parameters()) for player in (ours, theirs)]
        assert sizes[0] == sizes[1], role


def test_the_networks_of_sngan_are_those_of_the_plugin():
    import ganzoo
    from ganzoo_sngan.discriminator import SNGANDiscriminator
    from ganzoo_sngan.generator import SNGANGenerator

    sample, label = ganzoo.Sample((3, 32, 32)), torch.zeros(2, dtype=torch.int64)
    g, plain_g = SNGANGenerator(None, sample, 0, width=4), sngan.generator(4)
    g.load_state_dict(dict(zip(g.state_dict(), plain_g.state_dict().values(), strict=True)))
    z = torch.randn(2, sngan.LATENT)
    # BatchNorm adds another small number to variances
    torch.testing.assert_close(g.eval()(z, label), plain_g.eval()(z), atol=1e-3, rtol=1e-3)
    d, plain_d = SNGANDiscriminator(None, sample, 0, width=4), sngan.Discriminator(4)
    assert [p.shape for p in d.parameters()] == [p.shape for p in plain_d.parameters()]


@pytest.mark.parametrize("case", [data.RESIDENT, data.STREAMED], ids=["resident", "streamed"])
def test_batches_of_the_feed_and_of_the_dataloader_are_timed(case):
    told = data.run(pairs.Plan(1, 0.01, 0), replace(case, count=2 * case.batch, batch=4, side=8))
    assert [row["rival"] for row in told["ratios"]] == ["DataLoader"] and told["workers"] == 2


def test_wgan_gp_counts_the_pictures_of_five_critic_updates():
    told = wgan_gp.run(SHORT, batch=8)
    assert told["unit"] == "images/s" and [row["rival"] for row in told["ratios"]] == ["tutorial"]
    assert 0 < told["mflop_per_image"]["ganzoo"] < told["mflop_per_image"]["tutorial"]


def test_the_gradient_penalty_of_the_plain_loop_is_that_of_a_linear_critic():
    critic = nn.Sequential(nn.Flatten(), nn.Linear(784, 1, bias=False))
    real, fake = torch.rand(4, 1, 28, 28), torch.rand(4, 1, 28, 28)
    expected = (critic[1].weight.norm() - 1) ** 2
    torch.testing.assert_close(wgan_gp.gradient_penalty(critic, real, fake), expected)


def test_the_gaussian_game_runs_and_names_both_loops():
    told = gaussian.run(pairs.Plan(1, 0.01, 1), updates=2)
    assert [row["rival"] for row in told["ratios"]] == ["article", "lean"] and told["unit"] == "updates/s"


def test_both_moments_of_the_gaussian_game_are_the_plugins():
    from ganzoo_gaussian.networks import moments

    value = torch.randn(500, 1) * 1.25 + 4
    torch.testing.assert_close(gaussian.moments(value), moments(value))
    torch.testing.assert_close(gaussian.quick_moments(value), moments(value))


def test_pictures_are_the_same_through_pil_and_by_index():
    images = torch.randint(0, 256, (4, 8, 8, 3), dtype=torch.uint8)
    read, _ = next(pictures.endless_batches(pictures.Endless(images, 4), 4, workers=0))
    (gathered,) = (next(pictures.gathered(images, 4)),)
    assert read.shape == gathered.shape == (4, 3, 8, 8)
    in_order = [batch[batch.flatten(1).sum(1).argsort()] for batch in (read, gathered)]
    torch.testing.assert_close(*in_order)


def test_ratios_are_taken_within_rounds():
    times = pairs.Times({"ganzoo": 10, "plain": 5}, {"ganzoo": [1.0, 2.0, 4.0], "plain": [1.0, 4.0, 2.0]})
    assert times.ratios("plain") == [2.0, 4.0, 1.0]
    assert telling.quartiles(times.ratios("plain")) == (1.5, 2.0, 3.0)
    assert times.overall("plain") == 2.0


def test_everybody_is_timed_once_a_round_and_the_run_ends():
    calls = []
    rival = pairs.Rival("plain", lambda: calls.append(len(calls)), 1, lambda: [0.0])
    alternation = pairs.Alternation(2, [rival], pairs.Plan(rounds=3, seconds=0.001, warmup=4))

    class Run:
        images, stop_requested = 0, None

    run, iterations = Run(), 0
    alternation.on_start(run)
    while run.stop_requested is None:
        iterations += 1
        alternation.on_iteration(run)
    assert run.stop_requested == "measured"
    assert {name: len(seconds) for name, seconds in alternation.times.seconds.items()} == {"ganzoo": 3, "plain": 3}
    assert iterations > 4 and len(calls) > 4


def test_losses_that_are_not_finite_are_refused(monkeypatch):
    rival = pairs.Rival("plain", lambda: None, 1, lambda: [float("nan")])
    monkeypatch.setattr(pairs.ganzoo, "train", lambda *args, **kwargs: None)
    with pytest.raises(RuntimeError, match="losses of plain"):
        pairs.measure("mlp", {}, pairs.Alternation(1, [rival], SHORT))


def test_the_report_states_machine_ratios_and_shares(capsys):
    times = pairs.Times({"ganzoo": 1, "plain": 1}, {"ganzoo": [1.0], "plain": [2.0]}, {"ganzoo": 10, "plain": 30}, [40])
    told = telling.summary("toy", "images", times, [pairs.Rival("plain", print, 1, list, 1.5)], 0.5)
    telling.report([told], as_json=False)
    text = capsys.readouterr().out
    assert "threads" in text and "ganzoo / plain" in text and "2.00" in text and "wanted 1.50" in text
    assert "ganzoo 0.25, plain 0.38" in text
    telling.report([told], as_json=True)
    assert json.loads(capsys.readouterr().out)["results"][0]["ratios"][0]["ratio"] == 2.0


def test_options_are_read(monkeypatch):
    options = telling.parser("doc").parse_args(["--rounds", "3", "--threads", "1", "--set", "a.b=1", "--json"])
    assert (options.rounds, options.threads, options.set, options.json) == (3, 1, ["a.b=1"], True)
    with pytest.raises(SystemExit):
        telling.parser("doc").parse_args(["--rounds", "0"])


@pytest.mark.parametrize("name", ["startup", "seeds"])
@pytest.mark.parametrize("how", ["module", "script"])
def test_a_benchmark_runs_as_a_module_and_as_a_script(name, how):
    words = ["-m", f"benchmarks.{name}"] if how == "module" else [str(ROOT / "benchmarks" / f"{name}.py")]
    done = subprocess.run([sys.executable, *words, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "usage" in done.stdout, done.stderr


@pytest.mark.parametrize("name", [*PAIRED, "load"])
def test_every_benchmark_has_a_main(name, capsys, monkeypatch):
    module = importlib.import_module(f"benchmarks.{name}")
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit):
        module.main()
    told = capsys.readouterr().out
    assert "--rounds" in told and "--json" in told


def test_the_checks_on_a_gpu_tell_each_result_in_a_line_and_go_on_after_an_error(tmp_path):
    command = [sys.executable, "-m", "benchmarks.gpu", "--device", "cpu", "--dry", "--only", "machine,waits"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "lines.jsonl")], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert rows == [json.loads(line) for line in (tmp_path / "lines.jsonl").read_text().splitlines()]
    told = {(row["group"], row["check"]): row for row in rows}
    assert told["machine", "ceilings"]["copy_GB_per_second"] > 0
    assert told["waits", "waits"]["error"] == "needs CUDA"
    assert [row["ended"] for row in rows if row["check"] == "group"] == ["well", "well"], done.stderr[-1000:]


def test_groups_that_are_not_there_are_named():
    command = [sys.executable, "-m", "benchmarks.gpu", "--only", "machine,sped"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "there is no group sped: choose from machine, tests" in done.stderr

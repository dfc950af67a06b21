"""Signs of health, the rules that judge them, and what a run does about a failure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import ganzoo
from ganzoo import cli
from ganzoo.health import judge as health
from ganzoo.health.diagnosis import diagnose, stakes
from ganzoo.health.history import read_rows
from ganzoo.health.judge import Finding, Judge, judge, open_findings, stakes_of
from ganzoo.health.rules import RULES
from ganzoo.health.stakes import Stakes
from ganzoo.registry.registry import registry
from ganzoo.training import checkpoint
from ganzoo.training.callbacks import HealthMonitor, signals

HISTORIES = Path(__file__).parents[1] / "histories"
LOGISTIC = Stakes(2 * math.log(2), 0.0, 0.0, True)
CRITIC = Stakes(0.0, None, None)
WELL = {
    "loss/D": 1.2, "loss/G": 0.9, "D(real)": 0.6, "D(fake)": 0.4,
    "health/D/separation": 0.8, "health/D/accuracy(real)": 0.7, "health/D/accuracy(fake)": 0.75,
    "health/D/logit(real)": 0.4, "health/D/logit(fake)": -0.4, "health/D/slope": 0.3,
    "health/D/gradient": 2.0, "health/D/moved": 0.3,
    "health/G/gradient": 1.0, "health/G/moved": 0.3,
    "health/G/spread": 0.9, "health/G/distinct": 0.8, "health/G/discrepancy": 0.05,
}  # fmt: skip


def rows(count: int = 40, step: int = 5_000, **changes: float) -> list[dict]:
    """A history of equal rows; a name of two words stands for player/signal."""
    named = {(f"health/{key.replace('__', '/')}" if "__" in key else key): value for key, value in changes.items()}
    return [{"images": i * step, "iteration": i * step // 64, **WELL, **named} for i in range(1, count + 1)]


def codes(findings: list[Finding], severity: str = "failure") -> list[str]:
    return [one.code for one in findings if one.severity == severity and not one.ended]


# --- signals -------------------------------------------------------------------------------------------------------


def test_separation_is_the_share_of_pairs_in_order():
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([0.0, 1.0, 5.0, 2.0])
    # 1 > 0, 1 = 1 | 3 > 0, 3 > 1, 3 > 2: 4 wins and a tie of 8 pairs
    assert signals.separation(real, fake).item() == pytest.approx(4.5 / 8)
    assert signals.separation(real + 10, fake) == 1 and signals.separation(real - 10, fake) == 0


def test_separation_of_large_maps_takes_a_selection():
    real, fake = torch.ones(4, 1, 60, 60), torch.zeros(4, 1, 60, 60)
    assert signals._some(real).numel() <= 512
    assert signals.separation(real, fake) == 1


def test_equal_batches_compare_as_equal():
    real = torch.randn(64, 3, 8, 8)
    found = signals.Pairs(real, real.clone()).compare()
    assert found["spread"].item() == pytest.approx(1) and found["distinct"].item() == pytest.approx(1)
    assert abs(found["discrepancy"].item()) < 0.03


def test_spread_scales_with_the_samples_and_is_0_for_a_constant():
    real = torch.randn(32, 5)
    assert signals.Pairs(real, real / 4).compare()["spread"].item() == pytest.approx(0.25, rel=1e-3)
    constant = signals.Pairs(real, real[:1].expand(32, 5)).compare()
    assert constant["spread"].item() == pytest.approx(0, abs=1e-2)
    assert constant["distinct"].item() == pytest.approx(0, abs=1e-2)


def test_two_values_compare_as_by_hand():
    # real 0 and 4, generated 1 and 2: E|x-x'| = 4, E|y-y'| = 1, E|x-y| = (1 + 2 + 3 + 2) / 4 = 2
    found = signals.Pairs(torch.tensor([[0.0], [4.0]]), torch.tensor([[1.0], [2.0]])).compare()
    assert found["spread"].item() == pytest.approx(1 / 4) and found["distinct"].item() == pytest.approx(1 / 4)
    assert found["discrepancy"].item() == pytest.approx((2 * 2 - 4 - 1) / (2 * 2))


def test_discrepancy_of_two_points_is_1():
    assert signals.Pairs(torch.zeros(16, 2), torch.full((16, 2), 7.0)).compare()["discrepancy"].item() == 1


def test_samples_drawn_twice_from_one_law_differ_little_and_shifted_ones_more():
    torch.manual_seed(1)
    real, same, shifted = torch.randn(64, 10), torch.randn(64, 10), torch.randn(64, 10) + 3
    assert abs(signals.Pairs(real, same).compare()["discrepancy"].item()) < 0.03
    assert signals.Pairs(real, shifted).compare()["discrepancy"].item() > 0.2


def test_slope_of_a_linear_score_is_at_most_its_gradient():
    real, fake = torch.randn(40, 3), torch.randn(40, 3)
    assert 1 < signals.Pairs(real, fake).slope(5 * real[:, 0], 5 * fake[:, 0]).item() < 5
    real[:, 1:], fake[:, 1:] = 0, 0
    assert signals.Pairs(real, fake).slope(5 * real[:, 0], 5 * fake[:, 0]).item() == pytest.approx(5, rel=1e-3)


def test_gradient_norm_and_movement():
    layer = nn.Linear(2, 1, bias=False)
    assert signals.gradient_norm(layer.parameters()) is None
    layer.weight.grad = torch.tensor([[3.0, 4.0]])
    assert signals.gradient_norm(layer.parameters()).item() == pytest.approx(5)
    (before,) = signals.some_weights(layer)
    assert signals.movement(before, [before]) == 0 and signals.movement(before, [2 * before]).item() == pytest.approx(1)


def test_large_weights_that_take_small_steps_do_not_hide_that_others_move():
    """As in a mapping network: its weights have a deviation of 100 where others' have 1, and take the same steps."""
    torch.manual_seed(0)
    player = nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 8)])
    nn.init.normal_(player[0].weight, std=100.0)
    before = torch.cat(signals.some_weights(player))
    with torch.no_grad():
        for parameter in player.parameters():
            parameter += 0.01
    assert 0.005 < signals.movement(before, signals.some_weights(player)).item() < 0.1


# --- what a loss says by itself -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "even", "boundary", "floor", "probabilities"),
    [
        ("non-saturating", {}, 2 * math.log(2), 0.0, 0.0, True),
        ("minimax", {}, 2 * math.log(2), 0.0, 0.0, True),
        ("hinge", {}, 2.0, 0.0, 0.0, False),
        ("least-squares", {}, 0.25, 0.5, 0.0, False),
        ("least-squares", {"a": -1.0, "b": 1.0, "c": 0.0}, 1.0, 0.0, 0.0, False),
        ("wasserstein", {}, 0.0, None, None, False),
        ("relativistic", {}, math.log(2), None, 0.0, False),
    ],
)
def test_stakes_of_the_bundled_losses(name, options, even, boundary, floor, probabilities):
    found = stakes(registry().load("loss", name)(**options))
    assert found.even == pytest.approx(even, abs=1e-4) and found.sign == 1
    assert found.boundary == (None if boundary is None else pytest.approx(boundary, abs=1e-6))
    assert found.floor == (None if floor is None else pytest.approx(floor, abs=1e-4))
    assert found.probabilities == probabilities


def test_smoothing_moves_the_boundary_and_the_floor():
    found = stakes(registry().load("loss", "non-saturating")(smoothing=0.1))
    # D = σ(boundary) = 0.45 for both; the floor is the entropy of (0.9, 0.1), reached at logit log 9
    assert found.boundary == pytest.approx(math.log(0.45 / 0.55), abs=0.03) and found.probabilities
    assert found.floor == pytest.approx(-0.9 * math.log(0.9) - 0.1 * math.log(0.1), abs=2e-3)


class Energy(ganzoo.AdversarialLoss):
    """Low for real samples, which it says."""

    low_for_real = True

    def discriminator(self, real, fake):
        return real.square().mean() + torch.relu(1 - fake).mean()

    def generator(self, fake, real):
        return fake.mean()


class Angry(Energy):
    """Takes no single scores."""

    def discriminator(self, real, fake):
        raise RuntimeError("needs a batch")


def test_stakes_of_other_losses():
    assert stakes(Energy()).sign == -1 and not stakes(Energy()).probabilities
    assert stakes(Angry()) is None
    assert stakes_of(lambda real, fake: float("nan")) is None
    assert stakes(ganzoo.Loss()) is None


def test_asking_for_stakes_changes_nothing():
    loss, before = registry().load("loss", "non-saturating")(), torch.get_rng_state()
    stakes(loss)
    assert torch.equal(before, torch.get_rng_state())


# --- rules ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [LOGISTIC, CRITIC, Stakes(2.0, 0.0, 0.0), None])
def test_a_healthy_history_gives_no_warning(known):
    found = judge(rows(), known, {})
    assert codes(found) == codes(found, "warning") == []


CASES: dict[str, tuple[Stakes, dict[str, float], str]] = {
    "frozen": (LOGISTIC, {"G__moved": 1e-6}, "optimizer.G.lr"),
    "collapse": (LOGISTIC, {"G__spread": 0.001, "G__distinct": 0.0}, "--penalty r1"),
    "blind": (LOGISTIC, {"D__separation": 0.5, "G__discrepancy": 0.4}, "--discriminator"),
    "unheld-critic": (CRITIC, {"D__slope": 40.0, "loss/D": -300.0, "G__discrepancy": 0.4}, "loss.clip"),
    "runaway": (LOGISTIC, {"D__logit(fake)": -60.0}, "optimizer.D.lr"),
    "worse-than-guessing": (LOGISTIC, {"loss/D": 30.0}, "optimizer.D.lr"),
    "d-wins": (LOGISTIC, {"loss/D": 0.001, "D__separation": 1.0}, "--penalty r1"),
    "outrun": (LOGISTIC, {"D__separation": 0.99, "G__discrepancy": 0.4}, "optimizer.D.lr"),
}


@pytest.mark.parametrize("code", CASES)
def test_each_failure_is_found_within_200k_images_and_names_an_option(code):
    known, changes, option = CASES[code]
    found = judge(rows(**changes), known, {"D": 2e-4, "G": 2e-4})
    first = next(one for one in found if one.severity == "failure")
    assert first.code == code and first.images <= 200_000
    assert option in first.remedy and "images" in first.evidence
    assert codes(found) == [code], "one cause, one failure"


@pytest.mark.parametrize("code", CASES)
def test_failures_need_time(code):
    known, changes, _ = CASES[code]
    assert codes(judge(rows(3, **changes), known, {})) == []


def test_no_gradient_for_g_is_found_against_its_first_value():
    history = rows(2) + [{**row, "health/G/gradient": 1e-9, "health/D/separation": 1.0} for row in rows()[2:]]
    found = judge(history, LOGISTIC, {"D": 2e-4})
    assert codes(found) == ["starved"] and "--loss non-saturating" in found[0].remedy


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("little-variety", {"G__spread": 0.1}),
        ("lopsided", {"D__accuracy(real)": 0.02, "D__accuracy(fake)": 1.0}),
        ("overfitting", {"D__held_out": 0.9}),
        ("d-wins", {"loss/D": 0.1, "D__separation": 0.995}),
    ],
)
def test_warnings(code, changes):
    found = judge(rows(**changes), LOGISTIC, {})
    assert code in codes(found, "warning") and codes(found) == []


@pytest.mark.parametrize(("loss", "warned"), [(LOGISTIC.even, False), (1.01 * LOGISTIC.even, False), (2.0, True)])
def test_accuracies_of_an_undecided_discriminator_say_nothing(loss, warned):
    history = rows(**{"D__accuracy(real)": 1.0, "D__accuracy(fake)": 0.0, "loss/D": loss})
    assert codes(judge(history, LOGISTIC, {}), "warning") == ["lopsided"] * warned


def test_a_gradient_that_explodes_is_a_warning():
    history = rows(2) + [{**row, "health/D/gradient": 5e3} for row in rows()[2:]]
    assert codes(judge(history, LOGISTIC, {}), "warning") == ["steep"]


def test_notes_tell_of_the_equilibrium_with_probabilities_where_there_are_some():
    near = {"D__separation": 0.5, "G__discrepancy": 0.0, "D(real)": 0.5, "D(fake)": 0.5}
    (note,) = judge(rows(**near), LOGISTIC, {})
    assert (note.code, note.severity) == ("even", "note") and "D(real) 0.50" in note.evidence
    (other,) = judge(rows(**near), Stakes(2.0, 0.0, 0.0), {})
    assert "D(real)" not in other.evidence
    ahead = judge(rows(**{"loss/D": 0.3, "D__separation": 0.99}), LOGISTIC, {})
    assert codes(ahead, "note") == ["ahead"]


CRITICAL = {"loss/D": -40.0, "loss/G": 60.0, "D(real)": 1.0, "D(fake)": 0.0, "D__separation": 1.0,
            "D__logit(real)": 50.0, "D__logit(fake)": -50.0, "D__slope": 0.9}  # fmt: skip


def test_scores_that_are_no_probabilities_trip_no_rule_about_probabilities():
    """A critic held to slope 1 is right about all pairs, and its scores and losses have no bound."""
    silent = {key: value for key, value in rows(1, **CRITICAL)[0].items() if "accuracy" not in key}
    history = [{**silent, **{key: row[key] for key in ("images", "iteration")}} for row in rows()]
    assert judge(history, CRITIC, {}) == []
    assert codes(judge(rows(**CRITICAL), LOGISTIC, {})) == ["runaway"]


def test_a_relativistic_loss_frees_the_offset_but_not_the_differences():
    known = Stakes(math.log(2), None, 0.0)
    far = {"D__logit(real)": 500.0, "D__logit(fake)": 499.0, "loss/D": 0.4}
    assert judge(rows(**far), known, {}) == []
    assert codes(judge(rows(**{"loss/D": 1e-4, "D__separation": 1.0}), known, {})) == ["d-wins"]


def test_a_game_of_many_players_is_judged_player_by_player():
    names = {"D": ["D_a", "D_b"], "G": ["G_ab", "G_ba"]}
    history = []
    for row in rows():
        wide = {key: row[key] for key in ("images", "iteration")}
        for key, value in row.items():
            if key.startswith("health/"):
                _, player, signal = key.split("/")
                wide |= {f"health/{one}/{signal}": value for one in names[player]}
        history.append(wide | {"health/G_ba/spread": 0.0, "health/D_a/separation": 0.5, "health/D_b/separation": 1.0})
    found = judge(history, None, {})
    assert [(one.code, one.player) for one in found if one.severity == "failure"] == [("collapse", "G_ba")]


def test_one_odd_row_is_no_trend():
    history = rows()
    history[10] |= {"loss/D": 1e6, "health/D/logit(fake)": -1e5, "health/G/spread": 0.0}
    assert judge(history, LOGISTIC, {}) == []


def test_a_finding_ends_when_its_symptom_does_and_may_come_again():
    ill = {"health/G/spread": 0.0}
    history = [{**row, **(ill if 5 <= i < 20 or i >= 40 else {})} for i, row in enumerate(rows(60))]
    found = [one for one in judge(history, LOGISTIC, {}) if one.code == "collapse"]
    assert [one.ended for one in found] == [False, True, False]
    assert [over for _, over in open_findings(found)] == [found[1].images, None]


def test_rows_without_a_signal_leave_it_as_it_was():
    history = rows(G__moved=1e-6)
    for row in history[1::2]:
        for key in [key for key in row if key.startswith("health/")]:
            del row[key]
    assert codes(judge(history, LOGISTIC, {})) == ["frozen"]


def test_a_judge_goes_on_exactly_where_it_was():
    history = rows(8) + rows(**{"loss/D": 0.001, "D__separation": 1.0})[8:]
    whole, first = Judge(LOGISTIC), Judge(LOGISTIC)
    expected = [whole.see(row) for row in history]
    found = [first.see(row) for row in history[:15]]
    second = Judge(LOGISTIC)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert found + [second.see(row) for row in history[15:]] == expected
    assert any(expected)


def test_findings_survive_json():
    finding = Finding("collapse", "G", "failure", 40_000, "says", "try", ended=True)
    assert Finding.from_dict(json.loads(json.dumps(finding.to_dict())), 40_000) == finding
    assert Finding.from_dict({"code": 3}, 0) is None
    assert Finding.from_dict({"code": "a", "severity": "dire"}, 0) is None
    assert str(Finding("a", "", "note", 0, "It is so")) == "It is so"


def test_advice_divides_the_step_size_of_the_run():
    known, changes, _ = CASES["runaway"]
    (finding,) = judge(rows(**changes), known, {"D": 2e-4})
    assert "`--set optimizer.D.lr=5e-05`" in finding.remedy


def test_every_rule_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "health.md").read_text()
    assert [rule.code for rule in RULES if f"`{rule.code}`" not in page] == []


EXPECTED = {
    "broken-fast-discriminator": {"runaway", "worse-than-guessing", "outrun"},
    "broken-fast-discriminator-dcgan": {"runaway", "worse-than-guessing", "outrun"},
    "broken-frozen-generator": {"frozen"},
    "broken-constant-generator": {"collapse"},
    "broken-critic-without-clipping": {"unheld-critic"},
    "broken-discriminator-gone-numb": {"blind"},
    "broken-discriminator-without-capacity": {"blind"},
    "broken-overflow": {"diverged"},
    "broken-saturating": {"starved"},
}


def _recorded(name: str) -> tuple[list[dict], Stakes | None, dict[str, float]]:
    found, damaged = read_rows(HISTORIES / f"{name}.jsonl")
    assert damaged == 0 and len(found) >= (1 if "overflow" in name else 4)
    loss, options = json.loads((HISTORIES / "losses.json").read_text())[name]
    return found, stakes(registry().load("loss", loss)(**options)), {"D": 2e-4, "G": 2e-4}


@pytest.mark.parametrize("name", EXPECTED)
def test_recorded_runs_that_were_broken_are_diagnosed(name):
    found = [one for one in judge(*_recorded(name)) if one.severity == "failure"]
    assert found and found[0].code in EXPECTED[name] and found[0].images <= 200_200
    assert "--" in found[0].remedy


@pytest.mark.parametrize("path", sorted(HISTORIES.glob("healthy-*.jsonl")), ids=lambda path: path.stem)
def test_recorded_runs_that_were_healthy_fail_nowhere(path):
    assert codes(judge(*_recorded(path.stem))) == []


# --- in a run -------------------------------------------------------------------------------------------------------


def train(recipe, out="run", **options) -> ganzoo.Run:
    return ganzoo.train(recipe, out=out, device="cpu", progress=False, **options)


def last_tensors(folder: Path) -> dict[str, bytes]:
    last = checkpoint.checkpoints(folder / "checkpoints")[-1]
    return {name: tensor.numpy().tobytes() for name, tensor in load_file(last / checkpoint.TENSORS).items()}


def found_in(run: ganzoo.Run) -> list[dict]:
    return [finding for row in run.metrics() for finding in row.get("findings", [])]


@pytest.fixture
def hasty(monkeypatch) -> Iterator[None]:
    """Rules that do not wait long."""
    monkeypatch.setattr(health, "RULES", tuple(replace(rule, images=60, iterations=3) for rule in RULES))


def test_signs_are_in_the_rows(small):
    run = train(small(health={"every": 1}))
    names = set(run.metrics()[0])
    assert {f"health/D/{one}" for one in ("separation", "accuracy(real)", "logit(fake)", "slope", "gradient")} <= names
    assert {f"health/G/{one}" for one in ("spread", "distinct", "discrepancy", "gradient", "moved")} <= names
    assert run.metrics()[0]["health/G/moved"] > 0


@pytest.mark.parametrize("loss", ["non-saturating", "wasserstein", "relativistic"])
def test_measuring_changes_no_bit_of_training(small, loss):
    watched = train(small(health={"every": 1}, loss={"name": loss}), "a")
    plain = train(small(health={"every": 10**6}, loss={"name": loss}), "b")
    own = {name for name in last_tensors(watched.folder) if "health" not in name}
    assert {n: last_tensors(watched.folder)[n] for n in own} == {n: last_tensors(plain.folder)[n] for n in own}
    assert own and [row["loss/D"] for row in watched.metrics()] == [row["loss/D"] for row in plain.metrics()]
    scored = "health/D/accuracy(real)" in watched.metrics()[0]
    assert scored == (loss == "non-saturating")


def _turned(name: str) -> type[ganzoo.AdversarialLoss]:
    """A bundled loss whose scores have the other sign, as energies have."""
    cls = registry().load("loss", name)

    class Turned(cls):
        low_for_real = True

        def discriminator(self, real, fake):
            return super().discriminator(-real, -fake)

        def generator(self, fake, real):
            return super().generator(-fake, -real)

    return Turned


class Negated(ganzoo.Callback):
    """D with the other sign, and the same gradients for equal weights."""

    def on_start(self, run):
        forward = run.players["D"].forward
        run.players["D"].forward = lambda sample, label: -forward(sample, label)


@pytest.mark.parametrize("said", [True, False])
def test_energies_are_judged_as_the_scores_that_they_mirror(small, monkeypatch, said):
    options = {"health": {"every": 1}}
    scores = train(small(**options), "a").metrics()
    energy = _turned("non-saturating")
    energy.low_for_real = said
    load = type(registry()).load
    monkeypatch.setattr(
        type(registry()), "load", lambda self, kind, name: energy if kind == "loss" else load(self, kind, name)
    )
    energies = train(small(**options), "b", callbacks=(Negated(),)).metrics()
    same = [name for name in scores[0] if "logit" not in name and (said or not name.startswith("D("))]
    assert {"health/D/separation", "health/D/accuracy(real)", "health/D/accuracy(fake)"} <= set(same)
    assert [{name: row[name] for name in same} for row in energies] == [
        {name: row[name] for name in same} for row in scores
    ]
    assert [row["health/D/logit(real)"] for row in energies] == [-row["health/D/logit(real)"] for row in scores]


@pytest.mark.usefixtures("hasty")
def test_findings_are_resumed_bit_for_bit(small):
    changes = {"health": {"every": 2}, "optimizer": {"G": {"lr": 1e-12}}}
    train(small(images=160, **changes), "a")
    broken, whole = train(small(**changes), "a"), train(small(**changes), "b")
    assert (broken.folder / "metrics.jsonl").read_bytes() == (whole.folder / "metrics.jsonl").read_bytes()
    assert last_tensors(broken.folder) == last_tensors(whole.folder)
    assert [one["code"] for one in found_in(whole)].count("frozen") == 1


@pytest.mark.usefixtures("hasty")
def test_the_doctor_finds_afterwards_what_the_run_wrote(small):
    run = train(small(images=640, health={"every": 1}, optimizer={"G": {"lr": 1e-12}}))
    _, found = diagnose(run.folder)
    assert [one.to_dict() for one in found] == found_in(run) != []


@pytest.mark.usefixtures("hasty")
def test_progress_tells_of_a_finding_once(small, capsys):
    ganzoo.train(small(health={"every": 1}, optimizer={"G": {"lr": 1e-12}}), out="run", device="cpu")
    err = capsys.readouterr().err
    assert err.count("failure: G does not learn") == 1 and "optimizer.G.lr" in err
    assert "health/" not in err


@pytest.mark.usefixtures("hasty")
def test_stop_ends_the_run_with_a_checkpoint_and_goes_on_when_asked_again(small):
    recipe = small(health={"every": 1, "on_collapse": "stop"}, optimizer={"G": {"lr": 1e-12}})
    run = train(recipe)
    assert run.stopped == "health" and 60 <= run.images < 320
    assert checkpoint.checkpoints(run.folder / "checkpoints")[-1].name == f"{run.images:09d}"
    again = train(recipe)
    assert again.stopped is None and again.images == 320


def test_stop_has_an_exit_code_of_its_own(monkeypatch, capsys):
    monkeypatch.setattr(health, "RULES", tuple(replace(rule, images=60, iterations=3) for rule in RULES))
    arguments = ["train", "ring", "--batch", "16", "--images", "640", "--set", "metrics.every=32", "--out", "run"]
    arguments += ["--set", "health.every=1", "--set", "health.on_collapse=stop", "--set", "optimizer.G.lr=1e-12"]
    with pytest.raises(SystemExit) as ended:
        cli.main([*arguments, "--device", "cpu"])
    assert ended.value.code == 3
    assert "ganzoo doctor run" in capsys.readouterr().err.splitlines()[-1]
    with pytest.raises(SystemExit) as ended:
        cli.main(["doctor", "run"])
    assert ended.value.code == 1 and "G does not learn" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(["doctor", "run", "--json"])
    assert json.loads(capsys.readouterr().out)["findings"][0]["code"] == "frozen"


def late(code: str, after: int) -> Callable:
    """A rule by which every run fails after so many images."""
    rule = next(rule for rule in RULES if rule.code == code)
    return replace(rule, images=0, iterations=0, signal="",
                   evidence=lambda view, player: "It broke" if view.now["images"] > after else None)  # fmt: skip


def test_rollback_goes_back_once_with_other_random_numbers_and_then_stops(small, monkeypatch):
    monkeypatch.setattr(health, "RULES", (late("collapse", 150),))
    options = {"health": {"on_collapse": "rollback"}, "checkpoints": {"every": 64, "keep": 1}}
    run = train(small(**options), "a")
    plain = train(small(checkpoints=options["checkpoints"]), "b")
    notes = [one for one in found_in(run) if one["code"] == "rolled-back"]
    assert len(notes) == 1 and "from 240 to 192 images" in notes[0]["evidence"] and "It broke" in notes[0]["evidence"]
    assert run.stopped == "health" and run.images == 240
    assert [row["images"] for row in run.metrics()] == [48, 96, 144, 192, 240]
    assert run.metrics()[:4] == plain.metrics()[:4]
    assert run.metrics()[4]["loss/D"] != plain.metrics()[4]["loss/D"], "the same random numbers would break it again"
    resumed = train(small(**options), "a")
    assert resumed.stopped is None and resumed.images == 320


def test_rollback_without_a_healthy_checkpoint_stops(small, monkeypatch):
    monkeypatch.setattr(health, "RULES", (late("collapse", 0),))
    run = train(small(health={"on_collapse": "rollback"}, checkpoints={"every": 32}))
    assert run.stopped == "health" and run.images == 48


def test_a_run_killed_after_the_rollback_resumes_exactly(small, monkeypatch):
    monkeypatch.setattr(health, "RULES", (late("collapse", 150),))
    options = {"health": {"on_collapse": "rollback"}, "checkpoints": {"every": 64}}
    whole = train(small(**options), "whole")

    class Kill(ganzoo.Callback):
        starts = 0

        def on_start(self, run):
            self.starts += 1

        def on_iteration(self, run):
            if self.starts == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(small(**options), "broken", callbacks=(Kill(),))
    broken = train(small(**options), "broken")
    assert (broken.folder / "metrics.jsonl").read_bytes() == (whole.folder / "metrics.jsonl").read_bytes()


class Overflow(ganzoo.Callback):
    """D's scores as half precision would give them, after so many images."""

    def __init__(self, after: int = 0) -> None:
        self.after = after

    def on_start(self, run):
        self._forward, self._run = run.players["D"].forward, run
        run.players["D"].forward = self._scores

    def _scores(self, sample, label):
        scores = self._forward(sample, label)
        return (scores * 1e8).half().float() if self._run.images > self.after else scores


def test_divergence_is_written_down_without_nan_and_resumed_over(small, capsys):
    with pytest.raises(ganzoo.Diverged):
        train(small(), callbacks=(Overflow(110),))
    lines = Path("run/metrics.jsonl").read_text().splitlines()
    last = [json.loads(line, parse_constant=pytest.fail) for line in lines][-1]
    assert last["images"] == 96 and last["findings"][0]["code"] == "diverged"
    with pytest.raises(SystemExit) as ended:
        cli.main(["doctor", "run"])
    assert ended.value.code == 1 and "NaN or infinite after 96 images" in capsys.readouterr().out
    resumed = train(small())
    assert found_in(resumed) == [] and resumed.images == 320


def test_rollback_survives_a_divergence(small):
    options = {"health": {"on_collapse": "rollback"}, "checkpoints": {"every": 32}}

    class Once(Overflow):
        def on_start(self, run):
            if not hasattr(self, "_run"):
                super().on_start(run)
            else:
                run.players["D"].forward = self._forward

    run = train(small(**options), callbacks=(Once(110),))
    assert run.stopped is None and run.images == 320
    assert [one["code"] for one in found_in(run)] == ["rolled-back"]


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Pictures with a split that training does not see."""
    random = np.random.default_rng(0)
    path = tmp_path / "pictures.npz"
    np.savez(path, x_train=random.integers(0, 255, (40, 8, 8, 1), np.uint8),
             x_test=random.integers(0, 255, (40, 8, 8, 1), np.uint8))  # fmt: skip
    return path


def test_held_out_samples_are_scored_and_change_nothing(small, pictures):
    data = {"data": {"name": "npz", "path": str(pictures)}, "health": {"every": 4}}
    watched = train(small(**data | {"health": {"every": 4, "held_out": True}}), "a")
    plain = train(small(**data), "b")
    assert 0 <= watched.metrics()[0]["health/D/held_out"] <= 1
    assert "health/D/held_out" not in plain.metrics()[0]
    assert watched.model().sample(4, seed=1).equal(plain.model().sample(4, seed=1))


def test_only_updates_that_held_out_samples_are_due_after_are_watched(small, pictures):
    """Watched updates are not played from recordings."""
    seen = []

    class Look(ganzoo.Callback):
        def on_iteration(self, run):
            (health,) = [one for one in run.callbacks if isinstance(one, HealthMonitor)]
            seen.append([phase.name for phase in run.phases if health.watches(run, phase)])

    data = {"data": {"name": "npz", "path": str(pictures)}, "health": {"every": 1000, "held_out": True}}
    train(small(**data), callbacks=(Look(),))
    assert len(seen) == 20 and not any(seen)


def test_a_discriminator_that_knows_its_samples_scores_them_above_unseen_ones(small, pictures):
    changes = {
        "data": {"name": "npz", "path": str(pictures)},
        "discriminator": {"widths": [256]},
        "optimizer": {"G": {"lr": 1e-4}, "D": {"lr": 3e-3}},
        "images": 40_000,
        "health": {"held_out": True},
        **{section: {"every": 10_000} for section in ("metrics", "checkpoints", "previews")},
    }
    known = [row["health/D/held_out"] for row in train(small(**changes)).metrics() if "health/D/held_out" in row]
    assert known[-1] > 0.75 > known[0]


def test_held_out_samples_that_are_not_there_are_refused(small):
    with pytest.raises(ganzoo.Incompatible, match="no split 'test'"):
        train(small(health={"held_out": True}))


def test_bad_options_are_refused(small):
    with pytest.raises(ganzoo.RecipeError, match=r"health\.on_collapse"):
        small(health={"on_collapse": "panic"})
    with pytest.raises(ganzoo.RecipeError, match="did you mean 'on_collapse'"):
        small(health={"on_colapse": "stop"})


# --- whole runs, broken and healthy ---------------------------------------------------------------------------------


class Replaced(ganzoo.Callback):
    """A player whose forward pass is another."""

    def __init__(self, role, change):
        self.role, self.change = role, change

    def on_start(self, run):
        forward = run.players[self.role].forward
        run.players[self.role].forward = lambda sample, label: self.change(forward, sample, label)


NARROW = {"generator.width": 16, "discriminator.width": 16}
NARROWER = {"generator.width": 8, "discriminator.width": 8}
THIN = {"generator.widths": [64], "discriminator.widths": [64]}


def _one_latent(forward, latent, label):
    """A bug: the whole batch is made from its first latent."""
    return forward(latent[:1].expand_as(latent), label)


def _only_brightness(forward, sample, label):
    """A discriminator that has no capacity for more than the mean of a picture."""
    return forward(sample.mean((1, 2, 3), keepdim=True).expand_as(sample), label)


def _half_precision(forward, sample, label):
    """Scores beyond 65,504 become infinite."""
    return (forward(sample, label) * 2e5).half().float()


BROKEN = {
    "broken-fast-discriminator": ("mlp", {"set": {"optimizer.D.lr": 2e-2}}, None),
    "broken-fast-discriminator-dcgan": ("dcgan", {"set": {**NARROWER, "optimizer.D.lr": 2e-2}}, None),
    "broken-frozen-generator": ("mlp", {"set": {"optimizer.G.lr": 1e-12}}, None),
    "broken-constant-generator": ("mlp", {"set": THIN}, Replaced("G", _one_latent)),
    "broken-critic-without-clipping": ("mlp", {"loss": "wasserstein"}, None),
    "broken-discriminator-without-capacity": ("mlp", {"set": THIN}, Replaced("D", _only_brightness)),
    "broken-overflow": ("mlp", {"set": THIN}, Replaced("D", _half_precision)),
    "broken-saturating": ("gan-paper", {}, None),
}
GRADIENT_PENALTY = {"loss": "wasserstein", "penalty": ["gradient-penalty"], "set": {"loss.n_critic": 5}}
HEALTHY = {
    "healthy-gaussian": ("gaussian", {}),
    "healthy-ring": ("ring", {"images": 600_000}),
    "healthy-mlp": ("mlp", {}),
    "healthy-dcgan": ("dcgan", {"set": NARROW}),
    "healthy-wgan-gp": ("mlp", GRADIENT_PENALTY),
    "healthy-hinge": ("mlp", {"loss": "hinge"}),
    "healthy-least-squares": ("mlp", {"loss": "least-squares"}),
    "healthy-relativistic": ("ring", {"loss": "relativistic", "penalty": ["r2"], "images": 600_000}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN)
def test_runs_broken_on_purpose_are_diagnosed(name):
    recipe, options, change = BROKEN[name]
    options = {**options, "set": {**options.get("set", {}), "health.on_collapse": "stop"}}
    watch = () if change is None else (change,)
    try:
        run = ganzoo.train(recipe, images=200_000, out="run", device="cpu", progress=False, callbacks=watch, **options)
        assert run.stopped == "health"
        expected = EXPECTED[name]
    except ganzoo.Diverged:  # the saturating game either starves or overflows, by how sums are rounded
        assert name in ("broken-overflow", "broken-saturating")
        expected = {"diverged"}
    _, found = diagnose(Path("run"))
    failures = [one for one in found if one.severity == "failure"]
    assert failures and failures[0].code in expected and "--" in failures[0].remedy


@pytest.mark.slow
@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_runs_fail_nowhere(name):
    recipe, options = HEALTHY[name]
    run = ganzoo.train(recipe, out="run", device="cpu", progress=False, **{"images": 200_000, **options})
    assert [one for one in found_in(run) if one["severity"] == "failure"] == []


def test_a_player_that_starts_at_zero_has_moved_by_one_and_no_more():
    from ganzoo.training.callbacks import signals

    assert signals.movement(torch.zeros(2), [torch.tensor([5.0, 5.0])]).item() == 1
    assert signals.movement(torch.zeros(2), [torch.zeros(2)]).item() == 0
    before, bias = torch.tensor([3.0, 4.0, 0.0]), torch.tensor([5.0])
    assert signals.movement(before, [torch.tensor([3.0, 6.0]), bias]).item() == pytest.approx(0.4)

"""The game against values by hand on constant networks, and whole runs that stop and resume."""

from __future__ import annotations

import contextlib
import copy

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import ganzoo
from ganzoo.contract.turning.context import TurnContext
from ganzoo.contract.turning.turn import Turn
from ganzoo.recipes.check import check
from ganzoo.recipes.plan import Request, resolve
from ganzoo.registry.registry import registry
from ganzoo.training.checkpoint import load
from ganzoo_cyclegan.loss import CycleGAN

SHAPE = (1, 4, 4)
SPEC = ganzoo.DataSpec({"a": ganzoo.Sample(SHAPE), "b": ganzoo.Sample(SHAPE)})


class Constant(nn.Module):
    """Makes or judges everything alike; counts how often it is asked."""

    def __init__(self, value: float, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.value, self.shape, self.calls = nn.Parameter(torch.tensor(value)), shape, 0

    def forward(self, sample: Tensor, label: Tensor) -> Tensor:
        self.calls += 1
        return self.value.expand(len(sample), *self.shape)


def constants(made_a: float = -0.2, made_b: float = 0.4, judged_a: float = 0.3, judged_b: float = 0.7):
    makers = {"G_ab": Constant(made_b, SHAPE), "G_ba": Constant(made_a, SHAPE)}
    return {**makers, "D_a": Constant(judged_a, (1, 2, 2)), "D_b": Constant(judged_b, (1, 2, 2))}


def play(loss: CycleGAN, name: str, players, a: float = 0.5, b: float = -0.6, shapes=(SHAPE, SHAPE)):
    """One update of the named phase: its loss and what it logged."""
    (phase,) = [phase for phase in loss.phases() if phase.name == name]
    for role, player in players.items():
        player.requires_grad_(role in phase.trains)
        player.zero_grad(set_to_none=True)
    logged: dict[str, float] = {}
    context = TurnContext(
        SPEC, loss.roles, [], torch.device("cpu"), contextlib.nullcontext, lambda key, v: logged.update({key: v.item()})
    )
    batch = ganzoo.Batch({"a": torch.full((2, *shapes[0]), a), "b": torch.full((2, *shapes[1]), b)}, torch.zeros(2))
    value = phase.loss(Turn(players, phase.trains, context, lambda: batch, 2))
    value.backward()
    return value.item(), logged


def test_generators_minimise_adversarial_cycle_and_identity_terms():
    """a = 0.5, b = -0.6; G_ba makes -0.2, G_ab 0.4; D_a says 0.3, D_b 0.7. Everything as by hand."""
    value, logged = play(CycleGAN(cycle_a=10, cycle_b=5, identity=0.5), "G", constants())
    adversarial = (0.3 - 1) ** 2 + (0.7 - 1) ** 2
    cycle = 10 * abs(-0.2 - 0.5) + 5 * abs(0.4 - -0.6)
    identity = 0.5 * (10 * abs(-0.2 - 0.5) + 5 * abs(0.4 - -0.6))
    assert value == pytest.approx(adversarial + cycle + identity)
    assert logged == pytest.approx({"cycle/a": 0.7, "cycle/b": 1.0, "identity/a": 0.7, "identity/b": 1.0})


def test_without_identity_nothing_is_computed_for_it():
    players = constants()
    value, logged = play(CycleGAN(identity=0), "G", players)
    assert value == pytest.approx(0.49 + 0.09 + 10 * 0.7 + 10 * 1.0) and set(logged) == {"cycle/a", "cycle/b"}
    assert players["G_ab"].calls == players["G_ba"].calls == 2
    assert players["D_a"].calls == players["D_b"].calls == 1


def test_discriminators_minimise_half_of_least_squares():
    players = constants()
    value, logged = play(CycleGAN(), "D", players)
    assert value == pytest.approx(0.5 * ((0.3 - 1) ** 2 + 0.3**2) + 0.5 * ((0.7 - 1) ** 2 + 0.7**2))
    assert logged == pytest.approx({"D_a(real)": 0.3, "D_a(fake)": 0.3, "D_b(real)": 0.7, "D_b(fake)": 0.7})
    # d/dD of ½((D - 1)² + D²) is 2D - 1
    assert players["D_a"].value.grad.item() == pytest.approx(-0.4)
    assert players["D_b"].value.grad.item() == pytest.approx(0.4)
    assert players["G_ab"].value.grad is None


def test_discriminators_judge_the_history_and_not_the_newest_alone():
    """D is the mean of what it sees: after one update with 0.4, a pool of one hands that out once the coin says so."""

    class Mean(Constant):
        def forward(self, sample: Tensor, label: Tensor) -> Tensor:
            return self.value + sample.mean((1, 2, 3))

    torch.manual_seed(0)
    loss, players = CycleGAN(pool=1), {**constants(), "D_a": Mean(0.0, ()), "D_b": Mean(0.0, ())}
    seen = []
    for made in range(20):
        players["G_ab"] = Constant(float(made), SHAPE)
        seen.append(play(loss, "D", players)[1]["D_b(fake)"])
    newest = [float(made) for made in range(20)]
    assert seen != newest and any(one == made for one, made in zip(seen, newest, strict=True))
    fresh = CycleGAN(pool=0)
    players["G_ab"] = Constant(3.0, SHAPE)
    assert [play(fresh, "D", players)[1]["D_b(fake)"] for _ in range(3)] == [3.0] * 3


def test_generators_learn_from_the_way_back_too():
    """The gradient of λ·|back - x| reaches the generator that made the first half of the way."""

    class Scale(Constant):
        def forward(self, sample: Tensor, label: Tensor) -> Tensor:
            return self.value * sample

    players = {**constants(), "G_ab": Scale(0.5, ()), "G_ba": Scale(0.8, ())}
    play(CycleGAN(cycle_a=10, cycle_b=0, identity=0), "G", players)
    # back = 0.5·0.8·a with a = 0.5: |back - a| = 0.3, and its derivatives are -0.8·a and -0.5·a
    assert players["G_ab"].value.grad.item() == pytest.approx(10 * -0.8 * 0.5)
    assert players["G_ba"].value.grad.item() == pytest.approx(10 * -0.5 * 0.5)


def test_identity_between_fields_of_two_shapes_is_refused_with_the_way_out():
    with pytest.raises(ganzoo.Incompatible, match=r"a and b are 1x4x4 and 3x4x4: .*`--set loss.identity=0`"):
        play(CycleGAN(), "G", {**constants(), "G_ab": Constant(0.4, (3, 4, 4))}, shapes=(SHAPE, (3, 4, 4)))


@pytest.mark.parametrize("options", [{"cycle_a": -1}, {"cycle_b": -1}, {"identity": -0.5}, {"pool": -1}])
def test_negative_weights_are_refused(options):
    with pytest.raises(ValueError, match="not"):
        CycleGAN(**options)


@pytest.fixture
def sides(tmp_path, monkeypatch) -> str:
    """Eight pictures in colour and eight in gray, 16x16."""
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0)
    for side, channels in (("colour", 3), ("gray", 1)):
        (tmp_path / side).mkdir()
        for number in range(8):
            pixels = noise.integers(0, 256, (16, 16, channels), dtype=np.uint8).squeeze()
            Image.fromarray(pixels).save(tmp_path / side / f"{number}.png")
    return "pair:colour:gray"


SETTINGS = {
    "data": {"size": 16, "load_size": 20},
    "generator": {"width": 2, "blocks": 1},
    "discriminator": {"width": 2, "layers": 1},
    "loss": {"identity": 0, "pool": 3},
    "optimizer": {"decay_start_images": 4},
    "checkpoints": {"every": 6},
    "metrics": {"every": 3},
}


def train(sides: str, out: str, images: int, *callbacks: ganzoo.Callback, **changes) -> ganzoo.Run:
    settings = {**SETTINGS, **changes}
    arguments = {"device": "cpu", "progress": False, "callbacks": callbacks, "set": settings}
    return ganzoo.train("cyclegan", data=sides, images=images, out=out, **arguments)


class StopAt(ganzoo.Callback):
    """Ends training as an interruption does."""

    def __init__(self, images: int) -> None:
        self.images = images

    def on_iteration(self, run) -> None:
        if run.images >= self.images:
            run.stop_requested = "a test"


def last_state(run: ganzoo.Run) -> dict:
    return load(max((run.folder / "checkpoints").glob("[0-9]*")))


def tensors(tree, path=""):
    """Every tensor of a checkpoint, by path."""
    if isinstance(tree, Tensor):
        return {path: tree}
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list | tuple) else ()
    return {key: value for name, item in items for key, value in tensors(item, f"{path}/{name}").items()}


def test_a_stopped_run_goes_on_with_the_same_bits_history_included(sides):
    whole = train(sides, "whole", 12)
    stopped = train(sides, "parts", 12, StopAt(7))
    assert stopped.images == 7
    assert len(tensors(last_state(stopped)["parts"])) == 6, "two histories of three"
    parts = train(sides, "parts", 12)
    one, other = (tensors(last_state(run)) for run in (whole, parts))
    assert one.keys() == other.keys() and any("pool_a" in path for path in one)
    assert [path for path in one if not torch.equal(one[path], other[path])] == []


def test_all_four_players_learn_and_both_generators_are_there(sides):
    run = train(sides, "run", 4)
    players = last_state(run)["players"]
    assert list(players) == ["G_ab", "G_ba", "D_a", "D_b"]
    assert players["G_ab"]["layers.1.weight"].shape[1] == 3 and players["G_ba"]["layers.1.weight"].shape[1] == 1
    row = run.metrics()[-1]
    assert {"cycle/a", "cycle/b", "D_a(real)", "D_a(fake)", "D_b(real)", "D_b(fake)"} <= set(row)
    model = run.model("cpu")
    assert model.translate(torch.zeros(2, 3, 16, 16)).shape == (2, 1, 16, 16)
    assert model.translate(torch.zeros(2, 1, 16, 16), to="a").shape == (2, 3, 16, 16)


class Spy(ganzoo.Callback):
    """Notes what each update generated, and how often G_ab was asked for it."""

    def __init__(self) -> None:
        self.generated: list[dict[str, Tensor]] = []
        self.expected: list[Tensor] = []
        self.calls: list[int] = []
        self.learns: list[bool] = []

    def on_start(self, run) -> None:
        self.count = 0
        run.players["G_ab"].register_forward_hook(self.asked)
        self.on_iteration(run)

    def asked(self, *_: object) -> None:
        self.count += 1

    def on_iteration(self, run) -> None:
        self.before = copy.deepcopy(run.players["G_ab"])
        self.before._forward_hooks.clear()

    @torch.no_grad()
    def on_update(self, run, phase, turn) -> None:
        self.calls.append(self.count)
        self.generated.append({role: sample.clone() for role, sample in turn.generated.items()})
        self.learns.append(any(turn.fake(role).requires_grad for role in turn.generated))
        self.expected.append(self.before(turn.field("a"), turn.label))
        self.count = 0


@pytest.mark.parametrize("micro_batch", [0, 1])
def test_discriminators_learn_from_what_was_generated_before_the_generators_learned(sides, micro_batch):
    """As in the published program, which so makes each picture once: there, back, and no third time for D."""
    spy = Spy()
    trainer = {"micro_batch": micro_batch, "precision": "fp32"}
    train(sides, "run", 8, spy, batch=2, trainer=trainer, loss={"identity": 0, "pool": 0})
    assert len(spy.generated) == 8
    for n in range(0, 8, 2):
        generators, discriminators = spy.generated[n : n + 2]
        assert generators.keys() == discriminators.keys() == {"G_ab", "G_ba"}
        assert all(torch.equal(sample, discriminators[role]) for role, sample in generators.items())
        torch.testing.assert_close(discriminators["G_ab"], spy.expected[n + 1])
    parts = 2 if micro_batch else 1
    assert spy.calls[2:] == [2 * parts, 0] * 3, "the run's first preview came before"
    assert spy.learns == [True, False] * 4


def test_planning_leaves_the_history_empty(sides):
    """The probe runs the phases on copies: the first samples that are kept are those of training."""
    game = check(resolve("cyclegan", Request(data=sides, set=SETTINGS), registry()), registry())
    assert len(game.loss.pool_a) == len(game.loss.pool_b) == 0


@pytest.mark.parametrize(
    ("recipe", "settings"),
    [("cyclegan-mini", {}), ("cyclegan", {"data": {"size": 24, "load_size": 32, "gray": True}})],
)
def test_the_parts_of_each_recipe_fit(sides, recipe, settings):
    check(resolve(recipe, Request(data=sides, set=settings), registry()), registry())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": {"identity": 0.5}}, "a and b are 3x16x16 and 1x16x16: leave it out with `--set loss.identity=0`"),
        ({"data": {"size": 18, "load_size": 20}}, "multiples of 4; the data are 18x18: try `--set data.size=16`"),
        ({"discriminator": {"layers": 4}}, "pictures of 48 pixels or more; the data are 16x16"),
    ],
)
def test_what_cannot_work_is_refused_before_training(sides, changes, message):
    with pytest.raises(ganzoo.Incompatible) as refusal:
        train(sides, "run", 4, **changes)
    assert message in str(refusal.value)


def test_data_of_one_field_and_games_of_latents_are_refused():
    with pytest.raises(ganzoo.Incompatible, match="a field 'b'"):
        ganzoo.train("cyclegan", data="fashion-mini", images=4, out="run", progress=False)
    with pytest.raises(ganzoo.Incompatible, match=r"none from latents: .* `--data pair:A:B --loss cyclegan`"):
        ganzoo.train("dcgan", generator="cyclegan", images=4, out="run", progress=False)

from __future__ import annotations

import pytest
import torch
from PIL import Image
from torch import nn

import ganzoo
from ganzoo.recipes import Request, resolve
from ganzoo.recipes.building.game import schedule
from ganzoo.recipes.check import check
from ganzoo.recipes.recipe import Recipe
from ganzoo.registry.registry import registry


def problems(recipe) -> str:
    with pytest.raises(ganzoo.Incompatible) as caught:
        check(recipe, registry())
    return "\n".join(caught.value.problems)


def test_a_sound_recipe_gives_a_game(small):
    game = check(small(), registry())
    assert set(game.players) == {"G", "D"}
    assert [phase.name for phase in game.phases()] == ["D", "G"]


def test_checking_leaves_weights_gradients_and_random_numbers_alone(small):
    before = torch.get_rng_state()
    first, second = check(small(), registry()), check(small(), registry())
    assert torch.equal(before, torch.get_rng_state())
    for a, b in zip(first.players["G"].parameters(), second.players["G"].parameters(), strict=True):
        assert torch.equal(a, b) and a.grad is None and a.requires_grad


def test_checking_reads_no_data(small, monkeypatch):
    cls = registry().load("dataset", "ring")
    monkeypatch.setattr(cls, "load", lambda self: pytest.fail("the data were read"))
    assert check(small(), registry()).spec.fields["value"].shape == (2,)


def test_all_reasons_come_at_once(small):
    text = problems(
        small(
            generator={"name": "dcgan", "widht": 3},
            discriminator={"name": "mpl"},
            loss={"name": "hing"},
            penalty={"r3": {}, "r1": {"gama": 2}},
            optimizer={"E": {"lr": 1.0}},
        )
    )
    assert "no option 'widht' (did you mean 'width'?)" in text and "did you mean 'gamma'" in text
    for words in ("no discriminator 'mpl'", "no loss 'hing'", "no penalty 'r3'"):
        assert words in text
    assert len(text.splitlines()) == len(set(text.splitlines())) == 6  # dcgan also refuses a point


def test_a_size_that_the_network_cannot_make_is_explained(small):
    tree = {**small().to_dict(), "data": {"name": "fashion-mini", "size": 100}}
    recipe = Recipe.from_dict({**tree, "generator": {"name": "dcgan"}, "discriminator": {"name": "dcgan"}})
    assert "100x100" in problems(recipe) and "data.size=96" in problems(recipe)


SMALL = [name for name in registry().names("recipe") if name.endswith("-mini") and name != "cyclegan-mini"]
SIZED = {"biggan-mini": ["generator.conditional=false", "generator.latent=40"]}
"""What pictures of 64 pixels and no labels want beside their size."""


@pytest.mark.parametrize("name", SMALL)
def test_small_recipes_draw_larger_pictures_too(name, tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    changes = ["data.size=64", *SIZED.get(name, [])]
    recipe = resolve(name, Request(data=f"folder:{tmp_path}", set=changes), registry())
    assert check(recipe, registry()).spec.fields["image"].shape == (3, 64, 64)


def test_an_optimizer_for_nobody_is_refused(small):
    assert "no player 'E'" in problems(small(optimizer={"E": {"lr": 1.0}}))


@pytest.mark.parametrize(
    ("options", "words"),
    [({"latent": "many"}, "latent = 'many'"), ({"widths": 3}, "widths = 3")],
)
def test_options_of_the_wrong_type_are_named(small, options, words):
    assert words in problems(small(generator=options))


class _Broken(ganzoo.Generator):
    mode = "shape"

    def __init__(self, source, target, classes):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def sample_latent(self, n, device):
        return torch.ones(n, 2, device=device)

    def forward(self, source, label):
        match self.mode:
            case "shape":
                return self.weight * source[:, :1]
            case "nan":
                return self.weight * source * torch.nan
            case "error":
                raise RuntimeError("kernel panic")
            case _:
                return source + 0 * self.weight.detach()


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("shape", "of shape (2, 1), the data need (2, 2)"),
        ("nan", "not finite before any training"),
        ("error", "kernel panic"),
        ("detached", "phase G"),
    ],
)
def test_the_probe_finds_what_a_network_does_wrong(small, monkeypatch, mode, words):
    load = registry().load
    monkeypatch.setattr(_Broken, "mode", mode)
    monkeypatch.setattr(
        registry(), "load", lambda kind, name: _Broken if (kind, name) == ("generator", "mlp") else load(kind, name)
    )
    recipe = Recipe.from_dict({**small().to_dict(), "generator": {"name": "mlp"}})
    assert words in problems(recipe)


def test_values_outside_the_datas_range_are_refused(small, monkeypatch):
    class Loud(_Broken):
        mode = "loud"

        def forward(self, source, label):
            return (self.weight * 3).expand(len(source), 784).reshape(-1, 1, 28, 28)

    load = registry().load
    monkeypatch.setattr(
        registry(), "load", lambda kind, name: Loud if (kind, name) == ("generator", "mlp") else load(kind, name)
    )
    tree = {**small().to_dict(), "generator": {"name": "mlp"}, "data": {"name": "fashion-mini"}}
    assert "outside the data's 1x28x28 in [-1, 1]" in problems(Recipe.from_dict(tree))


class _TwoTeams(ganzoo.AdversarialLoss):
    def phases(self):
        return (
            ganzoo.Phase("one", ("D",), lambda turn: turn.logits(turn.real).mean()),
            ganzoo.Phase("two", ("G", "D"), lambda turn: turn.logits(turn.fake()).mean()),
        )


class _Needy(ganzoo.AdversarialLoss):
    needs = {"G": ganzoo.Density}  # noqa: RUF012

    def discriminator(self, real, fake):
        return (fake - real).mean()

    def generator(self, fake, real):
        return -fake.mean()


class _TwoFields(_Needy):
    needs = {}  # noqa: RUF012
    roles = {"G": ganzoo.Role("generator", target="a"), "D": ganzoo.Role("discriminator", target="a")}  # noqa: RUF012


class _Raising(_Needy):
    needs = {}  # noqa: RUF012

    def problems(self, players):
        return [players["nobody"]]


class _Phaseless(_Raising):
    def problems(self, players):
        return ()

    def phases(self):
        return 1 / 0


class _Unbuilt(_Raising):
    def __init__(self):
        raise KeyError("depth")


class _OneField(ganzoo.Loss):
    roles = {"G": ganzoo.Role("generator", "a"), "D": ganzoo.Role("discriminator", "a")}  # noqa: RUF012

    def phases(self):
        return (
            ganzoo.Phase("D", ("D",), lambda turn: turn.logits(turn.real).mean()),
            ganzoo.Phase("G", ("G",), lambda turn: turn.logits(turn.fake()).mean()),
        )


class _Weightless(ganzoo.Penalty):
    def __call__(self, turn):
        return turn.logits(turn.real).square().mean()


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (_Raising, "loss non-saturating cannot judge the players, its problems() raises KeyError: 'nobody'"),
        (_Phaseless, "loss non-saturating cannot tell its phases, phases() raises ZeroDivisionError"),
        (_Unbuilt, "loss non-saturating cannot be built: KeyError: 'depth'"),
        (_TwoTeams, "D learns in two teams"),
        (_Needy, "needs G to be Density"),
        (_TwoFields, "a field 'a', but data ring have value"),
    ],
)
def test_losses_that_do_not_fit_are_refused(small, monkeypatch, loss, words):
    load = registry().load
    monkeypatch.setattr(registry(), "load", lambda kind, name: loss if kind == "loss" else load(kind, name))
    assert words in problems(small())


def test_the_real_samples_of_two_fields_are_those_that_d_judges_and_without_a_d_asked_for_in_vain(small, monkeypatch):
    class Two(ganzoo.Dataset):
        spec = ganzoo.DataSpec({"a": ganzoo.Sample((2,)), "b": ganzoo.Sample((2,))})

        def load(self):
            raise AssertionError("checking reads no data")

    load, parts = registry().load, {"loss": _OneField, "dataset": Two}
    monkeypatch.setattr(registry(), "load", lambda kind, name: parts.get(kind) or load(kind, name))
    check(small(), registry())

    class NoD(_OneField):
        roles = {"G": ganzoo.Role("generator", "a"), "D_a": ganzoo.Role("discriminator", "a")}  # noqa: RUF012

        def phases(self):
            return (ganzoo.Phase("D", ("D_a",), lambda turn: turn.logits(turn.real, "D_a").mean()),)

    parts["loss"] = NoD
    assert "turn.real is the data's only field, these have a, b: take turn.field(name)" in problems(small())


def test_parts_without_a_constructor_have_no_options(small, monkeypatch):
    load, parts = registry().load, {"loss": _OneField, "penalty": _Weightless}
    monkeypatch.setattr(_OneField, "roles", ganzoo.AdversarialLoss.roles)
    monkeypatch.setattr(registry(), "load", lambda kind, name: parts.get(kind) or load(kind, name))
    recipe = small(penalty={"weightless": {}})
    assert [phase.name for phase in check(recipe, registry()).phases()] == ["D", "G"]
    assert "loss non-saturating has no option 'args'" in problems(small(loss={"args": 1}))


def test_a_penalty_joins_the_phase_of_its_role_or_becomes_a_lazy_one(small):
    load = registry().load
    loss = load("loss", "hinge")()
    joined = schedule(loss, {"r1": load("penalty", "r1")()})
    lazy = schedule(loss, {"r1": load("penalty", "r1")(every=16)})
    assert [(p.name, p.every) for p in joined] == [("D", 1), ("G", 1)]
    assert [(p.name, p.every) for p in lazy] == [("D", 1), ("D/r1", 16), ("G", 1)]


def test_a_discriminator_follows_a_conditional_generator(small):
    tree = {**small().to_dict(), "data": {"name": "fashion-mini"}}
    tree["generator"] = {**tree["generator"], "conditional": True}
    game = check(Recipe.from_dict(tree), registry())
    alone = {**tree["discriminator"], "conditional": False}
    plain = check(Recipe.from_dict({**tree, "discriminator": alone}), registry())
    count = [sum(p.numel() for p in g.players["D"].parameters()) for g in (game, plain)]
    assert count[0] > count[1]


def test_a_conditional_generator_refuses_unlabelled_data(small):
    assert "labels" in problems(small(generator={"conditional": True}))

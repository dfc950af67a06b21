from __future__ import annotations

import pytest
import torch
from fakes import fake_plugin
from torch import nn

from ganzoo import Component, Course, Incompatible, Phase
from ganzoo.recipes.check import check
from ganzoo.recipes.optim import Steps, lazy_ratio, settings, settings_at, unusable
from ganzoo.recipes.optim import make_optimizer as make
from ganzoo.recipes.options import Optimizer
from ganzoo.recipes.plan import courses, describe
from ganzoo.registry.registry import Registry, installed_points, registry


def make_optimizer(parameters, options, ratio=1.0, fused=True):
    return make(registry().load("optimizer", options.name), parameters, options, ratio, fused)


def now(options: Optimizer, images: int, total: int = 1000) -> dict:
    return settings_at(settings(registry().load("optimizer", options.name), options), images, total)


def phase(every: int) -> Phase:
    return Phase("x", ("D",), lambda turn: turn.real.mean(), every=every)


@pytest.mark.parametrize(
    ("every", "ratio"), [([1], 1.0), ([1, 16], 16 / 17), ([1, 4], 4 / 5), ([4], 1.0), ([1, 4, 4], 1 / 1.5)]
)
def test_lazy_phases_correct_the_step_size(every, ratio):
    assert lazy_ratio([phase(k) for k in every]) == pytest.approx(ratio)


def test_lazy_correction_reaches_lr_and_betas():
    optimizer = make_optimizer([nn.Parameter(torch.ones(1))], Optimizer(lr=0.1, betas=(0.0, 0.99)), 16 / 17)
    group = optimizer.param_groups[0]
    assert group["lr"] == pytest.approx(0.1 * 16 / 17)
    assert group["betas"] == (0.0, pytest.approx(0.99 ** (16 / 17)))


@pytest.mark.parametrize(
    ("schedule", "images", "factor"),
    [
        ("constant", 999, 1.0),
        ("linear", 0, 1.0),
        ("linear", 200, 1.0),
        ("linear", 600, 0.5),
        ("linear", 1000, 0.0),
        ("linear", 5000, 0.0),
        ("cosine", 200, 1.0),
        ("cosine", 600, 0.5),
        ("cosine", 1000, 0.0),
    ],
)
def test_schedules_count_images(schedule, images, factor):
    options = Optimizer(lr=2.0, schedule=schedule, decay_start_images=200)
    assert now(options, images)["lr"] == pytest.approx(2.0 * factor)


def test_schedule_images_overrides_the_length_of_the_run():
    options = Optimizer(lr=1.0, schedule="linear", schedule_images=100)
    assert now(options, 50)["lr"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("adam", lambda p: torch.optim.Adam(p, 0.1, (0.5, 0.999))),
        ("sgd", lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)),
        ("rmsprop", lambda p: torch.optim.RMSprop(p, 0.1, alpha=0.99)),
    ],
)
def test_optimisers_step_as_torch_does(name, reference):
    momentum = 0.9 if name == "sgd" else 0.0
    ours, theirs = nn.Parameter(torch.tensor([1.0, -2.0])), nn.Parameter(torch.tensor([1.0, -2.0]))
    options = Optimizer(name=name, lr=0.1, momentum=momentum)
    optimizers = [(ours, make_optimizer([ours], options)), (theirs, reference([theirs]))]
    for _ in range(5):
        for parameter, optimizer in optimizers:
            optimizer.zero_grad()
            (parameter**3).sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours, theirs)


def test_a_players_own_table_comes_before_its_family_and_the_common_options(small):
    recipe = small(optimizer={"lr": 1e-3, "G": {"lr": 2e-3}, "G_ab": {"lr": 3e-3}})
    assert recipe.optimizer_of(("G_ab",)).lr == 3e-3
    assert recipe.optimizer_of(("G_ba",)).lr == 2e-3
    assert recipe.optimizer_of(("D",)).lr == 1e-3


@pytest.mark.parametrize(
    "options",
    [
        Optimizer(lr=0.1, betas=(0.5, 0.99), weight_decay=0.1),
        Optimizer("sgd", lr=0.1, momentum=0.9, weight_decay=0.1),
        Optimizer("sgd", lr=0.1),
        Optimizer("rmsprop", lr=0.1),
    ],
    ids=lambda options: f"{options.name} {options.momentum}",
)
def test_gathered_steps_are_the_optimisers_own(options):
    ours, theirs = ([nn.Parameter(torch.linspace(-1, 1, 6).view(2, 3)), nn.Parameter(torch.ones(4))] for _ in range(2))
    optimizer, reference = make_optimizer(ours, options), make_optimizer(theirs, options)
    steps = Steps(optimizer)
    assert steps._fused == (options.name != "rmsprop")
    for number in range(5):
        for group in (*optimizer.param_groups, *reference.param_groups):
            group["lr"] = 0.1 / (number + 1)
        for one, two in zip(ours, theirs, strict=True):
            one.grad = torch.sin(one.detach() * (number + 1))
            two.grad = torch.sin(two.detach() * (number + 1))
        steps.step()
        reference.step()
        if number == 2:  # in the middle somebody restores a state
            optimizer.load_state_dict(optimizer.state_dict())
            steps.forget()
    assert all(torch.equal(one, two) for one, two in zip(ours, theirs, strict=True))
    assert str(optimizer.state_dict()) == str(reference.state_dict())


def test_hooks_and_missing_gradients_go_through_the_optimiser():
    parameters = [nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))]
    optimizer = make_optimizer(parameters, Optimizer(lr=0.1))
    steps, seen = Steps(optimizer), []
    for parameter in parameters:
        parameter.grad = torch.ones(2)
    steps.step()
    handle = optimizer.register_step_post_hook(lambda *_: seen.append("stepped"))
    steps.step()
    handle.remove()
    assert seen == ["stepped"]
    parameters[1].grad, before = None, parameters[1].detach().clone()
    steps.step()
    assert torch.equal(parameters[1], before)
    assert optimizer.state[parameters[0]]["step"] == 3


class Rateless(torch.optim.Optimizer):
    """Knows no step size, and keeps its pace to itself."""

    def __init__(self, parameters, pace: float = 1.0) -> None:
        super().__init__(parameters, {})
        self.pace = pace

    def step(self, closure=None) -> None:
        return None


def with_others() -> Registry:
    parts = [
        Component("optimizer", "adamw", "torch.optim:AdamW", "x"),
        Component("optimizer", "rateless", f"{__name__}:Rateless", "x"),
        Component("optimizer", "rprop", "torch.optim:Rprop", "x"),
        Component("optimizer", "lbfgs", "torch.optim:LBFGS", "x"),
        Component("optimizer", "none", "torch.nn:Linear", "x"),
    ]
    return Registry([*installed_points(), fake_plugin("others", "ganzoo-others", parts)])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "adma"}, "no optimizer 'adma' \\(did you mean 'adam'"),
        ({"D": {"lrr": 1}}, "optimizer adam has no option 'lrr' \\(did you mean 'lr'\\?\\): its options are lr, betas"),
        ({"name": "sgd", "betas": [0.5, "0.9..0.99"]}, "optimizer sgd has no option 'betas', so that its course"),
        ({"name": "rateless", "lr": 0.1}, "optimizer rateless has no step size"),
        ({"name": "rateless", "schedule": "linear"}, "optimizer rateless has no step size"),
        ({"name": "rateless", "pace": "1..2"}, "optimizer rateless keeps 'pace' for good"),
        ({"name": "rprop", "lr": "1..2"}, "optimizer rprop keeps 'lr' for good: it takes no course"),
        ({"name": "rprop", "schedule": "cosine"}, "optimizer rprop keeps 'lr' for good: it takes no course"),
        ({"name": "lbfgs"}, "optimizer lbfgs does not step by gradients alone, its step\\(\\) asks for more"),
        ({"name": "none"}, "optimizer none is no torch.optim.Optimizer"),
        ({"betas": [0.5, "0.9..1.5"]}, "optimizer adam cannot be built: .*1.5"),
        ({"name": "adamw", "maximize": "much"}, "optimizer adamw: maximize = 'much'"),
    ],
)
def test_what_an_optimiser_cannot_do_is_refused_before_anything_is_read(small, options, words):
    with pytest.raises(Incompatible, match=words):
        check(small(optimizer=options), with_others())


@pytest.mark.parametrize(
    ("cls", "words"),
    [(torch.optim.Rprop, "keeps 'lr' for good"), (Rateless, "has no step size"), (torch.optim.SGD, None)],
)
def test_step_sizes_that_growth_or_warming_up_scales_are_those_that_an_optimiser_looks_up(cls, words):
    said = list(unusable(cls, Optimizer("any"), scaled=True))
    assert words in said[0] if words else not said


@pytest.mark.parametrize(
    "sections", [{"init": {"model": "x", "warmup": 8}}, {"growth": {"stable": 8, "lr_factors": [1, 2]}}]
)
def test_recipes_say_whether_they_scale_step_sizes(small, sections):
    assert small(**sections).scales_steps and not small().scales_steps


@pytest.mark.parametrize("cls", [torch.optim.RAdam, torch.optim.SparseAdam])
def test_what_steps_look_up_late_and_what_cannot_be_tried_may_change(cls):
    """RAdam's first steps read no second beta, and SparseAdam takes no dense gradients."""
    changing = Optimizer("any", lr=Course.parse("0.1..0.01"), betas=(0.5, Course.parse("0.9..0.99")))
    assert not list(unusable(cls, changing))


def test_common_options_that_an_optimiser_has_not_are_left_out(small):
    game = check(small(optimizer={"betas": [0.0, 0.9], "name": "sgd", "G": {"name": "optimistic-adam"}}), registry())
    rows = dict(describe(game, "cpu", "fp32"))
    assert rows["phase D"] == "trains D; sgd lr 0.001"
    assert rows["phase G"] == "trains G; optimistic-adam lr 0.001 betas (0.0, 0.9)"


def test_any_class_of_torch_is_an_optimiser_with_courses_and_its_own_defaults(small):
    game = check(small(optimizer={"name": "adamw", "weight_decay": "0..0.1", "amsgrad": False}), with_others())
    assert list(courses(game)) == ["optimizer.weight_decay"]
    given = settings(torch.optim.AdamW, game.recipe.optimizer_of(("D",)))
    assert make(torch.optim.AdamW, [nn.Parameter(torch.ones(1))], Optimizer("adamw")).defaults["betas"] == (0.9, 0.999)
    assert settings_at(given, 160, 320)["weight_decay"] == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (torch.optim.AdamW, {"weight_decay": 0.5}),
        (torch.optim.Adam, {"amsgrad": True}),
        (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    ],
)
def test_what_torchs_kernels_of_adam_and_sgd_do_not_know_steps_by_itself(cls, options):
    ours, theirs = ([nn.Parameter(torch.linspace(-1, 1, 6))] for _ in range(2))
    optimizer, reference = cls(ours, lr=0.1, **options), cls(theirs, lr=0.1, **options)
    steps = Steps(optimizer)
    for number in range(4):
        for one, two in zip(ours, theirs, strict=True):
            one.grad = torch.sin(one.detach() * (number + 1))
            two.grad = torch.sin(two.detach() * (number + 1))
        steps.step()
        reference.step()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)

from __future__ import annotations

import pytest
import torch
from torch import nn

from ganzoo import Phase
from ganzoo.recipes.options import Optimizer
from ganzoo.training.optim import Steps, lazy_ratio, make_optimizer, settings_at


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
    assert settings_at(options, images, 1000)["lr"] == pytest.approx(2.0 * factor)


def test_schedule_images_overrides_the_length_of_the_run():
    options = Optimizer(lr=1.0, schedule="linear", schedule_images=100)
    assert settings_at(options, 50, 1000)["lr"] == pytest.approx(0.5)


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

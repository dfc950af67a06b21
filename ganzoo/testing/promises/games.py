"""Checks that play: three iterations against the reference partners, and a checkpoint in between."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ...compute import set_random_state
from ...contract import ANY_FIELD, Sample, course_of
from ...errors import DataError, Incompatible
from ...training import Trainer, checkpoint
from ..outcome import Failure, NotChecked, expect, promised
from ..reference import NAME, TRANSLATION
from ..trial import CLASSES, Plan, Trial, scratch
from .accelerator import Reads, rounds
from .data import without_network

_VALUES = Plan(None, Sample((2,)))
_PARTS = {"penalty": "penalty", "augmentation": "augment", "callback": "callbacks"}


def game(trial: Trial, folder: Path = Path()) -> Trainer:
    """A trainer of the reference game in which the component takes its part."""
    kind, name = trial.component.kind, trial.component.name
    try:
        if kind in ("generator", "discriminator"):
            return trial.game(trial.plan, folder, **{kind: trial.named()})
        if kind == "dataset":
            return _game_on(trial, folder)
        if kind == "optimizer":
            return trial.game(_VALUES, folder, optimizer=trial.named())
        if kind != "augmentation":
            trial.part()
        if kind == "loss":
            own = {role.component: {"name": NAME} for role in trial.part().roles.values() if role.component}
            usual = {"data": _fields(trial), "players": own}
            return trial.game(_VALUES, folder, usual, loss=trial.named())
        plan = _VALUES if kind != "augmentation" else augmented_plan(trial)
        return trial.game(plan, folder, **{_PARTS[kind]: {name: dict(trial.options)}})
    except Incompatible as error:
        if kind in ("loss", "penalty") and not trial.partners and " to be " in str(error):
            others = f"name others as partners: [tool.ganzoo.testing.partners] {kind}.{name} = {{…}}"
            raise NotChecked(f"the reference partners do not satisfy what it needs: {error}; {others}") from error
        raise Failure(f"to play with {_who(trial)}", str(error), _fix(str(error))) from error
    except DataError as error:
        if not trial.partners:
            raise
        raise NotChecked(f"its partners' data are not here, and nothing is downloaded in a check: {error}") from error


def _who(trial: Trial) -> str:
    return "its partners" if trial.partners else "the reference partners"


_FINITE = "avoid square roots and norms of 0, divisions by 0 and overflowing exponentials"


def _fix(problem: str) -> str:
    """What usually lies behind a refusal of `ganzoo check`."""
    if " not finite " in problem or " a loss of " in problem:
        return _FINITE
    if " cannot run " in problem or " no gradient" in problem:
        return "do not detach what a player makes, and leave backward and step to the trainer"
    return "refuse in the constructor, or in `problems`, only what cannot work"


def _game_on(trial: Trial, folder: Path) -> Trainer:
    with without_network():
        fields = trial.part().spec.fields
        loss = TRANSLATION if {"a", "b"} <= set(fields) else NAME
        try:
            return trial.game(_VALUES, folder, {"loss": {"name": loss}}, data=trial.named())
        except DataError as error:
            raise NotChecked(f"its files are not here, and nothing is downloaded in a check: {error}") from error


def _fields(trial: Trial) -> dict[str, object]:
    """Data with the fields that a loss's roles ask for."""
    roles = trial.part().roles.values()
    names = {name for role in roles for name in role.sees} - {ANY_FIELD}
    data: dict[str, object] = {"name": "reference", "shape": [2], "low": -1.0, "high": 1.0}
    return {**data, "fields": sorted(map(str, names))} if names else data


def augmented_plan(trial: Trial) -> Plan:
    """The first sample that an augmentation accepts. Raises `Failure` if it accepts none."""
    for sample in trial.samples:
        fix = "raise ganzoo.Incompatible with one sentence that says what to do instead"
        with promised(f"{sample} to be accepted or refused", fix):
            try:
                trial.build(sample)
            except Incompatible:
                continue
        return Plan(None, sample)
    raise Failure("at least one sample to be accepted", "all refused", "accept pictures or values")


def training(trial: Trial) -> None:
    """Three iterations: losses, gradients and weights stay finite, every parameter learns, at some level at least."""
    trainer = game(trial)
    before = {name: _copy(player.state_dict()) for name, player in trainer.players.items()}
    with promised(f"three iterations with {_who(trial)}", "read the traceback: run it with --debug"):
        trainer.iterate()
        trainer.iterate()
    _check_all_learn(trainer, _learning(trainer, trial))
    with promised("finite losses and weights", "check scales and divisions by zero"):
        trainer.state_dict()
    for name, player in trainer.players.items():
        learned = any(not torch.equal(value, before[name][key]) for key, value in player.state_dict().items())
        fix = "do not detach what the player makes, and do not call step or backward"
        expect(learned, f"{name} to learn", "its weights stay as they were", fix)


def labelled(trial: Trial) -> None:
    """With labels a conditional network learns too, every parameter of it."""
    kind = trial.component.kind
    if "conditional" not in inspect.signature(trial.target).parameters or trial.plan.source is not None:
        return
    partner = {"generator": {"name": NAME, "conditional": True}} if kind == "discriminator" else {}
    plan = replace(trial.plan, classes=CLASSES)
    with promised(f"a game of labelled data with {_who(trial)}", "read `label` where conditional is True"):
        trainer = trial.game(plan, Path(), partner, **{kind: trial.named(conditional=True)})
        learning = _learning(trainer, trial)
    _check_all_learn(trainer, learning)


def _learning(trainer: Trainer, trial: Trial) -> set[int]:
    """The parameters that get a gradient in an iteration at each level, the last one first, by id."""
    grown = [dial for dial in trainer.game.dials().values() if dial.structural]
    last, learning = round(max((dial.high for dial in grown), default=0)), set[int]()
    for level in (last, *range(last)):
        for dial in grown:
            dial.follow(course_of(level))
        with promised(f"three iterations with {_who(trial)}", "read the traceback: run it with --debug"):
            trainer.iterate()
        learning |= _check_gradients(trainer)
    return learning


def _check_gradients(trainer: Trainer) -> set[int]:
    """The parameters that have gradients, by id, all of them finite."""
    found = set()
    for role, player in trainer.players.items():
        for name, parameter in player.named_parameters():
            if parameter.grad is not None:
                finite = bool(torch.isfinite(parameter.grad).all())
                expect(finite, "finite gradients everywhere", f"NaN or infinity in {role}'s {name}", _FINITE)
                found.add(id(parameter))
    return found


def _check_all_learn(trainer: Trainer, found: set[int]) -> None:
    learning = {id(parameter) for team in trainer.teams.values() for parameter in team.parameters}
    for role, player in trainer.players.items():
        for name, parameter in player.named_parameters():
            fix = "remove it, or build it only where it is used; a frozen one has requires_grad=False"
            learns = id(parameter) in found or id(parameter) not in learning
            expect(learns, "a gradient for every parameter", f"none for {role}'s {name}", fix)


def checkpoints(trial: Trial) -> None:
    """A checkpoint in the middle changes nothing: the run goes on with the same bits."""
    with scratch() as folder:
        first = game(trial, folder)
        first.iterate()
        fix = "keep state in buffers, or in state_dict as tensors, numbers, strings, lists and dicts"
        with promised("a checkpoint of safetensors and JSON", fix):
            checkpoint.save(folder / "checkpoint", first.state_dict())
            state = checkpoint.load(folder / "checkpoint")
        second = game(trial, folder)
        with promised("the checkpoint to load into a fresh run", "accept in load_state_dict what state_dict gave"):
            second.load_state_dict(state)
        second.iterate()
        set_random_state(state["random"])
        first.iterate()
    for name, player in first.players.items():
        resumed = second.players[name].state_dict()
        for key, value in player.state_dict().items():
            fix = "state outside buffers and state_dict is lost when a run resumes"
            expect(
                torch.equal(value, resumed[key]), "a resumed run to equal an unbroken one", f"another {name} {key}", fix
            )


def accelerator(trial: Trial) -> None:
    """A round as on a GPU, as far as that can be told without one: all on one device, and never waited for."""
    fix = "make tensors with device= of the input's or turn.device, and keep what a module needs in buffers"
    try:
        with promised("a round with everything on the device", fix):
            waits = [why for watch in rounds(game(trial).game) for why in watch.waits]
    except Failure as failure:
        if not isinstance(failure.__cause__, Reads):
            raise
        waits = [str(failure.__cause__)]
        if not failure.__cause__.there:
            raise NotChecked(f"it decides by values on the CPU: {waits[0]}") from failure
    expect(not waits, "nothing that makes a GPU wait", "; ".join(waits[:3]), fix)


def _copy(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in state.items()}


CHECKS: Mapping[str, Callable[[Trial], None]] = {"training": training, "checkpoint": checkpoints, "gpu": accelerator}
NETWORK: Mapping[str, Callable[[Trial], None]] = {**CHECKS, "labelled training": labelled}

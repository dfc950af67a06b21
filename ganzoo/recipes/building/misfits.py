"""Why parts that could each be built cannot play together."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from ...contract import Phase
from ...errors import GanzooError, Incompatible, first_line
from ...registry import Registry
from .game import Game


def misfits(game: Game, registry: Registry) -> list[str]:
    """Why parts that could each be built cannot play together."""
    problems: list[str] = []
    for what, part in [("loss " + game.recipe.loss.name, game.loss)] + [
        (f"penalty {name}", penalty) for name, penalty in game.penalties.items()
    ]:
        problems += [
            f"{what} needs {role} to be {protocol.__name__}, which {type(game.players[role]).__name__} is not"
            f"{_satisfying(registry, game.loss.roles[role].kind, protocol)}"
            for role, protocol in part.needs.items()
            if role in game.players and not isinstance(game.players[role], protocol)
        ]
        problems += own_problems(what, part.problems, game.players, game.spec)
    for name, callback in game.callbacks.items():
        problems += own_problems(f"callback {name}", callback.problems, game)
    problems += _phase_problems(game)
    if not any(role.kind == "generator" and role.makes_data for role in game.loss.roles.values()):
        problems.append(f"loss {game.recipe.loss.name} plays no generator that makes a field of the data")
    families = {name.split("_")[0] for name in game.players} | set(game.players)
    problems += [
        f"there is no player '{family}' for optimizer.{family}; players: {', '.join(game.players)}"
        for family in game.recipe.families()
        if family not in families
    ]
    return problems


def own_problems(what: str, problems: Callable[..., Sequence[str]], *asked: Any) -> Sequence[str]:
    """What a part itself has against the game; an exception is a problem of its own.

    asked: of a loss and a penalty players and spec; one that was written when there were only players gets these.
    """
    try:
        found = problems(*asked[: len(inspect.signature(problems).parameters)])
        return (found,) if isinstance(found, str) else tuple(found)
    except GanzooError as error:
        return getattr(error, "problems", (str(error),))
    except Exception as error:  # a plugin's method may raise anything
        return (f"{what} cannot judge the players, its problems() raises {type(error).__name__}: {first_line(error)}",)


def grow(game: Game) -> Sequence[str]:
    """Let the levels of all parts follow the recipe's growth. Returns why they cannot."""
    growth = game.recipe.growth
    if growth is None:
        return ()
    levels = {name: dial for name, dial in game.dials().items() if dial.structural and dial.course.steady}
    lasts = {round(dial.high) for dial in levels.values()}
    tops = ", ".join(f"{name} to {dial.high:g}" for name, dial in levels.items())
    if not levels:
        return ("the recipe has a section growth, but no part grows: leave it out, or take players that do",)
    if len(lasts) > 1:
        return (f"all parts grow to the same level, but here go {tops}: build them for the same pictures",)
    last, named = lasts.pop(), max(len(growth.batch), len(growth.lr_factors))
    if growth.start >= last or named > last - growth.start + 1:
        return (
            f"growth from level {growth.start}, with {named} levels named, does not fit the parts, which go {tops}",
        )
    for dial in levels.values():
        dial.follow(growth.level(last))
    return ()


def _satisfying(registry: Registry, kind: str, protocol: type) -> str:
    """For a message, the installed components of a kind that are what a part needs."""

    def satisfies(name: str) -> bool:
        try:
            return issubclass(registry.load(kind, name), protocol)
        except Exception:  # of a plugin that does not import the user hears elsewhere; some protocols tell objects only
            return False

    found = [name for name in registry.names(kind) if satisfies(name)]
    return f"; of installed ones {', '.join(found)} {'are' if len(found) > 1 else 'is'}" if found else ""


def _phase_problems(game: Game) -> Sequence[str]:
    """Why the phases of the loss cannot be played, whatever the players."""
    try:
        names = [phase.name for phase in game.loss.phases()]
        twice = [f"the loss has two phases named {name}" for name in sorted(set(names)) if names.count(name) > 1]
        return [*_two_optimisers(game.phases()), *twice]
    except Incompatible as error:
        return error.problems
    except Exception as error:  # a plugin's method may raise anything
        told = f"{type(error).__name__}: {first_line(error)}"
        return [f"loss {game.recipe.loss.name} cannot tell its phases, phases() raises {told}"]


def _two_optimisers(phases: Sequence[Phase]) -> list[str]:
    teams: dict[str, tuple[str, ...]] = {}
    problems = []
    for phase in phases:
        for role in phase.trains:
            if teams.setdefault(role, phase.trains) != phase.trains:
                problems.append(
                    f"{role} learns in two teams, {teams[role]} and {phase.trains}: a player has one optimiser"
                )
    return problems

"""Layers that stay as they were in the model that training starts from.

FreezeD (Mo, Cho & Shin 2020, arXiv:2002.10964) keeps the layers of D that are nearest to its input, which judge what
all pictures have in common; a few pictures are then enough to teach it the rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch import nn

from ..errors import did_you_mean
from .building.game import Game

_LAYERS = re.compile(r"(\w+)(?::([1-9]\d{0,3})|\.(\w[\w.]*))")


def layer_of(tensor: str) -> str:
    """The layer that a tensor of a network belongs to: "conv" for "conv.weight" and for what it is parametrised by."""
    return tensor.partition(".parametrizations.")[0] if ".parametrizations." in tensor else tensor.rpartition(".")[0]


def weighted_layers(player: nn.Module) -> set[str]:
    """The layers that multiply their input by a matrix or kernels, so not the normalisations."""
    return {layer_of(name) for name, parameter in player.named_parameters() if parameter.dim() > 1}


def watch_order(players: Mapping[str, nn.Module]) -> dict[str, list[str]]:
    """Lists that fill with the names of each player's modules, in the order in which they first have run."""
    order: dict[str, list[str]] = {role: [] for role in players}

    def note(role: str, name: str) -> None:
        if name not in order[role]:
            order[role].append(name)

    for role, player in players.items():
        for name, module in player.named_modules():
            module.register_forward_hook(lambda *_, role=role, name=name: note(role, name))
    return order


def freeze(game: Game, order: Mapping[str, Sequence[str]]) -> list[str]:
    """Freeze the layers that the recipe names: no gradient, no optimiser, and computed as in evaluation.

    So neither weights nor what a layer measures, as BatchNorm's statistics, change any more.
    order: from `watch_order`, after the game was played once. Returns every reason why that cannot be.
    """
    problems = []
    for wanted in game.recipe.init.freeze:
        match = _LAYERS.fullmatch(wanted)
        if not match:
            problems.append(
                f"--freeze {wanted} names no layers: write D:4 for the first 4 of D, or G.mapping for a part of G"
            )
            continue
        family, count, path = match.groups()
        roles = [role for role in game.players if family in (role, role.split("_")[0])]
        if not roles:
            problems.append(f"--freeze {wanted}: there is no player {family}; players: {', '.join(game.players)}")
        for role in roles:
            player = game.players[role]
            found = _first(player, order[role], int(count)) if count else _part(player, path)
            if isinstance(found, str):
                problems.append(f"--freeze {wanted}: {role} {found}")
            else:
                _keep(player, found)
    return problems or _left_with_nothing(game)


def frozen(player: nn.Module) -> set[str]:
    """The names of the parameters that are frozen."""
    return {name for name, parameter in player.named_parameters() if not parameter.requires_grad}


def _first(player: nn.Module, order: Sequence[str], count: int) -> list[str] | str:
    """All layers that have run before the weighted one of number count + 1 has, or why there are none."""
    weighted = weighted_layers(player)
    places = [place for place, name in enumerate(order) if name in weighted]
    if len(places) <= count:
        return f"has {len(places)} layers: freeze fewer, so that something is left to learn"
    layers = {layer_of(name) for name in player.state_dict()}
    return [name for name in order[: places[count]] if name in layers]


def _part(player: nn.Module, path: str) -> list[str] | str:
    names = [name for name, _ in player.named_modules() if name]
    if path not in names:
        tops = ", ".join(name for name, _ in player.named_children())
        return f"has no part '{path}'{did_you_mean(path, names)}: its parts are {tops}"
    return [name for name in names if name == path or name.startswith(f"{path}.")]


def _keep(player: nn.Module, layers: Sequence[str]) -> None:
    for name, module in player.named_modules():
        if layer_of(f"{name}.") in layers:
            module.training = False
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad_(False)


def _left_with_nothing(game: Game) -> list[str]:
    """Why training cannot go on with what is left."""
    problems = [
        f"--freeze leaves nothing of {role} to learn: freeze less of it"
        for role, player in game.players.items()
        if frozen(player) and not any(parameter.requires_grad for parameter in player.parameters())
    ]
    problems += [
        f"phase {phase.name} changes all weights of {role} after each update, frozen ones too, as weight clipping "
        f"does: freeze nothing of {role}, or choose another loss"
        for phase in game.phases()
        for role in phase.trains
        if phase.after and frozen(game.players[role])
    ]
    return list(dict.fromkeys(problems))

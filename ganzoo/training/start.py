"""Training that starts from the weights of a trained model instead of drawn ones."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..contract import dials
from ..errors import ModelError, printable
from ..files import file_hash
from ..models import DISCRIMINATOR, WEIGHTS, Config, ParentConfig, TensorHeader, read_config, read_header, read_tensors
from ..recipes import Game, frozen, layer_of

log = logging.getLogger("ganzoo")
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class StartingPoint:
    """A trained model's files. discriminator: its file, or None if there is none that was verified.

    name: what the user calls it.  repository, revision: on the Hub, if it comes from there, and the commit.
    """

    name: str
    folder: Path
    discriminator: Path | None
    repository: str | None = None
    revision: str | None = None


@dataclass(frozen=True)
class _Source:
    """Where a player's tensors lie. prefix: of their names in the file."""

    file: Path
    header: Mapping[str, TensorHeader]
    prefix: str


def start_from(game: Game, point: StartingPoint) -> ParentConfig:
    """Give the players the weights of a trained model, layer by layer; a layer of which anything differs starts afresh.

    Raises `ModelError` if no generator has a layer in common with the model, or one that is to stay frozen has not; or,
    if the recipe says so, for any layer.
    """
    config = read_config(point.folder)
    sources = _generators(game, point, config) | _discriminators(game, point)
    fresh: list[str] = []
    for role, player in game.players.items():
        fresh += _start(role, player, sources.get(role), game, point)
    made = [role for role in game.players if role not in game.judges()]
    if all(role in fresh for role in made):
        raise ModelError(
            f"no layer of {printable(point.name)} fits {' or '.join(made)} of this recipe: its generator is "
            f"{config.generator} for samples of {tuple(config.target.shape)}: name the recipe that it was made with"
        )
    return ParentConfig(
        printable(_short(point), 200),
        file_hash(point.folder / WEIGHTS),
        point.repository,
        point.revision,
        config.licence.weights,
        fresh,
    )


def parent_in(state: Mapping[str, Any] | None) -> ParentConfig | None:
    """The model that a run started from, as its checkpoint tells."""
    told = (state or {}).get("parent")
    return ParentConfig(**told) if told else None


def _short(point: StartingPoint) -> str:
    """The model's name without a path of this machine."""
    if point.repository:
        return point.repository
    path = Path(point.name)
    return path.resolve().parent.name if path.name == "model" else path.name


def _generators(game: Game, point: StartingPoint, config: Config) -> dict[str, _Source]:
    """Where the generators' weights lie: those of the first, or of a model that translates, of each by its role."""
    header = read_header(point.folder / WEIGHTS)
    prefixes = {one.role: f"{one.role}." for one in config.translations} or {game.generator_role(): ""}
    return {role: _Source(point.folder / WEIGHTS, header, prefix) for role, prefix in prefixes.items()}


def _discriminators(game: Game, point: StartingPoint) -> dict[str, _Source]:
    if point.discriminator is None:
        return {}
    header, roles = read_header(point.discriminator), game.judges()
    prefixes = {roles[0]: ""} if len(roles) == 1 else {role: f"{role}." for role in roles}
    return {role: _Source(point.discriminator, header, prefix) for role, prefix in prefixes.items()}


def _start(role: str, player: nn.Module, source: _Source | None, game: Game, point: StartingPoint) -> list[str]:
    """Start one player. Returns the layers that start afresh, as "G.embed", or the role alone if all do."""
    own = _tensors(player)
    misfits = _misfits(own, source)
    fitting = [name for name in own if layer_of(name) not in misfits]
    kept = sorted({layer_of(name) for name in frozen(player)} & misfits.keys())
    layers = len({layer_of(name) for name in own})
    what = f"{role}: {len(misfits)} of {layers} layers do not start from {printable(point.name)}"
    if source is None:
        what += f", which has no {DISCRIMINATOR}" if role in game.judges() else ", which has no such generator"
    elif misfits:
        what += f": {'; '.join(list(misfits.values())[:4])}{'; …' if len(misfits) > 4 else ''}"
    if kept:
        raise ModelError(f"--freeze keeps {role}.{kept[0]} as it is there, but {what}")
    if misfits and game.recipe.init.misfits == "refuse":
        raise ModelError(f"{what}; they start afresh with --set init.misfits=fresh")
    if misfits:
        log.warning("%s", what)
    else:
        log.info("%s starts from %s: all of its %d layers", role, printable(point.name), layers)
    if source and fitting:
        _copy({name: own[name] for name in fitting}, source)
    return [role] if not fitting else [f"{role}.{layer}" for layer in misfits]


def _tensors(player: nn.Module) -> dict[str, Tensor]:
    """What a player learns and measures; the recipe sets its dials."""
    set_by_recipe = {f"{name}.value" for name, _ in dials(player)}
    return {name: one for name, one in player.state_dict(keep_vars=True).items() if name not in set_by_recipe}


def _misfits(own: Mapping[str, Tensor], source: _Source | None) -> dict[str, str]:
    """Layers with a tensor that the file lacks or has in another shape, with the first one's reason."""
    found: dict[str, str] = {}
    for name, tensor in own.items():
        there = source.header.get(source.prefix + name) if source else None
        if there is None:
            found.setdefault(layer_of(name), f"{name} is not in it")
        elif there.shape != tuple(tensor.shape):
            found.setdefault(layer_of(name), f"{name} is {there.shape} there and {tuple(tensor.shape)} here")
        elif ("F" in there.dtype) != tensor.is_floating_point():
            found.setdefault(layer_of(name), f"{name} is {there.dtype} there and {tensor.dtype} here")
    return found


@torch.no_grad()
def _copy(own: Mapping[str, Tensor], source: _Source) -> None:
    stated: Sequence[str] = [source.prefix + name for name in own]
    given = read_tensors(source.file, {name: source.header[name] for name in stated}, _CPU)
    for name, tensor in own.items():
        tensor.copy_(given[source.prefix + name])

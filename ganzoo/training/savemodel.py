"""What a run writes as its model folder."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..compute import hardware
from ..errors import ModelError
from ..models import (
    DIRECTIONS,
    DISCRIMINATOR,
    EVALUATION,
    FORMAT,
    SAMPLES,
    WEIGHTS,
    Config,
    LicenceConfig,
    Metric,
    PluginConfig,
    SampleConfig,
    TranslationConfig,
    read_config,
    save_tensors,
    write_card,
    write_config,
)
from ..recipes import Part
from ..registry.registry import registry
from ..version import __version__
from .trainer import Trainer


def save_model(run: Trainer, folder: Path, seconds: float) -> None:
    """Write the run's sampler as a model folder, with the discriminator to train on with. seconds: spent training."""
    spec, role = run.game.spec, run.game.generator_role()
    target, source = run.game.target(role), run.game.reads(role)
    part = run.game.part(role)
    translations = [] if source is None else _translations(run, part)
    plugin = registry().find("generator", part.name).plugin
    recipe = run.recipe.to_dict()
    config = Config(
        format=FORMAT,
        generator=part.name,
        options=dict(part.options),
        source=None if source is None else SampleConfig.of(source),
        target=SampleConfig.of(target),
        classes=spec.classes,
        class_names=list(run.game.dataset.class_names),
        plugin=PluginConfig(plugin.name, plugin.distribution, plugin.version),
        recipe=recipe,
        training=_training_facts(run, seconds),
        licence=LicenceConfig(data=run.game.dataset.licence),
        translations=translations,
        metrics=_still_true(folder, run.images),
        parent=run.parent,
    )
    folder.mkdir(parents=True, exist_ok=True)
    made = {one.role: run.sampler(one.role, truncated=True) for one in translations}
    network = nn.ModuleDict(made) if source else run.sampler(truncated=True)
    (folder / DIRECTIONS).unlink(missing_ok=True)  # those of other weights
    save_tensors(network.state_dict(), folder / WEIGHTS)
    if names := run.game.judges():
        save_tensors(_judges(run, names).state_dict(), folder / DISCRIMINATOR)
    write_config(folder, config)
    previews = sorted((run.folder / "samples").glob("[0-9]*.png"))
    if previews:
        shutil.copyfile(previews[-1], folder / SAMPLES)
    write_card(folder, run.folder.name if run.folder.is_absolute() else str(run.folder))


def _judges(run: Trainer, names: Sequence[str]) -> nn.Module:
    """The discriminator; of several, each under its name in the game."""
    return run.players[names[0]] if len(names) == 1 else nn.ModuleDict({name: run.players[name] for name in names})


def _still_true(folder: Path, images: int) -> list[Metric]:
    """What was measured of the model in the folder, if it has seen as many images; else it is taken away."""
    try:
        earlier = read_config(folder)
        if earlier.training.get("images") == images:
            return earlier.metrics
    except ModelError:
        pass
    (folder / EVALUATION).unlink(missing_ok=True)
    return []


def _translations(run: Trainer, part: Part) -> list[TranslationConfig]:
    """Every generator like the first one that reads samples, that one first."""
    spec, found = run.game.spec, []
    for name, role in run.game.loss.roles.items():
        if role.translates and run.game.part(name) == part:
            source, target = spec.field(str(role.source)), spec.field(str(role.target))
            reads, makes = (SampleConfig.of(spec.fields[one]) for one in (source, target))
            found.append(TranslationConfig(name, source, target, reads, makes))
    return found


def _training_facts(run: Trainer, seconds: float) -> dict[str, Any]:
    return {
        "images": run.images,
        "iterations": run.iteration,
        "seconds": round(seconds, 1),
        **({"ended": run.ended} if run.ended else {}),
        "seed": run.recipe.seed,
        "weights": "moving average" if run.averages else "last",
        "device": hardware(run.device),
        "precision": run.precision,
        "ganzoo": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }

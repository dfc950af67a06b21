"""What makes a run fast on a device, as `ganzoo check` prints it."""

from __future__ import annotations

import math

import torch

from ..compute import convolutional, onednn
from ..compute.threads import threads
from ..data import free_memory
from ..recipes import Game, has_kernel
from ..recording import recording_kind


def fast_path(game: Game, device: torch.device, precision: str) -> list[tuple[str, str]]:
    """Rows of a name and a fact: how data are kept, how players compute, and whether updates are recorded.

    Reads no data: the number of samples is shown where the data set knows it beforehand.
    """
    options = game.recipe.trainer
    players, batch = game.players.values(), game.recipe.batch
    by_onednn = options.uses_onednn and onednn(players, batch, device)
    facts = ["channels-last" if options.channels_last and any(map(convolutional, players)) else "", precision]
    kernels = [has_kernel(cls) for cls in game.optimizers.values()]
    facts.append("fused optimisers" if options.fused and all(kernels) else "")
    facts.append("linear layers by oneDNN" if precision == "fp32" and by_onednn else "")
    if device.type == "cpu":
        facts.append(told_threads(game, device))
    return [
        ("samples", _samples(game, device)),
        ("computation", ", ".join(fact for fact in facts if fact)),
        ("graphs", recording_kind(game, device)[1]),
    ]


def told_threads(game: Game, device: torch.device) -> str:
    """How many threads compute updates, in words."""
    asked = game.recipe.trainer.threads
    count = threads(asked, game.players.values(), game.recipe.batch, device) or torch.get_num_threads()
    return f"{count} thread{'s' * (count > 1)}"


def _samples(game: Game, device: torch.device) -> str:
    count, share = game.dataset.count, game.recipe.trainer.resident_share
    if count is None:
        return f"resident on {device} if they take at most {share:.0%} of its free memory, else streamed"
    if math.isinf(count):
        return "drawn"
    megabytes = count * sum(sample.size * (1 if sample.is_image else 4) for sample in game.spec.fields.values()) / 1e6
    resident = 1e6 * megabytes <= share * free_memory(device)
    where = f"resident on {device}" if resident else "streamed"
    return f"{where}, {count:,.0f} of them, {megabytes:,.1f} MB"

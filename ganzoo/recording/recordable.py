"""Whether the updates of a game can be recorded, and how."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from ..recipes import Game

Kind = Literal["operations", "graph", "compiled", "compiled graph"]
"""operations: torch's functions one after the other, bit for bit the update.  graph: a CUDA graph of its kernels.
compiled: one function by torch's compiler, equal to rounding.  compiled graph: a CUDA graph of that function's."""
GRAPHS = ("graph", "compiled graph")


def recording_kind(game: Game, device: torch.device, processes: int = 1) -> tuple[Kind | None, str]:
    """How the updates of a game are recorded, if they can be; and in words: "yes", or "no, because …"."""
    options = game.recipe.trainer
    if not options.compile and not options.graphs:
        return None, "no, because they are switched off"
    if not options.compile and device.type not in ("cpu", "cuda"):
        return None, f"no, because {device.type} has none"
    why = _refusal(game, processes)
    if why:
        return None, f"no, because {why}"
    if options.compile:
        captured = device.type == "cuda" and options.graphs
        return ("compiled graph", "compiled, then captured") if captured else ("compiled", "compiled")
    return ("graph", "yes") if device.type == "cuda" else ("operations", "operations of short updates")


def _refusal(game: Game, processes: int) -> str | None:
    parts: dict[str, nn.Module] = {**game.players, f"loss {game.recipe.loss.name}": game.loss}
    parts |= {f"penalty {name}": part for name, part in game.penalties.items()}
    parts |= {f"augmentation {name}": part for name, part in game.augmentations.items()}
    for name, part in parts.items():
        for module in part.modules():
            # one that is called refuses to be traced, which leaves the other phases alone
            called = type(module).forward is not nn.Module.forward
            if not getattr(module, "capturable", True) and (module is part or not called):
                return f"{type(module).__name__} in {name} decides in Python"
    if processes > 1 and game.recipe.trainer.sync_batch_norm:
        return "BatchNorm asks the other processes"
    return None

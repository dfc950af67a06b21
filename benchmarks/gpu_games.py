"""Games for `benchmarks.gpu`: trainers of recipes on a device, as they are or made to record or not."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ganzoo.contract.callbacks import Callback
from ganzoo.data.feed import make_feed
from ganzoo.recipes.building.build import build
from ganzoo.recipes.plan import Request, resolve
from ganzoo.recording.capture import Recorder
from ganzoo.recording.recordable import Kind
from ganzoo.registry.registry import registry
from ganzoo.training.callbacks import MovingAverage
from ganzoo.training.trainer import Trainer

GANZOO = "as ganzoo chooses"
_PICTURES = 512


@dataclass(frozen=True)
class Bench:
    """Where games are played. dry: tiny and short.  folder: for made-up pictures."""

    device: torch.device
    dry: bool
    folder: Path
    made: dict[tuple[int, str], str] = field(default_factory=dict)

    @property
    def cuda(self) -> bool:
        return self.device.type == "cuda"

    def wait(self) -> None:
        """Return when the device has done all."""
        if self.cuda:
            torch.cuda.synchronize(self.device)

    def pictures(self, side: int, name: str = "pictures") -> str:
        """Data of blurred noise, (512, side, side, 3)."""
        path = self.folder / f"{name}-{side}.npz"
        if not path.exists():
            noise = torch.rand(64 if self.dry else _PICTURES, 3, 8, 8, generator=torch.Generator().manual_seed(0))
            smooth = interpolate(noise, size=(side, side), mode="bilinear").mul(255).to(torch.uint8)
            np.savez(path, images=smooth.permute(0, 2, 3, 1).contiguous().numpy())
        return f"npz:{path}"

    def trainer(
        self,
        recipe: str,
        settings: Sequence[str] = (),
        precision: str = "fp32",
        kind: Kind | str | None = GANZOO,
        callbacks: Sequence[Callback] = (),
        **request: Any,
    ) -> Trainer:
        """A recipe's trainer, with its moving average. kind: of recordings."""
        if self.dry and "batch" in request:
            request["batch"] = min(request["batch"], 8)
        torch.manual_seed(0)
        game = build(resolve(recipe, Request(set=list(settings), **request), registry()), registry())
        chosen = game.recipe
        feed = make_feed(game.dataset.load(), game.spec, chosen.batch, chosen.seed, self.device, chosen.trainer.workers)
        average = [MovingAverage(chosen.ema)] if chosen.ema.half_life_images else []
        trainer = Trainer(game, feed, self.device, precision, [*average, *callbacks], self.folder)
        if kind != GANZOO:
            kind = "operations" if kind == "graph" and not self.cuda else kind
            playing = [*trainer.players.values(), trainer._parts]
            trainer.recorder = Recorder(kind, playing, trainer.world, self.device)  # type: ignore[arg-type]
        for callback in trainer.callbacks:
            callback.on_start(trainer)
        return trainer

    def rounds(self, trainer: Trainer, count: int) -> Trainer:
        """Play so many, fewer when dry."""
        for _ in range(min(count, 4) if self.dry else count):
            trainer.iterate()
            for callback in trainer.callbacks:
                callback.on_iteration(trainer)
        return trainer

    def settled(self, trainer: Trainer, most: int = 80) -> Trainer:
        """Play until nothing is going to be recorded any more."""
        for number in range(4 if self.dry else most):
            self.rounds(trainer, 1)
            if number >= 8 and not any(trainer.recorder.pending(phase.name) for phase in trainer.phases):
                break
        self.wait()
        return trainer

    def speed(self, trainer: Trainer, seconds: float = 1.5) -> dict[str, Any]:
        """Images a second, what is recorded, and memory in MiB: at the peak, and held by torch."""
        if self.cuda:
            torch.cuda.reset_peak_memory_stats(self.device)
        self.settled(trainer)
        before, begun, count = trainer.images, time.perf_counter(), 0
        while time.perf_counter() - begun < (0.2 if self.dry else seconds):
            self.rounds(trainer, 4)
            count += 4
            if count % 64 == 0:
                self.wait()  # nor may Python run ahead without end
        self.wait()
        took = time.perf_counter() - begun
        facts: dict[str, Any] = {"images_per_second": round((trainer.images - before) / took, 1), **recorded(trainer)}
        if self.cuda:
            facts["peak_MiB"] = torch.cuda.max_memory_allocated(self.device) >> 20
            facts["reserved_MiB"] = torch.cuda.memory_reserved(self.device) >> 20
        return facts


def recorded(trainer: Trainer) -> dict[str, Any]:
    """Which updates are played from recordings, and why others are not."""
    return {"recorded": sorted(trainer.recorder.recordings), "refused": trainer.recorder.refused}


def state(trainer: Trainer) -> dict[str, Tensor]:
    """Copies of all that has been learned."""
    players = {f"{n}.{k}": v for n, player in trainer.players.items() for k, v in player.state_dict().items()}
    return {name: value.detach().cpu().double() for name, value in players.items()}


def apart(one: dict[str, Tensor], two: dict[str, Tensor]) -> dict[str, Any]:
    """By how much two states differ, as a share of their norm: in all, and in the tensor where it is most."""
    gaps = {name: float((one[name] - two[name]).norm()) for name in one}
    shares = {name: gaps[name] / max(float(one[name].norm()), 1e-6) for name in one}
    worst = max(shares, key=lambda name: shares[name] if shares[name] == shares[name] else float("inf"))
    whole = sum(float(value.norm()) ** 2 for value in one.values()) ** 0.5
    return {"apart": sum(gap**2 for gap in gaps.values()) ** 0.5 / whole, "worst": worst, "worst_share": shares[worst]}

"""Whether training on a GPU is right: the groups of `benchmarks.gpu` that come first."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

import ganzoo
from benchmarks.gpu import ROOT, Report
from benchmarks.gpu_games import Bench, apart, recorded, state
from ganzoo.compute.device import set_deterministic

_NARROW = ("generator.width=16", "discriminator.width=16")
_STYLES = ("generator.channel_max=64", "discriminator.channel_max=64", "penalty.r1.every=4")
GAMES: Mapping[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {
    "ring": ("ring", (), {}),
    "dcgan": ("dcgan", _NARROW, {"batch": 32}),
    "dcgan reusing": ("dcgan", (*_NARROW, "loss.reuse_fake=true"), {"batch": 32}),
    "dcgan augmented": ("dcgan", _NARROW, {"batch": 32, "augment": ["ada", "diffaugment"], "penalty": ["lecam"]}),
    "wgan-gp": ("wgan-gp-ring", (), {}),
    "sngan": ("sngan-mini", (), {"batch": 16}),
    "stylegan2": ("stylegan2-mini", _STYLES, {"batch": 16}),
    "lazy penalty between": ("ring", ("loss.reuse_fake=true", "penalty.r1.every=2"), {}),
}


def tests(report: Report, bench: Bench) -> None:
    """The tests marked gpu."""
    with report.check("pytest -m gpu") as facts:
        command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "tests"]
        command += ["--collect-only"] * bench.dry
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=report.left)
        facts.update(code=done.returncode, last=done.stdout.strip().splitlines()[-12:])


def graphs(report: Report, bench: Bench) -> None:
    """Eager, eager once more, and recorded: the second says what rounding does, the third has to do no more."""
    for name, (recipe, settings, request) in GAMES.items():
        if report.left < 5:
            return
        with report.check(name) as facts:
            states = []
            for kind in (None, None, "graph"):
                trainer = bench.trainer(recipe, settings, kind=kind, **request)
                torch.manual_seed(0)
                states.append(state(bench.rounds(trainer, 48)))
            facts.update(again=apart(states[0], states[1]), graphs=apart(states[0], states[2]), **recorded(trainer))


class _Waiting(ganzoo.Callback):
    """Nobody sees in a trace that D waits for the device, so that its capture fails."""

    def on_start(self, run: Any) -> None:
        forward = run.players["D"].forward

        def waits(*arguments: Any) -> Any:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            return forward(*arguments)

        run.players["D"].forward = waits


def rules(report: Report, bench: Bench) -> None:
    """What recordings have to survive."""
    with report.check("forgotten and recorded again") as facts:
        trainer = bench.settled(bench.trainer("mlp", batch=32))
        before = sorted(trainer.recorder.recordings)
        trainer.load_state_dict(copy.deepcopy(trainer.state_dict()))
        facts.update(first=before, **recorded(bench.settled(trainer)))
    with report.check("a network that changes") as facts:
        trainer = bench.settled(bench.trainer("mlp", batch=32))
        weight = next(trainer.players["D"].parameters())
        weight.data = weight.data.clone()
        bench.rounds(trainer, 1)
        facts.update(forgotten=not trainer.recorder.recordings, **recorded(bench.settled(trainer)))
    with report.check("a capture that fails") as facts:
        trainer = bench.settled(bench.trainer("mlp", batch=32, callbacks=[_Waiting()]))
        if bench.cuda:
            facts["on_default_stream"] = torch.cuda.current_stream() == torch.cuda.default_stream()
        facts.update(draws=float(torch.rand(4, device=bench.device).sum()), **recorded(trainer))
    with report.check("a graph that goes while others are played") as facts:
        trainer = bench.settled(bench.trainer("mlp", batch=32))
        other = bench.settled(bench.trainer("mlp", batch=32))
        del other
        bench.rounds(trainer, 8)
        facts.update(trainer.values())
    for name, recipe, request in (
        ("cyclegan-mini", "cyclegan-mini", {}),
        ("ada", "stylegan2-mini", {"augment": ["ada"]}),
    ):
        with report.check(f"trainer.deterministic: {name}"):
            torch.use_deterministic_algorithms(True)
            try:
                data = f"pair:{_folder(bench, 'a')}:{_folder(bench, 'b')}" if recipe == "cyclegan-mini" else None
                bench.rounds(bench.trainer(recipe, data=data, **request), 2)
                bench.wait()
            finally:
                torch.use_deterministic_algorithms(False)


def _folder(bench: Bench, name: str) -> Path:
    """Two pictures in a folder."""
    from PIL import Image

    folder = bench.folder / name
    folder.mkdir(exist_ok=True)
    for number in range(2):
        Image.effect_noise((286, 286), 90).convert("RGB").save(folder / f"{number}.png")
    return folder


def waits(report: Report, bench: Bench) -> None:
    """Where an iteration waits for the device: torch warns of it. Steady training has to show none."""
    if not bench.cuda:
        report.say("waits", error="needs CUDA")
        return
    for name, (recipe, settings, request) in GAMES.items():
        with report.check(name) as facts:
            trainer = bench.settled(bench.trainer(recipe, settings, **request))
            torch.cuda.set_sync_debug_mode("warn")
            try:
                with warnings.catch_warnings(record=True, action="always") as caught:
                    bench.rounds(trainer, 8)
            finally:
                torch.cuda.set_sync_debug_mode("default")
            facts["waits"] = Counter(f"{Path(one.filename).name}:{one.lineno}" for one in caught).most_common(6)


def resume(report: Report, bench: Bench) -> None:
    """Bit for bit with `trainer.deterministic`; without it, how far apart."""
    for deterministic in (False, True):
        if deterministic:
            set_deterministic({}, bench.device)
        for name in ("ring", "dcgan", "stylegan2"):
            recipe, settings, request = GAMES[name]
            with report.check(f"{name}{', deterministic' * deterministic}") as facts:
                whole = bench.rounds(bench.trainer(recipe, settings, **request), 12)
                kept = copy.deepcopy(whole.state_dict())  # it holds the very tensors that training goes on in
                second = bench.trainer(recipe, settings, **request)
                second.load_state_dict(copy.deepcopy(kept))
                bench.rounds(second, 12)
                whole.load_state_dict(kept)
                facts.update(apart(state(bench.rounds(whole, 12)), state(second)))


GROUPS: Mapping[str, Callable[[Report, Bench], None]] = {
    "tests": tests,
    "graphs": graphs,
    "rules": rules,
    "waits": waits,
    "resume": resume,
}
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # torch asks for it once, before the first product

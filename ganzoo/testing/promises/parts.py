"""What losses, penalties, augmentations, callbacks, feature extractors, converters, recipes and commands promise."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...contract import COMMANDS, AdversarialLoss
from ...conversion import Converter
from ...errors import GanzooError, Incompatible
from ...health.diagnosis import stakes
from ...recipes import Recipe, checked_options
from ...recipes.check import check
from ...training import checkpoint
from ..outcome import Failure, NotChecked, expect, promised
from ..reference import draw
from ..trial import Trial, scratch
from .data import without_network
from .games import augmented_plan, game

_HUGE = 100.0


def logits(trial: Trial) -> None:
    """An adversarial loss gives finite scalars with finite gradients for logits of every shape and size."""
    loss = trial.part()
    if not isinstance(loss, AdversarialLoss) or type(loss).discriminator is AdversarialLoss.discriminator:
        return
    for shape in ((4,), (4, 1, 2, 2), (1,)):
        for size in (1.0, _HUGE):
            real, fake = (size * torch.randn(shape).requires_grad_() for _ in range(2))
            for name, value in (
                ("discriminator", loss.discriminator(real, fake)),
                ("generator", loss.generator(fake, real)),
            ):
                _check_scalar(f"{name} on logits {shape} of about {size:g}", value, (real, fake))


def _check_scalar(what: str, value: Tensor, logits: tuple[Tensor, Tensor]) -> None:
    expect(value.numel() == 1, f"a scalar from {what}", f"shape {tuple(value.shape)}", "reduce with mean()")
    fix = "use softplus and logsigmoid instead of log(sigmoid(…)) and exp"
    expect(bool(torch.isfinite(value)), f"a finite loss from {what}", f"{value.item()}", fix)
    gradients = torch.autograd.grad(value, logits, allow_unused=True, retain_graph=True)
    expect(any(one is not None for one in gradients), f"a gradient from {what}", "none", "do not detach the logits")
    finite = all(one is None or bool(torch.isfinite(one).all()) for one in gradients)
    expect(finite, f"finite gradients from {what}", "NaN or infinity", fix)


def direction(trial: Trial) -> None:
    """A loss under which D scores real samples low says so, and one under which it scores them high does not."""
    loss = trial.part()
    known = stakes(loss)
    if known is None:
        return
    fix = f"set low_for_real = {known.sign < 0} in the class"
    found = "low" if known.sign < 0 else "high"
    said = "low" if loss.low_for_real else "high"
    expect(
        said == found, f"D's scores of real samples to be {said}, as the loss says", f"it pays for {found} ones", fix
    )


def augments(trial: Trial) -> None:
    """Shape, type and gradient survive; a sample is changed the same way under the same seed."""
    plan = augmented_plan(trial)
    augmentation = trial.build(plan.target)
    sample = draw(plan.target, 4).requires_grad_()
    outputs = []
    for _ in range(2):
        torch.manual_seed(3)
        with promised(f"to augment {plan.target}", "take (N, *target.shape) and return the same shape"):
            outputs.append(augmentation(sample))
    with promised(f"real({plan.target}) to change real samples", "take (N, *target.shape) and return the same shape"):
        real = augmentation.real(sample.detach())
    fix = "return what was given, changed, or do not override it"
    expect(real.shape == sample.shape, f"{tuple(sample.shape)} from real()", str(tuple(real.shape)), fix)
    first, again = outputs
    found = f"{tuple(first.shape)} {first.dtype}"
    fix = "return what was given, changed"
    expect(first.shape == sample.shape and first.dtype == sample.dtype, f"{tuple(sample.shape)} float32", found, fix)
    fix = "draw random numbers from torch's global generator"
    expect(torch.equal(first, again), "the same change under the same seed", "another", fix)
    (gradient,) = torch.autograd.grad(first.sum(), sample, allow_unused=True)
    fix = "use differentiable operations: G learns through the augmentation"
    expect(
        gradient is not None and bool(torch.isfinite(gradient).all()), "a finite gradient to the sample", "none", fix
    )


def watches(trial: Trial) -> None:
    """A callback lives through a short run: start, iterations, a row, a picture, a checkpoint, a resume, the end."""
    trial.part()
    with scratch() as folder, _inside(folder):
        run = game(trial, folder)
        (callback,) = run.callbacks
        picture = folder / "samples" / "000000004.png"
        picture.parent.mkdir()
        Image.new("RGB", (8, 8)).save(picture)
        fix = "override only what you need, with the signatures of ganzoo.Callback"
        with promised("on_start, on_iteration, on_log and on_preview to run", fix):
            callback.on_start(run)
            run.iterate()
            callback.on_iteration(run)
            run.log_values()
            callback.on_preview(run, picture)
        fix = "return tensors, numbers, strings, lists and dicts from state_dict, and accept them in load_state_dict"
        with promised("state that goes through safetensors and JSON", fix):
            checkpoint.save(folder / "state", {"state": callback.state_dict()})
            callback.on_end(run)
            callback.close()
            resumed = trial.part()
            resumed.load_state_dict(checkpoint.load(folder / "state")["state"])
        with promised("to go on after a resume", "on_start is called again, with state restored"):
            resumed.on_start(run)
            run.iterate()
            resumed.on_iteration(run)
            resumed.on_end(run)
            resumed.close()


@contextlib.contextmanager
def _inside(folder: Path):  # type: ignore[no-untyped-def]
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def extracts(trial: Trial) -> None:
    """Features of pictures of any size: float32 (N, dimensions), each picture's from that picture alone."""
    with without_network():
        try:
            extractor = trial.part().eval()
        except GanzooError as error:
            raise NotChecked(f"it cannot be built without a network: {error}") from error
    with torch.no_grad():
        for size in ((32, 32), (64, 48)):
            image = torch.randint(0, 256, (3, 3, *size), dtype=torch.uint8)
            with promised(f"features of uint8 pictures 3x{size[0]}x{size[1]}", "resize and normalise inside"):
                features, alone = extractor(image), extractor(image[:1])
            found = f"{features.dtype} {tuple(features.shape)}"
            wanted = (3, extractor.dimensions)
            fix = "set self.dimensions and return one row a picture"
            expect(tuple(features.shape) == wanted and features.dtype == torch.float32, f"float32 {wanted}", found, fix)
            fix = "normalise by constants, not by the batch"
            same = torch.allclose(features[:1], alone, rtol=1e-3, atol=1e-5)
            expect(same, "the same features alone and in a batch", "others", fix)


def recipe(trial: Trial) -> None:
    """A mapping with the keys of a recipe file, whose parts fit together."""
    tree = trial.target
    expect(isinstance(tree, Mapping), "a mapping", type(tree).__name__, "target a dict with the keys of a recipe file")
    with promised("the keys of a recipe file", "correct the key; `ganzoo train NAME --dump` shows all"):
        parsed = Recipe.from_dict({"name": trial.component.name, **tree, **trial.options})
    parts = [("dataset", parsed.data.name), ("loss", parsed.loss.name)]
    parts += [("generator", parsed.generator.name), ("discriminator", parsed.discriminator.name)]
    parts += [("penalty", name) for name in parsed.penalty] + [("augmentation", name) for name in parsed.augment]
    missing = [f"{kind} {name}" for kind, name in parts if name not in trial.registry.names(kind)]
    if missing:
        raise NotChecked(f"no installed plugin provides {', '.join(missing)}")
    dataset = trial.registry.load("dataset", parsed.data.name)
    try:
        checked_options(dataset, parsed.data.options, 0, f"dataset {parsed.data.name}")
    except Incompatible as error:
        raise NotChecked(str(error)) from error
    try:
        check(parsed, trial.registry)
    except Incompatible as error:
        raise Failure("parts that fit together", str(error), "change the recipe's parts or options") from error


@runtime_checkable
class Command(Protocol):
    """What the command line calls; click is imported there alone."""

    def main(self, args: Sequence[str], prog_name: str, *, standalone_mode: bool) -> Any: ...


def command(trial: Trial) -> None:
    """A click command with a help page and a name that is free."""
    name = trial.component.name
    expect(name not in COMMANDS, "a name of its own", f"'{name}', which is ganzoo's own command", "choose another name")
    if not isinstance(trial.target, Command):
        fix = "decorate the function with @click.command()"
        raise Failure("a click command", f"command '{name}' is {trial.target!r}", fix)
    with redirect_stdout(StringIO()) as page:
        trial.target.main(["--help"], f"ganzoo {name}", standalone_mode=False)
    first = page.getvalue().partition("\n\n")[2].strip()
    expect(bool(first) and not first.startswith("Options:"), "a sentence of help", "none", "write a docstring")


def converts(trial: Trial) -> None:
    """A `Converter` that says whose files it reads and leaves those of others alone."""
    cls = trial.target
    fix = "subclass ganzoo.Converter and set `origin` to the program's name"
    expect(isinstance(cls, type) and issubclass(cls, Converter), "a ganzoo.Converter", repr(cls), fix)
    converter = cls()
    origin = getattr(converter, "origin", None)
    expect(isinstance(origin, str) and bool(origin), "the program's name as `origin`", repr(origin), fix)
    contents: list[Any] = [{}, [], None, 3, {"other": np.zeros(3, np.float32)}]
    for content in contents:
        with promised("None for what is not of the program", "look at names and shapes before anything else"):
            found = converter.convert(content)
        expect(found is None, "None for what is not of the program", repr(found), "return None")


LOSS: Mapping[str, Callable[[Trial], None]] = {"logits": logits, "direction": direction}
AUGMENTATION: Mapping[str, Callable[[Trial], None]] = {"samples": augments}
CALLBACK: Mapping[str, Callable[[Trial], None]] = {"run": watches}
FEATURES: Mapping[str, Callable[[Trial], None]] = {"features": extracts}
CONVERTER: Mapping[str, Callable[[Trial], None]] = {"recognition": converts}
RECIPE: Mapping[str, Callable[[Trial], None]] = {"recipe": recipe}
COMMAND: Mapping[str, Callable[[Trial], None]] = {"command": command}

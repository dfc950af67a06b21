"""Every combination of components trains on tiny data, or is refused with a reason; nothing else.

Generators × discriminators × losses × penalties × augmentations × data sets, all that are bundled.

The normal suite runs a covering design in which every three components of different kinds meet; `-m slow` runs all.
Games on pairs, whose D sees what a sample was made from, are those of an example plugin; no bundled one plays them.
"""

from __future__ import annotations

import importlib
import itertools
import os
import random
import time
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import FakePoint
from PIL import Image

import ganzoo
from ganzoo.data.feed import make_feed
from ganzoo.recipes.check import check
from ganzoo.recipes.recipe import Recipe
from ganzoo.registry.registry import Registry, installed_points, registry
from ganzoo.training.trainer import Trainer

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "plugins" / "ganzoo-pix2pix"


@cache
def narrow() -> dict[str, dict[str, dict[str, object]]]:
    """Options that keep components small, by kind and name: those that each plugin's own tests use."""
    options: dict[str, dict[str, dict[str, object]]] = {}
    for path in [*sorted(ROOT.glob("plugins/*/pyproject.toml")), EXAMPLE / "pyproject.toml"]:
        found = tomllib.loads(path.read_text()).get("tool", {}).get("ganzoo", {}).get("testing", {}).get("options", {})
        for kind, components in found.items():
            options.setdefault(kind, {}).update(components)
    return options


TINY = {
    "gray28": {"name": "npz", "path": "gray28.npz"},
    "colour32": {"name": "npz", "path": "colour32.npz"},
    "odd30": {"name": "npz", "path": "odd30.npz"},
    "gaussian": {"name": "gaussian"},
    "ring": {"name": "ring"},
    "pair": {"name": "pair", "path": "a:b", "size": 32},
}
PAIRED = {"paired": {"name": "paired", "path": "a:b", "size": 32, "load_size": 36, "flip": True}}
"""What has the fields of another; it has a covering design of its own."""

Combination = tuple[str, str, str, str, str, str]


def axes() -> list[list[str]]:
    return [
        registry().names("generator"),
        registry().names("discriminator"),
        registry().names("loss"),
        ["none", *registry().names("penalty")],
        ["none", *registry().names("augmentation")],
        list(TINY),
    ]


def covering(levels: Sequence[Sequence[str]], strength: int, seed: int = 0) -> list[Combination]:
    """A greedy covering design: every choice of `strength` levels of different axes stands in some row."""
    rng = random.Random(seed)
    columns = list(itertools.combinations(range(len(levels)), strength))
    missing = {(c, values) for c in columns for values in itertools.product(*(levels[i] for i in c))}
    rows = []
    while missing:
        column, values = min(missing, key=lambda item: (item[0], item[1]))
        fixed = dict(zip(column, values, strict=True))
        tries = [_fill(levels, fixed, rng) for _ in range(12)]
        rows.append(max(tries, key=lambda row: len(_new(row, columns, missing))))
        missing -= _new(rows[-1], columns, missing)
    return rows


def _fill(levels: Sequence[Sequence[str]], fixed: dict[int, str], rng: random.Random) -> Combination:
    return tuple(fixed.get(i, rng.choice(list(options))) for i, options in enumerate(levels))  # type: ignore[return-value]


def _new(row: Combination, columns: list[tuple[int, ...]], missing: set) -> set:
    return {(c, tuple(row[i] for i in c)) for c in columns} & missing


@cache
def tiny_data() -> Path:
    import tempfile

    folder = Path(tempfile.mkdtemp())
    rng = np.random.default_rng(0)
    for name, shape in (("gray28", (28, 28, 1)), ("colour32", (32, 32, 3)), ("odd30", (30, 30, 3))):
        np.savez(
            folder / f"{name}.npz", images=rng.integers(0, 256, (12, *shape), dtype=np.uint8), labels=np.arange(12) % 3
        )
    for side, mode in (("a", "RGB"), ("b", "RGB")):
        (folder / side).mkdir()
        for number in range(3):
            Image.effect_noise((32, 32), 60 + number).convert(mode).save(folder / side / f"{number}.png")
    return folder


def recipe_of(combination: Combination) -> Recipe:
    generator, discriminator, loss, penalty, augmentation, data = combination
    where = dict((TINY | PAIRED)[data])
    if "path" in where:
        where["path"] = ":".join(str(tiny_data() / name) for name in str(where["path"]).split(":"))

    def small(kind: str, name: str) -> dict[str, object]:
        return narrow().get(kind, {}).get(name, {})

    return Recipe.from_dict(
        {
            "name": "product",
            "data": where,
            "generator": {"name": generator, **small("generator", generator)},
            "discriminator": {"name": discriminator, **small("discriminator", discriminator)},
            "loss": {"name": loss, **small("loss", loss)},
            "penalty": {} if penalty == "none" else {penalty: small("penalty", penalty)},
            "augment": {} if augmentation == "none" else {augmentation: small("augmentation", augmentation)},
            "images": 12,
            "batch": 4,
            "optimizer": {"lr": 1e-4},
        }
    )


def trains_or_is_refused(combination: Combination, known: Registry | None = None) -> str:
    recipe = recipe_of(combination)
    try:
        game = check(recipe, known or registry())
    except ganzoo.Incompatible as refusal:
        return "refused" if all(len(problem.split()) > 4 for problem in refusal.problems) else "refused without reason"
    feed = make_feed(game.dataset.load(), game.spec, recipe.batch, recipe.seed, CPU)
    trainer = Trainer(game, feed, CPU)
    for _ in range(3):
        trainer.iterate()
    assert trainer.values(), combination
    trainer.state_dict()  # raises if any weight is not finite
    return "trained"


def test_the_covering_design_covers_every_three():
    rows = covering([["a", "b"], ["c", "d", "e"], ["f", "g"], ["h", "i"]], 3)
    for columns in itertools.combinations(range(4), 3):
        met = {tuple(row[i] for i in columns) for row in rows}
        assert len(met) == [2, 3, 2, 2][columns[0]] * [2, 3, 2, 2][columns[1]] * [2, 3, 2, 2][columns[2]]
    assert len(rows) < 2 * 3 * 2 * 2


def _chunks(rows: Sequence[Combination], size: int) -> Iterator[Sequence[Combination]]:
    return (rows[i : i + size] for i in range(0, len(rows), size))


@pytest.mark.parametrize("rows", list(_chunks(covering(axes(), 3), 40)), ids=lambda rows: "-".join(rows[0]))
def test_every_three_components_train_together_or_are_refused(rows):
    for combination in rows:
        assert trains_or_is_refused(combination) in ("trained", "refused")


def test_every_two_components_and_pairs_train_together_or_are_refused():
    *others, _ = axes()
    _, judges, _, _, augmentations = others
    rows = [*covering(others, 2), *covering([["cyclegan"], judges, ["cyclegan"], ["none"], augmentations], 1)]
    assert {trains_or_is_refused((*row[:5], "paired")) for row in rows} == {"trained", "refused"}


@pytest.fixture
def with_pairs(monkeypatch) -> Registry:
    """What is installed, and an example plugin whose discriminator judges pairs."""
    monkeypatch.syspath_prepend(EXAMPLE)
    example = FakePoint("pix2pix", EXAMPLE.name, importlib.import_module("ganzoo_pix2pix"))
    return Registry([*installed_points(), example])


def test_every_three_components_train_on_pairs_together_or_are_refused(with_pairs):
    *_, penalties, augmentations, _ = axes()
    levels = [["pix2pix", "cyclegan"], ["pix2pix", "patchgan"], ["pix2pix", "cyclegan"], penalties, augmentations]
    outcomes = {row: trains_or_is_refused(row, with_pairs) for row in covering([*levels, [*PAIRED, "colour32"]], 3)}
    assert set(outcomes.values()) == {"trained", "refused"}
    judged = [row for row, outcome in outcomes.items() if row[1:3] == ("pix2pix", "pix2pix") and outcome == "trained"]
    assert {row[3] for row in judged} >= {"none", "r1", "r2", "gradient-penalty", "lecam"}
    assert {row[4] for row in judged} >= {"none", "diffaugment", "ada"}
    assert {row[5] for row in judged} == {"paired"}, "colour32 has one field"


@pytest.mark.parametrize(
    ("combination", "expected"),
    [
        (("dcgan", "dcgan", "hinge", "r1", "none", "colour32"), "trained"),
        (("mlp", "mlp", "wasserstein", "gradient-penalty", "none", "odd30"), "trained"),
        (("mlp", "dcgan", "relativistic", "none", "none", "gray28"), "trained"),
        (("gaussian", "gaussian", "non-saturating", "none", "none", "gaussian"), "trained"),
        (("mlp", "mlp", "least-squares", "r2", "none", "ring"), "trained"),
        (("sngan", "sngan", "hinge", "lecam", "diffaugment", "colour32"), "trained"),
        (("stylegan2", "sngan", "wgan-gp", "path-length", "ada", "colour32"), "trained"),
        (("wgan-gp-resnet", "stylegan2", "non-saturating", "r1", "ada", "colour32"), "trained"),
        (("stylegan", "stylegan", "non-saturating", "r1", "fade-reals", "colour32"), "trained"),
        (("stylegan", "sngan", "hinge", "path-length", "ada", "colour32"), "trained"),
        (("cyclegan", "patchgan", "cyclegan", "none", "none", "pair"), "trained"),
        (("cyclegan", "sngan", "cyclegan", "none", "diffaugment", "pair"), "trained"),
        (("cyclegan", "patchgan", "cyclegan", "none", "none", "paired"), "trained"),
        (("cyclegan", "sngan", "cyclegan", "none", "ada", "paired"), "trained"),
        (("dcgan", "dcgan", "hinge", "none", "none", "paired"), "refused"),
        (("dcgan", "dcgan", "wasserstein", "gradient-penalty", "none", "colour32"), "refused"),
        (("dcgan", "mlp", "hinge", "none", "none", "odd30"), "refused"),
        (("gaussian", "gaussian", "non-saturating", "r1", "none", "gaussian"), "refused"),
        (("gaussian", "mlp", "minimax", "none", "none", "gray28"), "refused"),
        (("dcgan", "sngan", "hinge", "path-length", "none", "colour32"), "refused"),
        (("mlp", "mlp", "hinge", "none", "ada", "ring"), "refused"),
        (("mlp", "mlp", "hinge", "none", "fade-reals", "ring"), "refused"),
        (("cyclegan", "patchgan", "hinge", "none", "none", "colour32"), "refused"),
        (("dcgan", "dcgan", "hinge", "none", "none", "pair"), "refused"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else value,
)
def test_what_should_train_trains_and_what_should_not_is_refused(combination, expected):
    assert trains_or_is_refused(combination) == expected


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_the_whole_product_trains_or_is_refused():
    *others, data = axes()
    rows = list(itertools.product(*others, [*data, *PAIRED]))
    random.Random(0).shuffle(rows)
    begun, outcomes = time.monotonic(), {}
    for row in rows:
        outcomes[row] = trains_or_is_refused(row)
        if time.monotonic() - begun > 60 * float(os.environ.get("GANZOO_PRODUCT_MINUTES", "100")):
            break
    counts = {outcome: sum(o == outcome for o in outcomes.values()) for outcome in ("trained", "refused")}
    print(f"{counts} of {len(rows)}")
    assert sum(counts.values()) == len(outcomes)
    assert counts["trained"] > 100 and counts["refused"] > 100

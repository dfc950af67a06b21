"""Methods that the contract was drawn for, each written against the documents alone, as a plugin would be."""

from __future__ import annotations

import copy
import math
from typing import Protocol, runtime_checkable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cross_entropy, gumbel_softmax, softplus
from training.test_players import play, state, trainer_of

import ganzoo
from ganzoo.compute import set_random_state
from ganzoo.recipes.recipe import Recipe
from ganzoo.recording import capture
from ganzoo.registry.registry import registry
from ganzoo.testing.reference import ReferenceData, ReferenceGenerator


class ClassJudge(ganzoo.Discriminator):
    """A logit, and scores of the classes."""

    tells_labels = True

    def __init__(self, source, target, classes) -> None:
        super().__init__()
        if not classes:
            raise ganzoo.Incompatible("it tells classes, the data have none")
        self.heads = {"classes": (classes,)}
        self.trunk = nn.Sequential(nn.Linear(target.size, 8), nn.LeakyReLU(0.2))
        self.judge, self.tell = nn.Linear(8, 1), nn.Linear(8, classes)

    def forward(self, sample, label):
        hidden = self.trunk(sample.flatten(1))
        return {"logit": self.judge(hidden).squeeze(1), "classes": self.tell(hidden)}


class ACGAN(ganzoo.AdversarialLoss):
    """D tells the classes of real and generated samples (Odena et al. 2017, arXiv:1610.09585)."""

    def discriminator(self, real, fake):
        return softplus(-real).mean() + softplus(fake).mean()

    def generator(self, fake, real):
        return softplus(-fake).mean()

    def discriminator_phase(self, turn):
        return super().discriminator_phase(turn) + self.untold(turn, turn.real) + self.untold(turn, turn.fake())

    def generator_phase(self, turn):
        return super().generator_phase(turn) + self.untold(turn, turn.fake())

    def untold(self, turn, sample):
        return cross_entropy(turn.answer(sample, "classes"), turn.label)


@runtime_checkable
class Remaking(Protocol):
    """A D that makes samples again: its energies are distances, so that they have a floor."""

    def remade(self, flat: Tensor) -> Tensor: ...


class Autoencoder(ganzoo.Discriminator):
    """Scores a sample by how badly it is made again."""

    def __init__(self, source, target, classes) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(target.size, 4), nn.ELU(), nn.Linear(4, target.size))

    def remade(self, flat):
        return self.layers(flat)

    def forward(self, sample, label):
        flat = sample.flatten(1)
        return (self.remade(flat) - flat).abs().mean(1)


class BEGAN(ganzoo.AdversarialLoss):
    """Two energies held in balance by a k that is learned (Berthelot et al. 2017, arXiv:1703.10717)."""

    low_for_real = True
    needs = {"D": Remaking}  # noqa: RUF012

    def __init__(self, gamma: float = 0.5, rate: float = 0.01, n_critic: int = 1) -> None:
        super().__init__(n_critic)
        self.gamma, self.rate = gamma, rate
        self.register_buffer("k", torch.zeros(()))

    def discriminator(self, real, fake):
        loss = real.mean() - self.k.clone() * fake.mean()
        balance = (self.gamma * real.mean() - fake.mean()).detach()
        self.k.add_(self.rate * balance).clamp_(0, 1)
        self.log("convergence", real.detach().mean() + balance.abs())
        return loss

    def generator(self, fake, real):
        return fake.mean()


class Remaker(ganzoo.Discriminator):
    """A logit, and a small copy of what it saw, from the same features."""

    def __init__(self, source, target, classes) -> None:
        super().__init__()
        self.heads = {"copy": (1, 4, 4)}
        self.trunk = nn.Sequential(nn.Conv2d(1, 4, 4, 2, 1), nn.LeakyReLU(0.2))
        self.judge, self.copy = nn.Linear(64, 1), nn.Conv2d(4, 1, 1)

    def forward(self, sample, label):
        features = self.trunk(sample)
        return {"logit": self.judge(features.flatten(1)).squeeze(1), "copy": self.copy(features)}


class Remade(ganzoo.Penalty):
    """D can make real samples again as it saw them, augmented (Liu et al. 2021, FastGAN, arXiv:2101.04775)."""

    def prepare(self, spec):
        self.change = ganzoo.build("augmentation", "diffaugment", spec.fields["sample"])

    def forward(self, turn):
        seen = turn.as_real(self.change(turn.real))
        copy = turn.answer(seen, "copy", augment=False)
        return (copy - avg_pool2d(seen, 2)).square().mean()


class Balanced(ganzoo.Penalty):
    """D says the same of samples whatever is done to them (Zhao et al. 2020, bCR, arXiv:2002.04724)."""

    def prepare(self, spec):
        self.change = ganzoo.build("augmentation", "diffaugment", spec.fields["sample"], policy="translation")

    def forward(self, turn):
        real, fake = turn.real, turn.fake()
        apart = [turn.logits(one) - turn.logits(self.change(one)) for one in (real, fake)]
        return sum(one.square().mean() for one in apart)


TABLE = ganzoo.Columns((ganzoo.Column("size"), ganzoo.Column("colour", ("red", "green", "blue"))))


class Rows(ganzoo.Dataset):
    """Rows of a number and a colour."""

    @property
    def spec(self):
        return ganzoo.DataSpec({"row": ganzoo.Sample((4,), -math.inf, math.inf, TABLE)})

    def load(self):
        return ganzoo.Drawn(self._draw)

    def _draw(self, n, generator):
        colour = torch.randint(3, (n,), generator=generator)
        size = colour + torch.randn(n, generator=generator) / 4
        return {"row": torch.cat([size[:, None], nn.functional.one_hot(colour, 3).float()], 1)}, None


class RowMaker(ganzoo.Generator):
    """Numbers as they come, values of columns drawn so that gradients pass (Xu et al. 2019, arXiv:1907.00503)."""

    def __init__(self, source, target, classes) -> None:
        super().__init__()
        if not isinstance(target.looks, ganzoo.Columns):
            raise ganzoo.Incompatible(f"it makes rows of tables, the data are {target}")
        self.places = target.looks.places()
        self.layers = nn.Sequential(nn.Linear(4, 16), nn.LeakyReLU(0.2), nn.Linear(16, target.size))

    def sample_latent(self, n, device):
        return torch.randn(n, 4, device=device)

    def forward(self, source, label):
        made = self.layers(source)
        parts = [gumbel_softmax(made[:, at], 0.5) if one.values else made[:, at] for one, at in self.places]
        return torch.cat(parts, 1)


PARTS = {
    ("dataset", "noise"): ReferenceData,
    ("dataset", "rows"): Rows,
    ("generator", "linear"): ReferenceGenerator,
    ("generator", "rows"): RowMaker,
    ("discriminator", "classes"): ClassJudge,
    ("discriminator", "autoencoder"): Autoencoder,
    ("discriminator", "remaker"): Remaker,
    ("penalty", "remade"): Remade,
    ("penalty", "balanced"): Balanced,
    ("loss", "acgan"): ACGAN,
    ("loss", "began"): BEGAN,
}
BASE = {"name": "method", "generator": {"name": "linear"}, "images": 800, "batch": 8, "optimizer": {"lr": 1e-2}}
NOISE = {"name": "noise", "shape": [3]}
PICTURES = {"name": "noise", "shape": [1, 8, 8], "low": -1.0, "high": 1.0}
METHODS = {
    "acgan": {
        "data": {**NOISE, "classes": 3}, "loss": {"name": "acgan"}, "penalty": {"r1": {}},
        "generator": {"name": "linear", "conditional": True}, "discriminator": {"name": "classes"},
    },
    "began": {"data": NOISE, "loss": {"name": "began", "n_critic": 2}, "discriminator": {"name": "autoencoder"}},
    "fastgan": {
        "data": PICTURES, "discriminator": {"name": "remaker"}, "loss": {"name": "hinge"}, "penalty": {"remade": {}},
        "augment": {"diffaugment": {}},
    },
    "bcr": {
        "data": PICTURES, "discriminator": {"name": "remaker"}, "loss": {"name": "non-saturating"},
        "penalty": {"balanced": {}},
    },
    "tabular": {
        "data": {"name": "rows"}, "generator": {"name": "rows"}, "discriminator": {"name": "mlp", "widths": [8]},
        "loss": {"name": "wgan-gp", "n_critic": 1},
    },
}  # fmt: skip


@pytest.fixture(autouse=True)
def _parts(monkeypatch):
    load = registry().load
    monkeypatch.setattr(registry(), "load", lambda kind, name: PARTS.get((kind, name)) or load(kind, name))
    monkeypatch.setattr(capture, "_SHORT_SECONDS", 1e9)
    monkeypatch.setattr(capture, "_WARM_UP", dict.fromkeys(capture._WARM_UP, 3))


def recipe(method: str, **changes) -> Recipe:
    return Recipe.from_dict({**BASE, **METHODS[method], **changes})


@pytest.mark.parametrize("method", METHODS)
def test_recorded_and_resumed_it_is_the_same_bit_for_bit(method):
    ordinary, recorded = (play(trainer_of(recipe(method), kind)) for kind in (None, "operations"))
    assert recorded.recorder.recordings and not recorded.recorder.refused
    expected, found = state(ordinary), state(recorded)
    assert not [key for key in expected if not torch.equal(expected[key], found[key])]
    assert ordinary.values() == recorded.values()
    kept = copy.deepcopy(ordinary.state_dict())
    resumed = trainer_of(recipe(method))
    resumed.load_state_dict(kept)
    for trainer in (resumed, ordinary):
        set_random_state(kept["random"])
        trainer.iterate()
    expected, found = state(ordinary), state(resumed)
    assert not [key for key in expected if not torch.equal(expected[key], found[key])]


def test_k_moves_with_the_balance_of_energies():
    trainer = play(trainer_of(recipe("began", loss={"name": "began", "gamma": 5.0})), 20)
    assert 0 < trainer.game.loss.k < 1 and "convergence" in trainer.values()


def test_energies_without_a_floor_are_refused():
    """An ordinary logit falls without end where it is to be low for real samples."""
    with pytest.raises(ganzoo.Incompatible, match="loss began needs D to be Remaking, which MLPDiscriminator is not"):
        trainer_of(recipe("began", discriminator={"name": "mlp", "widths": [8]}))


def test_a_judge_that_tells_classes_needs_no_labels_and_any_other_does():
    assert trainer_of(recipe("acgan")).players["G"].conditional
    with pytest.raises(ganzoo.Incompatible, match="discriminator autoencoder cannot judge labels"):
        trainer_of(recipe("acgan", loss={"name": "hinge"}, discriminator={"name": "autoencoder"}))


def test_an_ordinary_judge_is_asked_for_the_head_in_vain():
    with pytest.raises(ganzoo.Incompatible, match="asks D for 'classes', which MLPDiscriminator does not answer"):
        trainer_of(recipe("acgan", discriminator={"name": "mlp", "widths": [8]}))

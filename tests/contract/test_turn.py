from __future__ import annotations

import contextlib

import pytest
import torch

import ganzoo
from ganzoo.contract.turning.context import TurnContext

LABELLED = ganzoo.DataSpec({"value": ganzoo.Sample((2,))}, classes=3)


class _Counting(ganzoo.Discriminator):
    """Judges by the label, and notes how often it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def forward(self, sample, label):
        self.asked += 1
        return sample.sum(1) + 10 * label


class _Watching(ganzoo.Augmentation):
    """Adds noise, and notes what it observes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def forward(self, sample):
        return sample + torch.rand(1)

    def observe(self, logits):
        self.seen.append(logits)

    def values(self):
        return {"seen": torch.tensor(len(self.seen))}


@pytest.fixture
def turn_of():
    """A function that makes a turn of a batch of 4, and the augmentation that watches it."""

    def make(learners=("D",), size=4):
        watching, logged = _Watching(), []
        watching.logged = logged
        batch = ganzoo.Batch({"value": torch.zeros(4, 2)}, torch.tensor([0, 1, 2, 0]))
        context = TurnContext(
            LABELLED, {}, [watching], torch.device("cpu"), contextlib.nullcontext, lambda *one: logged.append(one)
        )
        return ganzoo.Turn({"D": _Counting()}, learners, context, lambda: batch, size), watching

    return make


def test_logits_are_remembered_for_the_same_tensor_only(turn_of):
    turn, _ = turn_of()
    first = turn.logits(turn.real)
    assert turn.logits(turn.real) is first
    assert turn.players["D"].asked == 1
    assert not torch.equal(turn.logits(turn.real.clone()), first)
    other = turn.logits(turn.real, label=torch.zeros(4, dtype=torch.int64))
    assert turn.players["D"].asked == 3
    assert other is not first


def test_an_augmentation_observes_logits_of_real_samples_that_d_learns_from(turn_of):
    turn, watching = turn_of()
    logits = turn.logits(turn.real)
    turn.logits(torch.ones(4, 2))
    turn.logits(turn.real.detach().clone())
    turn.logits(turn.real)
    assert len(watching.seen) == 1
    assert torch.equal(watching.seen[0], logits)
    assert watching.logged == [("seen", 1)]


def test_nothing_is_observed_while_d_is_frozen(turn_of):
    turn, watching = turn_of(learners=("G",))
    turn.logits(turn.real)
    assert watching.seen == []


def test_labels_are_repeated_in_a_larger_update_and_real_samples_keep_their_own(turn_of):
    turn, _ = turn_of(size=8)
    assert turn.label.tolist() == [0, 1, 2, 0, 0, 1, 2, 0]
    logits = turn.logits(turn.real)
    assert (logits - logits[0]).tolist() == [0, 10, 20, 0]
    assert turn.logits(torch.zeros(8, 2)).shape == (8,)


class _Apart(_Counting):
    judges_apart = True


@pytest.mark.parametrize("judge", [_Counting, _Apart])
def test_real_and_generated_samples_are_judged_in_one_pass_where_they_are_judged_apart(turn_of, judge):
    turn, watching = turn_of()
    turn.players["D"] = judge()
    turn._fakes["G"] = torch.full((4, 2), 5.0)
    real, fake = turn.both()
    assert turn.players["D"].asked == (1 if judge is _Apart else 2)
    assert (real - real[0]).tolist() == [0, 10, 20, 0] and (fake - fake[0]).tolist() == [0, 10, 20, 0]
    assert 0 <= real[0] < 2 and 10 <= fake[0] < 12
    assert turn.logits(turn.real) is real and turn.logits(turn.fake()) is fake
    assert len(watching.seen) == 1 and torch.equal(watching.seen[0], real)
    on_real, on_fake = turn.judgements
    assert on_real.real and on_fake.maker == "G" and torch.equal(on_fake.logits, fake)


@pytest.mark.parametrize(("group", "passes"), [(2, 1), (4, 1), (3, 2), (0, 2)])
def test_samples_that_meet_in_groups_are_judged_in_one_pass_if_they_make_whole_ones(turn_of, group, passes):
    turn, _ = turn_of()
    turn.players["D"] = _Counting()
    turn.players["D"].judges_apart = group
    turn._fakes["G"] = torch.full((4, 2), 5.0)
    turn.both()
    assert turn.players["D"].asked == passes


def test_other_samples_than_the_turns_own_are_judged_in_one_pass_too(turn_of):
    turn, _ = turn_of()
    turn.players["D"] = _Apart()
    one, other = torch.zeros(4, 2), torch.full((4, 2), 5.0)
    on_one, on_other = turn.both("D", one, other)
    assert turn.players["D"].asked == 1
    assert turn.logits(one) is on_one and turn.logits(other) is on_other
    assert 0 <= on_one[0] < 2 and 10 <= on_other[0] < 12


def test_what_has_been_judged_is_not_judged_again_beside_the_other(turn_of):
    turn, _ = turn_of()
    turn.players["D"] = _Apart()
    turn._fakes["G"] = torch.full((4, 2), 5.0)
    first = turn.logits(turn.real)
    real, _ = turn.both()
    assert real is first and turn.players["D"].asked == 2


def test_heads_and_what_is_given_go_through_one_pass_too():
    class Reader(ganzoo.Discriminator):
        judges_apart = True

        def forward(self, sample, label, given):
            return {"logit": (sample * given).sum(1), "twice": 2 * sample}

    role = ganzoo.Role("discriminator", target="b", given="a")
    spec = ganzoo.DataSpec({"a": ganzoo.Sample((2,)), "b": ganzoo.Sample((2,))})
    batch = ganzoo.Batch({"a": torch.rand(3, 2), "b": torch.rand(3, 2)}, torch.zeros(3, dtype=torch.int64))
    context = TurnContext(spec, {"D": role}, [], torch.device("cpu"), contextlib.nullcontext, lambda *one: None)
    turn = ganzoo.Turn({"D": Reader()}, ("D",), context, lambda: batch, 3)
    turn._fakes["G"] = torch.rand(3, 2)
    real, fake = turn.both()
    torch.testing.assert_close(real, (batch.fields["b"] * batch.fields["a"]).sum(1))
    torch.testing.assert_close(fake, (turn.fake() * batch.fields["a"]).sum(1))
    assert torch.equal(turn.answer(turn.fake(), "twice"), 2 * turn.fake())


class _Labelled(ganzoo.Generator):
    """Makes the label that it is asked for."""

    def sample_latent(self, n, device):
        return torch.zeros(n, 2)

    def forward(self, source, label):
        return source + label[:, None]


def labelled(uniform: bool, size: int = 300, taken=None) -> ganzoo.Turn:
    """A turn of samples of class 0."""
    batch = ganzoo.Batch({"value": torch.zeros(size, 2)}, torch.zeros(size, dtype=torch.int64))
    roles = {"G": ganzoo.Role("generator"), "D": ganzoo.Role("discriminator")}
    context = TurnContext(
        LABELLED, roles, [], torch.device("cpu"), contextlib.nullcontext, lambda *one: None, uniform_labels=uniform
    )
    players = {"G": _Labelled(), "D": _Counting()}
    return ganzoo.Turn(players, ("D",), context, lambda: batch, size, keeps=("G",), taken=taken)


def test_generated_samples_have_the_labels_of_real_ones():
    turn = labelled(uniform=False)
    assert not turn.fake().any() and not turn.logits(turn.fake()).any()


def test_generated_samples_may_have_labels_of_their_own_each_class_as_likely():
    torch.manual_seed(0)
    turn = labelled(uniform=True)
    made = turn.fake()[:, 0].long()
    assert made.bincount(minlength=3).min() > 70 and not turn.label.any()
    assert torch.equal(turn.logits(turn.fake()), 12.0 * made), "D is told another class than G"
    assert not turn.logits(turn.real).any()
    later = labelled(uniform=True, taken=turn.kept)
    assert torch.equal(later.logits(later.fake()), 12.0 * made), "samples taken over lost their labels"


class _Seeing(ganzoo.Discriminator):
    """Keeps what it is shown."""

    def forward(self, sample, label, given=None):
        self.seen = sample, given
        return sample.flatten(1).sum(1)


class _Turning(ganzoo.Augmentation):
    """Adds 1 to samples alone, and 2 to both of a pair."""

    def forward(self, sample):
        return sample + 1

    def together(self, sample, given):
        return sample + 2, given + 2


@pytest.mark.parametrize(("shape", "added"), [((3, 4, 4), (2, 2)), ((1, 8, 8), (1, 0)), ((16,), (1, 0))])
def test_pairs_are_augmented_alike_where_they_are_aligned_pictures_and_the_sample_alone_elsewhere(shape, added):
    spec = ganzoo.DataSpec({"a": ganzoo.Sample(shape), "b": ganzoo.Sample((1, 4, 4))})
    batch = ganzoo.Batch({name: torch.rand(2, *one.shape) for name, one in spec.fields.items()}, torch.zeros(2).long())
    roles = {"D": ganzoo.Role("discriminator", "b", given="a")}
    context = TurnContext(
        spec, roles, [_Turning()], torch.device("cpu"), contextlib.nullcontext, lambda name, value: None
    )
    judge = _Seeing()
    turn = ganzoo.Turn({"D": judge}, (), context, lambda: batch, 2)
    turn.logits(turn.real)
    assert torch.equal(judge.seen[0], batch.fields["b"] + added[0])
    assert torch.equal(judge.seen[1], batch.fields["a"] + added[1])
    turn.logits(turn.real, augment=False)
    assert judge.seen[0] is turn.real and judge.seen[1] is turn.field("a")

"""Metrics against torch-fidelity's own and closed forms; what is kept, what is told, what is refused."""

from __future__ import annotations

import itertools
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluation_parts import Corner, CornerClasses, Drawing, Playback, registry_with_corners

import ganzoo
from ganzoo.contract.metrics import BETTER
from ganzoo.contract.specs import Sample
from ganzoo.evaluation.comparison import columns, differences, is_better, places
from ganzoo.evaluation.datachoice import build_dataset, data_to_measure
from ganzoo.evaluation.distances import DISTANCES, density_coverage, measure_features, statistics
from ganzoo.evaluation.evaluation import Bench, Question
from ganzoo.evaluation.features import (
    Extractor,
    Lesson,
    as_pictures,
    cache_folder,
    fingerprint,
    known_path,
    learned_path,
)
from ganzoo.evaluation.reference import RealPictures, reference_for, summary
from ganzoo.evaluation.values import METRICS, measure_values, mixture, sliced_wasserstein
from ganzoo.models.config import Metric
from ganzoo.recipes.options import Part
from ganzoo.registry.registry import registry

CPU = torch.device("cpu")
SIDE = 8
GRAY = Sample((1, SIDE, SIDE))


@pytest.fixture(autouse=True)
def _cache(monkeypatch, tmp_path):
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def corners():
    return registry_with_corners()


def pictures(n, seed=0, shift=0, channels=1):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(n, channels, SIDE, SIDE, generator=generator) * 30 + 120 + shift
    return noise.clamp(0, 255).to(torch.uint8)


def as_samples(picture):
    """What a generator would give to make this picture."""
    return picture.float() / 127.5 - 1


@pytest.fixture
def data(tmp_path):
    """A function that writes pictures as data and gives the part that names them."""

    def write(picture, name="real.npz", **arrays):
        np.savez(tmp_path / name, images=picture.permute(0, 2, 3, 1).numpy(), **arrays)
        return Part("npz", {"path": str(tmp_path / name)})

    return write


def bench(part, registry_, target=GRAY, **options):
    options = {"features": "corner", "samples": 300, **options}
    return Bench(build_dataset(part, registry_), part, target, Question(**options), registry_, CPU)


def values_of(metrics):
    return {one.name: one.value for one in metrics}


# against torch-fidelity


def test_numbers_equal_those_of_torch_fidelity_on_the_same_features(data, corners, monkeypatch):
    from torch_fidelity import FeatureExtractorBase, calculate_metrics, register_feature_extractor

    class Theirs(FeatureExtractorBase):
        def __init__(self, name, features_list, **options):
            super().__init__(name, features_list)
            self.ours = CornerClasses()

        @staticmethod
        def get_provided_features_list():
            return ("features", "logits")

        @staticmethod
        def get_default_feature_layer_for_metric(metric):
            return "logits" if metric == "isc" else "features"

        def forward(self, image):
            features = {"features": self.ours(image)}
            features["logits"] = self.ours.logits(features["features"])
            return tuple(features[name] for name in self.features_list)

    class Pictures(torch.utils.data.Dataset):
        def __init__(self, images):
            self.images = images

        def __len__(self):
            return len(self.images)

        def __getitem__(self, index):
            return self.images[index]

    register_feature_extractor("theirs", Theirs)
    real, fake = pictures(420), pictures(400, seed=1, shift=12)
    part = data(real)
    ours = bench(part, corners, features="corner-classes", samples=400)
    found = values_of(ours.measure(Playback(as_samples(fake)), 0, {}))
    ordered = torch.cat(list(RealPictures(ours.dataset, "image").chunks()))
    common = {
        "feature_extractor": "theirs",
        "cuda": False,
        "verbose": False,
        "save_cpu_ram": True,
        "cache": False,
        "kid_subset_size": 400,
    }
    theirs = calculate_metrics(
        input1=Pictures(fake.expand(-1, 3, -1, -1)), input2=Pictures(ordered), isc=True, fid=True, kid=True, **common
    )
    # neighbourhoods are those of equally many real pictures
    theirs |= calculate_metrics(
        input1=Pictures(fake.expand(-1, 3, -1, -1)), input2=Pictures(ordered[:400]), prc=True, **common
    )
    names = {
        "fid": "frechet_inception_distance",
        "kid": "kernel_inception_distance_mean",
        "inception-score": "inception_score_mean",
        "precision": "precision",
        "recall": "recall",
    }
    for name, their_name in names.items():
        assert found[name] == pytest.approx(theirs[their_name], abs=1e-6), name
    assert found["fid"] > 0.01 and 0 < found["precision"] <= 1


# closed forms


def gaussian(n, mean, std, seed=0, dimensions=4):
    generator = torch.Generator().manual_seed(seed)
    return mean + std * torch.randn(n, dimensions, generator=generator)


def whitened(features):
    """The same features with exactly mean 0 and covariance 1."""
    centred = (features - features.mean(0)).double()
    root = torch.linalg.cholesky(torch.linalg.inv(torch.cov(centred.T)))
    return (centred @ root).float()


def numbers(fake, real, *names):
    extractor = Extractor("none", Corner(), "0", CPU)
    return {name: one.value for name, one in measure_features(names, fake, real, extractor).items()}


def test_fid_of_two_gaussians_is_the_closed_form():
    base = whitened(gaussian(4000, 0, 1))
    found = numbers(3 + 2 * base, summary(1 + 0.5 * base), "fid")["fid"]
    # ‖μ₁ - μ₂‖² + Σ (σ₁ - σ₂)², in 4 dimensions
    assert found == pytest.approx(4 * (3 - 1) ** 2 + 4 * (2 - 0.5) ** 2, rel=1e-5)


def test_fid_of_correlated_gaussians_is_the_closed_form():
    base = whitened(gaussian(4000, 0, 1, dimensions=2))
    mixing = torch.tensor([[2.0, 1.0], [0.0, 1.0]])
    found = numbers(base @ mixing, summary(base), "fid")["fid"]
    covariance = mixing.T @ mixing
    # against covariance 1 the root is that of Σ alone
    expected = covariance.trace() + 2 - 2 * torch.linalg.eigvalsh(covariance).sqrt().sum()
    assert found == pytest.approx(expected.item(), rel=1e-5)


def test_identical_sets_are_at_distance_0_and_wholly_covered():
    features = gaussian(400, 0, 1)
    real = summary(features)
    found = numbers(features, real, *(name for name in DISTANCES if "score" not in name))
    assert found["fid"] == pytest.approx(0, abs=1e-6)
    # pictures that are in both subsets make the unbiased estimate a little less than 0
    assert -0.1 < found["kid"] < 1e-3
    assert found["precision"] == found["recall"] == found["coverage"] == 1
    assert found["density"] == pytest.approx(1)


def test_noise_makes_every_number_worse_step_by_step():
    features = gaussian(300, 0, 1)
    real, noise = summary(features), gaussian(300, 0, 1, seed=1)
    for name in ("fid", "kid", "precision", "density", "coverage"):
        steps = [numbers(features + s * noise, real, name)[name] for s in (0, 0.5, 1, 2, 4)]
        for before, after in itertools.pairwise(steps):
            assert is_better(name, before, after), (name, steps)


def test_recall_drops_when_modes_are_missing_and_precision_stays():
    both = torch.cat([gaussian(600, -5, 1), gaussian(600, 5, 1, seed=1)])
    one = gaussian(1200, 5, 1, seed=2)
    real = summary(both[torch.randperm(1200, generator=torch.Generator().manual_seed(0))])
    found = numbers(one, real, "precision", "recall", "coverage")
    assert found["precision"] > 0.9 and found["recall"] < 0.6 and found["coverage"] < 0.6


def test_density_and_coverage_by_hand():
    real = torch.tensor([[0.0], [1.0], [3.0], [10.0]])
    fake = torch.tensor([[0.5], [0.5], [20.0]])
    # with one neighbour the balls reach 1, 1, 2 and 7: each 0.5 lies in those of 0 and 1, 20 in none
    density, coverage = density_coverage(fake, real, neighbours=1)
    assert density == pytest.approx(4 / 3) and coverage == pytest.approx(2 / 4)


def test_inception_score_of_sure_and_even_classes_is_their_number(corners, data):
    sure = torch.zeros(600, 1, SIDE, SIDE)
    sure[torch.arange(600), 0, 0, torch.arange(600) % 6] = 255
    measured = bench(
        data(sure.to(torch.uint8)), corners, features="corner-classes", metrics=["inception-score"], samples=600
    )
    shuffled = as_samples(sure)[torch.randperm(600, generator=torch.Generator().manual_seed(0))]
    (metric,) = measured.measure(Playback(shuffled), 0, {})
    assert 5.5 < metric.value <= 6


# what is kept


def test_features_of_real_pictures_are_computed_once(data, corners, monkeypatch):
    part = data(pictures(700))
    monkeypatch.setattr(Corner, "calls", 0)
    generator = Playback(as_samples(pictures(50, seed=1)))
    first = bench(part, corners, samples=50).measure(generator, 0, {})
    assert Corner.calls == 700 + 50
    second = bench(part, corners, samples=50).measure(generator, 0, {})
    assert Corner.calls == 700 + 50 + 50
    assert first == second


def test_other_pictures_other_weights_and_damage_are_noticed(data, corners, monkeypatch):
    generator = Playback(as_samples(pictures(50, seed=1)))

    def run(part, features="corner"):
        monkeypatch.setattr(Corner, "calls", 0)
        metrics = bench(part, corners, samples=50, metrics=["fid"], features=features).measure(generator, 0, {})
        return Corner.calls > 50, metrics[0].value

    part = data(pictures(700))
    assert run(part)[0] and not run(part)[0]
    data(pictures(700, shift=5))
    new, value = run(part)
    assert new
    assert run(part, "stretched")[0]
    for file in (cache_folder() / "reference").iterdir():
        file.write_bytes(b"nothing")
    new, again = run(part)
    assert new and again == value


def test_an_unwritable_cache_costs_time_only(data, corners, monkeypatch, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "file"))
    metrics = bench(data(pictures(60)), corners, samples=50, metrics=["fid"]).measure(
        Playback(as_samples(pictures(50))), 0, {}
    )
    assert metrics[0].value >= 0 and "cannot be written" in caplog.text


def test_no_split_leads_out_of_the_cache(data, corners, tmp_path):
    part = data(pictures(60))
    dataset = build_dataset(part, registry())
    extractor = Extractor("corner", Corner(), "0", CPU)
    reference_for(dataset, part, "image", "../../../outside/x", extractor)
    (kept,) = (tmp_path / "cache" / "reference").iterdir()
    assert kept.name.startswith("npz-real.npz-outside-x-1x8x8-corner-0-")


def test_fingerprint_is_that_of_the_weights():
    one, same, other = Corner(), Corner(), Corner(gain=1.001)
    assert fingerprint("corner", one) == fingerprint("corner", same) != fingerprint("corner", other)
    assert fingerprint("corner", one) != fingerprint("edge", one)


# what is sampled and looked at


def test_samples_are_those_of_the_model(run_model):
    model = run_model
    part = Part("ring", {})
    measured = Bench(
        build_dataset(part, registry()), part, model.target, Question(samples=700, seed=3), registry(), CPU
    )
    found = values_of(measured.measure(model.generator, 0, {}))
    fake = model.sample(700, seed=3)
    distance = torch.cdist(fake, measured.dataset.modes).min(1).values
    assert found["share-within-3-sigma"] == pytest.approx((distance < 0.06).float().mean().item(), abs=1e-7)


@pytest.fixture
def run_model(small, tmp_path):
    return ganzoo.train(small(), out=tmp_path / "run", progress=False, device="cpu").model()


def test_pictures_are_rounded_as_saved_ones_are():
    picture = pictures(3, channels=3)
    assert torch.equal(as_pictures(as_samples(picture), Sample((3, SIDE, SIDE))), picture)
    assert torch.equal(
        as_pictures(torch.tensor([-3.0, 3.0]).view(2, 1, 1, 1), GRAY)[:, 0, 0, 0], torch.tensor([0, 255])
    )


def test_features_read_other_pictures_over_white_or_by_their_first_three_channels():
    def shown(*values):
        sample = Sample((len(values), 1, 1), 0.0, 1.0)
        picture = torch.tensor(values).view(1, -1, 1, 1)
        read = as_pictures(picture, sample).flatten().tolist()
        assert sample.pixels(picture).round().flatten().tolist() == read
        return read

    assert shown(0.2, 0.0) == [255] * 3 and shown(0.2, 1.0) == [51] * 3
    assert shown(0.2, 0.4, 0.6, 1.0) == [51, 102, 153] and shown(0.0, 0.0, 1.0, 0.4) == [153, 153, 255]
    assert shown(0.2, 0.4, 0.6, 0.8, 1.0) == [51, 102, 153]


def test_real_pictures_are_all_there_once_in_a_fixed_random_order(data, corners):
    picture = torch.arange(90, dtype=torch.uint8).view(90, 1, 1, 1).expand(-1, 1, SIDE, SIDE)
    dataset = build_dataset(data(picture.contiguous(), labels=np.arange(90) % 3), registry())
    real = RealPictures(dataset, "image")
    shown = torch.cat(list(real.chunks(32)))[:, 0, 0, 0]
    assert sorted(shown.tolist()) == list(range(90)) and shown.tolist() != list(range(90))
    assert torch.equal(real.labels, shown.long() % 3)
    assert torch.equal(torch.cat(list(RealPictures(dataset, "image").chunks(7)))[:, 0, 0, 0], shown)


def test_larger_pictures_are_cut_to_their_middle():
    table_ = torch.arange(16, dtype=torch.uint8).view(4, 4, 1)
    table = ganzoo.Table({"image": table_[None]}, crop=True)

    class Cropped(ganzoo.Dataset):
        spec = ganzoo.DataSpec({"image": ganzoo.Sample((1, 2, 2))})

        def load(self):
            return table

    (chunk,) = RealPictures(Cropped(), "image").chunks()
    assert chunk[0, 0].tolist() == [[5, 6], [9, 10]]
    wide = torch.arange(24, dtype=torch.uint8).view(4, 6, 1)
    table = ganzoo.Stream(2, lambda i: {"image": (table_, wide)[i]}, crop=True)
    (chunk,) = RealPictures(Cropped(), "image").chunks()
    assert sorted(chunk[:, 0].tolist()) == [[[5, 6], [9, 10]], [[8, 9], [14, 15]]]


def test_a_conditional_generator_makes_each_class_in_turn(data, corners):
    class Labels(Drawing):
        conditional = True

        def forward(self, source, label):
            return (label.float() / 4 - 0.5).view(-1, 1, 1, 1).expand(-1, 1, SIDE, SIDE)

    seen = []
    extractor = Corner.forward

    class Watched(Corner):
        def forward(self, image):
            seen.extend(image[:, 0, 0, 0].tolist())
            return extractor(self, image)

    measured = bench(data(pictures(60)), corners, samples=8, metrics=["fid"])
    assert measured.reference.count == 60
    measured.extractor = Extractor("corner", Watched(), "0", CPU)
    measured.measure(Labels(lambda n: torch.zeros(n, 1)), 4, {})
    assert len(set(seen)) == 4 and seen[:4] == seen[4:]


def test_random_generators_and_the_generators_mode_are_left_alone(data, corners):
    generator = Drawing(lambda n: torch.randn(n, 1, SIDE, SIDE)).train()
    measured = bench(data(pictures(60)), corners, samples=40, metrics=["fid"])
    state = torch.get_rng_state()
    first = measured.measure(generator, 0, {})
    assert torch.equal(torch.get_rng_state(), state) and generator.training
    torch.randn(3)
    assert measured.measure(generator, 0, {}) == first


# what is told


def test_every_number_says_how_it_was_measured(data, corners):
    measured = bench(data(pictures(80)), corners, samples=60, seed=5)
    metrics = measured.measure(Playback(as_samples(pictures(60, 1))), 0, {"weights": "moving average", "images": 123})
    assert [one.name for one in metrics] == ["fid", "kid", "precision", "recall", "density", "coverage"]
    for one in metrics:
        assert (one.data, one.split, one.samples) == ("npz:real.npz", "train", 60)
        facts = one.provenance
        assert facts["features"] == "corner" and facts["features hash"] == measured.extractor.fingerprint
        assert facts["size"] == "1x8x8" and facts["resize"] == "none" and facts["seed"] == 5
        assert facts["weights"] == "moving average" and facts["images"] == 123
        assert facts["ganzoo"] == ganzoo.__version__ and facts["torch"] == torch.__version__
    assert {one.name: one.provenance["real samples"] for one in metrics} == {
        "fid": 80, "kid": 80, "precision": 60, "recall": 60, "density": 60, "coverage": 60,
    }  # fmt: skip
    assert metrics[1].provenance["subset size"] == 60
    assert metrics[0].provenance["torch-fidelity"] and "torch-fidelity" not in metrics[4].provenance


def test_several_seeds_give_mean_and_deviation(data, corners):
    part, generator = data(pictures(80)), Drawing(lambda n: torch.randn(n, 1, SIDE, SIDE))
    each = [
        bench(part, corners, samples=60, metrics=["fid"], seed=seed).measure(generator, 0, {})[0].value
        for seed in (4, 5, 6)
    ]
    (metric,) = bench(part, corners, samples=60, metrics=["fid"], seed=4, seeds=3).measure(generator, 0, {})
    assert metric.value == pytest.approx(np.mean(each), rel=1e-6)
    assert metric.provenance["deviation"] == pytest.approx(np.std(each, ddof=1), rel=1e-4)
    assert metric.provenance["seeds"] == 3


# toy distributions


def toy(name, generator, **options):
    part = Part(name, {})
    dataset = build_dataset(part, registry())
    target = next(iter(dataset.spec.fields.values()))
    return Bench(dataset, part, target, Question(**options), registry(), CPU).measure(generator, 0, {})


def test_a_perfect_ring_is_recovered():
    dataset = build_dataset(Part("ring", {}), registry())
    perfect = Drawing(lambda n: dataset.sample(n, torch.Generator().manual_seed(7)))
    found = values_of(toy("ring", perfect))
    assert found["modes-recovered"] == 8
    assert found["share-within-3-sigma"] == pytest.approx(1 - math.exp(-4.5), abs=0.005)
    assert found["sliced-wasserstein"] < 0.05 and found["mean-distance"] < 0.06


def test_a_collapsed_ring_is_seen():
    dataset = build_dataset(Part("ring", {}), registry())
    found = values_of(toy("ring", Drawing(lambda n: dataset.modes[:2].repeat(n // 2, 1)), samples=1000))
    assert found["modes-recovered"] == 2 and found["share-within-3-sigma"] == 1
    assert found["sliced-wasserstein"] > 0.5 and found["mean-distance"] > 1


def test_a_cloud_recovers_no_mode():
    """It has a sample or two within 3σ of each, which is luck."""
    cloud = toy("ring", Drawing(lambda n: 1.5 * torch.randn(n, 2)))
    found = values_of(cloud)
    assert 0 < found["share-within-3-sigma"] < 0.01 and found["modes-recovered"] == 0
    assert cloud[0].provenance["least share"] == 0.0125 and cloud[0].provenance["real"] == 8


def test_a_mode_is_recovered_by_a_tenth_of_its_even_share():
    modes = build_dataset(Part("ring", {}), registry()).modes
    for least, recovered in ((12, 7), (13, 8)):  # of 1,000 samples, 12.5 are needed
        sample = torch.cat([modes[:7].repeat(142, 1)[: 1000 - least], modes[7:].repeat(least, 1)])
        assert mixture(sample, build_dataset(Part("ring", {}), registry()))["modes-recovered"] == recovered


def test_a_shifted_gaussian_is_as_far_as_it_is_shifted():
    metrics = toy("gaussian", Drawing(lambda n: 4 + 0.5 + 1.25 * torch.randn(n, 1)))
    found = values_of(metrics)
    assert found["wasserstein-1"] == pytest.approx(0.5, abs=0.05)
    assert found["mean"] == pytest.approx(4.5, abs=0.05) and found["std"] == pytest.approx(1.25, abs=0.04)
    assert {one.name: one.provenance.get("real") for one in metrics}["mean"] == pytest.approx(4, abs=0.05)


def test_sliced_wasserstein_of_a_shift_is_its_mean_projection():
    value = torch.randn(500, 2)
    # the mean of |cos φ| over directions of the plane is 2/π
    assert sliced_wasserstein(value, value + torch.tensor([3.0, 0.0])) == pytest.approx(3 * 2 / math.pi, rel=0.05)
    assert sliced_wasserstein(value, value) == 0


def test_all_names_of_metrics_have_a_direction():
    assert {*DISTANCES, *METRICS} == set(BETTER)
    found = measure_values(torch.randn(50, 1), torch.randn(50, 1), None) | measure_values(
        torch.randn(50, 2), torch.randn(50, 2), build_dataset(Part("ring", {}), registry())
    )
    for view, shape in ((ganzoo.Signal(8), (1, 2)), (ganzoo.Columns((ganzoo.Column("a"), ganzoo.Column("b"))), (2,))):
        target = ganzoo.Sample(shape, -1.0, 1.0, view)
        found |= measure_values(torch.randn(50, 2), torch.randn(50, 2), None, target)
    assert set(found) == set(METRICS)


def test_pixels_need_neither_features_nor_torch_fidelity(data, corners, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    picture = pictures(100)
    measured = bench(data(picture), corners, features=None, metrics=["sliced-wasserstein"], samples=100)
    assert values_of(measured.measure(Playback(as_samples(picture)), 0, {}))["sliced-wasserstein"] < 1e-6
    shifted = values_of(measured.measure(Playback(as_samples(picture) + 0.5), 0, {}))["sliced-wasserstein"]
    assert shifted > 0.3


# what is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": ["fit"]}, "there is no metric 'fit' for pictures \\(did you mean 'fid'\\?\\)"),
        ({"metrics": ["modes-recovered"]}, "there is no metric 'modes-recovered' for pictures"),
        ({"features": "cornr"}, "no features 'cornr' \\(did you mean 'corner'\\?\\)"),
        ({"metrics": ["inception-score"]}, "inception-score needs features that tell classes, which corner do not"),
        ({"features": "classifier"}, "are not learned from npz:real.npz yet: run `ganzoo features train --data npz"),
        ({"features": "corner:x"}, "has no option 'path'"),
    ],
)
def test_what_cannot_be_measured_is_told_before_data_are_read(data, corners, options, message):
    with pytest.raises(ganzoo.UsageError, match=message):
        bench(data(pictures(10)), corners, **options)


def lesson(count, classes=2):
    label = torch.arange(100) % classes
    return Lesson(torch.zeros(count, 3, 8, 8, dtype=torch.uint8), label, torch.zeros(0), label, classes, "x")


@pytest.mark.parametrize(
    ("count", "accuracy", "said"),
    [
        (2_000, 0.95, []),
        (2_000, 0.55, ["hardly better than guessing, which is right for 50.0%"]),
        (20, 0.95, ["20 pictures are few"]),
        (20, 0.2, ["20 pictures are few", "hardly better than guessing"]),
    ],
)
def test_features_that_learned_little_are_doubted(count, accuracy, said):
    doubts = list(lesson(count).doubts(accuracy))
    assert len(doubts) == len(said) and all(part in doubt for part, doubt in zip(said, doubts, strict=True))


def test_guessing_is_always_naming_the_most_frequent_class():
    uneven = replace(lesson(2_000), test_label=torch.tensor([0] * 9 + [1]))
    assert len(list(uneven.doubts(0.9))) == 1 and list(uneven.doubts(0.95)) == []


def test_a_part_of_a_data_set_takes_the_features_of_the_whole():
    part = Part("fashion-mini", {})
    spec = build_dataset(part, registry()).spec
    own, whole = (learned_path("classifier", Part(name, {}), spec) for name in ("fashion-mini", "fashion-mnist"))
    assert known_path("classifier", part, spec, registry()) == own
    whole.parent.mkdir(parents=True)
    whole.write_bytes(b"")
    assert known_path("classifier", part, spec, registry()) == whole
    own.write_bytes(b"")
    assert known_path("classifier", part, spec, registry()) == own


@pytest.mark.parametrize(
    ("samples", "metrics", "said"),
    [
        (6, ["fid"], "fid of 6 generated and 40 real samples says little: covariances of 6 features"),
        (50, ["fid"], "fid of 50 generated and 40 real samples is too high"),
        (50, ["kid"], None),
    ],
)
def test_fid_of_few_samples_is_doubted_once(data, corners, caplog, samples, metrics, said):
    part = data(pictures(40))
    table = bench(part, corners, samples=samples, metrics=metrics)
    for _ in range(2):
        table.measure(Drawing(lambda n: as_samples(pictures(n, 1))), 0, {})
    told = [record.getMessage() for record in caplog.records if "generated" in record.getMessage()]
    assert len(told) == (said is not None) and all(said in one for one in told)


def test_fid_of_many_samples_is_not_doubted(data, corners, caplog, monkeypatch):
    monkeypatch.setattr("ganzoo.evaluation.evaluation._FEW", 40)
    made = Drawing(lambda n: as_samples(pictures(n, 1)))
    bench(data(pictures(40)), corners, samples=40, metrics=["fid"]).measure(made, 0, {})
    assert "generated" not in caplog.text


def test_without_any_features_one_line_says_what_to_do(data, corners, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    with pytest.raises(
        ganzoo.UsageError, match=r"no features for pictures are at hand: take those .*--features inception"
    ):
        bench(data(pictures(10)), corners, features=None)
    part = data(pictures(10), labels=np.arange(10) % 2)
    with pytest.raises(ganzoo.UsageError, match=r"run `ganzoo features train --data npz:real\.npz`"):
        bench(part, corners, features=None)


def test_without_torch_fidelity_one_line_says_how_to_get_it(data, corners, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "torch_fidelity"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(ganzoo.UsageError, match=r"pip install torch-fidelity scipy"):
        bench(data(pictures(10)), corners)


def test_neighbourhoods_need_enough_samples(data, corners):
    measured = bench(data(pictures(60)), corners, metrics=["density"], samples=4)
    with pytest.raises(ganzoo.UsageError, match="neighbourhoods of 5 need more than 4 samples"):
        measured.measure(Playback(as_samples(pictures(4))), 0, {})


def test_data_of_another_size_are_refused(data, corners):
    with pytest.raises(ganzoo.UsageError, match="makes samples of 1x4x4, the data hold 1x8x8"):
        bench(data(pictures(10)), corners, target=Sample((1, 4, 4)))


def test_an_extractor_that_lies_is_named(data, corners):
    with pytest.raises(ganzoo.PluginError, match="features crooked gave shape"):
        bench(data(pictures(10)), corners, features="crooked").measure(Playback(as_samples(pictures(10))), 0, {})


def test_a_metric_that_does_not_fit_the_values_is_refused():
    with pytest.raises(ganzoo.UsageError, match="modes-recovered does not fit these data: mean, std, wasserstein-1 do"):
        toy("gaussian", Drawing(lambda n: torch.randn(n, 1)), metrics=["modes-recovered"], samples=20)


# which data


def recipe(**options):
    return {"data": {"name": "fashion-mini", "size": 16, "limit": 50, **options}}


def test_data_of_the_recipe_are_measured_as_they_are():
    assert data_to_measure(recipe(), None, None, registry()) == Part("fashion-mini", {"size": 16, "limit": 50})


def test_other_data_are_taken_at_the_models_size_and_whole():
    part = data_to_measure(recipe(), "cifar10", "test", registry())
    assert part == Part("cifar10", {"size": 16, "split": "test"})
    assert data_to_measure(recipe(), "fashion-mini", None, registry()) == Part("fashion-mini", {"size": 16})
    moved = data_to_measure({"data": {"name": "folder", "path": "a.zip", "size": 32}}, "folder:b.zip", None, registry())
    assert moved == Part("folder", {"path": "b.zip", "size": 32})


THEIRS = [
    {"name": "folder", "path": "/home/me/private"},
    {"name": "npz", "path": "a.npz", "size": 16},
    {"name": "shards", "path": "/{0..99999999999}.tar"},
    {"name": "pair", "path": "a:b"},
    {"name": "hub", "path": "evil/data"},
]


@pytest.mark.parametrize("data", THEIRS, ids=lambda one: one["name"])
def test_a_recipe_chooses_no_files_here(data, monkeypatch):
    for name in ("exists", "is_file", "is_dir", "glob", "open"):
        monkeypatch.setattr(Path, name, lambda self, *arguments: pytest.fail(f"{self} was looked at"))
    line = f"a recipe chooses no files here: name the data with --data {data['name']}:PATH"
    with pytest.raises(ganzoo.UsageError, match=line):
        data_to_measure({"data": data}, None, None, registry())


def test_options_of_a_recipe_that_could_name_a_file_are_left_out_and_told(caplog):
    stated = recipe(name="emnist", root="/etc", variant="letters", classes=["a", "b"], flip=True)
    part = data_to_measure(stated, None, None, registry())
    assert part.options == {"variant": "letters", "classes": ["a", "b"], "flip": True, "size": 16, "limit": 50}
    assert "data.root of the model's recipe is left out" in caplog.text
    assert data_to_measure(stated, "emnist", None, registry()).options.keys() == part.options.keys() - {"limit"}


def test_a_split_that_is_not_there_is_refused():
    with pytest.raises(ganzoo.UsageError, match="data fashion-mini have no split 'test'"):
        data_to_measure(recipe(), None, "test", registry())
    assert data_to_measure(recipe(), None, "train", registry()).options == {"size": 16, "limit": 50}


def test_a_recipe_without_data_asks_for_them():
    with pytest.raises(ganzoo.UsageError, match="name them with --data"):
        data_to_measure({}, None, None, registry())


# what is compared


def number(value=1.0, name="fid", data="cifar10", samples=100, **facts):
    return Metric(name, value, data, "train", samples, {"features": "corner", "features hash": "a", **facts})


def test_numbers_in_a_column_were_measured_alike():
    found = columns({"a": [number(1.0), number(5.0, "kid")], "b": [number(2.0)], "c": [number(3.0, samples=50)]})
    assert [(key[0], list(column)) for key, column in found.items()] == [
        ("fid", ["a", "b"]), ("fid", ["c"]), ("kid", ["a"]),
    ]  # fmt: skip


def test_equal_numbers_share_a_place():
    fids = {"a": number(3.0), "b": number(1.00001), "c": number(1.0), "d": number(2.0)}
    assert places(fids) == {"b": 1, "c": 1, "d": 3, "a": 4}
    modes = {"a": number(0.0, "modes-recovered"), "b": number(8.0, "modes-recovered")}
    assert list(places(modes).items()) == [("b", 1), ("a", 2)]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"data": "mnist"}, "other data: a was measured against cifar10; b was measured against mnist"),
        ({"data": "ring", "name": "modes-recovered"}, "other data: a was measured against cifar10; b was measured ag"),
        ({"samples": 50}, "samples 100 and 50"),
        ({"features hash": "b"}, "features hash a and b"),
        ({"size": "3x64x64"}, "size none and 3x64x64"),
        ({"seeds": 3}, "seeds none and 3"),
        ({"name": "kid"}, "b has no fid"),
    ],
)
def test_the_incomparable_is_told(other, said):
    assert said in differences({"a": [number()], "b": [number(2.0, **other)]}, "fid")
    assert differences({"a": [number()], "b": [number(2.0, weights="last", images=3, seed=7)]}, "fid") is None


def test_statistics_are_those_of_all_pictures(data, corners, monkeypatch):
    monkeypatch.setattr("ganzoo.evaluation.reference.KEPT", 40)
    part = data(pictures(100))
    dataset = build_dataset(part, registry())
    extractor = Extractor("corner", Corner(), "0", CPU)
    reference = reference_for(dataset, part, "image", "train", extractor)
    every = extractor(RealPictures(dataset, "image").chunks())
    assert reference.count == 100 and len(reference.features) == 40
    np.testing.assert_allclose(reference.covariance.numpy(), statistics(every)["sigma"])


# during training


@pytest.fixture
def evaluated(small):
    """A function that gives a recipe which is evaluated as it goes."""

    def make(**changes):
        return small(**{"eval": {"every": 96, "samples": 200}, **changes})

    return make


def test_rows_best_and_last_of_a_run(evaluated, tmp_path):
    run = ganzoo.train(evaluated(), out=tmp_path / "run", progress=False, device="cpu")
    rows = [row for row in run.metrics() if "eval/sliced-wasserstein" in row]
    assert [row["images"] for row in rows] == [96, 192, 288, 320]
    results = json.loads((run.folder / "evaluation.json").read_text())
    name = "eval/sliced-wasserstein"
    best = min(rows, key=lambda row: row[name])
    assert results["best"]["sliced-wasserstein"]["images"] == best["images"]
    assert results["best"]["sliced-wasserstein"]["value"] == pytest.approx(best[name], rel=1e-5)
    (last,) = [one for one in results["last"] if one["name"] == "sliced-wasserstein"]
    assert last["value"] == pytest.approx(rows[-1][name], rel=1e-5) and last["provenance"]["images"] == 320
    config = run.model().config
    recorded = {one.name: one for one in config.metrics}["sliced-wasserstein"]
    assert recorded.value == last["value"] and recorded.provenance["weights"] == "moving average"
    assert recorded.provenance["images at best"] == best["images"]
    assert "sliced-wasserstein" in (run.folder / "model" / "README.md").read_text()


def test_evaluating_changes_nothing_else(evaluated, small, tmp_path):
    weights = []
    for name, recipe_ in (("with", evaluated()), ("without", small())):
        ganzoo.train(recipe_, out=tmp_path / name, progress=False, device="cpu")
        weights.append((tmp_path / name / "model" / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_a_resumed_run_has_the_rows_of_an_unbroken_one(evaluated, tmp_path):
    whole = ganzoo.train(evaluated(), out=tmp_path / "whole", progress=False, device="cpu")
    ganzoo.train(evaluated(images=160), out=tmp_path / "broken", progress=False, device="cpu")
    broken = ganzoo.train(evaluated(), out=tmp_path / "broken", progress=False, device="cpu")
    assert (whole.folder / "metrics.jsonl").read_bytes() == (broken.folder / "metrics.jsonl").read_bytes()
    assert (whole.folder / "evaluation.json").read_bytes() == (broken.folder / "evaluation.json").read_bytes()


def test_a_finished_run_that_is_resumed_keeps_its_numbers(evaluated, tmp_path):
    first = ganzoo.train(evaluated(), out=tmp_path / "run", progress=False, device="cpu")
    before = first.model().config.metrics
    again = ganzoo.train(evaluated(), out=tmp_path / "run", progress=False, device="cpu")
    assert before and again.model().config.metrics == before


def test_restart_forgets_earlier_numbers(evaluated, small, tmp_path):
    ganzoo.train(evaluated(), out=tmp_path / "run", progress=False, device="cpu")
    ganzoo.train(small(), out=tmp_path / "run", restart=True, progress=False, device="cpu")
    assert not (tmp_path / "run" / "evaluation.json").exists()


def test_a_run_with_a_wrong_metric_does_not_begin(evaluated, tmp_path):
    with pytest.raises(ganzoo.UsageError, match="there is no metric 'fid' for values"):
        ganzoo.train(
            evaluated(eval={"every": 96, "metrics": ["fid"]}), out=tmp_path / "run", progress=False, device="cpu"
        )
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_a_recipe_that_is_not_evaluated_has_no_such_section(small, evaluated):
    assert "eval" not in small().to_dict()
    assert evaluated().to_dict()["eval"] == {"every": 96, "samples": 200, "metrics": []}
    assert type(small()).from_dict(evaluated().to_dict()) == evaluated()

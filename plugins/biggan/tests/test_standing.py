"""Standing statistics: what they are, which samples are made with them, and where they are kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import ganzoo
from ganzoo_biggan import standing
from ganzoo_biggan.generator import BigGANDeepGenerator, BigGANGenerator
from ganzoo_biggan.standing import Standing

COLOUR = ganzoo.Sample((3, 32, 32))
NAMES = ("biggan", "biggan-deep")


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr("ganzoo_biggan.generator.BATCHES", 3)
    monkeypatch.setattr(standing, "BATCHES", 3)
    monkeypatch.setattr("ganzoo_biggan.generator.BATCH", 8)


def generator(name: str = "biggan", **options) -> BigGANGenerator | BigGANDeepGenerator:
    torch.manual_seed(0)
    made = BigGANGenerator if name == "biggan" else BigGANDeepGenerator
    options = {"width": 8, "latent": 8, "shared": 4, "conditional": True, "standing": 3} | options
    network = made(None, COLOUR, 5, **options).eval()
    for module in network.modules():  # running statistics that would show
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(1, 2)
    return network


def norms(network: nn.Module) -> dict[str, tuple[nn.BatchNorm2d, Standing]]:
    found = {}
    for name, module in network.named_modules():
        if isinstance(getattr(module, "standing", None), Standing):
            found[name] = (module.norm, module.standing)
    return found


def batches(network: nn.Module, truncation: float) -> list[tuple[Tensor, Tensor]]:
    """Latents and labels as they are measured with."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        latents = [network.sample_latent(8, torch.device("cpu")) for _ in range(3)]
    return [
        (network.truncate(latent, truncation), torch.arange(8 * number, 8 * number + 8) % 5)
        for number, latent in enumerate(latents)
    ]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("number", [0, 1, 2])
def test_standing_statistics_are_the_means_of_those_of_batches(name, number):
    network = generator(name)
    network.settle(truncated=True)
    reference, values = generator(name, standing=0), {}
    for norm, _ in norms(reference).values():  # torch's own: the plain mean over batches, of unbiased variances
        norm.train()
        norm.momentum = None
        norm.reset_running_stats()
        norm.register_forward_pre_hook(lambda one, given: values.update({one: given[0].numel() // given[0].shape[1]}))
    with torch.no_grad():
        for latent, label in batches(network, number / 2):
            reference(latent, label)
    assert len(norms(network)) == (7 if name == "biggan" else 25)
    for where, (norm, _) in norms(reference).items():
        found, share = norms(network)[where][1], (values[norm] - 1) / values[norm]
        torch.testing.assert_close(found.mean[number], norm.running_mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found.variance[number], norm.running_var * share, rtol=1e-4, atol=1e-6)


def test_many_more_batches_give_nearly_the_same(monkeypatch):
    tables = []
    for count in (16, 60):
        monkeypatch.setattr("ganzoo_biggan.generator.BATCH", 16)
        monkeypatch.setattr("ganzoo_biggan.generator.BATCHES", count)
        monkeypatch.setattr(standing, "BATCHES", count)
        network = generator(width=4)
        network.settle(truncated=False)
        tables.append([table for _, table in norms(network).values()])
    for one, other in zip(*tables, strict=True):
        assert ((one.mean[-1] - other.mean[-1]).abs() / other.variance[-1].sqrt()).max() < 0.2
        assert (one.variance[-1] / other.variance[-1]).log().abs().max() < 0.4


@pytest.mark.parametrize("name", NAMES)
def test_samples_are_made_with_the_statistics_of_their_truncation(name):
    network = generator(name)
    network.settle(truncated=True)
    latent, label = batches(network, 1.0)[0]
    plain = generator(name, standing=0)
    for truncation in (0.0, 0.5, 0.8, 1.0):
        row, share = divmod(truncation * 2, 1)
        for where, (norm, _) in norms(plain).items():
            table = norms(network)[where][1]
            above = min(int(row) + 1, 2)
            norm.running_mean.copy_(table.mean[int(row)].lerp(table.mean[above], share))
            norm.running_var.copy_(table.variance[int(row)].lerp(table.variance[above], share))
        expected = plain(plain.truncate(latent, truncation), label)
        torch.testing.assert_close(network.truncated(latent, label, truncation), expected)
        if truncation == 1:
            torch.testing.assert_close(network(latent, label), expected)


def test_settling_changes_nothing_else_and_draws_nothing():
    network = generator()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    torch.manual_seed(3)
    state = torch.get_rng_state()
    network.settle(truncated=False)
    assert torch.equal(torch.get_rng_state(), state)
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and all(".standing." in f".{name}" for name in changed)
    assert all(not norm.mean[:2].any() and norm.mean[2].any() for _, norm in norms(network).values())
    again = generator()
    again.settle(truncated=True)
    again.settle(truncated=True)  # begins anew
    assert torch.equal(again.standing.mean[2], network.standing.mean[2])


def test_one_truncation_is_no_table():
    with pytest.raises(ValueError, match="standing is 0, for running statistics, or at least 2"):
        generator(standing=1)


def test_layers_without_spectral_normalisation_have_plain_weights():
    network = generator(spectral_norm=False)
    assert not any("parametrizations" in name for name in network.state_dict())
    normalised = generator()
    weight = normalised.picture.parametrizations.weight.original
    assert torch.equal(network.picture.weight, weight)


def test_a_run_keeps_them_in_its_model_and_shows_and_measures_with_them(tmp_path, monkeypatch):
    changes = {"data.size": 32, "data.limit": 64, "generator.width": 4, "discriminator.width": 4}
    changes |= {"eval.every": 1_000_000, "eval.metrics": ["sliced-wasserstein"], "eval.samples": 16}
    measured = []
    from ganzoo.training.callbacks import evaluation

    monkeypatch.setattr(
        evaluation.Bench, "measure", lambda self, generator, classes, facts: measured.append(generator) or []
    )
    run = ganzoo.train(
        "biggan-mini", data="fashion-mini", images=16, batch=8, seed=1, out=tmp_path / "run", device="cpu",
        progress=False, set=changes,
    )  # fmt: skip
    folder = Path(run.folder) / "model"
    saved = load_file(folder / "model.safetensors")
    assert saved["standing.mean"].shape == (5, 16) and saved["standing.mean"].any(dim=1).all()
    model = ganzoo.load(folder)
    assert torch.equal(measured[-1].standing.mean[-1], model.generator.standing.mean[-1])
    again = ganzoo.load(folder)
    again.generator.settle(truncated=True)
    torch.testing.assert_close(again.generator.standing.mean, model.generator.standing.mean)
    label, latent = torch.arange(4), model.latents(seed=2, n=4).values
    wanted = model.generator.truncated(latent, label, 0.5)
    torch.testing.assert_close(model.sample(4, seed=2, truncation=0.5), wanted)
    assert not torch.equal(wanted, model.generator(model.generator.truncate(latent, 0.5), label))

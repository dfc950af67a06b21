"""The fully connected networks: shapes, ranges, labels, and numbers of parameters counted by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

import ganzoo
from ganzoo_mlp.mlp import MLPDiscriminator, MLPGenerator

GRAY_28 = ganzoo.Sample((1, 28, 28))
PLANE = ganzoo.Sample((2,), low=-math.inf, high=math.inf)
ZEROS = torch.zeros(2, dtype=torch.int64)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def latents(generator: ganzoo.Generator, n: int = 2) -> torch.Tensor:
    return generator.sample_latent(n, torch.device("cpu"))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [28, 32, 48, 64, 80, 96, 128])
def test_pictures_of_every_size_are_made_and_judged(side, channels):
    target = ganzoo.Sample((channels, side, side))
    generator, discriminator = (
        MLPGenerator(None, target, 0, widths=(8,)),
        MLPDiscriminator(None, target, 0, widths=(8,)),
    )
    picture = generator(latents(generator), ZEROS)
    assert picture.shape == (2, channels, side, side)
    assert picture.min() >= -1 and picture.max() <= 1
    assert discriminator(picture, ZEROS).shape == (2,)


@pytest.mark.parametrize("shape", [(1,), (2,), (7,), (3, 20, 33)])
def test_values_and_oblong_pictures_are_made_and_judged(shape):
    target = ganzoo.Sample(shape)
    generator, discriminator = MLPGenerator(None, target, 0), MLPDiscriminator(None, target, 0)
    sample = generator(latents(generator), ZEROS)
    assert sample.shape == (2, *shape)
    assert discriminator(sample, ZEROS).shape == (2,)


def test_samples_fill_the_targets_own_range():
    generator = MLPGenerator(None, ganzoo.Sample((1, 28, 28), low=0.0, high=10.0), 0)
    with torch.no_grad():
        generator.layers[-1].weight.mul_(1e4)
    sample = generator(latents(generator), ZEROS)
    assert 0 <= sample.min() < 0.1 and 9.9 < sample.max() <= 10


def test_unbounded_values_have_a_linear_output():
    generator = MLPGenerator(None, PLANE, 0)
    z = latents(generator)
    with torch.no_grad():
        generator.layers[-1].weight.mul_(1e3)
    assert torch.equal(generator(z, ZEROS), generator.layers(z))
    assert generator(z, ZEROS).abs().max() > 1


def test_layers_are_those_of_a_plain_transcription():
    generator, discriminator = MLPGenerator(None, GRAY_28, 0), MLPDiscriminator(None, GRAY_28, 0)
    z = latents(generator)
    h = z
    weights = list(generator.parameters())
    for weight, bias in zip(weights[0:-2:2], weights[1:-2:2], strict=True):
        h = functional.leaky_relu(h @ weight.T + bias, 0.2)
    picture = torch.tanh(h @ weights[-2].T + weights[-1]).view(2, 1, 28, 28)
    torch.testing.assert_close(generator(z, ZEROS), picture, rtol=0, atol=1e-6)
    h = picture.view(2, 784)
    weights = list(discriminator.parameters())
    for weight, bias in zip(weights[0:-2:2], weights[1:-2:2], strict=True):
        h = functional.leaky_relu(h @ weight.T + bias, 0.2)
    torch.testing.assert_close(
        discriminator(picture, ZEROS), (h @ weights[-2].T + weights[-1]).view(-1), rtol=0, atol=1e-6
    )


def test_parameter_counts_are_those_computed_by_hand():
    generator = (100 * 256 + 256) + (256 * 512 + 512) + (512 * 1024 + 1024) + (1024 * 784 + 784)
    assert count(MLPGenerator(None, GRAY_28, 0)) == generator
    assert count(MLPGenerator(None, GRAY_28, 0, batch_norm=True)) == generator + 2 * (512 + 1024)
    assert count(MLPDiscriminator(None, GRAY_28, 0)) == (784 * 512 + 512) + (512 * 256 + 256) + (256 + 1)


def test_labels_cost_parameters_only_where_they_are_used():
    assert count(MLPGenerator(None, GRAY_28, 10)) == count(MLPGenerator(None, GRAY_28, 0))
    assert count(MLPDiscriminator(None, GRAY_28, 10)) == count(MLPDiscriminator(None, GRAY_28, 0))
    extra = count(MLPGenerator(None, GRAY_28, 10, conditional=True)) - count(MLPGenerator(None, GRAY_28, 10))
    assert extra == 10 * 50 + 50 * 256


@pytest.mark.parametrize(("distribution", "variance"), [("uniform", 1 / 3), ("normal", 1.0)])
def test_latents_follow_the_chosen_distribution(distribution, variance):
    torch.manual_seed(0)
    z = latents(MLPGenerator(None, PLANE, 0, latent_distribution=distribution), 1000)
    assert z.shape == (1000, 100)
    assert z.mean() == pytest.approx(0, abs=0.02) and z.var() == pytest.approx(variance, rel=0.05)
    assert (z.abs().max() <= 1) == (distribution == "uniform")


def test_slope_zero_is_relu():
    generator = MLPGenerator(None, PLANE, 0, widths=(16,), slope=0.0)
    z = latents(generator)
    assert torch.equal(generator.layers[1](generator.layers[0](z)), torch.relu(generator.layers[0](z)))


def test_dropout_acts_in_training_only():
    discriminator = MLPDiscriminator(None, GRAY_28, 0, dropout=0.5)
    sample = torch.randn(2, 1, 28, 28)
    assert not torch.equal(discriminator(sample, ZEROS), discriminator(sample, ZEROS))
    discriminator.eval()
    assert torch.equal(discriminator(sample, ZEROS), discriminator(sample, ZEROS))


def test_generator_refuses_to_translate():
    with pytest.raises(ganzoo.Incompatible, match="cannot translate 1x28x28"):
        MLPGenerator(GRAY_28, GRAY_28, 0)


@pytest.mark.parametrize("cls", [MLPGenerator, MLPDiscriminator])
def test_conditional_network_refuses_unlabelled_data(cls):
    with pytest.raises(ganzoo.Incompatible, match="the data have no labels"):
        cls(None, GRAY_28, 0, conditional=True)


@pytest.mark.parametrize("cls", [MLPGenerator, MLPDiscriminator])
@pytest.mark.parametrize("widths", [(), (128, 0)])
def test_a_network_without_hidden_units_is_refused(cls, widths):
    with pytest.raises(ValueError, match="at least one hidden layer"):
        cls(None, GRAY_28, 0, widths=widths)


@pytest.mark.parametrize("target", [GRAY_28, PLANE], ids=str)
@pytest.mark.parametrize("conditional", [False, True])
def test_the_label_matters_exactly_when_conditional(conditional, target):
    generator = MLPGenerator(None, target, 10, conditional=conditional)
    discriminator = MLPDiscriminator(None, target, 10, conditional=conditional)
    z = latents(generator)
    sample = generator(z, ZEROS)
    assert generator.conditional is conditional
    assert torch.equal(sample, generator(z, ZEROS + 3)) is not conditional
    assert torch.equal(discriminator(sample, ZEROS), discriminator(sample, ZEROS + 3)) is not conditional


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("conditional", [False, True])
def test_gradients_reach_every_parameter(conditional, batch_norm):
    torch.manual_seed(0)
    generator = MLPGenerator(None, GRAY_28, 2, batch_norm=batch_norm, conditional=conditional)
    discriminator = MLPDiscriminator(None, GRAY_28, 2, conditional=conditional)
    label = torch.tensor([0, 1, 0, 1])
    discriminator(generator(latents(generator, 4), label), label).square().mean().backward()
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("conditional", [False, True])
def test_a_state_dict_restores_the_networks(conditional):
    label = torch.tensor([1, 2])
    for cls in (MLPGenerator, MLPDiscriminator):
        one, other = (cls(None, GRAY_28, 10, conditional=conditional) for _ in range(2))
        source = latents(one) if cls is MLPGenerator else torch.randn(2, 1, 28, 28)
        other.load_state_dict(one.state_dict())
        assert torch.equal(one(source, label), other(source, label))

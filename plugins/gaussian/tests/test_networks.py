"""Shapes, moments by their textbook formulas, and what the networks refuse."""

from __future__ import annotations

import math

import pytest
import torch

import ganzoo
from ganzoo_gaussian import ganzoo_components
from ganzoo_gaussian.networks import GaussianDiscriminator, GaussianGenerator, moments

VALUE = ganzoo.Sample((1,), -math.inf, math.inf)
PAIR = ganzoo.Sample((2,), -math.inf, math.inf)
PICTURE = ganzoo.Sample((1, 28, 28))
LABEL = torch.zeros(6, dtype=torch.int64)


@pytest.mark.parametrize("target", [VALUE, PAIR])
def test_generator_makes_values_of_the_targets_shape_from_uniform_latents(target):
    generator = GaussianGenerator(None, target, 0)
    latent = generator.sample_latent(6, torch.device("cpu"))
    assert latent.shape == (6, *target.shape) and latent.min() >= 0 and latent.max() <= 1
    assert generator(latent, LABEL).shape == (6, *target.shape)


def test_generator_is_three_linear_layers_with_tanh_between_them():
    generator = GaussianGenerator(None, VALUE, 0)
    w1, b1, w2, b2, w3, b3 = generator.parameters()
    latent = torch.rand(6, 1)
    hidden = torch.tanh(torch.tanh(latent @ w1.T + b1) @ w2.T + b2)
    assert (w1.shape, w2.shape, w3.shape) == ((5, 1), (5, 5), (1, 5))
    torch.testing.assert_close(generator(latent, LABEL), hidden @ w3.T + b3)


def test_full_truncation_gives_the_sample_of_the_mean_latent():
    generator = GaussianGenerator(None, VALUE, 0)
    latent = torch.tensor([[0.1], [0.9]])
    torch.testing.assert_close(generator.truncate(latent, 0.0), torch.full((2, 1), 0.5))
    torch.testing.assert_close(generator.truncate(latent, 0.5), torch.tensor([[0.3], [0.7]]))
    torch.testing.assert_close(generator.truncate(latent, 1.0), latent)


@pytest.mark.parametrize("target", [VALUE, PAIR])
@pytest.mark.parametrize(("inputs", "shape"), [("raw", (6,)), ("variances", (6,)), ("moments", (1,))])
def test_discriminator_gives_one_logit_a_sample_or_one_a_batch(inputs, shape, target):
    discriminator = GaussianDiscriminator(None, target, 0, inputs=inputs)
    assert discriminator(torch.randn(6, *target.shape), LABEL).shape == shape
    assert discriminator.judges_batch == (shape == (1,))


def test_discriminator_is_three_linear_layers_with_sigmoids_between_them_and_none_at_the_end():
    discriminator = GaussianDiscriminator(None, VALUE, 0)
    w1, b1, w2, b2, w3, b3 = discriminator.parameters()
    sample = torch.randn(6, 1)
    hidden = torch.sigmoid(torch.sigmoid(moments(sample) @ w1.T + b1) @ w2.T + b2)
    assert (w1.shape, w2.shape, w3.shape) == ((10, 4), (10, 10), (1, 10))
    torch.testing.assert_close(discriminator(sample, LABEL), (hidden @ w3.T + b3).flatten())


def test_raw_judges_each_sample_alone_and_variances_by_its_batch():
    one, other = torch.tensor([[1.0], [2.0]]), torch.tensor([[1.0], [7.0]])
    raw, variances = (GaussianDiscriminator(None, VALUE, 0, inputs=inputs) for inputs in ("raw", "variances"))
    assert raw(one, LABEL)[0] == raw(other, LABEL)[0]
    assert variances(one, LABEL)[0] != variances(other, LABEL)[0]


def test_variances_shows_each_value_with_its_squared_distance_from_the_mean():
    discriminator = GaussianDiscriminator(None, VALUE, 0, inputs="variances")
    shown = torch.tensor([[1.0, 4.0], [5.0, 4.0]])
    torch.testing.assert_close(
        discriminator(torch.tensor([[1.0], [5.0]]), LABEL), discriminator.layers(shown).flatten()
    )


def test_moments_of_four_values_by_hand():
    # 0, 0, 0, 4: mean 1, deviations -1, -1, -1, 3, variance 12/4, third moment 24/4, fourth 84/4
    mean, std, skew, kurtosis = moments(torch.tensor([[0.0], [0.0], [0.0], [4.0]]))[0].tolist()
    assert mean == pytest.approx(1) and std == pytest.approx(math.sqrt(3))
    assert skew == pytest.approx(6 / 3**1.5) and kurtosis == pytest.approx(21 / 9 - 3)


def test_moments_of_a_large_normal_batch_are_those_of_the_bell_curve():
    normal = torch.randn(400_000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = torch.tensor([[4, 1.25, 0, 0]], dtype=torch.float64)
    torch.testing.assert_close(moments(4 + 1.25 * normal), expected, atol=0.02, rtol=0)


def test_moments_of_two_values_are_grouped_by_moment():
    sample = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    both, first, second = moments(sample), moments(sample[:, :1]), moments(sample[:, 1:])
    torch.testing.assert_close(both.view(4, 2), torch.stack([first[0], second[0]], 1))


def test_logit_of_a_batch_ignores_the_order_of_its_samples():
    discriminator = GaussianDiscriminator(None, VALUE, 0)
    sample = torch.randn(6, 1)
    torch.testing.assert_close(discriminator(sample, LABEL), discriminator(sample.flip(0), LABEL))


@pytest.mark.parametrize("inputs", ["raw", "variances", "moments"])
@pytest.mark.parametrize("sample", [torch.full((5, 1), 4.0), torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0]])])
def test_gradients_are_finite_for_constant_and_tiny_batches(sample, inputs):
    discriminator = GaussianDiscriminator(None, VALUE, 0, inputs=inputs)
    sample = sample.clone().requires_grad_()
    discriminator(sample, LABEL).sum().backward()
    assert sample.grad.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in discriminator.parameters())


@pytest.mark.parametrize("network", [GaussianGenerator, GaussianDiscriminator])
@pytest.mark.parametrize("target", [PICTURE, ganzoo.Sample((3,)), ganzoo.Sample((), -math.inf, math.inf)])
def test_pictures_and_bounded_values_are_refused_in_one_sentence(network, target):
    with pytest.raises(ganzoo.Incompatible) as refusal:
        network(None, target, 0)
    (problem,) = refusal.value.problems
    assert str(target) in problem and problem.endswith(".")


def test_generator_refuses_to_translate():
    with pytest.raises(ganzoo.Incompatible, match="not 28x28x1 in"):
        GaussianGenerator(ganzoo.Sample((28, 28, 1)), VALUE, 0)


def test_unknown_inputs_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="one of raw, variances, moments, not 'median'"):
        GaussianDiscriminator(None, VALUE, 0, inputs="median")


def test_stated_sizes_are_the_numbers_of_parameters():
    stated = {component.kind: component.size for component in ganzoo_components() if component.size}

    def count(network):
        return sum(parameter.numel() for parameter in network.parameters())

    d = {
        inputs: count(GaussianDiscriminator(None, VALUE, 0, inputs=inputs))
        for inputs in ("moments", "variances", "raw")
    }
    assert stated["generator"] == f"{count(GaussianGenerator(None, VALUE, 0))} parameters at (1,)"
    assert stated["discriminator"] == (
        f"{d['moments']} parameters at (1,) with moments, {d['variances']} with variances, {d['raw']} with raw"
    )

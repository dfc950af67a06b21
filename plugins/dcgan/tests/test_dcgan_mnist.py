"""The Keras-style networks against a plain transcription that writes "same" padding out."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import ganzoo
from ganzoo_dcgan.dcgan_mnist import KerasDiscriminator, KerasGenerator

GRAY_28 = ganzoo.Sample((1, 28, 28))
ZEROS = torch.zeros(2, dtype=torch.int64)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def latents(generator: ganzoo.Generator, n: int = 2) -> torch.Tensor:
    return generator.sample_latent(n, torch.device("cpu"))


def same_convolution(x, weight, bias, stride):
    """Keras' "same": the output has ceil(side / stride) rows; an odd total padding has its larger half behind."""
    side, kernel = x.shape[-1], weight.shape[-1]
    total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    before, behind = total // 2, total - total // 2
    return functional.conv2d(functional.pad(x, (before, behind, before, behind)), weight, bias, stride)


def same_transposed_convolution(x, weight, stride):
    """By definition the gradient of the convolution with "same" padding that maps the larger side to the smaller."""
    large = torch.zeros(x.shape[0], weight.shape[1], x.shape[2] * stride, x.shape[3] * stride, requires_grad=True)
    return torch.autograd.grad(same_convolution(large, weight, None, stride), large, x)[0]


def test_the_generator_is_the_transcribed_one():
    torch.manual_seed(0)
    generator = KerasGenerator(None, GRAY_28, 0)
    z = latents(generator, 4)

    def norm(x):
        axes = [0, *range(2, x.dim())]
        mean, variance = x.mean(axes, keepdim=True), x.var(axes, unbiased=False, keepdim=True)
        return (x - mean) / torch.sqrt(variance + 1e-3)

    with torch.no_grad():
        h = functional.relu(norm(z @ generator.dense.weight.T)).reshape(4, 256, 7, 7)
    h = functional.relu(norm(same_transposed_convolution(h, generator.keep.weight.detach(), 1)))
    h = functional.relu(norm(same_transposed_convolution(h, generator.upsample.weight.detach(), 2)))
    h = torch.tanh(same_transposed_convolution(h, generator.paint.weight.detach(), 2))
    torch.testing.assert_close(generator(z, ZEROS.repeat(2)).detach(), h, rtol=0, atol=1e-5)


def test_the_discriminator_is_the_transcribed_one():
    torch.manual_seed(0)
    discriminator = KerasDiscriminator(None, GRAY_28, 0).eval()
    sample = torch.randn(2, 1, 28, 28)
    h = functional.leaky_relu(same_convolution(sample, discriminator.halve.weight, discriminator.halve.bias, 2), 0.3)
    h = functional.leaky_relu(same_convolution(h, discriminator.quarter.weight, discriminator.quarter.bias, 2), 0.3)
    expected = (h.reshape(2, 6272) @ discriminator.logit.weight.T + discriminator.logit.bias).view(-1)
    torch.testing.assert_close(discriminator(sample, ZEROS), expected, rtol=0, atol=1e-6)


def test_dropout_acts_in_training_only():
    discriminator = KerasDiscriminator(None, GRAY_28, 0)
    sample = torch.randn(2, 1, 28, 28)
    assert not torch.equal(discriminator(sample, ZEROS), discriminator(sample, ZEROS))
    discriminator.eval()
    assert torch.equal(discriminator(sample, ZEROS), discriminator(sample, ZEROS))


def test_running_statistics_move_by_one_hundredth():
    generator = KerasGenerator(None, GRAY_28, 0)
    z = latents(generator, 8)
    expected = 0.01 * generator.dense(z).mean(0)
    generator(z, ZEROS.repeat(4))
    torch.testing.assert_close(generator.dense_norm.running_mean, expected.detach())


def test_parameter_counts_are_those_of_the_source():
    generator = 100 * 12544 + 25 * (256 * 128 + 128 * 64 + 64 * 1) + 2 * (12544 + 128 + 64)
    assert count(KerasGenerator(None, GRAY_28, 0)) == generator
    assert count(KerasDiscriminator(None, GRAY_28, 0)) == 25 * 64 + 64 + 25 * 64 * 128 + 128 + 6272 + 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(28, 28), (32, 32), (48, 48), (64, 64), (100, 100), (20, 36)])
def test_every_multiple_of_four_is_made_and_judged(height, width, channels):
    target = ganzoo.Sample((channels, height, width), low=0.0, high=1.0)
    generator, discriminator = KerasGenerator(None, target, 0, latent=8), KerasDiscriminator(None, target, 0)
    picture = generator(latents(generator), ZEROS)
    assert picture.shape == (2, channels, height, width)
    assert picture.min() >= 0 and picture.max() <= 1
    assert discriminator(picture, ZEROS).shape == (2,)


@pytest.mark.parametrize("cls", [KerasGenerator, KerasDiscriminator])
@pytest.mark.parametrize(("side", "advice"), [(30, 32), (27, 28), (3, 4), (101, 100)])
def test_other_sizes_are_refused_with_the_nearest_that_works(cls, side, advice):
    with pytest.raises(ganzoo.Incompatible, match=f"{side}x{side}: try `--set data.size={advice}`"):
        cls(None, ganzoo.Sample((1, side, side)), 0)


@pytest.mark.parametrize("cls", [KerasGenerator, KerasDiscriminator])
def test_values_and_missing_labels_are_refused(cls):
    with pytest.raises(ganzoo.Incompatible, match="values of shape 2"):
        cls(None, ganzoo.Sample((2,)), 0)
    with pytest.raises(ganzoo.Incompatible, match="the data have no labels"):
        cls(None, GRAY_28, 0, conditional=True)


def test_generator_refuses_to_translate():
    with pytest.raises(ganzoo.Incompatible, match="cannot translate"):
        KerasGenerator(GRAY_28, GRAY_28, 0)


@pytest.mark.parametrize("conditional", [False, True])
def test_the_label_matters_exactly_when_conditional(conditional):
    generator = KerasGenerator(None, GRAY_28, 10, conditional=conditional).eval()
    discriminator = KerasDiscriminator(None, GRAY_28, 10, conditional=conditional).eval()
    z = latents(generator)
    picture = generator(z, ZEROS)
    assert generator.conditional is conditional
    assert torch.equal(picture, generator(z, ZEROS + 3)) is not conditional
    assert torch.equal(discriminator(picture, ZEROS), discriminator(picture, ZEROS + 3)) is not conditional


def test_labels_cost_parameters_only_where_they_are_used():
    assert count(KerasGenerator(None, GRAY_28, 10)) == count(KerasGenerator(None, GRAY_28, 0))
    assert count(KerasDiscriminator(None, GRAY_28, 10)) == count(KerasDiscriminator(None, GRAY_28, 0))


@pytest.mark.parametrize("conditional", [False, True])
def test_gradients_reach_every_parameter(conditional):
    torch.manual_seed(0)
    generator = KerasGenerator(None, GRAY_28, 2, conditional=conditional)
    discriminator = KerasDiscriminator(None, GRAY_28, 2, conditional=conditional)
    label = torch.tensor([0, 1, 0, 1])
    discriminator(generator(latents(generator, 4), label), label).square().mean().backward()
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("conditional", [False, True])
def test_a_state_dict_restores_the_networks(conditional):
    label = torch.tensor([1, 2])
    for cls in (KerasGenerator, KerasDiscriminator):
        one, other = (cls(None, GRAY_28, 10, conditional=conditional).eval() for _ in range(2))
        source = latents(one) if cls is KerasGenerator else torch.randn(2, 1, 28, 28)
        other.load_state_dict(one.state_dict())
        assert torch.equal(one(source, label), other(source, label))

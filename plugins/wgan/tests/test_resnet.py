"""The residual networks against the published ones, layer by layer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import ganzoo
from ganzoo_wgan.resnet import Block, FirstBlock, ResNetDiscriminator, ResNetGenerator, UpBlock

COLOUR32 = ganzoo.Sample((3, 32, 32))
LABEL = torch.zeros(2, dtype=torch.int64)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def convolution(inputs: int, outputs: int, kernel: int) -> int:
    return inputs * outputs * kernel**2 + outputs


def test_generator_has_the_parameters_of_the_published_table():
    # Gulrajani et al. 2017, appendix F: dense to 4x4x128, three blocks of two 3x3 convolutions, one 3x3 to the picture;
    # and from their program 1x1 shortcuts with biases, and two BatchNorms (gain and shift) a block and one behind them
    block = 2 * convolution(128, 128, 3) + convolution(128, 128, 1) + 2 * 2 * 128
    expected = (128 * 2048 + 2048) + 3 * block + 2 * 128 + convolution(128, 3, 3)
    assert count(ResNetGenerator(None, COLOUR32, 0)) == expected == 1_204_483


def test_critic_has_the_parameters_of_the_published_table():
    # the same table: two halving blocks and two plain ones, each of two 3x3 convolutions, and a dense layer;
    # shortcuts are weighed in halving blocks only
    first = convolution(3, 128, 3) + convolution(128, 128, 3) + convolution(3, 128, 1)
    second = 2 * convolution(128, 128, 3) + convolution(128, 128, 1)
    expected = first + second + 2 * 2 * convolution(128, 128, 3) + 128 + 1
    assert count(ResNetDiscriminator(None, COLOUR32, 0)) == expected == 1_053_825


def shapes(network: nn.Module, kinds: tuple[type, ...], *inputs: torch.Tensor) -> list[tuple[int, ...]]:
    """Output shapes, without the batch, of the modules of these kinds, in the order in which they ran."""
    found: list[tuple[int, ...]] = []
    for module in network.modules():
        if isinstance(module, kinds):
            module.register_forward_hook(lambda _, __, output: found.append(tuple(output.shape[1:])))
    network(*inputs)
    return found


def test_maps_have_the_published_sizes():
    generator, critic = ResNetGenerator(None, COLOUR32, 0), ResNetDiscriminator(None, COLOUR32, 0)
    z = generator.sample_latent(2, torch.device("cpu"))
    assert z.shape == (2, 128)
    up = shapes(generator, (UpBlock,), z, LABEL)
    assert up == [(128, 8, 8), (128, 16, 16), (128, 32, 32)]
    down = shapes(critic, (FirstBlock, Block), torch.zeros(2, 3, 32, 32), LABEL)
    assert down == [(128, 16, 16), (128, 8, 8), (128, 8, 8), (128, 8, 8)]


@pytest.mark.parametrize("side", [8, 10, 12, 14, 28, 48, 64, 96])
def test_every_size_that_halves_is_made_and_judged(side):
    target = ganzoo.Sample((1, side, side), 0.0, 1.0)
    generator = ResNetGenerator(None, target, 0, latent=3, width=4)
    critic = ResNetDiscriminator(None, target, 0, width=4)
    picture = generator(generator.sample_latent(2, torch.device("cpu")), LABEL)
    assert picture.shape == (2, 1, side, side) and picture.min() >= 0 and picture.max() <= 1
    assert critic(picture, LABEL).shape == (2,)
    last = shapes(critic, (FirstBlock, Block), picture, LABEL)[-1]
    assert last[1] == (side // 2 if side < 16 else 2 * min(ganzoo.halvings(target, "resnet")[0]))


def test_critic_has_no_normalisation_and_judges_each_sample_alone():
    critic = ResNetDiscriminator(None, COLOUR32, 0, width=4)
    assert {type(module) for module in critic.modules() if not list(module.children())} <= {
        nn.Conv2d, nn.Linear, nn.Identity, ganzoo.DownsampleConv2d,
    }  # fmt: skip
    sample = torch.rand(3, 3, 32, 32)
    torch.testing.assert_close(critic(sample, LABEL)[:1], critic(sample[:1], LABEL[:1]))


def test_logit_is_the_dense_layer_of_the_mean_over_the_map():
    critic = ResNetDiscriminator(None, ganzoo.Sample((1, 16, 16)), 0, width=4)
    sample = torch.rand(2, 1, 16, 16)
    features = critic.blocks(sample).clamp(min=0).flatten(2).mean(2)
    torch.testing.assert_close(critic(sample, LABEL), features @ critic.logit.weight[0] + critic.logit.bias)


def test_weights_start_as_in_the_published_program():
    # uniform within √(6 / (fan in + fan out)), √2 as far for the 3x3 convolutions of residual branches; biases 0
    generator = ResNetGenerator(None, COLOUR32, 0)
    block = generator.blocks[0]
    for layer, bound in (
        (generator.dense, (6 / (128 + 2048)) ** 0.5),
        (block.convolutions[0], (12 / (2 * 128 * 9)) ** 0.5),
        (block.shortcut, (6 / 256) ** 0.5),
        (generator.picture, (6 / (128 * 9 + 3 * 9)) ** 0.5),
    ):
        assert 0.98 * bound < layer.weight.abs().max() <= bound
        assert not layer.bias.any()


def test_plain_block_with_zero_weights_is_the_identity_and_halving_ones_average():
    plain, halving = Block(4, halve=False), Block(4, halve=True)
    for layer in [*plain.convolutions, *halving.convolutions]:
        nn.init.zeros_(layer.weight)
    nn.init.dirac_(halving.shortcut.weight)
    sample = torch.randn(2, 4, 6, 6)
    torch.testing.assert_close(plain(sample), sample)
    torch.testing.assert_close(halving(sample)[:, :, 0, 0], sample[:, :, :2, :2].mean((2, 3)))


def test_up_block_repeats_pixels_in_its_shortcut():
    block = UpBlock(2)
    for layer in block.convolutions:
        nn.init.zeros_(layer.weight)
    nn.init.dirac_(block.shortcut.weight)
    sample = torch.randn(2, 2, 3, 3)
    torch.testing.assert_close(block(sample), sample.repeat_interleave(2, 2).repeat_interleave(2, 3))


@pytest.mark.parametrize(("shape", "hint"), [((3, 30, 42), "try `--set data.size=28x40`"), ((3, 100, 100), "size=96`")])
def test_other_sizes_are_refused_with_the_nearest_one(shape, hint):
    for network in (ResNetGenerator, ResNetDiscriminator):
        with pytest.raises(ganzoo.Incompatible, match=hint):
            network(None, ganzoo.Sample(shape), 0)


def test_values_and_translation_are_refused():
    with pytest.raises(ganzoo.Incompatible, match="--generator mlp"):
        ResNetDiscriminator(None, ganzoo.Sample((2,)), 0)
    with pytest.raises(ganzoo.Incompatible, match="cannot translate"):
        ResNetGenerator(COLOUR32, COLOUR32, 0)


@pytest.mark.parametrize("options", [{"latent": 0}, {"width": 0}])
def test_sizes_below_one_are_refused(options):
    with pytest.raises(ValueError, match="at least 1, not 0"):
        ResNetGenerator(None, COLOUR32, 0, **options)

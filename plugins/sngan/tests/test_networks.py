"""The networks against the published tables, layer by layer, and what labels do."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import ganzoo
from ganzoo_sngan.discriminator import Block, FirstBlock, SNGANDiscriminator
from ganzoo_sngan.generator import ConditionalBatchNorm, SNGANGenerator, UpBlock
from ganzoo_sngan.layout import discriminator_channels, generator_channels

LABEL = torch.tensor([0, 2])
Z = torch.randn(2, 128, generator=torch.Generator().manual_seed(0))


def colour(side: int) -> ganzoo.Sample:
    return ganzoo.Sample((3, side, side))


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def conv(inputs: int, outputs: int, kernel: int = 3) -> int:
    return inputs * outputs * kernel**2 + outputs


def up(inputs: int, outputs: int) -> int:
    """Two 3x3 convolutions, the 1x1 shortcut, and gain and shift of two BatchNorms."""
    return conv(inputs, outputs) + conv(outputs, outputs) + conv(inputs, outputs, 1) + 2 * inputs + 2 * outputs


def down(inputs: int, outputs: int) -> int:
    """Convolutions inputs → inputs → outputs as in the published programs, and a shortcut."""
    return conv(inputs, inputs) + conv(inputs, outputs) + conv(inputs, outputs, 1)


def first(outputs: int) -> int:
    return conv(3, outputs) + conv(outputs, outputs) + conv(3, outputs, 1)


# Miyato et al. 2018, appendix B.4: the tables for CIFAR-10 (32), STL-10 (48) and ImageNet (128); 64 from the program of
# Miyato & Koyama. Shortcuts, hidden channels and biases from the same programs: the last layer has none at 32.
GENERATORS = {
    32: 129 * 16 * 256 + 3 * up(256, 256) + 2 * 256 + conv(256, 3),
    48: 129 * 36 * 512 + up(512, 256) + up(256, 128) + up(128, 64) + 2 * 64 + conv(64, 3),
    64: 129 * 16 * 1024 + up(1024, 512) + up(512, 256) + up(256, 128) + up(128, 64) + 2 * 64 + conv(64, 3),
    128: 129 * 16 * 1024
    + up(1024, 1024) + up(1024, 512) + up(512, 256) + up(256, 128) + up(128, 64) + 2 * 64 + conv(64, 3),
}  # fmt: skip
DISCRIMINATORS = {
    32: first(128) + down(128, 128) + 4 * conv(128, 128) + 128,
    48: first(64) + down(64, 128) + down(128, 256) + down(256, 512) + down(512, 1024) + 1025,
    64: first(64) + down(64, 128) + down(128, 256) + down(256, 512) + down(512, 1024) + 1025,
    128: first(64) + down(64, 128) + down(128, 256) + down(256, 512) + down(512, 1024) + 2 * conv(1024, 1024) + 1025,
}


@pytest.mark.parametrize("side", GENERATORS)
def test_networks_have_the_parameters_of_the_published_tables(side):
    with torch.device("meta"):
        assert count(SNGANGenerator(None, colour(side), 0)) == GENERATORS[side]
        assert count(SNGANDiscriminator(None, colour(side), 0)) == DISCRIMINATORS[side]


def test_parameters_at_32_pixels_in_numbers():
    assert (GENERATORS[32], DISCRIMINATORS[32]) == (4_276_739, 1_053_824)


def test_labels_add_a_gain_and_a_shift_a_class_and_a_vector_a_class():
    with torch.device("meta"):
        generator = SNGANGenerator(None, colour(32), 10, conditional=True)
        discriminator = SNGANDiscriminator(None, colour(32), 10, conditional=True)
    assert count(generator) - GENERATORS[32] == (10 - 1) * 6 * 2 * 256  # the six BatchNorms in blocks
    assert count(discriminator) - DISCRIMINATORS[32] == 10 * 128


def shapes(network: nn.Module, kinds: tuple[type, ...], *inputs: torch.Tensor) -> list[tuple[int, ...]]:
    """Output shapes, without the batch, of the modules of these kinds, in the order in which they ran."""
    found: list[tuple[int, ...]] = []
    handles = [
        module.register_forward_hook(lambda _, __, output: found.append(tuple(output.shape[1:])))
        for module in network.modules()
        if isinstance(module, kinds)
    ]
    network(*inputs)
    for handle in handles:
        handle.remove()
    return found


def test_maps_at_32_pixels_have_the_published_sizes():
    generator, discriminator = SNGANGenerator(None, colour(32), 0), SNGANDiscriminator(None, colour(32), 0)
    assert shapes(generator, (UpBlock,), Z, LABEL) == [(256, 8, 8), (256, 16, 16), (256, 32, 32)]
    maps = shapes(discriminator, (FirstBlock, Block), torch.zeros(2, 3, 32, 32), LABEL)
    assert maps == [(128, 16, 16), (128, 8, 8), (128, 8, 8), (128, 8, 8)]


@pytest.mark.parametrize(
    ("side", "made", "judged"),
    [
        (48, [(256, 12), (128, 24), (64, 48)], [(64, 24), (128, 12), (256, 6), (512, 3), (1024, 3)]),
        (64, [(512, 8), (256, 16), (128, 32), (64, 64)], [(64, 32), (128, 16), (256, 8), (512, 4), (1024, 2)]),
        (
            128,
            [(1024, 8), (512, 16), (256, 32), (128, 64), (64, 128)],
            [(64, 64), (128, 32), (256, 16), (512, 8), (1024, 4), (1024, 4)],
        ),
    ],
)
def test_maps_of_larger_pictures_have_the_published_sizes(side, made, judged):
    narrow = 4  # the tables' channels over 16
    generator = SNGANGenerator(None, colour(side), 0, width=narrow)
    discriminator = SNGANDiscriminator(None, colour(side), 0, width=narrow)
    up_maps = shapes(generator, (UpBlock,), Z, LABEL)
    assert up_maps == [(channels // 16, size, size) for channels, size in made]
    down_maps = shapes(discriminator, (FirstBlock, Block), torch.zeros(2, 3, side, side), LABEL)
    assert down_maps == [(channels // 16, size, size) for channels, size in judged]


def test_channels_without_a_width_are_the_published_ones():
    assert generator_channels(colour(48), None) == ((6, 6), [512, 256, 128, 64])
    assert generator_channels(colour(128), None) == ((4, 4), [1024, 1024, 512, 256, 128, 64])
    assert discriminator_channels(colour(48), None) == ([64, 128, 256, 512], [1024])
    assert discriminator_channels(colour(64), None) == ([64, 128, 256, 512, 1024], [])
    assert discriminator_channels(colour(32), None) == ([128, 128], [128, 128])


@pytest.mark.parametrize("side", [8, 10, 12, 14, 20, 28, 40, 56, 80, 96, 112, 160, 256])
def test_every_size_that_halves_is_made_and_judged(side):
    target = ganzoo.Sample((1, side, side), 0.0, 1.0)
    generator = SNGANGenerator(None, target, 0, latent=3, width=1)
    discriminator = SNGANDiscriminator(None, target, 0, width=1)
    picture = generator(generator.sample_latent(2, torch.device("cpu")), LABEL)
    assert picture.shape == (2, 1, side, side) and picture.min() >= 0 and picture.max() <= 1
    assert discriminator(picture, LABEL).shape == (2,)


def test_every_layer_of_the_discriminator_is_normalised_and_none_of_the_generator():
    discriminator = SNGANDiscriminator(None, colour(48), 5, width=2, conditional=True)
    weighted = [m for m in discriminator.modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.Embedding)]
    assert len(weighted) == sum(isinstance(m, ganzoo.SpectralNorm) for m in discriminator.modules()) == 5 * 3 + 2
    generator = SNGANGenerator(None, colour(48), 5, width=2, conditional=True)
    assert not any(isinstance(m, ganzoo.SpectralNorm) for m in generator.modules())


def test_score_is_the_projection_formula():
    # Miyato & Koyama 2018, equation 4 with φ the summed features: f(x, y) = yᵀVφ(x) + ψ(φ(x))
    discriminator = SNGANDiscriminator(None, colour(48), 5, width=2, conditional=True).eval()
    sample, label = torch.rand(4, 3, 48, 48), torch.tensor([0, 4, 4, 2])
    features = discriminator.blocks(sample).clamp(min=0).flatten(2).sum(2)
    one_hot = nn.functional.one_hot(label, 5).float()
    linear = features @ discriminator.logit.weight[0] + discriminator.logit.bias
    expected = (one_hot @ discriminator.class_vector.weight * features).sum(1) + linear
    torch.testing.assert_close(discriminator(sample, label), expected)


def test_score_without_labels_is_the_dense_layer_of_the_sum_and_reads_no_label():
    discriminator = SNGANDiscriminator(None, colour(32), 5, width=2).eval()
    sample = torch.rand(2, 3, 32, 32)
    features = discriminator.blocks(sample).clamp(min=0).sum((2, 3))
    torch.testing.assert_close(discriminator(sample, LABEL), features @ discriminator.logit.weight[0])
    assert torch.equal(discriminator(sample, LABEL), discriminator(sample, LABEL + 1))


def test_evaluation_leaves_the_discriminator_as_it_is_and_training_turns_u():
    discriminator = SNGANDiscriminator(None, colour(32), 0, width=2)
    sample = torch.rand(2, 3, 32, 32)
    for training in (False, True):
        before = copy.deepcopy(discriminator.state_dict())
        discriminator.train(training)(sample, LABEL)
        changed = {name for name, tensor in discriminator.state_dict().items() if not torch.equal(tensor, before[name])}
        assert all(name.endswith(".u") for name in changed) and bool(changed) == training


def test_conditional_norm_normalises_over_the_batch_and_scales_by_class():
    norm = ConditionalBatchNorm(3, 4)
    with torch.no_grad():
        norm.gain.weight.copy_(torch.arange(12.0).view(4, 3))
        norm.shift.weight.copy_(-torch.arange(12.0).view(4, 3))
    sample, label = torch.randn(5, 3, 2, 2), torch.tensor([0, 3, 1, 1, 2])
    mean = sample.mean((0, 2, 3), keepdim=True)
    variance = sample.var((0, 2, 3), correction=0, keepdim=True)
    plain = (sample - mean) / (variance + 2e-5).sqrt()
    number = torch.arange(12.0).view(4, 3)[label][:, :, None, None]
    torch.testing.assert_close(norm(sample, label), number * plain - number)


def test_conditional_norm_starts_as_an_ordinary_one():
    sample = torch.randn(5, 3, 2, 2)
    torch.testing.assert_close(
        ConditionalBatchNorm(3, 4)(sample, torch.tensor([0, 3, 1, 1, 2])), nn.BatchNorm2d(3, eps=2e-5)(sample)
    )


@pytest.mark.parametrize("norm", [0, 1])
@pytest.mark.parametrize("block", [0, 1, 2])
def test_labels_change_what_a_conditional_generator_makes_by_every_norm_of_its_blocks(block, norm):
    generator = SNGANGenerator(None, colour(32), 3, width=2, conditional=True).eval()
    same = Z[:1].expand(2, -1)
    one, two = generator(same, LABEL)
    assert generator.conditional and torch.equal(one, two)  # all classes start alike
    with torch.no_grad():
        generator.blocks[block].norms[norm].shift.weight[2] = 3.0
    one, two = generator(same, LABEL)
    assert not torch.allclose(one, two)


def test_an_unconditional_generator_reads_no_label():
    plain = SNGANGenerator(None, colour(32), 3, width=2).eval()
    assert torch.equal(plain(Z, LABEL), plain(Z, LABEL + 7)) and not plain.conditional


def test_weights_start_as_in_the_published_programs():
    # Glorot's uniform bound √(6 / (fan in + fan out)), √2 as far in residual branches; biases 0
    generator, discriminator = SNGANGenerator(None, colour(32), 0), SNGANDiscriminator(None, colour(32), 0)
    block = discriminator.blocks[1]
    for layer, bound in (
        (generator.dense, (6 / (128 + 4096)) ** 0.5),
        (generator.blocks[0].convolutions[0], (12 / (2 * 256 * 9)) ** 0.5),
        (generator.blocks[0].shortcut, (6 / 512) ** 0.5),
        (block.convolutions[0].parametrizations, (12 / (2 * 128 * 9)) ** 0.5),
        (block.shortcut.parametrizations, (6 / 256) ** 0.5),
    ):
        weight = layer.weight.original if hasattr(layer.weight, "original") else layer.weight
        assert 0.98 * bound < weight.abs().max() <= bound
    assert not generator.dense.bias.any() and not block.shortcut.bias.any()


@pytest.mark.parametrize("halve", [False, True])
def test_block_adds_its_shortcut(halve):
    block = Block(4, 4, halve).eval()
    for layer in block.convolutions:
        nn.init.zeros_(layer.bias)
        with torch.no_grad():
            layer.parametrizations.weight.original.mul_(1e-20)  # normalised back: only biases of the first vanish
    sample = -torch.rand(2, 4, 6, 6)  # ReLU leaves nothing of it
    expected = block.shortcut(nn.functional.avg_pool2d(sample, 2)) if halve else sample
    torch.testing.assert_close(block(sample), expected)


@pytest.mark.parametrize(
    ("shape", "hint"), [((3, 30, 42), "size=28x40`"), ((3, 100, 100), "size=96`"), ((3, 4, 4), "size=8`")]
)
def test_other_sizes_are_refused_with_the_nearest_one(shape, hint):
    for network in (SNGANGenerator, SNGANDiscriminator):
        with pytest.raises(ganzoo.Incompatible, match=hint):
            network(None, ganzoo.Sample(shape), 0)


def test_values_translation_and_labels_that_are_not_there_are_refused():
    with pytest.raises(ganzoo.Incompatible, match="--generator mlp"):
        SNGANDiscriminator(None, ganzoo.Sample((2,)), 0)
    with pytest.raises(ganzoo.Incompatible, match="cannot translate"):
        SNGANGenerator(colour(32), colour(32), 0)
    for network, kind in ((SNGANGenerator, "generator"), (SNGANDiscriminator, "discriminator")):
        with pytest.raises(ganzoo.Incompatible, match=f"--set {kind}.conditional=false"):
            network(None, colour(32), 0, conditional=True)


@pytest.mark.parametrize("options", [{"latent": 0}, {"width": 0}])
def test_sizes_below_one_are_refused(options):
    with pytest.raises(ValueError, match="at least 1, not 0"):
        SNGANGenerator(None, colour(32), 0, **options)

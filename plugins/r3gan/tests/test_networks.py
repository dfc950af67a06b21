"""R3GAN's networks: published sizes, what holds exactly before training, and the filters against their closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import interpolate

import ganzoo
from ganzoo_r3gan.blocks import Block, Double, Halve
from ganzoo_r3gan.discriminator import R3GANDiscriminator
from ganzoo_r3gan.generator import R3GANGenerator
from ganzoo_r3gan.layout import channels_by_side
from ganzoo_stylegan2.parts import keep_within

GRAY = ganzoo.Sample((1, 28, 28))
SMALL = {"width": 16, "blocks": 1, "group_size": 8}
IMAGENET = {"width": 1536, "group_size": 32}


def colour(side: int) -> ganzoo.Sample:
    return ganzoo.Sample((3, side, side))


def parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("side", "classes", "options", "of_g", "of_d"),
    [
        (32, 10, {}, 20_781_952, 21_280_512),
        (32, 0, {}, 20_732_160, 20_683_776),
        (64, 0, {}, 22_429_824, 22_381_440),
        (256, 0, {}, 23_057_952, 23_009_568),
        (32, 1000, IMAGENET, 82_914_304, 86_548_992),
        (64, 1000, {**IMAGENET, "halve_above": 64}, 103_570_432, 107_205_120),
    ],
)
def test_published_configurations_have_their_numbers_of_parameters(side, classes, options, of_g, of_d):
    with torch.device("meta"):
        generator = R3GANGenerator(None, colour(side), classes, conditional=classes > 0, **options)
        discriminator = R3GANDiscriminator(None, colour(side), classes, conditional=classes > 0, **options)
        label = torch.zeros(2, dtype=torch.int64)
        picture = generator(generator.sample_latent(2, torch.device("meta")), label)
        assert picture.shape == (2, 3, side, side) and discriminator(picture, label).shape == (2,)
    assert (parameters(generator), parameters(discriminator)) == (of_g, of_d)


def test_channels_of_ffhq_256_and_of_sides_that_are_no_powers_of_two():
    assert channels_by_side(colour(256), 768, 32) == {4: 768, 8: 768, 16: 768, 32: 768, 64: 384, 128: 192, 256: 96}
    assert channels_by_side(GRAY, 64, 7) == {7: 64, 14: 32, 28: 16}


def test_discriminator_is_a_linear_function_of_the_picture_at_first():
    torch.manual_seed(0)
    discriminator = R3GANDiscriminator(None, colour(32), 10, conditional=True, **SMALL).double()
    x, label = torch.randn(4, 3, 32, 32, dtype=torch.float64, requires_grad=True), torch.full((4,), 3)
    (gradient,) = torch.autograd.grad(discriminator(x, label).sum(), x)
    assert gradient.abs().max() > 0
    torch.testing.assert_close(gradient, gradient[:1].expand_as(gradient))
    other = torch.randn_like(x)
    mixed = discriminator(2 * x - 3 * other, label)
    torch.testing.assert_close(mixed, 2 * discriminator(x, label) - 3 * discriminator(other, label))


def test_blocks_are_the_identity_at_first_and_begin_to_learn():
    block, x = Block(8, 4, depth=6), torch.randn(2, 8, 5, 5)
    assert torch.equal(block(x), x)
    block(x).square().sum().backward()
    assert block.narrow.weight.grad.abs().max() > 0


def test_initial_weights_have_the_published_spread():
    torch.manual_seed(0)
    block = Block(256, 16, depth=8)
    gain = math.sqrt(2 / 1.04) * 8**-0.25
    assert block.widen.weight.std().item() == pytest.approx(gain / math.sqrt(256), rel=0.02)
    assert block.grouped.weight.std().item() == pytest.approx(gain / math.sqrt(16 * 9), rel=0.02)
    assert not block.narrow.weight.any() and not block.widen.bias.any() and block.narrow.bias is None
    generator = R3GANGenerator(None, colour(32), 10, conditional=True, width=256)
    assert generator.basis.std().item() == pytest.approx(1, rel=0.05)
    assert generator.weights.weight.std().item() == pytest.approx(128**-0.5, rel=0.05)
    assert generator.class_vector.weight.std().item() == pytest.approx(10**-0.5, rel=0.1)
    discriminator = R3GANDiscriminator(None, colour(32), 10, conditional=True, width=256)
    assert discriminator.gather.weight.std().item() == pytest.approx(1 / 4, rel=0.05)
    assert discriminator.class_vector.weight.std().item() == pytest.approx(1 / 16 / math.sqrt(10), rel=0.05)


def test_pictures_of_an_untrained_generator_have_about_half_the_spread_of_the_range():
    torch.manual_seed(0)
    generator = R3GANGenerator(None, ganzoo.Sample((3, 32, 32), -math.inf, math.inf), 0, width=64)
    picture = generator(generator.sample_latent(64, torch.device("cpu")), torch.zeros(64, dtype=torch.int64))
    assert 0.35 < picture.std().item() < 0.65


def test_doubling_and_halving_are_bilinear_inside_and_see_zeros_beyond_the_border():
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    up, down = Double(3, 3).double(), Halve(3, 3).double()
    inside = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(up(x)[inside], interpolate(x, scale_factor=2, mode="bilinear")[inside])
    antialiased = interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True)
    torch.testing.assert_close(down(x)[inside], antialiased[inside])
    one = torch.ones(1, 3, 4, 4, dtype=torch.float64)
    assert up(one)[0, 0, 0, 0].item() == pytest.approx((3 / 4) ** 2)
    assert down(one)[0, 0, 0, 0].item() == pytest.approx((7 / 8) ** 2)


def test_halving_is_a_quarter_of_the_transpose_of_doubling():
    up, down = Double(2, 2).double(), Halve(2, 2).double()
    small, large = torch.randn(1, 2, 4, 4).double(), torch.randn(1, 2, 8, 8).double()
    torch.testing.assert_close((up(small) * large).sum(), 4 * (small * down(large)).sum())


def test_pictures_keep_to_the_range_and_come_back_from_outside():
    x = torch.tensor([-2.0, 0.5, 2.0], requires_grad=True)
    y = keep_within(x, -1.0, 1.0)
    assert y.tolist() == [-1, 0.5, 1]
    for gradient, expected in (([-1.0, 1.0, 1.0], [-1, 1, 1]), ([1.0, 1.0, -1.0], [0, 1, 0])):
        assert torch.autograd.grad(y, x, torch.tensor(gradient), retain_graph=True)[0].tolist() == expected


def test_a_logit_is_that_of_one_sample_alone():
    torch.manual_seed(0)
    discriminator = R3GANDiscriminator(None, GRAY, 0, **SMALL)
    for parameter in discriminator.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    x, label = torch.randn(3, 1, 28, 28), torch.zeros(3, dtype=torch.int64)
    torch.testing.assert_close(discriminator(x, label)[1:2], discriminator(x[1:2], label[1:2]))


@pytest.mark.parametrize(
    ("network", "options", "match"),
    [
        (R3GANGenerator, {"conditional": True}, "--set generator.conditional=false"),
        (R3GANDiscriminator, {"conditional": True}, "--set discriminator.conditional=false"),
        (R3GANGenerator, {"width": 10, "group_size": 8}, "groups of 8: choose a width of a multiple of 4"),
        (R3GANDiscriminator, {"width": 10, "group_size": 16}, "width of a multiple of 8"),
    ],
)
def test_what_cannot_be_built_is_refused(network, options, match):
    with pytest.raises(ganzoo.Incompatible, match=match):
        network(None, GRAY, 0, **options)


@pytest.mark.parametrize(
    ("target", "match"), [(ganzoo.Sample((3, 30, 30)), "data.size=28"), (ganzoo.Sample((2,)), "mlp")]
)
def test_other_data_are_refused_with_what_to_do(target, match):
    for network in (R3GANGenerator, R3GANDiscriminator):
        with pytest.raises(ganzoo.Incompatible, match=match):
            network(None, target, 0)


def test_a_generator_does_not_translate():
    with pytest.raises(ganzoo.Incompatible, match="cannot translate"):
        R3GANGenerator(GRAY, GRAY, 0)


@pytest.mark.parametrize("option", ["width", "blocks", "group_size", "halve_above", "latent"])
def test_sizes_below_one_are_refused_by_name(option):
    with pytest.raises(ValueError, match=f"{option} is at least 1, not 0"):
        R3GANGenerator(None, GRAY, 0, **{option: 0})

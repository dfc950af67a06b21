"""Sizes as published, and every layer against the paper's formula written out.

Suffixes: N batch, L latent, C channels, H height, W width.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

import ganzoo
from ganzoo_progan import layers, recipes
from ganzoo_progan.crossfade import CrossFade
from ganzoo_progan.discriminator import ProGANDiscriminator
from ganzoo_progan.drift import Drift
from ganzoo_progan.generator import ProGANGenerator

SMALL = {"channel_base": 64, "channel_max": 6}
TARGET = ganzoo.Sample((3, 16, 16))


@pytest.fixture(autouse=True)
def _the_same_numbers():
    torch.manual_seed(0)


def networks(
    level: float = 2, target: ganzoo.Sample = TARGET, **judging
) -> tuple[ProGANGenerator, ProGANDiscriminator]:
    maker = ProGANGenerator(None, target, 0, latent=5, **SMALL)
    judge = ProGANDiscriminator(None, target, 0, **SMALL, **judging)
    for network in (maker, judge):
        grow(network, level)
    return maker, judge


def grow(part: torch.nn.Module, level: float) -> None:
    part.level.follow(ganzoo.Course.parse({"value": level}))


def unbounded(maker: ProGANGenerator) -> ProGANGenerator:
    maker.target = ganzoo.Sample(maker.target.shape, -math.inf, math.inf)
    return maker


def options(recipe: dict, part: str) -> dict:
    return {key: value for key, value in recipe[part].items() if key != "name"}


@pytest.mark.parametrize(
    ("recipe", "side", "in_g", "in_d"),
    [
        (recipes.PROGAN, 32, 20_719_628, 20_726_785),
        (recipes.PROGAN, 64, 22_490_383, 22_498_049),
        (recipes.PROGAN, 128, 22_933_394, 22_941_313),
        (recipes.PROGAN_256, 256, 23_044_309, 23_052_353),
        (recipes.PROGAN_1024, 1024, 23_079_115, 23_087_249),
        (recipes.PROGAN_CIFAR, 32, 1_296_908, 1_298_689),
    ],
)
def test_parameters_are_as_many_as_published(recipe, side, in_g, in_d):
    target = ganzoo.Sample((3, side, side))
    with torch.device("meta"):
        for cls, part, wanted in (
            (ProGANGenerator, "generator", in_g),
            (ProGANDiscriminator, "discriminator", in_d),
        ):
            network = cls(None, target, 0, **options(recipe, part))
            assert sum(parameter.numel() for parameter in network.parameters()) == wanted


# ---- layers


def written_out(x: Tensor, weight: Tensor, bias: Tensor, gain: float) -> Tensor:
    """Each output as the sum over its 3x3 neighbours, with zeros around the map."""
    n, _, height, width = x.shape
    kernel = weight * gain / math.sqrt(weight[0].numel())
    padded = functional.pad(x, (1, 1, 1, 1))
    y = bias[None, :, None, None].expand(n, -1, height, width).clone()
    for row in range(3):
        for column in range(3):
            part = padded[:, :, row : row + height, column : column + width]
            y += torch.einsum("oi,nihw->nohw", kernel[:, :, row, column], part)
    return y


def some_convolution() -> tuple[layers.Convolution, Tensor]:
    layer = layers.Convolution(3, 4)
    layer.bias.data.normal_()
    return layer, torch.randn(2, 3, 6, 6)


def close(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_a_convolution_is_scaled_by_its_fan_in_when_it_is_used():
    layer, x = some_convolution()
    close(layer(x), written_out(x, layer.weight, layer.bias, math.sqrt(2)))
    assert layers.Convolution(64, 64).weight.std().item() == pytest.approx(1, abs=0.02)


def test_convolving_doubled_pixels_in_one_step_changes_nothing():
    layer, x = some_convolution()
    close(layer.of_doubled(x), layer(x.repeat_interleave(2, 2).repeat_interleave(2, 3)))


def test_halving_within_a_convolution_gives_the_means_of_its_pixels():
    layer, x = some_convolution()
    close(layer.halved(x), layer(x).unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).mean(dim=(3, 5)))


def test_pixel_norm_gives_every_pixel_a_mean_square_of_one():
    x = 7 * torch.randn(2, 5, 3, 3)
    close(layers.normalise(x).square().mean(dim=1), torch.ones(2, 3, 3))
    close(layers.normalise(x), x / (x.square().mean(dim=1, keepdim=True) + 1e-8).sqrt())


def test_dense_layers_are_scaled_and_the_first_has_a_quarter_of_the_gain():
    dense, first, z = layers.Linear(5, 4), layers.First(5, 3), torch.randn(2, 5)
    first.bias.data.normal_()
    close(dense(z), z @ dense.weight.T * math.sqrt(2 / 5))
    by_hand = (z @ first.weight.T * (math.sqrt(2 / 5) / 4)).view(2, 3, 4, 4) + first.bias.view(3, 1, 1)
    close(first(z), by_hand)
    assert first.bias.shape == (3,), "one for each channel"


@pytest.mark.parametrize(
    ("n", "size", "groups"),
    [
        (8, 4, [[0, 2, 4, 6], [1, 3, 5, 7]]),
        (4, 4, [[0, 1, 2, 3]]),
        (6, 0, [[0, 1, 2, 3, 4, 5]]),
        (5, 4, [[0, 2, 4], [1, 3]]),
        (3, 1, [[0], [1], [2]]),
        (1, 4, [[0]]),
    ],
)
def test_the_deviation_is_that_of_every_so_many_th_sample(n, size, groups):
    x = torch.randn(n, 3, 4, 4)
    found = layers.append_deviation(x, size)
    assert found.shape == (n, 4, 4, 4) and torch.equal(found[:, :3], x)
    for group in groups:
        members = x[group]
        deviation = ((members - members.mean(dim=0)).square().mean(dim=0) + 1e-8).sqrt().mean()
        close(found[group, 3], deviation.expand(len(group), 4, 4))


# ---- growth


def test_a_level_that_has_just_begun_draws_what_the_one_before_does_and_one_that_is_all_there_its_own():
    maker, _ = networks(1)
    z = torch.randn(4, 5)
    coarse = maker(z, None)
    grow(maker, 1.001)
    assert maker.level.level == 2 and (maker(z, None) - coarse).abs().max() < 0.02
    grow(maker, 1.25)
    quarter = unbounded(maker)(z, None)
    grow(maker, 1)
    coarse = maker(z, None)
    grow(maker, 2)
    fine = maker(z, None)
    close(quarter, 0.75 * coarse + 0.25 * fine)
    with torch.no_grad():
        for one in maker.to_rgb[:2]:
            one.weight.zero_()
    assert torch.equal(maker(z, None), fine), "coarser heads have no part in it"


def test_a_discriminator_reads_the_same_off_pictures_of_the_level_before_until_the_new_one_comes():
    _, judge = networks(1)
    coarse = layers.doubled(torch.randn(4, 3, 8, 8))
    before = judge(coarse, None)
    grow(judge, 1.001)
    assert judge.level.level == 2 and (judge(coarse, None) - before).abs().max() < 0.02
    grow(judge, 1)
    fine = coarse + torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(8, 8)
    close(judge(fine, None), before)  # details of the next level are averaged away
    grow(judge, 2)
    assert (judge(fine, None) - judge(coarse, None)).abs().max() > 1e-3


@pytest.mark.parametrize("level", [0, 1, 1.5, 2])
def test_pictures_have_full_size_and_the_pixels_of_their_level(level):
    maker, judge = networks(level)
    picture = maker(torch.randn(3, 5), None)
    factor = 1 << (2 - math.ceil(level))
    assert picture.shape == (3, *TARGET.shape) and judge(picture, None).shape == (3,)
    assert torch.equal(layers.doubled(picture[:, :, ::factor, ::factor], factor), picture)
    assert picture.abs().max() <= 1


def test_real_pictures_have_the_pixels_of_their_level_and_fade_in():
    fade, x = CrossFade(TARGET), torch.rand(2, 3, 16, 16)
    assert fade.real(x) is x, "without growth"
    grow(fade, 2)
    assert fade.real(x) is x
    means = {side: x.unflatten(3, (side, -1)).unflatten(2, (side, -1)).mean(dim=(3, 5)) for side in (4, 8)}
    full = {side: layers.doubled(mean, 16 // side) for side, mean in means.items()}
    for level, side in ((0, 4), (1, 8)):
        grow(fade, level)
        close(fade.real(x), full[side])
    grow(fade, 0.25)
    close(fade.real(x), 0.75 * full[4] + 0.25 * full[8])
    grow(fade, 1.25)
    close(fade.real(x), 0.75 * full[8] + 0.25 * x)
    assert torch.equal(fade(x), x)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_squared_gradient_at_full_size_is_the_native_one_over_f_squared(level):
    _, judge = networks(level)
    factor = 1 << (2 - level)
    native = torch.randn(4, 3, 16 // factor, 16 // factor, requires_grad=True)
    full = layers.doubled(native.detach(), factor).requires_grad_()

    def squared(at: Tensor, seen: Tensor) -> Tensor:
        return torch.autograd.grad(judge(seen, None).sum(), at)[0].square().flatten(1).sum(dim=1)

    close(squared(native, layers.doubled(native, factor)), factor**2 * squared(full, full))


def test_only_layers_of_the_level_learn():
    maker, judge = networks(1)
    judge(maker(torch.randn(4, 5), None), None).sum().backward()
    for network, heads in ((maker, maker.to_rgb), (judge, judge.from_rgb)):
        learning = [any(p.grad is not None for p in block.parameters()) for block in (*network.blocks, *heads)]
        assert learning == [True, False, False, True, False]


def test_both_kinds_of_halving_have_the_same_weights_and_differ_by_the_order_of_the_activation():
    _, first = networks()
    _, second = networks(fused=True)
    second.load_state_dict(first.state_dict())
    x = torch.randn(4, 3, 16, 16)
    assert (first(x, None) - second(x, None)).abs().max() > 1e-3
    block, map_NCHW = second.blocks[1], torch.randn(2, 4, 16, 16)
    kept = layers.activate(block.keep(map_NCHW))
    close(block(map_NCHW), layers.activate(layers.pooled(block.halve_side(kept))))
    block.fused = False
    close(block(map_NCHW), layers.pooled(layers.activate(block.halve_side(kept))))


# ---- the rest


def test_the_length_of_a_latent_counts_only_where_it_is_truncated():
    maker, _ = networks()
    z, label = torch.randn(2, 5), torch.zeros(2, dtype=torch.int64)
    maker.first.bias.data.normal_()  # without biases, as before training, pixel norm undoes every change of length
    close(maker(3 * z, label), maker(z, label))
    close(maker.truncated(z, label, 1.0), maker(z, label))
    mean = maker.truncated(z, label, 0.0)
    assert torch.equal(mean[0], mean[1])
    assert (maker.truncated(z, label, 0.5) - maker(z, label)).abs().max() > 1e-3


def test_drift_is_the_mean_square_of_the_scores_of_real_samples():
    class Turn:
        real = torch.tensor([1.0, 3.0])

        def logits(self, sample: Tensor) -> Tensor:
            return 2 * sample

        def log(self, name: str, value: Tensor) -> None:
            assert (name, float(value)) == ("penalty/critic-drift", 20)

    assert float(Drift(epsilon=0.5)(Turn())) == 10
    assert float(Drift()(Turn())) == pytest.approx(0.02)


def test_a_picture_that_left_the_range_comes_back():
    maker, _ = networks()
    with torch.no_grad():
        maker.to_rgb[2].bias.fill_(9.0)
    picture = maker(torch.randn(2, 5), None)
    assert picture.max() == 1
    picture.sum().backward()  # descent darkens
    assert maker.to_rgb[2].bias.grad.abs().min() > 0
    maker.zero_grad()
    (-maker(torch.randn(2, 5), None).sum()).backward()  # descent would brighten what is white already
    assert maker.to_rgb[2].bias.grad.abs().max() < 2 * 16 * 16


@pytest.mark.parametrize("cls", [ProGANGenerator, ProGANDiscriminator])
@pytest.mark.parametrize(("shape", "words"), [((3, 28, 28), "size=32"), ((3, 16, 32), "16x32"), ((2,), "values")])
def test_pictures_of_other_sizes_are_refused_with_the_nearest(cls, shape, words):
    with pytest.raises(ganzoo.Incompatible, match=words):
        cls(None, ganzoo.Sample(shape), 0)


@pytest.mark.parametrize(
    ("cls", "given"),
    [
        (ProGANGenerator, {"latent": 0}),
        (ProGANGenerator, {"channel_base": 8}),
        (ProGANDiscriminator, {"channel_max": 0}),
        (ProGANDiscriminator, {"group_size": -1}),
    ],
)
def test_options_out_of_range_are_named(cls, given):
    with pytest.raises(ValueError, match=next(iter(given))):
        cls(None, TARGET, 0, **given)


@pytest.mark.parametrize("given", [{"epsilon": -1.0}, {"every": 0}])
def test_a_drift_out_of_range_is_named(given):
    with pytest.raises(ValueError, match=next(iter(given))):
        Drift(**given)

"""Published sizes, and the layers against the formulas of the papers written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, interpolate, leaky_relu, pad

import ganzoo
from ganzoo.registry.registry import registry
from ganzoo_stylegan.discriminator import StyleGANDiscriminator
from ganzoo_stylegan.generator import StyleGANGenerator
from ganzoo_stylegan.layers import AdaptiveNorm, Blur, Resampling
from ganzoo_stylegan2.mixing import mix

SMALL = {"channel_base": 64, "channel_max": 8}
MAKER = {**SMALL, "latent": 6, "style": 5, "mapping_layers": 2}
GRAY = ganzoo.Sample((1, 16, 16))
COLOUR = ganzoo.Sample((3, 32, 32), -math.inf, math.inf)
LABEL = torch.zeros(4, dtype=torch.int64)


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def at(value: float, *networks: nn.Module) -> None:
    """Let networks stand at a level."""
    for network in networks:
        network.level.follow(ganzoo.Course.parse({"value": value}))


def made(cls, target: ganzoo.Sample = COLOUR, classes: int = 0, **options) -> nn.Module:
    """A network whose weights are all drawn at random, none of them 0."""
    torch.manual_seed(0)
    options = {**(MAKER if cls is StyleGANGenerator else SMALL), **options}
    network = cls(None, target, classes, **options)
    for name, parameter in network.named_parameters():
        if not name.startswith("mapping"):
            nn.init.normal_(parameter, std=0.5)
    return network.double().eval()


@pytest.mark.parametrize(
    ("side", "synthesis", "of_d", "noise"),
    [
        (32, 20_740_108, 20_726_785, 2_720),
        (64, 23_036_687, 22_498_049, 10_912),
        (128, 23_742_610, 22_941_313, 43_680),
        (256, 23_984_981, 23_052_353, 174_752),
        (512, 24_078_520, 23_080_225, 699_040),
        (1024, 24_118_379, 23_087_249, 2_796_192),
    ],
)
def test_published_configurations_have_their_numbers_of_parameters(side, synthesis, of_d, noise):
    target, label = ganzoo.Sample((3, side, side)), torch.zeros(2, dtype=torch.int64, device="meta")
    with torch.device("meta"):
        generator, discriminator = StyleGANGenerator(None, target, 0), StyleGANDiscriminator(None, target, 0)
        picture = generator(generator.sample_latent(2, torch.device("meta")), label)
        assert picture.shape == (2, 3, side, side) and discriminator(picture, label).shape == (2,)
    assert parameters(generator.mapping) == 2_101_248
    assert parameters(generator) == 2_101_248 + synthesis and parameters(discriminator) == of_d
    assert sum(buffer.numel() for name, buffer in generator.named_buffers() if name.endswith(".noise")) == noise
    if side == 1024:
        assert parameters(generator) == 26_219_627, "as its authors say"


def test_adaptive_normalisation_is_equation_1():
    torch.manual_seed(0)
    norm, x, style = AdaptiveNorm(5, 3).double(), 7 + torch.randn(2, 3, 4, 4).double(), torch.randn(2, 5).double()
    nn.init.normal_(norm.affine.bias)
    y = norm(x, style)
    for n in range(2):
        said = norm.affine.weight @ style[n] / math.sqrt(5) + norm.affine.bias
        for channel in range(3):
            values = x[n, channel]
            normal = (values - values.mean()) / math.sqrt(values.var(correction=0) + 1e-8)
            torch.testing.assert_close(y[n, channel], (1 + said[channel]) * normal + said[3 + channel])


def blurred(x: Tensor) -> Tensor:
    x = pad(x, (1, 1, 1, 1))
    x = (x[:, :, :-2] + 2 * x[:, :, 1:-1] + x[:, :, 2:]) / 4
    return (x[:, :, :, :-2] + 2 * x[:, :, :, 1:-1] + x[:, :, :, 2:]) / 4


def test_blur_is_the_filter_of_the_paper():
    x = torch.randn(2, 3, 5, 6).double()
    torch.testing.assert_close(Blur().double()(x), blurred(x))
    one = torch.zeros(1, 1, 5, 5)
    one[0, 0, 2, 2] = 16
    assert Blur()(one)[0, 0, 1:4, 1:4].tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]


def test_doubling_and_halving_are_convolutions_beside_a_change_of_the_side():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 6, 6).double()
    up, down = Resampling(3, 4, up=True).double(), Resampling(3, 4, up=False).double()
    nn.init.normal_(down.bias)
    weight = up.weight / math.sqrt(27)
    torch.testing.assert_close(up(x), blurred(conv2d(interpolate(x, scale_factor=2), weight, padding=1)))
    weight = down.weight / math.sqrt(27)
    torch.testing.assert_close(down(x), avg_pool2d(conv2d(blurred(x), weight, down.bias, padding=1), 2))


def test_the_first_layer_knows_nothing_of_the_latent_before_its_style():
    generator = made(StyleGANGenerator)
    seen: list[Tensor] = []
    generator.levels[0].first.style.register_forward_hook(lambda module, given, y: seen.append(given[0]))
    generator(torch.randn(4, 6).double(), LABEL)
    assert torch.equal(seen[0][:1].expand_as(seen[0]), seen[0])


def test_noise_is_drawn_while_training_and_has_a_strength_for_each_channel():
    generator = made(StyleGANGenerator, mixing=0.0)
    z = torch.randn(1, 6).double().expand(4, -1)
    calm = generator(z, LABEL)
    assert torch.equal(calm[:1].expand_as(calm), calm)
    noisy = generator.train()(z, LABEL)
    assert (noisy[0] - noisy[1]).abs().max() > 0.01
    for layer in (one for level in generator.levels for one in (level.first, level.second)):
        assert layer.noise_strength.shape == layer.bias.shape
        nn.init.zeros_(layer.noise_strength)
    still = generator(z, LABEL)
    torch.testing.assert_close(still[:1].expand_as(still), still)


def test_without_noise_there_is_none_to_learn_and_a_latent_has_one_picture_while_training():
    generator = made(StyleGANGenerator, mixing=0.0, noise=False).train()
    assert not [name for name in generator.state_dict() if "noise" in name]
    pictures = generator(torch.randn(1, 6).double().expand(4, -1), LABEL)
    torch.testing.assert_close(pictures[:1].expand_as(pictures), pictures)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_fading_picture_goes_from_the_coarser_one_to_its_own(level):
    generator, z = made(StyleGANGenerator), torch.randn(4, 6).double()
    at(level - 1, generator)
    coarse = generator(z, LABEL)
    at(level, generator)
    own = generator(z, LABEL)
    side = 4 << level
    assert torch.equal(own, interpolate(own[:, :, :: 32 // side, :: 32 // side], scale_factor=32 // side))
    for alpha, tolerance in ((0.25, 1e-6), (2**-20, 1e-6)):
        at(level - 1 + alpha, generator)
        assert generator.level.fading
        torch.testing.assert_close(generator(z, LABEL), coarse.lerp(own, alpha), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_the_coarser_discriminator_sees_a_pooled_picture_while_the_finer_one_comes_in(level):
    discriminator, x = made(StyleGANDiscriminator, group_size=1), torch.randn(4, 3, 32, 32).double()
    at(level - 1, discriminator)
    coarse = discriminator(x, LABEL)
    at(level - 1 + 2**-20, discriminator)
    torch.testing.assert_close(discriminator(x, LABEL), coarse, rtol=1e-4, atol=1e-4)
    at(level, discriminator)
    assert (discriminator(x, LABEL) - coarse).abs().max() > 1e-3
    picture = avg_pool2d(x, 32 // (4 << level))
    whole = made(StyleGANDiscriminator, ganzoo.Sample((3, 4 << level, 4 << level)), group_size=1)
    whole.load_state_dict({name: discriminator.state_dict()[name] for name in whole.state_dict()})
    torch.testing.assert_close(discriminator(x, LABEL), whole(picture, LABEL))


def test_features_fade_as_pictures_do():
    discriminator = made(StyleGANDiscriminator, GRAY, group_size=1)
    at(1.25, discriminator)
    x = torch.randn(4, 1, 16, 16).double()
    fine, coarse = discriminator.rgb[2], discriminator.rgb[1]

    def active(y: Tensor) -> Tensor:
        return leaky_relu(y, 0.2) * math.sqrt(2)

    mixed = 0.75 * active(coarse(avg_pool2d(x, 2))) + 0.25 * discriminator.levels[1](active(fine(x)))
    seen: list[Tensor] = []
    discriminator.levels[0].register_forward_hook(lambda module, given, y: seen.append(given[0]))
    discriminator(x, LABEL)
    torch.testing.assert_close(seen[0], mixed)


def test_the_discriminator_sees_real_pictures_fade_in_under_either_name():
    """Mixed with their pooled selves by α, or as they are between fades: it halves what is finer than its level."""
    cross_fade = registry().load("augmentation", "cross-fade")
    assert registry().load("augmentation", "fade-reals") is cross_fade
    fade, discriminator, x = cross_fade(COLOUR), made(StyleGANDiscriminator), torch.rand(4, 3, 32, 32).double()
    for value, times, alpha in ((1, 1, 1.0), (1.75, 4, 0.75), (2, 1, 1.0), (2.5, 2, 0.5), (3, 1, 1.0)):
        at(value, fade)
        at(value, discriminator)
        pooled = avg_pool2d(x, times).repeat_interleave(times, 2).repeat_interleave(times, 3)
        expected = discriminator((1 - alpha) * pooled + alpha * x, LABEL)
        torch.testing.assert_close(discriminator(fade.real(x), LABEL), expected)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_gradients_are_those_of_pictures_of_full_size(level):
    """Squared norms are 1 / f² of those at the level's own size, f being how much smaller that is."""
    discriminator = made(StyleGANDiscriminator, group_size=1)
    at(level, discriminator)
    factor = 32 // (4 << level)
    small = torch.randn(4, 3, 4 << level, 4 << level).double()
    whole = made(StyleGANDiscriminator, ganzoo.Sample((3, 4 << level, 4 << level)), group_size=1)
    whole.load_state_dict({name: discriminator.state_dict()[name] for name in whole.state_dict()})

    def norms(network: nn.Module, x: Tensor) -> Tensor:
        x = x.requires_grad_()
        return torch.autograd.grad(network(x, LABEL).sum(), x)[0].square().sum((1, 2, 3))

    full = norms(discriminator, interpolate(small, scale_factor=factor))
    torch.testing.assert_close(full * factor**2, norms(whole, small))


def test_truncation_reaches_the_layers_below_the_cutoff():
    generator = made(StyleGANGenerator, cutoff=3)
    nn.init.normal_(generator.mean_style)
    z = torch.randn(4, 6).double()
    style = generator.map(z, LABEL)
    seen: list[Tensor] = []
    generator.synthesise = lambda style: seen.append(style) or torch.zeros(())
    for psi in (1.0, 0.7, 0.0):
        generator.truncated(z, LABEL, psi)
        wanted = generator.mean_style + psi * (style - generator.mean_style)
        torch.testing.assert_close(seen[-1][:, :3], wanted[:, :3])
        assert torch.equal(seen[-1][:, 3:], style[:, 3:]) and seen[-1].shape == (4, 8, 5)


def test_truncation_of_all_layers_gives_one_sample():
    generator = made(StyleGANGenerator)
    few = generator.truncated(torch.randn(4, 6).double(), LABEL, 0.0)
    assert generator.cutoff == 8 and torch.equal(few[:1].expand_as(few), few)


def test_mixing_keeps_the_coarse_styles_and_cuts_within_the_layers_that_run():
    one, other = torch.zeros(4000, 8, 1), torch.ones(4000, 8, 1)
    torch.manual_seed(0)
    for layers in (2, 6, 8):
        mixed = mix(one, other, 0.9, layers)[:, :, 0]
        assert (mixed[:, 1:] >= mixed[:, :-1]).all(), "the second style comes behind the first"
        cut = 8 - mixed.sum(1)
        assert (cut < 8).float().mean().item() == pytest.approx(0.9, abs=0.02)
        found = torch.bincount(cut[cut < 8].long(), minlength=8)
        assert set(found.nonzero().flatten().tolist()) == set(range(1, layers))
        assert (found[1:layers] / found.sum() - 1 / (layers - 1)).abs().max() < 0.03


def test_the_generator_mixes_while_training_within_the_level_that_runs(monkeypatch):
    generator, asked = made(StyleGANGenerator).train(), []
    monkeypatch.setattr("ganzoo_stylegan.generator.mix", lambda *given: asked.append(given[2:]) or mix(*given))
    for level in (0, 1, 1.5, 3):
        at(level, generator)
        generator(torch.randn(4, 6).double(), LABEL)
    assert asked == [(0.9, 2), (0.9, 4), (0.9, 6), (0.9, 8)]
    generator.eval()(torch.randn(4, 6).double(), LABEL)
    assert len(asked) == 4


def test_the_mean_style_follows_each_batch_in_training():
    generator, z = made(StyleGANGenerator, mixing=0.0), torch.randn(4, 6).double()
    generator(z, LABEL)
    assert not generator.mean_style.any()
    generator.train()(z, LABEL)
    torch.testing.assert_close(generator.mean_style, 0.005 * generator.map(z, LABEL)[:, 0].mean(0))


def test_mapping_weights_are_stored_a_hundredfold_and_learn_a_hundredth():
    torch.manual_seed(0)
    generator = StyleGANGenerator(None, GRAY, 0, latent=64, style=64, **SMALL)
    layer = generator.mapping.layers[0]
    assert len(generator.mapping.layers) == 8 and layer.weight.std().item() == pytest.approx(100, rel=0.05)
    x = torch.randn(3, 64)
    nn.init.normal_(layer.bias)
    torch.testing.assert_close(layer(x), x @ layer.weight.T * 0.01 / 8 + 0.01 * layer.bias)
    assert generator.constant.eq(1).all() and not generator.levels[1].first.noise_strength.any()


def test_labels_join_the_latent_before_it_is_normalised_and_choose_the_logit():
    maker, judge = (
        made(StyleGANGenerator, GRAY, 3, conditional=True),
        made(StyleGANDiscriminator, GRAY, 3, conditional=True),
    )
    z, label = torch.randn(4, 6).double(), torch.tensor([0, 1, 2, 1])
    joined = torch.cat([z, maker.class_vector[label]], 1)
    joined = joined / (joined.square().mean(1, keepdim=True) + 1e-8).sqrt()
    for layer in maker.mapping.layers:
        joined = leaky_relu(layer(joined), 0.2)  # the √2 is in the next layer's gain
    torch.testing.assert_close(maker.map(z, label)[:, 0], math.sqrt(2) * joined)
    x = torch.randn(4, 1, 16, 16).double()
    every = torch.stack([judge(x, torch.full((4,), one)) for one in range(3)], 1)
    assert torch.equal(judge(x, label), every[range(4), label]) and every.std(1).min() > 0


def test_a_generator_has_a_space_of_styles():
    generator, z = made(StyleGANGenerator), torch.randn(4, 6).double()
    assert isinstance(generator, ganzoo.StyleSpace)
    style = generator.map(z, LABEL)
    assert style.shape == (4, 8, 5) and torch.equal(generator.synthesise(style), generator(z, LABEL))


@pytest.mark.parametrize(
    ("target", "match"), [(ganzoo.Sample((3, 28, 28)), "data.size=32"), (ganzoo.Sample((2,)), "stylegan makes images")]
)
def test_other_data_are_refused_with_what_to_do(target, match):
    for network in (StyleGANGenerator, StyleGANDiscriminator):
        with pytest.raises(ganzoo.Incompatible, match=match):
            network(None, target, 0)


def test_what_cannot_be_built_is_refused():
    with pytest.raises(ganzoo.Incompatible, match="generator stylegan makes pictures from latents"):
        StyleGANGenerator(GRAY, GRAY, 0)
    for network, kind in ((StyleGANGenerator, "generator"), (StyleGANDiscriminator, "discriminator")):
        with pytest.raises(ganzoo.Incompatible, match=f"{kind} stylegan is to be conditional"):
            network(None, GRAY, 0, conditional=True)
    for option, value in (("latent", 0), ("style", 0), ("mapping_layers", 0), ("cutoff", 0), ("mixing", 2)):
        with pytest.raises(ValueError, match=option):
            StyleGANGenerator(None, GRAY, 0, **{option: value})
    with pytest.raises(ValueError, match="group_size"):
        StyleGANDiscriminator(None, GRAY, 0, group_size=-1)

"""The generator against the sizes of the published networks, and what its styles and noise do."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import ganzoo
from ganzoo_stylegan2.generator import StyleGAN2Generator
from ganzoo_stylegan2.mixing import MEAN_DECAY

GRAY_16, COLOUR_32 = ganzoo.Sample((1, 16, 16)), ganzoo.Sample((3, 32, 32))
SMALL = {"latent": 6, "style": 8, "mapping_layers": 2, "channel_max": 8}
ZEROS = torch.zeros(4, dtype=torch.int64)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def published(side: int, channels: dict[int, int], mapping_layers: int, colours: int = 3) -> int:
    """Parameters of the paper's generator: figure 2d and figure 7b of arXiv:1912.04958, w and z of 512.

    A 3x3 layer has 9 · in · out weights, a bias for each output, one noise strength, and an affine map of w to its
    inputs; RGB has as much without noise, with 1x1 kernels.
    """

    def layer(inputs: int, outputs: int) -> int:
        return 9 * inputs * outputs + outputs + 1 + (512 + 1) * inputs

    total = mapping_layers * (512 * 512 + 512) + 16 * channels[4]
    for level in range(2, side.bit_length()):
        here = channels[2**level]
        total += layer(here, here) + (here * colours + colours) + (512 + 1) * here
        if level > 2:
            total += layer(channels[2 ** (level - 1)], here)
    return total


def built(side: int, **options) -> StyleGAN2Generator:
    with torch.device("meta"):
        return StyleGAN2Generator(None, ganzoo.Sample((3, side, side)), 0, **options)


def small(target: ganzoo.Sample = GRAY_16, classes: int = 0, **options) -> StyleGAN2Generator:
    torch.manual_seed(0)
    return StyleGAN2Generator(None, target, classes, **{**SMALL, **options})


def loud(generator: StyleGAN2Generator) -> StyleGAN2Generator:
    """Noise strengths start at 0; give them a value."""
    for name, parameter in generator.named_parameters():
        if name.endswith("noise_strength"):
            nn.init.constant_(parameter, 0.5)
    return generator


def latents(generator: StyleGAN2Generator, n: int = 4) -> torch.Tensor:
    return generator.sample_latent(n, torch.device("cpu"))


def test_auto_at_256_has_the_published_layers():
    # 16384 / side, at most 512: RECIPES of the `auto` configuration, two mapping layers
    channels = {4: 512, 8: 512, 16: 512, 32: 512, 64: 256, 128: 128, 256: 64}
    generator = built(256, mapping_layers=2)
    assert [level.keep.weight.shape[0] for level in generator.levels] == list(channels.values())
    assert count(generator) == published(256, channels, 2) == 23_191_522


def test_cifar_has_512_channels_on_every_level():
    generator = built(32, mapping_layers=2, channel_base="constant")
    assert count(generator) == published(32, dict.fromkeys((4, 8, 16, 32), 512), 2) == 19_947_539
    assert count(built(256, channel_base="constant", mapping_layers=2)) == published(
        256, {2**level: 512 for level in range(2, 9)}, 2
    )


def test_paper_networks_have_25_and_30_million_parameters():
    # arXiv:1912.04958, section 5.1: doubling the maps from 64 to 1024 takes G from 25 M to 30 M
    assert round(count(built(1024, channel_base=16384)) / 1e6) == 25
    assert round(count(built(1024)) / 1e6) == 30


def test_layers_have_the_sizes_that_training_logs_of_the_original_print():
    generator = built(1024)
    assert count(generator.mapping.layers[0]) == 262_656
    assert count(generator.levels[1].up) == 2_622_465 and count(generator.levels[0].rgb) == 264_195
    by_side = {4 << index: level for index, level in enumerate(generator.levels)}
    assert (count(by_side[128].up), count(by_side[128].keep)) == (1_442_561, 721_409)
    assert (count(by_side[256].up), count(by_side[256].rgb)) == (426_369, 66_051)


def test_widths_follow_the_side_by_the_auto_rule():
    assert [level.keep.weight.shape[0] for level in built(512).levels][-1] == 64
    assert [level.keep.weight.shape[0] for level in built(64).levels] == [512, 512, 512, 512, 256]
    assert [level.keep.weight.shape[0] for level in built(32, channel_base=256, channel_max=40).levels] == [
        40,
        32,
        16,
        8,
    ]


@pytest.mark.parametrize("side", [8, 16, 32, 64])
def test_two_styles_a_level(side):
    generator = small(ganzoo.Sample((2, side, side)))
    assert generator.styles == 2 * (int(math.log2(side)) - 1)
    assert generator.map(latents(generator), ZEROS).shape == (4, generator.styles, 8)


def test_each_style_reaches_its_own_layers():
    generator = small(COLOUR_32).eval()
    style = torch.randn(1, generator.styles, 8)
    plain = generator.synthesise(style)
    for index in range(generator.styles):
        changed = style.clone()
        changed[:, index] += 1
        assert not torch.equal(generator.synthesise(changed), plain), index


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 1.0), (2.0, 10.0)])
def test_samples_keep_to_the_range(low, high, training):
    generator = small(ganzoo.Sample((3, 16, 16), low, high)).train(training)
    picture = generator(latents(generator), ZEROS)
    assert picture.shape == (4, 3, 16, 16) and picture.min() >= low and picture.max() <= high
    assert picture.max() - picture.min() > 0.2 * (high - low)


def test_unbounded_data_get_the_bare_sum():
    bounded, bare = small(GRAY_16).eval(), small(ganzoo.Sample((1, 16, 16), -math.inf, math.inf)).eval()
    z = latents(bare)
    assert torch.equal(bounded(z, ZEROS), bare(z, ZEROS).clamp(-1, 1))
    assert bare(z, ZEROS).abs().max() > 1


def test_the_mapping_reads_only_the_direction_of_z():
    generator = small().eval()
    z = latents(generator)
    torch.testing.assert_close(generator.map(3 * z, ZEROS), generator.map(z, ZEROS))
    assert not torch.allclose(generator.map(-z, ZEROS), generator.map(z, ZEROS))


def test_noise_is_fixed_when_evaluated_and_random_while_training():
    generator = loud(small(mixing=0.0))
    z = latents(generator)
    assert not torch.equal(generator.train()(z, ZEROS), generator(z, ZEROS))
    assert torch.equal(generator.eval()(z, ZEROS), generator(z, ZEROS))


def test_noise_of_evaluation_is_saved():
    generator, other = loud(small()).eval(), StyleGAN2Generator(None, GRAY_16, 0, **SMALL).eval()
    z = latents(generator)
    other.load_state_dict(generator.state_dict())
    assert torch.equal(generator(z, ZEROS), other(z, ZEROS))
    quiet = small().eval()
    assert not torch.equal(generator(z, ZEROS), quiet(z, ZEROS))  # the noise is seen at all


class Recording(StyleGAN2Generator):
    """Keeps the styles that it paints from."""

    def synthesise(self, style: torch.Tensor) -> torch.Tensor:
        self.seen = [*getattr(self, "seen", []), style]
        return super().synthesise(style)


def test_mixing_switches_to_a_second_style_at_a_random_layer():
    torch.manual_seed(0)
    generator = Recording(None, COLOUR_32, 0, **SMALL, mixing=0.75)
    z, label = latents(generator, 400), torch.zeros(400, dtype=torch.int64)
    own = generator.map(z, label)
    generator(z, label)
    (style,) = generator.seen
    same_NL = (style == own).all(dim=2)
    crossover = same_NL.sum(dim=1)
    first = torch.arange(generator.styles) < crossover[:, None]
    assert torch.equal(same_NL, first) and crossover.min() == 1
    assert (crossover < generator.styles).float().mean().item() == pytest.approx(0.75, abs=0.06)
    others = style[:, -1][crossover < generator.styles]
    assert len(others.unique(dim=0)) == len(others)  # every sample mixes with a latent of its own
    assert len(crossover.unique()) == generator.styles


@pytest.mark.parametrize("case", ["eval", "mixing 0"])
def test_without_mixing_every_layer_gets_the_same_style(case):
    generator = Recording(None, GRAY_16, 0, **SMALL, mixing=0.0 if case == "mixing 0" else 0.9)
    generator.train(case != "eval")
    z = latents(generator)
    generator(z, ZEROS)
    assert torch.equal(generator.seen[0], generator.map(z, ZEROS))


def test_the_mean_style_follows_by_its_decay_and_only_while_training():
    generator = small()
    z = latents(generator)
    style = generator.map(z, ZEROS)[:, 0].mean(dim=0)
    generator(z, ZEROS)
    assert MEAN_DECAY == 0.995, "as published"
    torch.testing.assert_close(generator.mean_style, (1 - MEAN_DECAY) * style)
    generator(z, ZEROS)
    torch.testing.assert_close(generator.mean_style, (1 - MEAN_DECAY**2) * style)
    before = generator.mean_style.clone()
    generator.eval()(z, ZEROS)
    generator.train().synthesise(generator.map(z, ZEROS))
    assert torch.equal(generator.mean_style, before)


def test_truncation_0_gives_the_mean_sample_and_1_leaves_it():
    generator = loud(small())
    z = latents(generator)
    for _ in range(20):
        generator(latents(generator), ZEROS)
    generator.eval()
    mean = generator.synthesise(generator.mean_style.expand(4, generator.styles, -1))
    assert torch.equal(generator.truncated(z, ZEROS, 0.0), mean)
    assert torch.equal(generator.truncated(z, ZEROS, 1.0), generator(z, ZEROS))
    half = 0.5 * generator.mean_style + 0.5 * generator.map(z, ZEROS)
    torch.testing.assert_close(generator.truncated(z, ZEROS, 0.5), generator.synthesise(half))


def test_it_is_mapped():
    assert isinstance(small(), ganzoo.StyleSpace)
    assert not isinstance(nn.Linear(1, 1), ganzoo.StyleSpace)


@pytest.mark.parametrize("conditional", [False, True])
def test_the_label_matters_exactly_when_conditional(conditional):
    generator = small(GRAY_16, 10, conditional=conditional).eval()
    z = latents(generator)
    assert generator.conditional is conditional
    assert torch.equal(generator(z, ZEROS), generator(z, ZEROS + 3)) is not conditional


def test_a_conditional_mapping_reads_the_latent_beside_an_embedding():
    plain, conditional = small(GRAY_16, 10), small(GRAY_16, 10, conditional=True)
    # an embedding of 10 classes with bias, and 8 more inputs of the first layer
    assert count(conditional) - count(plain) == (10 * 8 + 8) + 8 * 8


def test_gradients_reach_every_parameter():
    generator = loud(small(GRAY_16, 3, conditional=True))
    generator(latents(generator), torch.tensor([0, 1, 2, 0])).square().mean().backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize(("side", "advice"), [(30, 28), (100, 96), (4, 8), (6, 8), (50, 48)])
def test_other_sizes_are_refused_with_the_nearest_that_works(side, advice):
    with pytest.raises(ganzoo.Incompatible, match=f"{side}x{side}: try `--set data.size={advice}`"):
        StyleGAN2Generator(None, ganzoo.Sample((1, side, side)), 0)


def test_what_cannot_be_made_is_refused():
    with pytest.raises(ganzoo.Incompatible, match="values of shape 2"):
        StyleGAN2Generator(None, ganzoo.Sample((2,)), 0)
    with pytest.raises(ganzoo.Incompatible, match=r"32x60: try `--set data\.size=32x64`"):
        StyleGAN2Generator(None, ganzoo.Sample((3, 32, 60)), 0)
    with pytest.raises(ganzoo.Incompatible, match="cannot translate"):
        StyleGAN2Generator(GRAY_16, GRAY_16, 0)
    with pytest.raises(ganzoo.Incompatible, match="the data have no labels"):
        StyleGAN2Generator(None, GRAY_16, 0, conditional=True)


@pytest.mark.parametrize(
    "options",
    [{"latent": 0}, {"style": 0}, {"mapping_layers": 0}, {"channel_max": 0}, {"channel_base": 8}, {"mixing": 2}],
)
def test_silly_options_are_refused_by_name(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        StyleGAN2Generator(None, GRAY_16, 0, **options)


def test_of_a_layer_on_a_processor_autocast_lowers_the_convolutions_alone():
    layer, style, scale = small().levels[0].keep.eval(), torch.randn(2, 8), torch.rand(2, 8)
    x = torch.randn(2, 8, 4, 4)
    exact = layer(x, style, scale)
    with torch.autocast("cpu", torch.bfloat16):
        lowered = layer(x, style, scale)
    assert lowered.dtype == torch.float32 and not lowered.equal(exact)
    torch.testing.assert_close(lowered, exact, rtol=0.05, atol=0.05)

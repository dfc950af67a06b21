"""The networks against the papers' layer lists: sizes, shapes, borders, receptive field, and what they refuse."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

import ganzoo
from ganzoo_cyclegan.generator import CycleGANGenerator, ResidualBlock
from ganzoo_cyclegan.instance_norm import InstanceNorm
from ganzoo_cyclegan.patchgan import PatchGANDiscriminator

COLOUR_256 = ganzoo.Sample((3, 256, 256))
COLOUR_64 = ganzoo.Sample((3, 64, 64))
ZEROS = torch.zeros(2, dtype=torch.int64)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def on_meta(cls: type, *arguments, **options) -> nn.Module:
    with torch.device("meta"):
        return cls(*arguments, **options)


def convolution(inputs: int, outputs: int, kernel: int) -> int:
    return inputs * outputs * kernel**2 + outputs


def outputs(network: nn.Module, x: torch.Tensor) -> list[tuple[int, ...]]:
    """Shape (C, H, W) behind each convolution and residual block, in order."""
    shapes: list[tuple[int, ...]] = []
    kinds = nn.Conv2d | nn.ConvTranspose2d | ResidualBlock
    for layer in network.layers:
        if isinstance(layer, kinds):
            layer.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(output.shape[1:])))
    network(x, torch.zeros(len(x), dtype=torch.int64, device=x.device))
    return shapes


def test_generator_has_the_parameters_of_the_papers_layers():
    """c7s1-64, d128, d256, nine R256, u128, u64, c7s1-3: 11.378 million."""
    ladder = convolution(3, 64, 7) + convolution(64, 128, 3) + convolution(128, 256, 3)
    blocks = 9 * 2 * convolution(256, 256, 3)
    back = convolution(256, 128, 3) + convolution(128, 64, 3) + convolution(64, 3, 7)
    assert ladder + blocks + back == 11_378_179
    assert count(on_meta(CycleGANGenerator, COLOUR_256, COLOUR_256, 0)) == 11_378_179


def test_discriminator_has_the_parameters_of_the_papers_layers():
    """C64-C128-C256-C512 and the convolution to one channel: 2.765 million."""
    widths = [3, 64, 128, 256, 512, 1]
    total = sum(convolution(inputs, wide, 4) for inputs, wide in pairwise(widths))
    assert total == 2_764_737
    assert count(on_meta(PatchGANDiscriminator, None, COLOUR_256, 0)) == 2_764_737


def test_generator_keeps_a_quarter_of_the_side_between_its_two_ladders():
    generator = on_meta(CycleGANGenerator, COLOUR_256, COLOUR_256, 0)
    shapes = outputs(generator, torch.zeros(1, 3, 256, 256, device="meta"))
    assert shapes == [
        (64, 256, 256), (128, 128, 128), (256, 64, 64), *[(256, 64, 64)] * 9,
        (128, 128, 128), (64, 256, 256), (3, 256, 256),
    ]  # fmt: skip


def test_discriminator_ends_in_30x30_patches_of_256x256():
    discriminator = on_meta(PatchGANDiscriminator, None, COLOUR_256, 0)
    shapes = outputs(discriminator, torch.zeros(1, 3, 256, 256, device="meta"))
    assert shapes == [(64, 128, 128), (128, 64, 64), (256, 32, 32), (512, 31, 31), (1, 30, 30)]


@pytest.mark.parametrize(("side", "blocks"), [(64, 6), (128, 6), (252, 6), (256, 9), (512, 9)])
def test_six_blocks_below_256_pixels_and_nine_from_there(side, blocks):
    sample = ganzoo.Sample((3, side, side))
    generator = on_meta(CycleGANGenerator, sample, sample, 0)
    assert sum(isinstance(layer, ResidualBlock) for layer in generator.layers) == blocks


@pytest.mark.parametrize(("layers", "pixels"), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_a_patch_has_the_papers_pixels(layers, pixels):
    """The arithmetic of kernels and strides; 70 pixels for the default."""
    discriminator = on_meta(PatchGANDiscriminator, None, COLOUR_256, 0, layers=layers)
    field, jump = 1, 1
    for layer in discriminator.layers:
        if isinstance(layer, nn.Conv2d):
            field, jump = field + (layer.kernel_size[0] - 1) * jump, jump * layer.stride[0]
    assert field == pixels


def test_a_logit_depends_on_70_pixels_and_no_other():
    """Measured on the default network. InstanceNorm, which sees the whole map, is put aside."""
    torch.manual_seed(0)
    discriminator = PatchGANDiscriminator(None, ganzoo.Sample((1, 128, 128)), 0, width=4).double()
    for name, layer in enumerate(discriminator.layers):
        if isinstance(layer, InstanceNorm):
            discriminator.layers[name] = nn.Identity()
    sample = torch.randn(1, 1, 128, 128, dtype=torch.float64, requires_grad=True)
    discriminator(sample, ZEROS[:1])[0, 0, 7, 7].backward()
    rows, columns = (sample.grad[0, 0].abs().sum(axis).nonzero().flatten() for axis in (1, 0))
    assert rows[-1] - rows[0] + 1 == columns[-1] - columns[0] + 1 == 70


def test_a_constant_picture_stays_constant_up_to_the_border():
    """Reflected borders: zeros around the picture would show. The transposed convolutions come after."""
    torch.manual_seed(0)
    generator = CycleGANGenerator(COLOUR_64, COLOUR_64, 0, width=4, blocks=2)
    grey = torch.full((1, 3, 64, 64), 0.3)
    first = generator.layers[:2](grey)
    assert first.shape == (1, 4, 64, 64)
    torch.testing.assert_close(first, first[:, :, :1, :1].expand_as(first))
    block = ResidualBlock(5)
    out = block(torch.full((1, 5, 6, 7), 0.3))
    assert out.shape == (1, 5, 6, 7)
    torch.testing.assert_close(out, torch.full_like(out, 0.3), rtol=0, atol=1e-3)
    assert sum(isinstance(module, nn.ReflectionPad2d) for module in generator.modules()) == 2 + 2 * 2


def test_a_residual_block_that_adds_nothing_changes_nothing():
    block = ResidualBlock(4)
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    x = torch.randn(2, 4, 6, 6)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("size", [(8, 8), (28, 28), (32, 64), (64, 64), (36, 44)])
@pytest.mark.parametrize(("a", "b"), [(1, 3), (3, 1), (4, 2)])
def test_size_is_kept_and_channels_are_those_of_the_target(size, a, b):
    source, target = ganzoo.Sample((a, *size)), ganzoo.Sample((b, *size))
    generator = CycleGANGenerator(source, target, 0, width=2, blocks=1)
    made = generator(torch.rand(2, a, *size) * 2 - 1, ZEROS)
    assert made.shape == (2, b, *size) and made.abs().max() <= 1


def test_ranges_of_source_and_target_are_honoured():
    torch.manual_seed(0)
    low_high, target = ganzoo.Sample((1, 16, 16), 0.0, 255.0), ganzoo.Sample((1, 16, 16), 0.0, 10.0)
    generator = CycleGANGenerator(low_high, target, 0, width=4, blocks=1)
    plain = CycleGANGenerator(ganzoo.Sample((1, 16, 16)), ganzoo.Sample((1, 16, 16)), 0, width=4, blocks=1)
    for network in (generator, plain):
        with torch.no_grad():
            network.layers[-1].weight.mul_(100)
    plain.load_state_dict(generator.state_dict())
    x = torch.rand(2, 1, 16, 16) * 2 - 1
    made = generator((x + 1) * 127.5, ZEROS)
    torch.testing.assert_close(made, (plain(x, ZEROS) + 1) * 5, rtol=1e-4, atol=1e-4)
    assert 0 <= made.min() < 3 and 7 < made.max() <= 10
    endless = ganzoo.Sample((1, 16, 16), -math.inf, math.inf)
    free = CycleGANGenerator(endless, endless, 0, width=4, blocks=1)
    free.load_state_dict(generator.state_dict())
    assert free(x, ZEROS).abs().max() > 1.5
    torch.testing.assert_close(torch.tanh(free(x, ZEROS)), plain(x, ZEROS))


def test_weights_start_as_the_paper_says():
    torch.manual_seed(0)
    for network in (
        CycleGANGenerator(COLOUR_64, COLOUR_64, 0, width=32),
        PatchGANDiscriminator(None, COLOUR_64, 0, width=32),
    ):
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                assert layer.weight.mean().abs() < 2e-3 and layer.bias.abs().max() == 0
                assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)


def test_all_maps_are_normalised_but_the_first_and_last_of_the_discriminator():
    discriminator = PatchGANDiscriminator(None, COLOUR_64, 0, width=4)
    names = [type(layer).__name__ for layer in discriminator.layers]
    middle = ["Conv2d", "InstanceNorm", "LeakyReLU"] * 3
    assert names == ["Conv2d", "LeakyReLU", *middle, "Conv2d"]
    assert [layer.out_channels for layer in discriminator.layers if isinstance(layer, nn.Conv2d)] == [4, 8, 16, 32, 1]
    deeper = PatchGANDiscriminator(None, COLOUR_256, 0, width=4, layers=5)
    wide = [layer.out_channels for layer in deeper.layers if isinstance(layer, nn.Conv2d)]
    assert wide == [4, 8, 16, 32, 32, 32, 1]
    assert {layer.negative_slope for layer in discriminator.layers if isinstance(layer, nn.LeakyReLU)} == {0.2}


def test_generator_refuses_latents_with_the_way_out():
    with pytest.raises(ganzoo.Incompatible, match=r"none from latents: .* `--data pair:A:B --loss cyclegan`"):
        CycleGANGenerator(None, COLOUR_64, 0)


@pytest.mark.parametrize(("size", "advice"), [((30, 42), 28), ((66, 64), 64), ((4, 4), 8), ((101, 101), 100)])
def test_generator_refuses_sizes_that_are_no_multiples_of_four(size, advice):
    sample = ganzoo.Sample((3, *size))
    with pytest.raises(ganzoo.Incompatible, match="multiples of 4") as refusal:
        CycleGANGenerator(sample, sample, 0)
    assert refusal.value.problems[0].endswith(f"the data are {size[0]}x{size[1]}: try `--set data.size={advice}`")


def test_generator_refuses_two_sizes_and_values():
    with pytest.raises(ganzoo.Incompatible, match=r"turn 64x64 into 32x32: try `--set data.size=32`"):
        CycleGANGenerator(COLOUR_64, ganzoo.Sample((3, 32, 32)), 0)
    for source, target in ((ganzoo.Sample((2,)), COLOUR_64), (COLOUR_64, ganzoo.Sample((2,)))):
        with pytest.raises(ganzoo.Incompatible, match="the data are values of shape 2"):
            CycleGANGenerator(source, target, 0)


@pytest.mark.parametrize(
    ("side", "layers", "hint"),
    [(23, 3, "discriminator.layers=2"), (12, 4, "discriminator.layers=2"), (5, 1, "data.size=64"), (8, 3, "layers=1")],
)
def test_discriminator_refuses_pictures_too_small_for_its_layers(side, layers, hint):
    with pytest.raises(ganzoo.Incompatible, match=f"judges pictures of {3 * 2**layers} pixels or more.*{hint}"):
        PatchGANDiscriminator(None, ganzoo.Sample((3, 64, side)), 0, layers=layers)


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_the_smallest_picture_gets_one_logit(layers):
    side = 3 << layers
    discriminator = PatchGANDiscriminator(None, ganzoo.Sample((1, side, side)), 0, width=2, layers=layers)
    assert discriminator(torch.randn(2, 1, side, side), ZEROS).shape == (2, 1, 1, 1)


def test_discriminator_refuses_values():
    with pytest.raises(ganzoo.Incompatible, match="the data are values of shape 2: try `--discriminator mlp`"):
        PatchGANDiscriminator(None, ganzoo.Sample((2,)), 0)


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (CycleGANGenerator, {"width": 0}),
        (CycleGANGenerator, {"blocks": -1}),
        (PatchGANDiscriminator, {"width": 0}),
        (PatchGANDiscriminator, {"layers": 0}),
    ],
)
def test_silly_sizes_are_refused(cls, options):
    with pytest.raises(ValueError, match="at least"):
        cls(COLOUR_64, COLOUR_64, 0, **options)

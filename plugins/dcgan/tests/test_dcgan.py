"""The DCGAN networks against the paper's numbers and a plain transcription of the tutorial's layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import ganzoo
from ganzoo_dcgan.dcgan import DCGANDiscriminator, DCGANGenerator, ladder

GRAY_28 = ganzoo.Sample((1, 28, 28))
COLOUR_64 = ganzoo.Sample((3, 64, 64))
ZEROS = torch.zeros(2, dtype=torch.int64)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def latents(generator: ganzoo.Generator, n: int = 2) -> torch.Tensor:
    return generator.sample_latent(n, torch.device("cpu"))


@pytest.mark.parametrize("kernel", [4, 5])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [8, 28, 32, 48, 64, 80, 96, 128])
def test_every_size_of_the_ladder_is_made_and_judged(side, channels, kernel):
    target = ganzoo.Sample((channels, side, side))
    generator = DCGANGenerator(None, target, 0, width=4, max_width=16, kernel=kernel)
    discriminator = DCGANDiscriminator(None, target, 0, width=4, max_width=16, kernel=kernel)
    picture = generator(latents(generator), ZEROS)
    assert picture.shape == (2, channels, side, side)
    assert picture.min() >= -1 and picture.max() <= 1
    assert discriminator(picture, ZEROS).shape == (2,)


def test_pictures_fill_the_targets_own_range():
    target = ganzoo.Sample((1, 28, 28), low=0.0, high=10.0)
    generator = DCGANGenerator(None, target, 0, width=4)
    with torch.no_grad():
        generator.layers[-1].weight.mul_(1e4)
    picture = generator(latents(generator), ZEROS)
    assert 0 <= picture.min() < 0.1 and 9.9 < picture.max() <= 10


@pytest.mark.parametrize(
    ("side", "base", "widths"),
    [
        (28, 7, [128, 256]),
        (32, 4, [128, 256, 512]),
        (64, 4, [128, 256, 512, 1024]),
        (80, 5, [128, 256, 512, 1024]),
        (96, 6, [128, 256, 512, 1024]),
        (128, 4, [128, 256, 512, 1024, 1024]),
    ],
)
def test_widths_double_towards_the_smallest_map(side, base, widths):
    assert ladder(ganzoo.Sample((3, side, side)), 128, 1024) == ((base, base), widths)


@pytest.mark.parametrize(
    ("height", "width", "advice"),
    [(100, 100, 96), (9, 9, 8), (4, 4, 8), (64, 100, "64x96"), (30, 30, 28), (178, 218, "192x224")],
)
@pytest.mark.parametrize("cls", [DCGANGenerator, DCGANDiscriminator])
def test_other_sizes_are_refused_with_the_nearest_that_works(cls, height, width, advice):
    with pytest.raises(ganzoo.Incompatible) as refusal:
        cls(None, ganzoo.Sample((3, height, width)), 0)
    assert refusal.value.problems == (
        "dcgan makes images with sides of m·2^k, the same k for both and 4, 5, 6 or 7 as the smaller m; "
        f"the data are {height}x{width}: try `--set data.size={advice}`",
    )


@pytest.mark.parametrize("cls", [DCGANGenerator, DCGANDiscriminator])
def test_values_are_refused(cls):
    with pytest.raises(ganzoo.Incompatible, match="values of shape 2: try `--generator mlp --discriminator mlp`"):
        cls(None, ganzoo.Sample((2,)), 0)


@pytest.mark.parametrize("cls", [DCGANGenerator, DCGANDiscriminator])
def test_conditional_network_refuses_unlabelled_data(cls):
    with pytest.raises(ganzoo.Incompatible, match="the data have no labels"):
        cls(None, GRAY_28, 0, conditional=True)


def test_generator_refuses_to_translate():
    with pytest.raises(ganzoo.Incompatible, match="cannot translate 1x28x28"):
        DCGANGenerator(GRAY_28, GRAY_28, 0)


@pytest.mark.parametrize("options", [{"width": 0}, {"latent": 0}, {"max_width": -1}])
def test_sizes_below_one_are_refused(options):
    with pytest.raises(ValueError, match="at least 1"):
        DCGANGenerator(None, GRAY_28, 0, **options)


def test_parameter_counts_at_64_are_those_of_the_paper():
    convolutions = 25 * (1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3)
    generator = DCGANGenerator(None, COLOUR_64, 0)
    assert count(generator) == 100 * 1024 * 16 + convolutions + 2 * (1024 + 512 + 256 + 128)
    discriminator = DCGANDiscriminator(None, COLOUR_64, 0)
    assert count(discriminator) == convolutions + 1024 * 16 + 2 * (256 + 512 + 1024)


def test_labels_cost_parameters_only_where_they_are_used():
    plain, labelled = (DCGANGenerator(None, GRAY_28, 10, width=8, conditional=on) for on in (False, True))
    assert count(labelled) - count(plain) == 10 * 100 + 100 * 16 * 49
    plain, labelled = (DCGANDiscriminator(None, GRAY_28, 10, width=8, conditional=on) for on in (False, True))
    assert count(labelled) - count(plain) == 10 * 16 * 49


def tutorial_generator() -> nn.Sequential:
    """Layers of PyTorch's DCGAN example, listed plainly."""
    return nn.Sequential(
        nn.ConvTranspose2d(100, 512, 4, 1, 0, bias=False),
        nn.BatchNorm2d(512),
        nn.ReLU(),
        nn.ConvTranspose2d(512, 256, 4, 2, 1, bias=False),
        nn.BatchNorm2d(256),
        nn.ReLU(),
        nn.ConvTranspose2d(256, 128, 4, 2, 1, bias=False),
        nn.BatchNorm2d(128),
        nn.ReLU(),
        nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False),
        nn.Tanh(),
    )


def tutorial_discriminator() -> nn.Sequential:
    """Layers of PyTorch's DCGAN example, listed plainly; its sigmoid belongs to the loss here."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2),
        nn.Conv2d(64, 128, 4, 2, 1, bias=False),
        nn.BatchNorm2d(128),
        nn.LeakyReLU(0.2),
        nn.Conv2d(128, 256, 4, 2, 1, bias=False),
        nn.BatchNorm2d(256),
        nn.LeakyReLU(0.2),
        nn.Conv2d(256, 512, 4, 2, 1, bias=False),
        nn.BatchNorm2d(512),
        nn.LeakyReLU(0.2),
        nn.Conv2d(512, 1, 4, 1, 0, bias=False),
    )


def copy_in_order(network: nn.Module, example: nn.Module) -> None:
    """Load the example's weights and buffers by their order alone; move the buffers off their initial values first."""
    for module in example.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0.0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    names, values = list(network.state_dict()), list(example.state_dict().values())
    network.load_state_dict(dict(zip(names, values, strict=True)))


@pytest.mark.parametrize("training", [True, False])
def test_the_tutorials_weights_copied_in_order_give_the_tutorials_outputs(training):
    torch.manual_seed(0)
    example, judge = tutorial_generator(), tutorial_discriminator()
    generator = DCGANGenerator(None, COLOUR_64, 0, width=64, kernel=4, latent_distribution="normal")
    discriminator = DCGANDiscriminator(None, COLOUR_64, 0, width=64, kernel=4)
    copy_in_order(generator, example)
    copy_in_order(discriminator, judge)
    for network in (example, judge, generator, discriminator):
        network.train(training)
    z = latents(generator)
    with torch.no_grad():
        expected = example(z[:, :, None, None])
        torch.testing.assert_close(generator(z, ZEROS), expected, rtol=0, atol=1e-6)
        torch.testing.assert_close(discriminator(expected, ZEROS), judge(expected).view(-1), rtol=0, atol=1e-6)


def test_a_kernel_of_five_pads_by_two_and_keeps_the_projection():
    generator = DCGANGenerator(None, GRAY_28, 0, width=4)
    first, second = generator.layers[0], generator.layers[3]
    assert (first.kernel_size, first.stride, first.padding) == ((7, 7), (1, 1), (0, 0))
    assert (second.kernel_size, second.stride, second.padding, second.output_padding) == (
        (5, 5),
        (2, 2),
        (2, 2),
        (1, 1),
    )


def test_weights_start_as_the_paper_says():
    torch.manual_seed(0)
    generator, discriminator = (
        DCGANGenerator(None, COLOUR_64, 0, width=32),
        DCGANDiscriminator(None, COLOUR_64, 0, width=32),
    )
    for layer in [*generator.layers, *discriminator.features, discriminator.logit]:
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            assert layer.weight.mean().abs().item() < 2e-3
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.weight.mean().item() == pytest.approx(1, abs=0.02)
            assert 0.01 < layer.weight.std().item() < 0.03


def test_neither_the_output_nor_the_input_is_normalised():
    generator, discriminator = (
        DCGANGenerator(None, COLOUR_64, 0, width=4),
        DCGANDiscriminator(None, COLOUR_64, 0, width=4),
    )
    assert isinstance(generator.layers[-1], nn.ConvTranspose2d)
    assert isinstance(discriminator.features[1], nn.LeakyReLU)
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in generator.layers) == 4
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in discriminator.features) == 3


def test_without_batch_norm_each_logit_depends_on_its_own_sample_alone():
    discriminator = DCGANDiscriminator(None, GRAY_28, 0, width=4, batch_norm=False)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in discriminator.modules())
    assert discriminator.logit.bias is not None and discriminator.features[2].bias is not None
    sample = torch.randn(3, 1, 28, 28)
    labels = torch.zeros(3, dtype=torch.int64)
    changed = torch.cat([sample[:1], torch.randn(2, 1, 28, 28)])
    torch.testing.assert_close(discriminator(sample, labels)[0], discriminator(changed, labels)[0])


@pytest.mark.parametrize(("distribution", "variance"), [("uniform", 1 / 3), ("normal", 1.0)])
def test_latents_follow_the_chosen_distribution(distribution, variance):
    torch.manual_seed(0)
    z = latents(DCGANGenerator(None, GRAY_28, 0, width=1, latent_distribution=distribution), 1000)
    assert z.shape == (1000, 100)
    assert z.mean() == pytest.approx(0, abs=0.02) and z.var() == pytest.approx(variance, rel=0.05)
    assert (z.abs().max() <= 1) == (distribution == "uniform")


@pytest.mark.parametrize("cls", [DCGANGenerator, DCGANDiscriminator])
def test_embeddings_start_as_small_as_other_weights(cls):
    """Those of G as wide apart as z is would drown it: each class then becomes a single picture."""
    embedding = cls(None, GRAY_28, 10, width=24, conditional=True).label_embedding.weight
    assert embedding.std().item() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize("conditional", [False, True])
def test_the_label_matters_exactly_when_conditional(conditional):
    generator = DCGANGenerator(None, GRAY_28, 10, width=4, conditional=conditional).eval()
    discriminator = DCGANDiscriminator(None, GRAY_28, 10, width=4, conditional=conditional).eval()
    z = latents(generator)
    picture = generator(z, ZEROS)
    assert generator.conditional is conditional
    assert torch.equal(picture, generator(z, ZEROS + 3)) is not conditional
    assert torch.equal(discriminator(picture, ZEROS), discriminator(picture, ZEROS + 3)) is not conditional


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("conditional", [False, True])
def test_gradients_reach_every_parameter(conditional, batch_norm):
    torch.manual_seed(0)
    options = {"width": 4, "conditional": conditional, "batch_norm": batch_norm}
    generator, discriminator = (
        DCGANGenerator(None, GRAY_28, 2, **options),
        DCGANDiscriminator(None, GRAY_28, 2, **options),
    )
    label = torch.tensor([0, 1, 0, 1])
    discriminator(generator(latents(generator, 4), label), label).square().mean().backward()
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("conditional", [False, True])
def test_a_state_dict_restores_the_networks(conditional):
    label = torch.tensor([1, 2])
    for cls in (DCGANGenerator, DCGANDiscriminator):
        one, other = (cls(None, GRAY_28, 10, width=4, conditional=conditional).eval() for _ in range(2))
        source = latents(one) if cls is DCGANGenerator else torch.randn(2, 1, 28, 28)
        other.load_state_dict(one.state_dict())
        assert torch.equal(one(source, label), other(source, label))

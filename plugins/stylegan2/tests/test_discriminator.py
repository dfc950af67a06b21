"""The discriminator against the sizes of the published networks, and its minibatch deviation by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

import ganzoo
from ganzoo_stylegan2.discriminator import StyleGAN2Discriminator, append_deviation

GRAY_16, COLOUR_32 = ganzoo.Sample((1, 16, 16)), ganzoo.Sample((3, 32, 32))
SMALL = {"channel_max": 8, "mapping_layers": 2}


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def published(channels: list[int], residual: bool, colours: int = 3) -> int:
    """Parameters of the paper's discriminator (arXiv:1912.04958, figure 7), channels from the largest map on."""
    total = colours * channels[0] + channels[0]
    for here, below in pairwise(channels):
        total += 9 * here * here + here + 9 * here * below + below + (here * below if residual else 0)
    last = channels[-1]
    return total + 9 * (last + 1) * last + last + (16 * last * last + last) + (last + 1)


def built(side: int, **options) -> StyleGAN2Discriminator:
    with torch.device("meta"):
        return StyleGAN2Discriminator(None, ganzoo.Sample((3, side, side)), 0, **options)


def small(target: ganzoo.Sample = GRAY_16, classes: int = 0, **options) -> StyleGAN2Discriminator:
    torch.manual_seed(0)
    return StyleGAN2Discriminator(None, target, classes, **{**SMALL, **options})


def test_auto_at_256_has_the_published_layers():
    assert count(built(256)) == published([64, 128, 256, 512, 512, 512, 512], residual=True) == 24_001_089


def test_cifar_is_plain_with_512_channels_on_every_level():
    discriminator = built(32, architecture="orig", channel_base="constant", group_size=32)
    assert count(discriminator) == published([512] * 4, residual=False) == 20_720_641


def test_paper_networks_have_24_and_29_million_parameters():
    # arXiv:1912.04958, section 5.1: doubling the maps from 64 to 1024 takes D from 24 M to 29 M
    assert round(count(built(1024, channel_base=16384)) / 1e6) == 24
    assert round(count(built(1024)) / 1e6) == 29


@pytest.mark.parametrize("group_size", [0, 1, 4])
def test_whole_groups_are_judged_alike_beside_others(group_size):
    judge = small(group_size=group_size)
    one, other, label = torch.randn(8, 1, 16, 16), torch.randn(8, 1, 16, 16), torch.zeros(16, dtype=torch.int64)
    alone = torch.cat([judge(one, label[:8]), judge(other, label[:8])])
    assert torch.allclose(judge(torch.cat([one, other]), label), alone, atol=1e-5) is bool(judge.judges_apart)
    assert judge.judges_apart == group_size


def deviation(group: torch.Tensor) -> float:
    """The mean over values of the deviation over a group's samples."""
    return ((group - group.mean(dim=0)).square().mean(dim=0) + 1e-8).sqrt().mean().item()


@pytest.mark.parametrize(
    ("n", "group_size", "groups"),
    [
        (8, 4, [4, 4]),
        (4, 4, [4]),
        (2, 4, [2]),
        (1, 4, [1]),
        (6, 4, [3, 3]),
        (7, 4, [4, 3]),
        (5, 4, [3, 2]),
        (9, 4, [3, 3, 3]),
        (10, 4, [4, 3, 3]),
        (7, 0, [7]),
        (3, 1, [1, 1, 1]),
    ],
)
def test_minibatch_deviation_by_hand(n, group_size, groups):
    torch.manual_seed(0)
    x = torch.randn(n, 3, 2, 5) * torch.arange(1, n + 1)[:, None, None, None]
    result = append_deviation(x, group_size)
    assert result.shape == (n, 4, 2, 5) and torch.equal(result[:, :3], x)
    expected = torch.tensor([deviation(group) for group in x.split(groups) for _ in group])
    torch.testing.assert_close(result[:, 3], expected[:, None, None].expand(-1, 2, 5))


def test_minibatch_deviation_has_finite_gradients_where_a_batch_is_constant():
    x = torch.ones(4, 2, 3, 3, requires_grad=True)
    append_deviation(x, 4).sum().backward()
    assert x.grad.isfinite().all()


def test_a_batch_that_collapses_is_seen():
    discriminator = small(group_size=4).eval()
    picture = torch.randn(4, 1, 16, 16)
    label = torch.zeros(4, dtype=torch.int64)
    alone = discriminator(picture[:1].expand(4, -1, -1, -1), label)[0]
    assert not torch.isclose(alone, discriminator(picture, label)[0])


@pytest.mark.parametrize("architecture", ["residual", "orig"])
@pytest.mark.parametrize("n", [1, 2, 5, 33])
def test_any_batch_gets_a_logit_a_sample(n, architecture):
    discriminator = small(COLOUR_32, architecture=architecture)
    assert discriminator(torch.randn(n, 3, 32, 32), torch.zeros(n, dtype=torch.int64)).shape == (n,)


def test_the_residual_path_is_a_filtered_linear_one():
    level = small(architecture="residual").levels[0]
    nn.init.zeros_(level.halve.weight)  # silences the other path
    x, y = torch.randn(2, 2, 8, 16, 16)
    torch.testing.assert_close(level(x) + level(y), level(x + y))
    torch.testing.assert_close(level(x), level.skip(x))


def test_a_conditional_logit_is_a_projection_on_the_mapped_label():
    discriminator = small(GRAY_16, 10, conditional=True).eval()
    picture, label = torch.randn(4, 1, 16, 16), torch.tensor([0, 3, 3, 9])
    features = []
    discriminator.logit.register_forward_hook(lambda module, given, made: features.append(made))
    logits = discriminator(picture, label)
    mapped = discriminator.label_mapping(None, label)
    assert mapped.shape == features[0].shape == (4, 8)
    torch.testing.assert_close(logits, torch.stack([f @ m for f, m in zip(features[0], mapped, strict=True)]) / 8**0.5)
    assert not torch.equal(logits, discriminator(picture, label.flip(0)))


def test_labels_are_unread_without_conditional():
    discriminator = small(GRAY_16, 10).eval()
    picture = torch.randn(2, 1, 16, 16)
    zeros = torch.zeros(2, dtype=torch.int64)
    assert torch.equal(discriminator(picture, zeros), discriminator(picture, zeros + 3))


@pytest.mark.parametrize("options", [{"architecture": "orig"}, {"architecture": "residual", "conditional": True}])
def test_gradients_reach_every_parameter(options):
    discriminator = small(GRAY_16, 3, **options)
    discriminator(torch.randn(4, 1, 16, 16), torch.tensor([0, 1, 2, 0])).square().sum().backward()
    for name, parameter in discriminator.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(ganzoo.Incompatible, match=r"30x30: try `--set data\.size=28`"):
        StyleGAN2Discriminator(None, ganzoo.Sample((1, 30, 30)), 0)
    with pytest.raises(ganzoo.Incompatible, match="the data have no labels"):
        StyleGAN2Discriminator(None, GRAY_16, 0, conditional=True)
    with pytest.raises(ValueError, match="group_size"):
        StyleGAN2Discriminator(None, GRAY_16, 0, group_size=-1)
    with pytest.raises(ValueError, match="mapping_layers"):
        StyleGAN2Discriminator(None, GRAY_16, 0, mapping_layers=0)

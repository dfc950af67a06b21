"""BigGAN's networks: published sizes, and what holds by closed forms."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import ganzoo
from ganzoo_biggan.discriminator import BigGANDeepDiscriminator, BigGANDiscriminator
from ganzoo_biggan.generator import BigGANDeepGenerator, BigGANGenerator
from ganzoo_biggan.layers import SelfAttention
from ganzoo_biggan.orthogonal import Orthogonal

CPU = torch.device("cpu")
TABLES = {"shared": 0, "skip_latent": False}
PLAIN, DEEP = (BigGANGenerator, BigGANDiscriminator), (BigGANDeepGenerator, BigGANDeepDiscriminator)


def colour(side: int) -> ganzoo.Sample:
    return ganzoo.Sample((3, side, side))


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("pair", "side", "classes", "of_g", "of_d", "counts"),
    [
        (PLAIN, 32, 10, {**TABLES, "latent": 128}, {}, (4_304_387, 4_207_361)),
        (PLAIN, 32, 1, {**TABLES, "latent": 128}, {}, (4_276_739, 4_205_057)),
        (PLAIN, 32, 10, {"latent": 128}, {}, (4_373_251, 4_207_361)),
        (PLAIN, 64, 1000, {"attention": 32}, {"attention": 32}, (31_866_116, 20_571_842)),
        (PLAIN, 128, 1000, {}, {}, (70_433_988, 87_982_370)),
        (PLAIN, 128, 1000, {"width": 64}, {"width": 64}, (31_978_628, 39_448_258)),
        (PLAIN, 128, 1000, {**TABLES, "latent": 120}, {}, (85_359_556, 87_982_370)),
        (PLAIN, 256, 1000, {}, {}, (82_097_604, 99_225_890)),
        (PLAIN, 512, 1000, {}, {}, (82_468_068, 99_401_282)),
        (DEEP, 32, 10, {}, {}, (7_435_267, 2_581_249)),
        (DEEP, 128, 1000, {}, {}, (50_244_484, 34_590_210)),
        (DEEP, 256, 1000, {}, {}, (55_736_708, 38_247_426)),
        (DEEP, 512, 1000, {}, {}, (56_163_905 - 144_125, 38_301_122)),
    ],
)
def test_published_configurations_have_their_numbers_of_parameters(pair, side, classes, of_g, of_d, counts):
    make_g, make_d = pair
    with torch.device("meta"):
        generator = make_g(None, colour(side), classes, conditional=True, **of_g)
        discriminator = make_d(None, colour(side), classes, conditional=True, **of_d)
        label = torch.zeros(2, dtype=torch.int64)
        picture = generator(generator.sample_latent(2, torch.device("meta")), label)
        assert picture.shape == (2, 3, side, side) and discriminator(picture, label).shape == (2,)
    assert (parameters(generator), parameters(discriminator)) == counts


def test_each_block_reads_its_own_part_of_z():
    torch.manual_seed(0)
    generator = BigGANGenerator(None, colour(32), 0, width=2, latent=8).eval()
    z, label = torch.randn(1, 8), torch.zeros(1, dtype=torch.int64)
    seen = []
    for block in generator.blocks:
        block.register_forward_pre_hook(lambda _, given: seen.append(given[1]))
    generator(z, label)
    assert torch.equal(torch.cat(seen, dim=1), z[:, 2:])


def test_self_attention_changes_nothing_at_first_and_is_a_mean_of_values_then():
    attention = SelfAttention(8, "orthogonal").eval()
    x = torch.randn(2, 8, 4, 4)
    assert torch.equal(attention(x), x)
    with torch.no_grad():
        attention.gamma.fill_(1)
        attention.query.parametrizations.weight.original.zero_()
        attention.query.parametrizations.weight[0] = nn.Identity()  # all places alike: each reads the mean
    pooled = torch.nn.functional.max_pool2d(attention.value(x), 2).mean(dim=(2, 3), keepdim=True)
    torch.testing.assert_close(attention(x), x + attention.out(pooled))


def test_initial_weights_are_orthogonal():
    layer = BigGANDiscriminator(None, colour(32), 0, width=4).blocks[1].convolutions[0]
    weight = layer.parametrizations.weight.original.flatten(1)
    torch.testing.assert_close(weight @ weight.T, torch.eye(16), atol=1e-5, rtol=0)


def test_truncation_has_the_law_of_drawing_again_until_all_values_are_inside():
    torch.manual_seed(0)
    generator = BigGANGenerator(None, colour(32), 0, width=1, latent=20)
    z = generator.sample_latent(20_000, CPU)
    assert torch.equal(generator.truncate(z, 1.0), z) and not generator.truncate(z, 0.0).any()
    truncated = generator.truncate(z, 0.5).flatten()
    inside = z[z.abs() < 1].flatten()
    assert truncated.abs().max() <= 1 and (truncated.sign() == z.flatten().sign()).float().mean() > 0.999
    shares = torch.linspace(0.02, 0.98, 25)
    torch.testing.assert_close(
        torch.quantile(truncated[:200_000], shares), torch.quantile(inside[:200_000], shares), atol=0.01, rtol=0
    )


class _Turn:
    def __init__(self, player: nn.Module) -> None:
        self.players, self.logged = {"G": player}, {}

    def log(self, name, value):
        self.logged[name] = value


@pytest.mark.parametrize("shape", [(5, 3), (3, 5)])
def test_orthogonal_regularisation_has_its_closed_form_and_gradient(shape):
    player = nn.Linear(shape[1], shape[0]).double()
    weight, turn = player.weight, _Turn(player)
    penalty = Orthogonal(1.0)(turn)
    off = (weight @ weight.T) * (1 - torch.eye(shape[0]))
    torch.testing.assert_close(penalty, off.square().sum())
    penalty.backward()
    torch.testing.assert_close(weight.grad, 4 * off @ weight)
    assert player.bias.grad is None and turn.logged["penalty/orthogonal"] == penalty


def test_orthogonal_filters_of_any_length_cost_nothing():
    layers = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ConvTranspose2d(4, 3, 2), nn.Embedding(3, 4))
    for layer in layers[:2]:
        rows = layer.weight.flatten(1) if layer.weight.shape[0] == 4 and layer.weight.shape[1] == 2 else None
        filters = rows if rows is not None else layer.weight.transpose(0, 1).flatten(1)
        filters = 3 * torch.linalg.qr(filters.detach().T)[0].T
        kernel = layer.weight.shape[2:]
        value = filters.unflatten(1, (-1, *kernel))
        layer.weight.data.copy_(value if rows is not None else value.transpose(0, 1))
    assert Orthogonal(1.0)(_Turn(layers)).item() == pytest.approx(0, abs=1e-2)
    layers[0].weight.data[1] = layers[0].weight.data[0]
    assert Orthogonal(1.0)(_Turn(layers)).item() == pytest.approx(2 * 9**2, rel=1e-3)


def test_orthogonal_says_who_is_not_there():
    assert "play D" in Orthogonal().problems({"D": nn.Linear(1, 1)})[0]
    assert "no dense layer" in Orthogonal().problems({"G": nn.Identity()})[0]
    with pytest.raises(ValueError, match="weight is at least 0"):
        Orthogonal(-1.0)


@pytest.mark.parametrize("network", [*PLAIN, *DEEP])
def test_what_cannot_be_built_is_refused_with_what_to_do(network):
    for target, match in ((ganzoo.Sample((1, 28, 28)), "data.size=32"), (ganzoo.Sample((2,)), "mlp")):
        with pytest.raises(ganzoo.Incompatible, match=match):
            network(None, target, 0)
    with pytest.raises(ganzoo.Incompatible, match="conditional=false"):
        network(None, colour(32), 0, conditional=True)
    with pytest.raises(ValueError, match="attention is the side of a map"):
        network(None, colour(32), 0, attention=5)


def test_options_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match=r"equal parts.*: choose"):
        BigGANGenerator(None, colour(32), 0, latent=7)
    with pytest.raises(ValueError, match="set shared above 0"):
        BigGANGenerator(None, colour(32), 3, shared=0, conditional=True)

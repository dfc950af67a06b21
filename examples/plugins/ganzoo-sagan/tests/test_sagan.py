"""The plugin keeps ganzoo's promises, and computes what its paper says."""

from __future__ import annotations

from pathlib import Path

import ganzoo
import pytest
import torch
from ganzoo.testing import Case, cases
from torch.nn.utils.parametrize import is_parametrized

from ganzoo_sagan.sagan import SAGANDiscriminator, SAGANGenerator, SelfAttention, attended, ladder


@pytest.mark.parametrize("case", cases(Path(__file__).parents[1]), ids=str)
def test_plugin_conforms(case: Case) -> None:
    case()


def test_attention_starts_as_the_identity_and_computes_the_papers_equations() -> None:
    torch.manual_seed(0)
    attention = SelfAttention(16).eval()
    x = torch.randn(2, 16, 3, 4)
    label = torch.zeros(2, dtype=torch.int64)
    assert torch.equal(attention(x, label), x)
    attention.gamma.data.fill_(0.5)
    wf, wg, wh, wv = (getattr(attention, name).weight.flatten(1) for name in ("key", "query", "value", "out"))
    for n in range(2):
        columns = x[n].flatten(1)  # (C, P)
        scores = (wf @ columns).T @ (wg @ columns)  # s_ij = f(x_i)ᵀ g(x_j)
        beta = torch.exp(scores) / torch.exp(scores).sum(dim=0)  # over i: how much j attends to i
        expected = x[n].flatten(1) + 0.5 * wv @ (wh @ columns @ beta)
        assert torch.allclose(attention(x, label)[n].flatten(1), expected, atol=1e-5)


def test_every_convolution_and_dense_layer_has_spectral_norm_one() -> None:
    target = ganzoo.Sample((3, 32, 32))
    for network in (SAGANGenerator(None, target, 0, width=8), SAGANDiscriminator(None, target, 0, width=8)):
        layers = [one for one in network.modules() if isinstance(one, torch.nn.Conv2d | torch.nn.Linear)]
        assert layers and all(is_parametrized(layer, "weight") for layer in layers)
        for layer in layers:
            for _ in range(50):  # the power iteration goes on with every forward pass in training
                layer.weight  # noqa: B018
            norm = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)
            assert norm.item() == pytest.approx(1, abs=0.05)


def test_attention_lies_on_the_32x32_map_of_a_128x128_picture() -> None:
    base, widths = ladder(ganzoo.Sample((3, 128, 128)), 64, 512)
    assert (base, widths) == (4, [64, 128, 256, 512, 512])
    assert attended([64, 32, 16, 8, 4], 32) == 1
    assert attended([14, 7], 32) == 0
    sides = []
    network = SAGANDiscriminator(None, ganzoo.Sample((3, 64, 64)), 0, width=4)
    for module in network.modules():
        if isinstance(module, SelfAttention):
            module.register_forward_hook(lambda module, inputs, output: sides.append(output.shape[-1]))
    network(torch.zeros(1, 3, 64, 64), torch.zeros(1, dtype=torch.int64))
    assert sides == [32]


def test_it_trains_with_parts_of_others(tmp_path: Path) -> None:
    narrow = {"generator.width": 4, "discriminator.width": 4, "data.limit": 64}
    run = ganzoo.train("sagan", images=64, batch=16, out=tmp_path / "run", device="cpu", progress=False, set=narrow)
    model = run.model()
    assert model.sample(2, seed=0, label="Bag").shape == (2, 1, 28, 28)

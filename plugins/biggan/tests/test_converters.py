"""Converted BigGANs compute what the programs that trained them compute."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import biggan_originals as originals
import pytest
import torch
from biggan_originals import CLASSES
from safetensors.torch import load_file
from torch import Tensor

import ganzoo
from ganzoo.cli import main
from ganzoo_biggan.discriminator import BigGANDeepDiscriminator, BigGANDiscriminator

LABEL = torch.tensor([0, 5, 3])


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def convert(*arguments: str) -> ganzoo.Model:
    with pytest.raises(SystemExit) as caught:
        main(["convert", *arguments, "--out", "model"])
    assert caught.value.code == 0
    return ganzoo.load("model")


def close(found: Tensor, wanted: Tensor) -> None:
    assert torch.allclose(found, wanted, rtol=1e-5, atol=1e-5 * wanted.abs().max().item())
    assert wanted.std() > 0.05


def latents(size: int) -> Tensor:
    return torch.randn(3, size, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize(
    ("network", "options", "kept"),
    [
        ("biggan", {"shared": 5, "skip": True, "attention": 1}, {"latent": 8, "skip_latent": True, "attention": 16}),
        ("biggan", {"shared": 5, "skip": False, "attention": None}, {"latent": 8, "skip_latent": False, "shared": 5}),
        ("biggan", {"shared": 0, "skip": False, "attention": None}, {"skip_latent": False, "shared": 0}),
        ("biggan-deep", {"shared": 5, "attention": 3}, {"latent": 8, "shared": 5, "attention": 16}),
    ],
)
def test_generators_of_biggan_pytorch(network, options, kept):
    compute = originals.brock_generator if network == "biggan" else originals.brock_deep_generator
    store, z = originals.Brock(), latents(8)
    wanted = compute(store, z, LABEL, **options)
    torch.save(store.state, "G_ema.pth")
    model = convert("G_ema.pth")
    assert (model.config.generator, model.config.classes) == (network, CLASSES)
    assert model.config.options.items() >= {"width": 4, "spectral_norm": True, **kept}.items()
    close(model.generator(z, LABEL), wanted)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("attention", [None, 1])
def test_discriminators_of_biggan_pytorch(deep, attention):
    store, side = originals.Brock(), 64 if deep else 32
    compute = originals.brock_deep_discriminator if deep else originals.brock_discriminator
    x = torch.rand(3, 3, side, side, generator=torch.Generator().manual_seed(3)) * 2 - 1
    wanted = compute(store, x, LABEL, attention=attention)
    torch.save(store.state, "D.pth")
    g = originals.Brock()
    originals.brock_generator(g, latents(8), LABEL, shared=5, skip=True, attention=None)
    torch.save(g.state, "G.pth")
    if deep:  # one of the same size is not needed to read it
        found = ganzoo_conversion("D.pth")
    else:
        convert("G.pth", "D.pth", "--discriminator")
        found = load_file("model/discriminator.safetensors")
    network = (BigGANDeepDiscriminator if deep else BigGANDiscriminator)(
        None, ganzoo.Sample((3, side, side)), CLASSES, width=2 if deep else 4, conditional=True,
        attention=(0 if attention is None else 16 if deep else 8),
    ).eval()  # fmt: skip
    network.load_state_dict(found)
    close(network(x, LABEL), wanted)


def ganzoo_conversion(path: str) -> dict[str, Tensor]:
    """The tensors of a discriminator alone."""
    from ganzoo_biggan.brock import Brock

    conversion = Brock().convert({name: value.numpy() for name, value in torch.load(path).items()})
    assert conversion.target.shape == (3, 64, 64) and conversion.classes == CLASSES
    assert conversion.discriminator.options == {"width": 2, "attention": conversion.discriminator.options["attention"],
                                                "conditional": True}  # fmt: skip
    return {name: torch.from_numpy(value) for name, value in conversion.discriminator.tensors.items()}


def test_generators_without_spectral_norm_have_plain_weights():
    store = originals.Brock()
    originals.brock_generator(store, latents(8), LABEL, shared=5, skip=True, attention=None)
    plain = {name: value for name, value in store.state.items() if not name.endswith(("u0", "sv0"))}
    torch.save(plain, "G.pth")
    model = convert("G.pth")
    assert model.config.options["spectral_norm"] is False
    assert torch.equal(model.generator.dense.weight, plain["linear.weight"])


@pytest.mark.parametrize("as_folder", [False, True])
def test_pretrained_biggan_deep_samples_with_the_statistics_of_each_truncation(as_folder):
    store, z = originals.Pretrained(), latents(8)
    compute = partial(originals.pretrained, store)
    compute(z, LABEL, 1.0)
    wanted = {truncation: compute(z * truncation, LABEL, truncation) for truncation in (0.02, 0.5, 1.0)}
    Path("biggan-deep-128").mkdir()
    torch.save(store.state, "biggan-deep-128/pytorch_model.bin")
    Path("biggan-deep-128/config.json").write_text("{}")
    model = convert("biggan-deep-128" if as_folder else "biggan-deep-128/pytorch_model.bin")
    assert model.target.shape == (3, 128, 128) and model.config.options["standing"] == 51
    for truncation, expected in wanted.items():
        model.generator.truncate = lambda latent, truncation: latent * truncation  # as the original's sampler
        close(model.generator.truncated(z, LABEL, truncation), expected)
    close(model.generator(z, LABEL), wanted[1.0])
    card = Path("model/README.md").read_text()
    assert "weights are divided by their spectral norms" in card and "the difference of what both add" in card


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"linear.u1": torch.zeros(1, 3)}, "several singular values"),
        ({"blocks.0.1.gamma": torch.zeros(())}, "self-attention after 2 blocks"),
    ],
)
def test_what_is_not_made_here_is_refused(capsys, change, reason):
    store = originals.Brock()
    originals.brock_generator(store, latents(8), LABEL, shared=5, skip=True, attention=1)
    torch.save(store.state | change, "G.pth")
    with pytest.raises(SystemExit) as caught:
        main(["convert", "G.pth"])
    error = capsys.readouterr().err
    assert caught.value.code == 1 and not Path("G").exists()
    assert reason in error

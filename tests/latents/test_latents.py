"""Latents found again, taken apart and mixed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import ganzoo
from ganzoo.data import normalise
from ganzoo.latents import along, effects, find_directions, mixing_grid
from ganzoo.latents.directions import _components
from ganzoo.latents.distances import Perceptual, pixels, psnr
from ganzoo.latents.draws import cloud
from ganzoo.latents.mixing import layer_numbers, parsed_numbers
from ganzoo.models.config import SampleConfig
from ganzoo.models.findings import Directions
from ganzoo.models.model import Model
from ganzoo.models.spaces import Latents
from ganzoo_data.fashion_mini import FashionMini
from ganzoo_mlp.mlp import MLPGenerator
from ganzoo_stylegan2.generator import StyleGAN2Generator

CARDS = Path(__file__).parents[2] / "model_cards"


@pytest.fixture(scope="module")
def clothes() -> Model:
    """A trained model whose latents have no styles."""
    return ganzoo.load(CARDS / "mlp-fashion-mnist")


def around(network: nn.Module, target: ganzoo.Sample, classes: int = 0) -> Model:
    """A model of a network that was not trained."""
    known = ganzoo.load(CARDS / "mlp-fashion-mnist").config
    config = replace(known, target=SampleConfig(**target.to_dict()), classes=classes, class_names=[])
    return Model(network.eval().requires_grad_(False), config, CARDS)


@pytest.fixture(scope="module")
def styled() -> Model:
    """A tiny StyleGAN2: 16 pixels, so six styles."""
    target = ganzoo.Sample((3, 16, 16))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = StyleGAN2Generator(
            None, target, 3, latent=8, style=8, mapping_layers=2, channel_base=128, channel_max=16, conditional=True
        )
    return around(network, target, 3)


def test_the_latents_of_a_seed_are_those_that_it_draws(clothes, styled):
    for model in (clothes, styled):
        drawn = model.latents(3, 4)
        torch.testing.assert_close(model.sample(drawn), model.sample(4, seed=3))
    assert styled.latents(3, 4).label.tolist() == [0, 1, 2, 0]
    assert styled.latents(3, 2, label=1).label.tolist() == [1, 1]


def test_all_spaces_of_styles_make_the_same_samples(styled):
    samples = styled.sample(2, seed=5)
    for space, shape in (("z", (2, 8)), ("w", (2, 8)), ("w+", (2, 6, 8))):
        drawn = styled.latents(5, 2, space=space)
        assert drawn.values.shape == shape
        torch.testing.assert_close(styled.sample(drawn), samples)


def test_latents_are_written_and_read_again(clothes, tmp_path):
    drawn = clothes.latents(1, 2)
    drawn.save(tmp_path / "two.safetensors")
    again = Latents.read(tmp_path / "two.safetensors")
    assert again.space == "z" and torch.equal(again.values, drawn.values) and torch.equal(again.label, drawn.label)


@pytest.mark.parametrize(
    ("latents", "words"),
    [
        (Latents("w", torch.zeros(1, 100), torch.zeros(1, dtype=torch.int64)), "has no styles"),
        (Latents("z", torch.zeros(1, 7), torch.zeros(1, dtype=torch.int64)), "those of another model"),
    ],
)
def test_latents_of_another_model_are_refused(clothes, latents, words):
    with pytest.raises(ganzoo.ModelError, match=words):
        clothes.sample(latents)


def test_a_file_that_holds_no_latents_is_refused_in_one_line(tmp_path):
    from safetensors.torch import save_file

    (tmp_path / "text").write_text("no tensors")
    save_file({"weight": torch.zeros(2, 2)}, tmp_path / "weights")
    save_file({"z": torch.full((1, 4), torch.nan), "label": torch.zeros(1)}, tmp_path / "nan")
    for name, words in (("none", "no such file"), ("text", "cannot be read"), ("weights", "hold weight"),
                        ("nan", "finite numbers")):  # fmt: skip
        with pytest.raises(ganzoo.UsageError, match=words):
            Latents.read(tmp_path / name)


def test_a_models_own_sample_is_found_again(clothes):
    sample = clothes.sample(1, seed=11)[0]
    told: list[int] = []
    found = clothes.project(sample, steps=120, starts=4, progress=told.append)
    assert found.psnr > 25
    assert found.psnr > clothes.project(sample, steps=1, starts=4).psnr + 5
    torch.testing.assert_close(clothes.sample(found.latents)[0], found.sample)
    assert told == list(range(1, 121)) and len(found.approach) > 10


@pytest.mark.slow
def test_a_sample_of_a_trained_convolutional_model_is_found_again_and_a_real_picture_approached():
    model = ganzoo.load(CARDS / "dcgan-fashion-mnist")
    assert model.project(model.sample(1, seed=77)[0]).psnr > 25
    table = FashionMini().load()
    real = normalise(table.fields["image"][5:6], model.target)[0]
    found = model.project(real)
    before = psnr(model.sample(found.approach[:1])[0], real, model.target)
    assert found.psnr > 17 and found.psnr > before + 3


def test_projection_finds_the_same_under_a_seed_and_leaves_random_numbers_alone(styled):
    sample = styled.sample(1, seed=2, label=1)[0]
    state = torch.get_rng_state()
    first, again, other = (styled.project(sample, steps=5, starts=2, seed=seed) for seed in (4, 4, 5))
    assert torch.equal(first.latents.values, again.latents.values)
    assert not torch.equal(first.latents.values, other.latents.values)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("space", "shape"), [("z", (1, 8)), ("w", (1, 8)), ("w+", (1, 6, 8))])
def test_pictures_are_found_in_every_space(styled, space, shape):
    (picture,) = styled.images(1, seed=2, label=2)
    found = styled.project(picture, space=space, label=2, steps=30, starts=2)
    assert found.latents.space == space and found.latents.values.shape == shape and found.latents.label.tolist() == [2]
    start = pixels(styled.sample(found.approach[:1]), found.picture[None]).item()
    assert found.distance < start


def test_models_without_pictures_or_styles_say_so(clothes):
    line = ganzoo.load(CARDS / "gaussian")
    with pytest.raises(ganzoo.ModelError, match="no picture can be found"):
        line.project(torch.zeros(1))
    with pytest.raises(ganzoo.ModelError, match=r"no styles, so no space w\+"):
        clothes.mix(0, 1)
    with pytest.raises(ganzoo.ModelError, match="none of this model's"):
        clothes.project(torch.zeros(1, 8, 8))
    with pytest.raises(ganzoo.UsageError, match="there is no space 'v'"):
        clothes.project(clothes.sample(1)[0], space="v")


def test_coarse_pictures_lead_where_edges_do_not_overlap():
    picture, near, far = torch.zeros(3, 1, 1, 16, 16)
    picture[..., 4], near[..., 5], far[..., 14] = 1, 1, 1
    assert (near - picture).square().mean() == (far - picture).square().mean()
    assert pixels(near, picture) < pixels(far, picture)


class _Means(ganzoo.FeatureExtractor):
    dimensions = 3

    def forward(self, image: Tensor) -> Tensor:
        return image.float().mean(dim=(2, 3))


class _Whole(_Means):
    def forward(self, image: Tensor) -> Tensor:
        return image.to(torch.uint8).float().mean(dim=(2, 3))


def test_features_are_compared_where_a_gradient_comes_through_them():
    target = ganzoo.Sample((1, 8, 8))
    samples = torch.zeros(2, 1, 8, 8).requires_grad_()
    picture = torch.full((1, 1, 8, 8), 0.5)
    distance = Perceptual(_Means(), target, "means", weight=1.0)(samples, picture)
    # pixels: 0.5² on both scales; features: 127.5 against 191.25, a third apart, squared
    torch.testing.assert_close(distance, torch.full((2,), 0.25 + (1 / 3) ** 2))
    with pytest.raises(ganzoo.UsageError, match="no gradient comes through features whole"):
        Perceptual(_Whole(), target, "whole")(samples, picture)


def test_directions_are_the_eigenvectors_of_the_first_layer():
    target = ganzoo.Sample((1, 4, 4))
    network = MLPGenerator(None, target, 3, latent=4, widths=(6, 5), conditional=True, label_width=2)
    first = network.layers[0].weight
    first.data[:, :4] = torch.diag_embed(torch.tensor([1.0, 3.0, 2.0, 0.5])).new_zeros(6, 4)
    first.data[:4, :4] = torch.diag(torch.tensor([1.0, 3.0, 2.0, 0.5]))
    found = find_directions(around(network, target, 3), 3)
    torch.testing.assert_close(found.vectors, torch.eye(4)[[1, 2, 0]])
    assert (found.space, found.method, len(found)) == ("z", "closed form", 3)


def test_directions_of_styles_come_from_every_layer_that_reads_them(styled):
    found = find_directions(styled, 4)
    affine = [module.affine for module in styled.generator.modules() if hasattr(module, "affine")]
    reach = torch.cat([one.weight * one.gain for one in affine])
    expected = torch.linalg.eigh(reach.T @ reach).eigenvectors.T.flip(0)[:4]
    assert (found.space, found.method) == ("w", "closed form")
    torch.testing.assert_close((found.vectors * expected).sum(dim=1).abs(), torch.ones(4))
    assert torch.equal(found.vectors, find_directions(styled, 4).vectors)


class _Bent(ganzoo.Generator):
    """Samples that change most along the second value of the latent, which no affine layer reads."""

    def sample_latent(self, n: int, device: torch.device) -> Tensor:
        return torch.randn(n, 3, device=device)

    def forward(self, source: Tensor, label: Tensor) -> Tensor:
        return torch.tanh(source * torch.tensor([0.1, 0.5, 0.01])).reshape(-1, 1, 1, 3)


def test_principal_components_say_what_changes_where_no_layer_is_affine():
    model = around(_Bent(), ganzoo.Sample((1, 1, 3)))
    found = find_directions(model, 2)
    assert found.method == "principal components"
    assert found.vectors.abs().argmax(dim=1).tolist() == [1, 0] and found.vectors.abs().amax(dim=1).min() > 0.95
    assert _components(model, cloud(model, "z", 50, 0), 9).shape == (3, 3)  # no more than there are


def test_samples_move_by_standard_deviations_along_a_direction(clothes):
    found = find_directions(clothes, 2)
    begin = clothes.latents(0, 2)
    moved = found.shifted(begin, 2, 1.5)
    torch.testing.assert_close(moved.values - begin.values, (1.5 * found.spread[1] * found.vectors[1]).expand(2, -1))
    samples = along(clothes, begin, found, 1, 3)
    assert samples.shape == (3, 2, 1, 28, 28)
    torch.testing.assert_close(samples[1], clothes.sample(begin))
    assert effects(clothes, begin, found, 1, 9).size == (9 * 58 + 2, 2 * 58 + 2 + 24)
    with pytest.raises(ganzoo.UsageError, match="no direction 3: there are 2"):
        found.shifted(begin, 3, 1.0)
    with pytest.raises(ganzoo.UsageError, match="do not move latents"):
        Directions("w", found.vectors, found.spread, "").shifted(begin, 1, 1.0)


def test_mixing_takes_the_named_layers_of_the_second(styled):
    first, second = (styled.latents(seed, space="w+").values for seed in (1, 2))
    mixed = styled.mix(1, 2, "middle").values
    assert torch.equal(mixed[:, 2:4], second[:, 2:4])
    assert torch.equal(mixed[:, :2], first[:, :2]) and torch.equal(mixed[:, 4:], first[:, 4:])
    torch.testing.assert_close(styled.sample(styled.mix(1, 2, range(6))), styled.sample(1, seed=2))


def test_a_mixing_grid_shows_its_rows_and_columns(styled):
    rows, columns = styled.latents(0, 2), styled.latents(1, 3)
    sheet = mixing_grid(styled, rows, columns, "fine")
    side = 16 * 4 + 2
    assert sheet.size == (4 * side + 2, 3 * side + 2)
    assert sheet.getpixel((30, 30)) == (255, 255, 255)


@pytest.mark.parametrize("layers", ["0-9", "high", [6], [-1], [], "1-", ""])
def test_layers_that_are_not_there_are_refused(layers):
    with pytest.raises(ganzoo.UsageError, match="layers"):
        layer_numbers(layers, 6)
    assert layer_numbers("0,4-5", 6) == [0, 4, 5]


def test_numbers_are_read_as_lists_and_ranges():
    assert parsed_numbers("0,7, 42") == [0, 7, 42] and parsed_numbers("2-4") == [2, 3, 4]
    for text in ("0-99999999999999", "3-1", "-1", "x", "", "1,,2"):
        with pytest.raises(ValueError):
            parsed_numbers(text)


def test_walks_pass_given_latents_in_their_own_space(styled, clothes):
    corners = styled.latents(0, 3, space="w")
    walk = styled.interpolate(corners, steps=2)
    torch.testing.assert_close(walk[::2], styled.sample(corners))
    middle = corners.at(corners.values.lerp(corners.values.roll(-1, 0), 0.5))
    torch.testing.assert_close(walk[1::2], styled.sample(middle))
    torch.testing.assert_close(styled.interpolate(3, 2, seed=0, label=1, space="w")[::2], styled.sample(3, 0, label=1))
    with pytest.raises(ganzoo.ModelError, match="no styles"):
        clothes.interpolate(2, space="w")


def test_a_model_shows_itself_in_a_notebook(clothes):
    shown = clothes._repr_html_()
    assert shown.startswith("<p><code>Model(") and 'src="data:image/png;base64,iVBOR' in shown
    assert "data:image/png" in ganzoo.load(CARDS / "gaussian")._repr_html_()

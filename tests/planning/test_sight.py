from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import ganzoo
from ganzoo.planning import chosen, see, shaping, suited
from ganzoo.planning.sight import suggested_size
from ganzoo.recipes import Part
from ganzoo.registry.registry import registry


@pytest.mark.parametrize(
    ("sizes", "size"),
    [
        ({(64, 64): 3}, 64),
        ({(480, 640): 5, (20, 20): 1}, 256),
        ({(300, 400): 3, (500, 400): 4}, 256),
        ({(300, 600): 9, (100, 100): 1}, "256x512"),
        ({(600, 300): 9}, "512x256"),
        ({(20, 20): 2}, 32),
    ],
)
def test_the_suggested_size_is_one_that_half_of_the_pictures_reach_and_networks_take(sizes, size):
    assert suggested_size(sizes) == size
    height, _, width = str(size).partition("x")
    ganzoo.halvings(ganzoo.Sample((3, int(height), int(width or height))), "net")


def test_what_is_cut_off_and_enlarged_is_counted():
    half = shaping({(10, 20): 1, (10, 10): 1}, (10, 10), crop=True)
    assert half.lost == 0.25 and half.enlarged == 0
    assert shaping({(10, 20): 1}, (20, 20), crop=False).lost == 0
    assert shaping({(10, 20): 3, (40, 40): 1}, (20, 20), crop=True).enlarged == 3


def test_files_are_seen_through_a_size_that_is_suggested_where_they_differ(tmp_path):
    for number, (name, size) in enumerate({"a/1": (64, 64), "a/2": (80, 64), "b/3": (100, 70)}.items()):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", size, (number, 0, 0)).save(tmp_path / f"{name}.png")
    (tmp_path / "b" / "broken.png").write_bytes(b"\x89PNG no more")
    sight = see(Part("folder", {"path": str(tmp_path)}), registry())
    assert sight.part.options["size"] == 64 and "data.size=64" in sight.advice
    assert sight.count == 3 and sight.classes == {"a": 2, "b": 2}
    assert sight.survey.sizes == {(64, 64): 1, (64, 80): 1, (70, 100): 1} and sight.survey.kinds == {"colour": 3}
    assert list(sight.survey.broken) == ["b/broken.png"]
    ((samples, sample),) = sight.some(3).values()
    assert samples.shape == (3, 3, 64, 64) and sample.shape == (3, 64, 64)


def test_recipes_that_take_the_data_are_found_without_memory_for_their_weights(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "pics.npz", images=rng.integers(0, 256, (4, 16, 32, 5), dtype=np.uint8))
    sight = see(Part("npz", {"path": str(tmp_path / "pics.npz")}), registry())
    state = torch.get_rng_state()
    found = {one.recipe: one for one in suited(sight, f"npz:{tmp_path / 'pics.npz'}", (), registry())}
    assert torch.equal(state, torch.get_rng_state())
    assert found["dcgan"].size == (5, 16, 32) and found["dcgan"].setting == ""
    assert not {"ring", "gaussian", "cyclegan"} & set(found)
    assert "biggan-cifar" not in found  # which would need a square
    counts = [one.parameters for one in found.values()]
    assert counts == sorted(counts) and len(chosen(list(found.values()))) == 6


def test_values_have_no_recipes_for_pictures():
    sight = see(Part("ring", {}), registry())
    found = {one.recipe for one in suited(sight, "ring", (), registry())}
    assert "ring" in found and not {"dcgan", "mlp", "anime-face"} & found
    assert sight.survey is None and next(iter(sight.some(7).values()))[0].shape == (7, 2)

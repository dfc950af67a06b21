"""Training on a device that computes nothing: what a GPU would be asked to do."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from test_capture import _Plain
from torch._subclasses.fake_tensor import FakeTensorMode

import ganzoo
from ganzoo.recipes.building.build import build
from ganzoo.recipes.building.game import Game
from ganzoo.recipes.options import Health
from ganzoo.recipes.plan import Request, resolve
from ganzoo.registry.registry import registry
from ganzoo.testing.promises.accelerator import DEVICE, Reads, Watch, rounds
from ganzoo.training.callbacks import HealthMonitor, MovingAverage


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> dict[str, str]:
    """Data for recipes that come without: small pictures in folders."""
    folder = tmp_path_factory.mktemp("pictures")
    for name in ("a", "b"):
        (folder / name).mkdir()
        for number in range(2):
            Image.new("RGB", (286, 286), (40 * number, 9, 99)).save(folder / name / f"{number}.png")
    one, two = folder / "a", folder / "b"
    folders = dict.fromkeys(("anime-face", "stylegan2", "progan"), f"folder:{one}")
    return {"cyclegan": f"pair:{one}:{two}", **folders}


def game(name: str, pictures: dict[str, str] | None = None, **request) -> Game:
    data = next((data for begin, data in (pictures or {}).items() if name.startswith(begin)), None)
    if data and name not in ("stylegan2-mini", "stylegan2-cifar", "progan-mini", "progan-cifar"):
        request = {"data": data, **request}
    return build(resolve(name, Request(**request), registry()), registry())


LARGE = ("anime-face", "anime-face-article", "biggan", "biggan-cifar", "biggan-deep", "cyclegan", "progan",
         "progan-256", "progan-1024", "progan-cifar", "r3gan-cifar", "r3gan-ffhq64", "r3gan-imagenet32",
         "r3gan-stacked-mnist", "sngan", "sngan-projection", "stylegan", "stylegan-64", "stylegan-256", "stylegan-512",
         "stylegan-1024", "stylegan-fixed", "stylegan2", "stylegan2-256", "stylegan2-512", "stylegan2-1024",
         "stylegan2-ada", "stylegan2-cifar", "wgan-gp-resnet")  # fmt: skip
"""Their small sisters are played in every run of the tests."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(one, marks=pytest.mark.slow) if one in LARGE else one for one in registry().names("recipe")],
)
def test_a_round_of_every_recipe_stays_on_the_device_and_never_waits_for_it(name, pictures):
    played = game(name, pictures)
    averaged = [MovingAverage(played.recipe.ema)] if played.recipe.ema.half_life_images else []
    watches = rounds(played, 2, (*averaged, HealthMonitor(Health())), begin=64)
    assert not [why for watch in watches for why in watch.waits]
    assert all(watch.kernels for watch in watches)


class _Mixing(_Plain):
    def discriminator(self, real, fake):
        return (fake - real + torch.ones(len(real))).mean()


class _Copying(_Plain):
    def discriminator(self, real, fake):
        return (fake - real + torch.ones(len(real)).to(real.device)).mean()


class _Making(_Plain):
    def discriminator(self, real, fake):
        return (fake - real * torch.tensor([2.0], device=real.device)).mean()


class _Reading(_Plain):
    def discriminator(self, real, fake):
        return (fake - real).mean() * real.mean().item()


class _Choosing(_Plain):
    def discriminator(self, real, fake):
        return fake.mean() - real[real > 0].mean()


class _Tossing(_Plain):
    def discriminator(self, real, fake):
        return (fake - real).mean() * torch.rand(()).item()


def with_loss(loss: ganzoo.Loss) -> list[Watch]:
    played = game("gaussian")
    played.loss = loss
    return rounds(played)


def test_tensors_of_two_devices_are_refused_as_a_gpu_refuses_them():
    with pytest.raises(RuntimeError, match="same device"):
        with_loss(_Mixing())


@pytest.mark.parametrize("loss", [_Copying, _Making])
def test_what_makes_a_gpu_wait_is_told_with_its_line(loss):
    ((wait, *_),) = [watch.waits for watch in with_loss(loss())]
    assert "copies between devices" in wait and "test_accelerator.py, line" in wait


@pytest.mark.parametrize(("loss", "there"), [(_Reading, True), (_Choosing, True), (_Tossing, False)])
def test_values_that_are_asked_for_are_told_with_their_line(loss, there):
    with pytest.raises(Reads, match=r"test_accelerator.py, line \d+") as told:
        with_loss(loss())
    assert told.value.there is there


def test_the_game_itself_stays_on_the_cpu():
    played = game("gaussian")
    before = {name: value.clone() for name, value in played.players["G"].state_dict().items()}
    rounds(played)
    assert all(torch.equal(value, before[name]) for name, value in played.players["G"].state_dict().items())
    assert DEVICE.type != "cpu"


WIDE = ["generator.width=64", "discriminator.width=64"]
MOST = {
    # recipe, request, kernels of an ordinary round, and of rounds in which lazy phases are due, as they are now
    "dcgan-32": ("dcgan", {"data": "cifar10", "batch": 128, "set": WIDE}, {65: 160}),
    "sngan-32": ("sngan", {}, {65: 1800}),
    "stylegan2-64": ("stylegan2", {"batch": 32, "set": ["data.size=64"]}, {65: 870, 68: 1660, 64: 1975}),
    "cyclegan-256": ("cyclegan", {}, {65: 1850}),
}


@pytest.mark.parametrize("name", MOST)
def test_a_round_starts_no_more_kernels_than_it_did(name, pictures):
    """In float32: under autocast weights are cast besides. Fewer are welcome; then lower the numbers."""
    recipe, request, most = MOST[name]
    played = game(recipe, pictures, **request)
    for number, limit in most.items():
        _, watch = rounds(played, 2, begin=number - 1)
        assert 0.5 * limit < watch.kernels <= limit, watch.operations.most_common(12)


def test_players_compute_in_bf16_on_cuda_forwards(pictures, monkeypatch):
    """Under CUDA's own autocast, on fake tensors; backward passes would want a driver."""
    with FakeTensorMode():
        torch.empty(1, device="cuda")  # torch looks for a driver once, and must not be told of one by then
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: True)
    monkeypatch.setattr(torch.backends.cudnn, "enabled", False)
    for name in ("dcgan", "sngan-mini", "stylegan2-mini", "wgan-gp-mini", "mlp"):
        built = game(name)
        with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
            for role, player in built.players.items():
                for module in player.modules():
                    for table in (module._parameters, module._buffers):
                        for key, one in table.items():
                            if one is not None:
                                table[key] = torch.empty(one.shape, dtype=one.dtype, device="cuda")
                label = torch.zeros(4, dtype=torch.int64, device="cuda")
                (sample,) = built.spec.fields.values()
                given = torch.empty(4, *sample.shape, device="cuda")
                if built.loss.roles[role].kind == "generator":
                    given = player.sample_latent(4, given.device)
                with torch.autocast("cuda", torch.bfloat16):
                    result = player(given, label)
                assert result.device.type == "cuda" and result.shape[0] == 4, (name, role)

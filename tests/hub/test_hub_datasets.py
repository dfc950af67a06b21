"""Data sets on the Hub: parquet files and picture files, found by the types of their columns."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
import torch
from huggingface_hub import HfApi
from PIL import Image

import ganzoo
from ganzoo.data.feed import make_feed
from ganzoo.recipes.building.build import build
from ganzoo.recipes.recipe import Recipe
from ganzoo.registry.registry import registry

pytest_plugins = ["hub.fixtures"]

NAMES = ["cat", "dog", "emu"]
COUNT = 50


def _picture(number: int, side: int = 12) -> bytes:
    values = np.full((side, side, 3), (number * 5 % 256, 100, 200), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def _parquet(path, numbers, features=True):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {
        "id": [str(number) for number in numbers],
        "photo": [{"bytes": _picture(number), "path": f"{number}.png"} for number in numbers],
        "kind": [number % 3 for number in numbers],
    }
    types = {"photo": {"_type": "Image"}, "kind": {"names": NAMES, "_type": "ClassLabel"}, "id": {"_type": "Value"}}
    table = pyarrow.table(columns)
    if features:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": types}})})
    parquet.write_table(table, path, row_group_size=8)


@pytest.fixture
def api(hub, monkeypatch, tmp_path):
    monkeypatch.setenv("GANZOO_DATA", str(tmp_path / "data"))
    api = HfApi(hub.url, "hf_alice_secret")
    api.create_repo("alice/animals", repo_type="dataset")
    return api


def _push(api, folder):
    api.upload_folder(repo_id="alice/animals", folder_path=folder, repo_type="dataset")


@pytest.fixture
def animals(api, tmp_path):
    """A data set of two training files and a test file."""
    folder = tmp_path / "animals" / "data"
    folder.mkdir(parents=True)
    _parquet(folder / "train-00000-of-00002.parquet", range(30))
    _parquet(folder / "train-00001-of-00002.parquet", range(30, COUNT))
    _parquet(folder / "test-00000-of-00001.parquet", range(100, 110))
    (folder.parent / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n# Animals\n")
    _push(api, folder.parent)


def _dataset(name="alice/animals", **options):
    recipe = {
        "name": "t", "data": {"name": "hub", "path": name, **options}, "generator": {"name": "mlp", "widths": [8]},
        "discriminator": {"name": "mlp", "widths": [8]}, "loss": {"name": "non-saturating"}, "images": 32,
    }  # fmt: skip
    return build(Recipe.from_dict(recipe), registry()).dataset


def test_a_file_of_the_hub_is_named_in_one_plain_line(api, tmp_path):
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "\x1b[2J.png").write_bytes(_picture(1))
    _push(api, tmp_path / "up")
    repository = ganzoo.HubRepository("alice/animals", kind="dataset")
    assert "\x1b[2J.png" in repository.sizes
    (repository.download(["\x1b[2J.png"]) / "\x1b[2J.png").write_bytes(b"changed")
    with pytest.raises(ganzoo.HubError) as found:
        repository.download(["\x1b[2J.png"])
    assert str(found.value).isprintable() and "\\x1b[2J.png was changed in the cache" in str(found.value)


def test_columns_are_found_by_their_types(hub, animals, client):
    dataset = _dataset()
    assert dataset.spec == ganzoo.DataSpec({"image": ganzoo.Sample((3, 12, 12))}, 3)
    assert list(dataset.class_names) == NAMES and dataset.licence == "cc-by-4.0"
    table = dataset.load()
    assert table.fields["image"].shape == (COUNT, 12, 12, 3)
    assert table.fields["image"][:, 0, 0, 0].tolist() == [number * 5 % 256 for number in range(COUNT)]
    assert table.labels.tolist() == [number % 3 for number in range(COUNT)]


@pytest.mark.parametrize("hub", ["lfs"], indirect=True)
class TestOnThePlainPath:
    def test_only_the_first_file_is_read_before_training(self, hub, animals):
        _dataset()
        assert len([line for line, *_ in hub.log if line.startswith("GET /download/")]) == 1

    def test_options_of_the_view_apply(self, hub, animals):
        dataset = _dataset(size=6, gray=True, classes=["emu", "cat"], limit=10, split="train")
        assert dataset.spec == ganzoo.DataSpec({"image": ganzoo.Sample((1, 6, 6))}, 2)
        table = dataset.load()
        assert table.fields["image"].shape == (10, 6, 6, 1)
        assert table.labels.tolist() == [1 if number % 3 == 0 else 0 for number in range(15) if number % 3 != 1]

    def test_large_sets_are_streamed_and_come_to_the_same(self, hub, animals):
        resident, stream = _dataset().load(), _dataset(resident_bytes=1000).load()
        assert isinstance(stream, ganzoo.Stream) and stream.count == COUNT
        every = torch.stack([stream.read(index)["image"] for index in range(COUNT)])
        assert torch.equal(every, resident.fields["image"]) and torch.equal(stream.labels, resident.labels)
        feed = make_feed(stream, _dataset().spec, 8, 0, torch.device("cpu"), workers=0)
        assert feed.next().fields["image"].shape == (8, 3, 12, 12)

    def test_another_split_is_chosen_and_an_unknown_one_refused(self, hub, animals):
        assert _dataset(split="test").load().fields["image"].shape[0] == 10
        with pytest.raises(ganzoo.Incompatible, match="there is no split 'validation' among data/test"):
            _dataset(split="validation")

    def test_unknown_columns_are_refused(self, hub, animals):
        with pytest.raises(ganzoo.Incompatible, match="has no column 'id' of pictures: pictures are in photo"):
            _dataset(image="id")
        with pytest.raises(ganzoo.Incompatible, match="has no column 'id' of class labels"):
            _dataset(label="id")

    def test_packed_data_need_no_network(self, hub, animals, caplog, client, monkeypatch):
        expected = _dataset().load()
        monkeypatch.setattr(client, "HF_HUB_OFFLINE", True)
        again = _dataset()
        assert torch.equal(again.load().fields["image"], expected.fields["image"])
        assert again.licence == "cc-by-4.0" and list(again.class_names) == NAMES
        assert "HF_HUB_OFFLINE is set" in caplog.text
        with pytest.raises(ganzoo.Incompatible, match="HF_HUB_OFFLINE is set"):
            _dataset("alice/others")

    def test_a_file_without_features_is_read_by_how_pictures_are_stored(self, hub, api, tmp_path):
        (tmp_path / "plain").mkdir()
        _parquet(tmp_path / "plain" / "train.parquet", range(5), features=False)
        _push(api, tmp_path / "plain")
        dataset = _dataset()
        assert dataset.spec.classes == 0 and dataset.load().fields["image"].shape[0] == 5

    def test_folders_of_pictures_are_classes(self, hub, api, tmp_path):
        for number in range(6):
            path = tmp_path / "folder" / "train" / NAMES[number % 3] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_picture(number))
        _push(api, tmp_path / "folder")
        dataset = _dataset()
        assert list(dataset.class_names) == NAMES
        assert dataset.load().labels.tolist() == [0, 0, 1, 1, 2, 2]

    def test_a_zip_of_pictures_is_read(self, hub, api, tmp_path):
        (tmp_path / "zipped").mkdir()
        with zipfile.ZipFile(tmp_path / "zipped" / "pictures.zip", "w") as file:
            for number in range(4):
                file.writestr(f"{number}.png", _picture(number))
        _push(api, tmp_path / "zipped")
        assert _dataset().load().fields["image"].shape == (4, 12, 12, 3)

    def test_a_data_set_without_pictures_is_refused(self, hub, api, tmp_path):
        (tmp_path / "text").mkdir()
        (tmp_path / "text" / "words.txt").write_text("no pictures")
        _push(api, tmp_path / "text")
        with pytest.raises(ganzoo.Incompatible, match="has no parquet files or pictures of a split 'train'"):
            _dataset()

    def test_a_damaged_download_is_refused(self, hub, animals):
        hub.fault("GET /download/", corrupt=True)
        with pytest.raises(ganzoo.Incompatible, match="is not what the Hub states"):
            _dataset()
        _dataset()

    def test_a_run_trains_on_it(self, hub, animals, tmp_path):
        recipe = {
            "name": "t", "data": {"name": "hub", "path": "alice/animals"}, "generator": {"name": "mlp", "widths": [8]},
            "discriminator": {"name": "mlp", "widths": [8]}, "loss": {"name": "non-saturating"}, "images": 32,
            "previews": {"count": 4},
        }  # fmt: skip
        run = ganzoo.train(Recipe.from_dict(recipe), out=tmp_path / "run", device="cpu", progress=False)
        assert run.model().sample(2, seed=0).shape == (2, 3, 12, 12)
        assert "datasets:\n- alice/animals\n" in (tmp_path / "run" / "model" / "README.md").read_text()

"""Inception without its weights: where they are looked for, what is refused; with random ones: what it computes."""

from __future__ import annotations

import sys
from urllib.error import URLError

import pytest
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

import ganzoo
from ganzoo_metrics import inception
from ganzoo_metrics.inception import Inception

FILE = "weights-inception-2015-12-05-6726825d.pth"


@pytest.fixture(autouse=True)
def _places(monkeypatch, tmp_path):
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of weights that nobody trained, half as precise to be half as large."""
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    patch = pytest.MonkeyPatch()
    patch.setattr("torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", lambda *a, **k: {})
    patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
    torch.manual_seed(0)
    network = FeatureExtractorInceptionV3("random", ["2048"], verbose=False)
    patch.undo()
    torch.save({key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in
                network.state_dict().items()}, path)  # fmt: skip
    return path


def test_features_are_torch_fidelitys_own(weights):
    extractor = Inception(str(weights))
    image = torch.randint(0, 256, (2, 3, 20, 24), dtype=torch.uint8)
    theirs = FeatureExtractorInceptionV3(
        "inception", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(weights)
    )
    with torch.no_grad():
        features, (expected, logits) = extractor(image), theirs(image)
    assert features.shape == (2, extractor.dimensions) and features.dtype == torch.float32
    torch.testing.assert_close(features, expected)
    torch.testing.assert_close(extractor.logits(features), logits, rtol=1e-4, atol=1e-4)


def test_weights_are_found_where_they_may_lie(tmp_path):
    assert not Inception.at_hand()
    for folder in (tmp_path / "cache" / "features", tmp_path / "torch" / "hub" / "checkpoints"):
        folder.mkdir(parents=True)
        (folder / FILE).write_text("")
        assert Inception.at_hand() and inception._found() == folder / FILE
        (folder / FILE).unlink()


def test_without_network_one_line_says_what_to_do(monkeypatch, tmp_path):
    def refuse(*arguments, **options):
        raise URLError("no route to host")

    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    with pytest.raises(ganzoo.DataError) as refusal:
        Inception()
    text = str(refusal.value)
    assert "no route to host" in text and FILE in text and "ganzoo features train" in text and "\n" not in text
    assert not Inception.at_hand()


def test_download_is_held_to_the_published_hash(monkeypatch):
    asked = {}

    def download(url, path, **options):
        asked.update(options, url=url, path=path)
        raise RuntimeError("invalid hash value")

    monkeypatch.setattr("torch.hub.download_url_to_file", download)
    with pytest.raises(ganzoo.DataError, match="invalid hash value"):
        Inception()
    assert asked["hash_prefix"] == "6726825d" and asked["url"].endswith(FILE) and asked["path"].endswith(FILE)


class Dangerous:
    def __reduce__(self):
        return (eval, ("print('code ran')",))


@pytest.mark.parametrize("content", [{"a": torch.zeros(1)}, Dangerous(), None])
def test_files_that_hold_something_else_are_refused_and_run_nothing(tmp_path, content, capsys):
    path = tmp_path / "bad.pth"
    if content is None:
        path.write_bytes(b"nothing")
    else:
        torch.save(content, path)
    with pytest.raises(ganzoo.DataError, match="holds no weights of Inception-v3"):
        Inception(str(path))
    assert "code ran" not in capsys.readouterr().out


def test_a_path_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ganzoo.DataError, match="holds no weights"):
        Inception(str(tmp_path / "none.pth"))


def test_without_torch_fidelity_one_line_says_how_to_get_it(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "torch_fidelity"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(ganzoo.UsageError, match=r"pip install torch-fidelity scipy"):
        Inception()

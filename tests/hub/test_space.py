"""The page of a Space: pushed, imported with a stand-in for gradio, and called."""

from __future__ import annotations

import json
import sys
from types import ModuleType
from unittest.mock import MagicMock

import pytest
import yaml
from PIL import Image

import ganzoo
from ganzoo.errors import HubError, ModelError, UsageError
from ganzoo.hub.space import push_space
from ganzoo.models.publication import PushOptions

pytest_plugins = ["hub.fixtures"]


def _files(hub, repo_id):
    repo = hub.repos["space", repo_id]
    return {name: repo.text(repo.resolve("main"), name) for name in repo.files(repo.resolve("main"))}


def _imported(code: str, monkeypatch) -> dict:
    """The names of an app whose gradio is a stand-in."""
    gradio = ModuleType("gradio")
    for name in ("Blocks", "Markdown", "Row", "Column", "Number", "Slider", "Dropdown", "Button", "Image"):
        setattr(gradio, name, MagicMock())
    monkeypatch.setitem(sys.modules, "gradio", gradio)
    names: dict = {"__name__": "app"}
    exec(compile(code, "app.py", "exec"), names)
    return names


@pytest.mark.parametrize("kind", ["pictures", "conditional", "line"])
@pytest.mark.parametrize("hub", ["lfs"], indirect=True)
def test_the_page_samples_and_walks(hub, run_of, kind, monkeypatch):
    ganzoo.load(run_of(kind)).push("alice/model")
    space = push_space("alice/model", None, PushOptions())
    assert space.url.startswith(f"{hub.url}/spaces/alice/model/tree/") and set(space.changed) == {
        "app.py", "requirements.txt", "README.md",
    }  # fmt: skip
    files = _files(hub, "alice/model")
    app = _imported(files["app.py"], monkeypatch)
    app["build"]()
    picture = app["sample"](3, 9, 0.8, app["classes"][1] if app["conditional"] else None)
    assert isinstance(picture, Image.Image) and min(picture.size) > 50
    assert picture.tobytes() == app["sample"](3, 9, 0.8, app["classes"][1] if app["conditional"] else None).tobytes()
    with Image.open(app["walk"](0, 2)) as film:
        assert film.n_frames > 4
    assert app["conditional"] == (kind == "conditional")
    assert f"torch-ganzoo=={ganzoo.__version__}" in files["requirements.txt"].splitlines()
    metadata = yaml.safe_load(files["README.md"].split("---\n")[1])
    assert metadata["sdk"] == "gradio" and metadata["models"] == ["alice/model"] and metadata["app_file"] == "app.py"


@pytest.mark.parametrize("hub", ["lfs"], indirect=True)
def test_the_page_keeps_to_the_commit_it_was_made_for(hub, run_of):
    first = ganzoo.load(run_of("pictures")).push("alice/model")
    ganzoo.load(run_of("line")).push("alice/model")
    push_space(f"alice/model@{first.oid}", "alice/demo", PushOptions(private=True))
    assert f"\"alice/model\", '{first.oid}'" in _files(hub, "alice/demo")["app.py"]
    assert hub.repos["space", "alice/demo"].meta["private"]


@pytest.mark.parametrize("hub", ["lfs"], indirect=True)
def test_a_model_that_is_not_published_goes_along(hub, run_of, monkeypatch, tmp_path):
    run = run_of()
    space = push_space(str(run), "alice/demo", PushOptions())
    files = _files(hub, "alice/demo")
    assert {"model/config.json", "model/model.safetensors"} <= set(files)
    monkeypatch.chdir(run)
    assert _imported(files["app.py"], monkeypatch)["sample"](0, 4, 1.0).size[0] > 50
    assert push_space(str(run), "alice/demo", PushOptions()).oid == space.oid
    with pytest.raises(UsageError, match="name the Space as user/name"):
        push_space(str(run), None, PushOptions())
    with pytest.raises(HubError, match="there is no model alice/none"):
        push_space("alice/none", None, PushOptions())


def _claim(run, **changes):
    """Change what a model's config says."""
    path = run / "model" / "config.json"
    config = json.loads(path.read_text())
    for key, value in changes.items():
        config[key] = {**config[key], **value} if isinstance(value, dict) else value
    path.write_text(json.dumps(config))


@pytest.mark.parametrize("hub", ["lfs"], indirect=True)
def test_a_claimed_package_is_never_installed(hub, run_of):
    run = run_of()
    _claim(run, plugin={"distribution": "evil-package"}, recipe={"data": {"name": "folder", "path": "/home/al/faces"}})
    push_space(str(run), "alice/demo", PushOptions())
    ganzoo.load(run).push("alice/model")
    files = _files(hub, "alice/demo")
    assert not [name for name, text in files.items() if "evil-package" in text]
    assert json.loads(files["model/config.json"])["recipe"]["data"]["path"] == "faces"
    repo = hub.repos["model", "alice/model"]
    published = {name: repo.text(repo.resolve("main"), name) for name in ("config.json", "README.md")}
    assert json.loads(published["config.json"])["plugin"]["distribution"] == "torch-ganzoo"
    assert "evil-package" not in published["README.md"]
    _claim(run, generator="unheard-of")
    with pytest.raises(ModelError, match=r"has the generator 'unheard-of', .* author claims evil-package"):
        push_space(str(run), "alice/other", PushOptions())
    assert ("space", "alice/other") not in hub.repos


@pytest.mark.parametrize("hub", ["lfs"], indirect=True)
@pytest.mark.parametrize("licence", ["mit", "x: [y", "a # b", "x, app_file: evil.py", "'", "*x"])
def test_a_licence_stays_one_value_of_the_metadata(hub, run_of, licence):
    run = run_of()
    _claim(run, licence={"weights": licence})
    push_space(str(run), "alice/demo", PushOptions())
    metadata = yaml.safe_load(_files(hub, "alice/demo")["README.md"].split("---\n")[1])
    assert metadata["license"] == ("mit" if licence == "mit" else "other")
    assert (metadata["sdk"], metadata["app_file"], metadata["tags"]) == ("gradio", "app.py", ["ganzoo", "gan"])
    assert set(metadata) <= {"title", "sdk", "sdk_version", "app_file", "license", "license_name", "tags"}

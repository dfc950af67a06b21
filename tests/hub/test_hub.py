"""Models to the Hub and back, against a server on loopback, on the plain and on the Xet path."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path

import pytest
import torch
import yaml
from huggingface_hub import parse_eval_result_entries
from safetensors.torch import load_file

import ganzoo
from ganzoo.cli.modelpage import facts
from ganzoo.errors import HubError, ModelError, UsageError
from ganzoo.hub.publish import PushOptions
from ganzoo.hub.pull import pull, search
from ganzoo.hub.space import push_space
from ganzoo.hub.start import starting_point
from ganzoo.models.config import Metric, record_metrics
from ganzoo.models.publication import Reference, parse_reference
from ganzoo.recipes.recipe import Recipe
from ganzoo.training import checkpoint

pytest_plugins = ["hub.fixtures"]


def _commits(hub, repo_id="alice/model"):
    repo = hub.repos["model", repo_id]
    return [commit["message"] for commit in repo.history(repo.resolve("main"))]


def _files(hub, repo_id="alice/model", kind="model"):
    repo = hub.repos[kind, repo_id]
    return repo.files(repo.resolve("main"))


@pytest.mark.parametrize("kind", ["pictures", "conditional", "line"])
def test_what_was_pushed_samples_bit_for_bit_as_the_run(hub, run_of, kind, tmp_path):
    run = run_of(kind)
    expected = ganzoo.load(run).sample(12, seed=3)
    published = ganzoo.load(run).push("alice/model")
    assert torch.equal(ganzoo.load("alice/model").sample(12, seed=3), expected)
    assert torch.equal(ganzoo.load("alice/model", revision=published.oid).sample(12, seed=3), expected)
    folder = pull(Reference("alice/model"), tmp_path / "pulled")
    assert torch.equal(ganzoo.load(folder).sample(12, seed=3), expected)
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "config.json", "discriminator.safetensors", "model.safetensors", "samples.png",
    ]  # fmt: skip


def test_old_revisions_and_tags_still_load(hub, run_of):
    old, new = run_of("pictures"), run_of("conditional")
    first = ganzoo.load(old).push("alice/model", tag="v1")
    second = ganzoo.load(new).push("alice/model")
    assert first.oid != second.oid
    before, after = ganzoo.load(old).sample(3, seed=1), ganzoo.load(new).sample(3, seed=1)
    for name, expected in {"": after, "@main": after, "@v1": before, f"@{first.oid}": before}.items():
        assert torch.equal(ganzoo.load(f"alice/model{name}").sample(3, seed=1), expected), name


def test_a_push_of_the_same_thing_makes_no_commit_and_sends_nothing(hub, run_of):
    model = ganzoo.load(run_of())
    first = model.push("alice/model")
    mark, commits = len(hub.log), _commits(hub)
    again = model.push("alice/model")
    assert (again.oid, again.changed) == (first.oid, ())
    assert _commits(hub) == commits == ["Push model with ganzoo", "initial commit"]
    assert not [line for line, *_ in hub.log[mark:] if line.startswith(("PUT", "POST"))]


def test_only_what_changed_is_sent(hub, run_of):
    run = run_of()
    ganzoo.load(run).push("alice/model")
    (run / "model" / "samples.png").write_bytes(b"\x89PNG\0another")
    mark = len(hub.log)
    again = ganzoo.load(run).push("alice/model", message="Another picture")
    assert again.changed == ("samples.png",)
    assert _commits(hub)[0] == "Another picture"
    assert len([line for line, *_ in hub.log[mark:] if "/commit/" in line]) == 1


def test_a_stale_parent_is_refused(hub, run_of):
    run = run_of()
    first = ganzoo.load(run).push("alice/model")
    second = ganzoo.load(run_of("conditional")).push("alice/model")
    with pytest.raises(HubError, match=f"is at commit {second.oid[:12]}, not at {first.oid[:12]}"):
        ganzoo.load(run).push("alice/model", parent=first.oid)


def test_a_commit_that_comes_between_is_not_overwritten(hub, run_of, monkeypatch):
    from ganzoo.hub import publish

    ganzoo.load(run_of("conditional")).push("alice/model")
    looked_up = publish.prepare

    def and_somebody_commits(*arguments):
        head = looked_up(*arguments)
        repo = hub.repos["model", "alice/model"]
        files = {path: entry.oid for path, entry in repo.files(repo.resolve("main")).items()}
        files["note.txt"] = repo.put("blob", b"mine")
        repo.set_ref("refs/heads/main", repo.put_commit(files, [repo.resolve("main")], "alice", "between"))
        return head

    monkeypatch.setattr(publish, "prepare", and_somebody_commits)
    with pytest.raises(HubError, match="somebody changed it meanwhile"):
        ganzoo.load(run_of()).push("alice/model")
    assert _commits(hub)[0] == "between"


def test_a_branch_is_made_and_a_tag_never_moved(hub, run_of):
    run = run_of()
    main = ganzoo.load(run).push("alice/model", tag="v1")
    other = ganzoo.load(run_of("line")).push("alice/model", revision="exp/line")
    assert ganzoo.load("alice/model@exp/line").target.shape == (1,)
    assert ganzoo.load("alice/model").target.shape == (1, 28, 28)
    with pytest.raises(HubError, match=f"has the tag v1 on commit {main.oid[:12]} already"):
        ganzoo.load(run).push("alice/model", revision="exp/line", tag="v1")
    assert ganzoo.load("alice/model@exp/line").target.shape == (1,)
    assert main.oid != other.oid
    assert ganzoo.load(run).push("alice/model", tag="v1").oid == main.oid


def test_the_run_is_published_on_request(hub, run_of, tmp_path):
    run = run_of()
    ganzoo.load(run).push("alice/model", with_run=True)
    assert {"run/recipe.toml", "run/metrics.jsonl", "run/samples/000000064.png"} <= set(_files(hub))
    folder = pull(Reference("alice/model"), tmp_path / "pulled")
    assert (folder / "run" / "recipe.toml").read_bytes() == (run / "recipe.toml").read_bytes()
    with pytest.raises(ModelError, match="belongs to no run"):
        ganzoo.load(folder).push("alice/copy", with_run=True)


def test_the_discriminator_is_published_unless_it_is_left_out(hub, run_of, tmp_path, caplog):
    caplog.set_level("INFO", "ganzoo")
    run = run_of()
    ganzoo.load(run).push("alice/model")
    size = (run / "model" / "discriminator.safetensors").stat().st_size
    assert (
        f"discriminator.safetensors goes along, {size / 1024:.3g} KiB: training on with --init needs it" in caplog.text
    )
    folder = pull(Reference("alice/model"), tmp_path / "pulled")
    judge = load_file(folder / "discriminator.safetensors")
    last = checkpoint.load(checkpoint.last(run / "checkpoints"))["players"]["D"]
    assert judge.keys() == last.keys() and all(torch.equal(judge[name], last[name]) for name in judge)
    ganzoo.load(folder).push("alice/model", without_discriminator=True)
    assert "discriminator.safetensors" not in _files(hub)


def test_what_belonged_to_earlier_weights_does_not_stay(hub, run_of):
    run = run_of()
    ganzoo.load(run).push("alice/model")
    (run / "model" / "discriminator.safetensors").unlink()
    again = ganzoo.load(run).push("alice/model")
    assert again.changed == ("discriminator.safetensors",)
    assert "discriminator.safetensors" not in _files(hub)
    assert ganzoo.load(run).push("alice/model").changed == ()


def test_sampling_never_reads_the_discriminator(hub, run_of):
    run = run_of()
    ganzoo.load(run).push("alice/model")
    expected = ganzoo.load(run).sample(2, seed=0)
    (run / "model" / "discriminator.safetensors").write_bytes(b"no safetensors")
    assert torch.equal(ganzoo.load(run).sample(2, seed=0), expected)
    mark = len(hub.log)
    assert torch.equal(ganzoo.load("alice/model").sample(2, seed=0), expected)
    assert not [line for line, *_ in hub.log[mark:] if "discriminator" in line]


def test_a_model_on_the_hub_is_copied_without_touching_the_cache(hub, run_of):
    ganzoo.load(run_of()).push("alice/model")
    copy = ganzoo.load("alice/model")
    before = {path: path.read_bytes() for path in copy.folder.iterdir()}
    copy.push("alice/copy")
    assert {path: path.read_bytes() for path in copy.folder.iterdir() if path in before} == before
    assert torch.equal(ganzoo.load("alice/copy").sample(2, seed=0), copy.sample(2, seed=0))


def test_a_load_from_the_cache_needs_no_network(hub, run_of, client, monkeypatch, caplog):
    published = ganzoo.load(run_of()).push("alice/model", tag="v1")
    expected = ganzoo.load("alice/model@v1").sample(2, seed=0)
    ganzoo.load("alice/model")
    mark = len(hub.log)
    assert torch.equal(ganzoo.load("alice/model", revision=published.oid).sample(2, seed=0), expected)
    assert len(hub.log) == mark, "a commit in the cache was asked for"
    hub.fault(".*", status=503, times=99)
    assert torch.equal(ganzoo.load("alice/model").sample(2, seed=0), expected)
    assert f"using commit {published.oid[:12]} from the cache" in caplog.text
    hub.stop()
    assert torch.equal(ganzoo.load("alice/model").sample(2, seed=0), expected)
    monkeypatch.setattr(client, "HF_HUB_OFFLINE", True)
    assert torch.equal(ganzoo.load("alice/model@v1").sample(2, seed=0), expected)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set; and it is not in the cache"):
        ganzoo.load("alice/other")


def test_a_file_changed_in_the_cache_is_not_loaded(hub, run_of):
    published = ganzoo.load(run_of()).push("alice/model")
    folder = ganzoo.load("alice/model").folder
    weights = (folder / "model.safetensors").resolve()
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(HubError, match=r"model\.safetensors was changed in the cache"):
        ganzoo.load("alice/model", revision=published.oid)
    ganzoo.load("alice/model", revision=published.oid)


def test_search_finds_models_by_name(hub, run_of):
    ganzoo.load(run_of()).push("alice/clothes")
    ganzoo.load(run_of("line")).push("alice/numbers")
    assert [one.repo_id for one in search("cloth")] == ["alice/clothes"]
    assert {one.repo_id for one in search()} == {"alice/clothes", "alice/numbers"}
    assert "mlp" in search("cloth")[0].tags


def test_a_path_of_the_trainers_machine_is_not_published(hub, run_of):
    run = run_of()
    path = run / "model" / "config.json"
    config = json.loads(path.read_text())
    config["recipe"]["data"] = {"name": "folder", "path": "/home/alice/private/faces"}
    path.write_text(json.dumps(config))
    ganzoo.load(run).push("alice/model")
    repo = hub.repos["model", "alice/model"]
    published = json.loads(repo.text(repo.resolve("main"), "config.json"))
    assert published["recipe"]["data"]["path"] == "faces"
    assert "private" not in repo.text(repo.resolve("main"), "README.md")


def test_weights_are_stored_with_the_hash_they_have_here(hub, run_of):
    run = run_of()
    ganzoo.load(run).push("alice/model")
    weights = (run / "model" / "model.safetensors").read_bytes()
    assert _files(hub)["model.safetensors"].sha256 == hashlib.sha256(weights).hexdigest()


def test_no_token_reaches_the_origin_of_large_files(hub, run_of):
    ganzoo.load(run_of()).push("alice/model", private=True)
    ganzoo.load("alice/model")
    large = [sent for line, _, sent in hub.log if line.split()[1].startswith(("/download/", "/upload/", "/xorb/"))]
    assert large and not any(large)
    assert any(sent for _, _, sent in hub.log)


@pytest.mark.parametrize(
    "text", ["model", "a/b/c", "../x", "alice/x@", "alice/../x", "alice/x@../../etc", "/etc/passwd"]
)
def test_names_that_are_none_are_refused(text):
    with pytest.raises(UsageError, match=r"is no name on the Hub|is no revision|name one revision"):
        parse_reference(text)


def test_two_revisions_are_refused():
    assert parse_reference("alice/x@v1", "v1") == Reference("alice/x", "v1")
    with pytest.raises(UsageError, match="name one revision"):
        parse_reference("alice/x@v1", "v2")


def test_a_token_with_a_stray_character_is_refused_without_being_shown():
    with pytest.raises(UsageError, match="characters that no token has") as caught:
        ganzoo.load("alice/model", token="hf_secret\n")
    assert "secret" not in str(caught.value)


def test_pull_refuses_a_folder_in_use(hub, run_of, tmp_path):
    ganzoo.load(run_of()).push("alice/model")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(ModelError, match="exists already"):
        pull(Reference("alice/model"), tmp_path / "full")
    assert [path.name for path in Path(tmp_path / "full").iterdir()] == ["mine.txt"]
    (tmp_path / "empty").mkdir()
    assert (pull(Reference("alice/model"), tmp_path / "empty") / "config.json").exists()


@pytest.mark.parametrize("hub", ["lfs"], indirect=True)
def test_a_mistyped_folder_is_not_asked_of_the_hub(hub, run_of, tmp_path, monkeypatch):
    ganzoo.load(run_of()).push("alice/model")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "alice").mkdir()
    run_of("line").rename(tmp_path / "alice" / "dcgan-seed0")
    mark = len(hub.log)
    with pytest.raises(ModelError, match=r"no model './alice/dcgan-seed9' \(did you mean 'alice/dcgan-seed0'\?\)"):
        ganzoo.load("./alice/dcgan-seed9")
    for use in (ganzoo.load, lambda model: push_space(model, None, PushOptions()), facts):
        with pytest.raises(ModelError) as caught:
            use("alice/dcgan-seed9")
        assert "there is no folder alice/dcgan-seed9 (did you mean 'alice/dcgan-seed0'?)" in str(caught.value)
        assert "on the Hub write alice/dcgan-seed9@main" in str(caught.value)
    with pytest.raises(ModelError, match="there is no folder alice/model; alice has alice/dcgan-seed0"):
        ganzoo.load("alice/model")
    with pytest.raises(ModelError, match="there is no folder runs/dcgan-seed0; for a model of that name on the Hub"):
        ganzoo.load("runs/dcgan-seed0")  # where a run that has not begun will be
    assert len(hub.log) == mark
    assert ganzoo.load("alice/model@main").target.shape == (1, 28, 28)
    assert ganzoo.load("alice/model", revision="main").target.shape == (1, 28, 28)


def test_numbers_against_data_on_the_hub_are_stated_as_it_reads_them(hub, run_of, tmp_path):
    run = run_of()
    provenance = {"features": "inception", "seed": 0}
    numbers = [
        Metric("fid", 25.0, "fashion-mnist", "test", 100, provenance),
        Metric("kid", 1.5, "hub:alice/faces@v1", "train", 50),
        Metric("fid", 30.0, "folder:faces.zip", "train", 100),
    ]
    record_metrics(run / "model", numbers)
    ganzoo.load(run).push("alice/model")
    folder = pull(Reference("alice/model"), tmp_path / "pulled")
    stated = yaml.safe_load((folder / ".eval_results" / "ganzoo.yaml").read_text())
    first, second = parse_eval_result_entries(stated)
    assert (first.dataset_id, first.task_id, first.value) == ("zalando-datasets/fashion_mnist", "fid", 25.0)
    assert first.source_url == f"{hub.url}/alice/model/blob/main/evaluation.json"
    assert first.notes == "split test, samples 100, features inception, seed 0"
    assert (second.dataset_id, second.dataset_revision, second.task_id) == ("alice/faces", "v1", "kid")
    assert len(yaml.safe_load((folder / "README.md").read_text().split("---")[1])["model-index"][0]["results"]) == 3


def test_numbers_against_data_that_only_this_machine_has_make_no_such_file(hub, run_of):
    run = run_of()
    record_metrics(run / "model", [Metric("fid", 30.0, "fashion-mini", "train", 100)])
    ganzoo.load(run).push("alice/model")
    assert not [name for name in _files(hub) if name.startswith(".eval_results")]


def test_training_starts_from_a_model_on_the_hub_and_names_it(hub, run_of, caplog):
    parent_run = run_of()
    published = ganzoo.load(parent_run).push("alice/model")
    tree = tomllib.loads((parent_run / "recipe.toml").read_text())
    recipe = Recipe.from_dict({**tree, "init": {"model": "alice/model@main", "freeze": ["D:1"]}})
    run = ganzoo.train(recipe, out="child", device="cpu", progress=False)
    parent = ganzoo.load(run.folder).config.parent
    assert (parent.model, parent.repository, parent.revision) == ("alice/model", "alice/model", published.oid)
    assert parent.fresh == [] and "alice/model" in (run.folder / "model" / "README.md").read_text()
    ganzoo.load(run.folder).push("alice/child")
    card = (pull(Reference("alice/child"), Path("child-pulled")) / "README.md").read_text()
    metadata = yaml.safe_load(card.split("---")[1])
    assert (metadata["base_model"], metadata["base_model_relation"]) == ("alice/model", "finetune")


def test_a_discriminator_to_start_from_is_compared_with_what_the_hub_states(hub, run_of):
    ganzoo.load(run_of()).push("alice/model")
    assert starting_point("alice/model").discriminator.exists()
    ganzoo.load(run_of("conditional")).push("alice/other")
    ganzoo.load("alice/other")  # from here on, only the discriminator is missing
    hub.fault(hub.download, corrupt=True)
    with pytest.raises(HubError, match=r"discriminator\.safetensors is not what the Hub states"):
        starting_point("alice/other")
    assert starting_point("alice/other").discriminator.exists()

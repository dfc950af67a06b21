"""What goes wrong between here and the Hub: one clear line, an exit code, nothing half-written, and a retry works."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import torch

import ganzoo
from ganzoo.cli import main
from ganzoo.errors import HubError
from ganzoo.hub.hubclient import redact

pytest_plugins = ["hub.fixtures"]

ALWAYS = 10**6


@pytest.fixture
def command(capsys, monkeypatch):
    """A function that runs the command line: its exit code, and its two outputs."""

    def run(*arguments: str):
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit:
            main([*arguments])
        out, err = capsys.readouterr()
        return exit.value.code, out, err

    return run


def _refused(result, *texts: str) -> None:
    """One line that says these things, and a code that is not 0."""
    code, out, err = result
    errors = [line for line in err.splitlines() if line.startswith("Error: ")]
    assert code not in (0, None) and out == ""
    assert len(errors) == 1 and err.rstrip().endswith(errors[0]), err
    assert "Traceback" not in err
    for text in texts:
        assert text in errors[0]


def _left(tmp_path: Path) -> list[str]:
    """Files of models that a failed command left, outside the Hub and the run."""
    places = [tmp_path / "cache", tmp_path / "pulled", tmp_path / ".pulled.partial"]
    names = ("model.safetensors", ".incomplete", ".partial")
    found = [path for place in places for path in place.rglob("*") if path.name.endswith(names)]
    return [str(path) for path in found if path.is_file()]


@pytest.fixture
def pushed(hub, run_of):
    """A run that lies on the Hub as alice/model."""
    run = run_of()
    ganzoo.load(run).push("alice/model")
    return run


def _works(pushed) -> None:
    expected = ganzoo.load(pushed).sample(3, seed=5)
    assert torch.equal(ganzoo.load("alice/model").sample(3, seed=5), expected)


def test_a_private_model_is_shown_to_nobody_else(hub, run_of, command, monkeypatch):
    ganzoo.load(run_of()).push("alice/secret", private=True)
    monkeypatch.delenv("HF_TOKEN")
    for arguments in (["sample", "alice/secret"], ["show", "alice/secret"], ["pull", "alice/secret"]):
        _refused(command(*arguments), "there is no model alice/secret", "or it is private", "hf auth login")
    ganzoo.load("alice/secret", token="hf_alice_secret")
    with pytest.raises(HubError, match="or it is private"):
        ganzoo.load("alice/secret", token="hf_bob_secret")


def test_a_gated_model_says_how_to_get_access(hub, pushed, command, monkeypatch):
    hub.repos["model", "alice/model"].save(gated="auto")
    monkeypatch.setenv("HF_TOKEN", "hf_bob_secret")
    _refused(command("sample", "alice/model"), "alice/model", "is gated", f"{hub.url}/alice/model", "hf auth login")
    hub.repos["model", "alice/model"].save(granted=["bob"])
    _works(pushed)


def test_what_is_not_there_is_named(hub, pushed, command):
    _refused(command("sample", "alice/nothing"), "there is no model alice/nothing")
    _refused(command("sample", "alice/model@v9"), "alice/model has no revision 'v9'")
    _refused(command("pull", "alice/model@" + "0" * 40), "has no revision '000")
    _refused(command("sample", "no-such-folder"), "there is no model 'no-such-folder'")


def test_a_repository_without_weights_is_named(hub, pushed, command):
    repo = hub.repos["model", "alice/model"]
    files = {path: entry.oid for path, entry in repo.files(repo.resolve("main")).items()}
    del files["model.safetensors"]
    repo.set_ref("refs/heads/main", repo.put_commit(files, [repo.resolve("main")], "alice", "gone"))
    _refused(command("sample", "alice/model"), "alice/model holds no weights: there is no model.safetensors")


def test_without_network_the_address_is_named(hub, command):
    hub.stop()
    _refused(command("sample", "alice/model"), f"{hub.url} does not answer", "not in the cache")
    _refused(command("pull", "alice/model"), f"{hub.url} does not answer")
    _refused(command("search"), f"{hub.url} does not answer")


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 500}, {"cut_response": 20}])
def test_a_failing_server_leaves_nothing_and_a_retry_works(hub, pushed, command, tmp_path, fault):
    hub.fault("GET /api/models/alice/model", times=ALWAYS, **fault)
    _refused(command("pull", "alice/model", "--out", "pulled"), "alice/model cannot be looked up", "try again")
    assert _left(tmp_path) == []
    hub.faults.clear()
    _works(pushed)


@pytest.mark.parametrize("fault", [{"status": 503}, {"cut_response": 3000}])
def test_a_download_cut_half_way_leaves_nothing_and_a_retry_works(hub, pushed, command, tmp_path, fault):
    hub.fault(hub.download, times=ALWAYS, **fault)
    _refused(command("pull", "alice/model", "--out", "pulled"), "cannot be downloaded (discriminator.safetensors)")
    assert _left(tmp_path) == []
    assert not (tmp_path / "pulled").exists()
    hub.faults.clear()
    assert command("pull", "alice/model", "--out", "pulled")[:2] == (0, "pulled\n")
    _works(pushed)


@pytest.mark.parametrize("wanted", ["model.safetensors", "config.json"])
def test_one_flipped_byte_is_found_and_a_retry_works(hub, pushed, command, tmp_path, wanted):
    requests = hub.download if wanted == "model.safetensors" else "GET .*/resolve/.*/config.json"
    hub.fault(requests, corrupt=True)
    _refused(command("sample", "alice/model"), f"{wanted} is not what the Hub states, its hash differs")
    assert _left(tmp_path) == []
    _works(pushed)


@pytest.mark.parametrize("fault", [{"status": 403}, {"status": 500}, {"cut_request": 2000}])
def test_an_upload_cut_half_way_leaves_the_branch_and_a_retry_works(hub, run_of, pushed, command, fault):
    repo = hub.repos["model", "alice/model"]
    head = repo.resolve("main")
    other = run_of("conditional")
    hub.fault(hub.upload, times=ALWAYS, **fault)
    _refused(command("push", str(other), "alice/model"), "alice/model cannot be pushed")
    assert repo.resolve("main") == head
    _works(pushed)
    hub.faults.clear()
    code, out, _ = command("push", str(other), "alice/model")
    assert code == 0 and out.splitlines()[0] == f"alice/model@{repo.resolve('main')}"
    _works(other)


def test_a_commit_that_fails_leaves_the_branch_and_a_retry_sends_no_weights_again(hub, run_of, command):
    run = run_of()
    hub.fault("POST .*/commit/", status=503, times=ALWAYS)
    _refused(command("push", str(run), "alice/model"), "alice/model cannot be pushed", "error 503")
    hub.faults.clear()
    mark = len(hub.log)
    assert command("push", str(run), "alice/model")[0] == 0
    assert hub.is_xet or not [line for line, *_ in hub.log[mark:] if line.startswith("PUT /upload/")]
    _works(run)


def test_a_push_without_rights_is_refused(hub, pushed, run_of, command, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_bob_secret")
    _refused(command("push", str(pushed), "alice/other"), "alice/other cannot be created", "your token may not")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    _refused(command("push", str(pushed), "alice/other"), "no valid token", "hf auth login")
    monkeypatch.delenv("HF_TOKEN")
    _refused(command("push", str(pushed), "alice/other"), "hf auth login")


def test_a_public_model_is_not_made_private_behind_its_readers(hub, pushed, command):
    _refused(command("push", str(pushed), "alice/model", "--private"), "exists and is public")


def test_debug_shows_the_traceback_but_no_token(hub, pushed, command, monkeypatch):
    hub.fault(".*", status=500, times=ALWAYS)
    code, out, err = command("--debug", "pull", "alice/model")
    assert code == 1 and "Traceback" in err and "HfHubHTTPError" in err
    assert "hf_alice" not in out + err
    monkeypatch.setenv("HF_TOKEN", "hf_with a space")
    code, out, err = command("--debug", "pull", "alice/model")
    assert code == 2 and "Traceback" in err and "a space" not in out + err


def test_tokens_are_cut_out_of_texts(client):
    assert redact("Illegal header value b'Bearer hf_alice_secret'") == "Illegal header value b'Bearer hf_***'"


def test_the_command_line_pushes_shows_and_finds_a_model(hub, run_of, command):
    run = run_of("conditional")
    code, out, err = command("push", str(run), "alice/model", "--tag", "v1")
    oid = out.split("@")[1].split("\n")[0]
    assert code == 0 and out == f"alice/model@{oid}\n{hub.url}/alice/model/tree/{oid}\n"
    assert "model.safetensors" in err, "no progress was shown"
    assert "nothing had changed" in command("push", str(run), "alice/model")[2]
    mark = len(hub.log)
    code, out, _ = command("show", "alice/model@v1")
    assert code == 0 and out.startswith(f"model alice/model@{oid}\n  generator: mlp") and "T-shirt" in out
    assert not [
        line for line, *_ in hub.log[mark:] if "/download/" in line or "/xorb/" in line or "safetensors" in line
    ]
    assert "alice/model" in command("search", "mod")[1]
    assert command("sample", "alice/model@v1", "-n", "4", "--label", "3", "--out", "four.png")[:2] == (0, "four.png\n")
    code, out, _ = command("push", "alice/model@v1", "alice/copy")
    assert code == 0 and "samples.png" in hub.repos["model", "alice/copy"].files(out.split("@")[1].split("\n")[0])
    assert "generator: mlp" in command("show", str(run))[1]


@pytest.mark.parametrize("hub", ["lfs"], indirect=True)
def test_the_documented_commands_run(hub, runs, command, tmp_path, monkeypatch):
    import shutil

    import ganzoo.export.page
    from ganzoo.export.page import runtime

    stand_in = runtime.Runtime({name: name.encode() for name in runtime._ALWAYS})  # npm's registry is not asked
    monkeypatch.setattr(ganzoo.export.page, "find_runtime", lambda *_: stand_in)

    text = (Path(__file__).parents[2] / "docs" / "hub.md").read_text()
    shutil.copytree(runs["pictures"], tmp_path / "runs" / "clothes")
    commands = [line for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    assert len(commands) == 8
    for line in commands:
        code, out, err = command(*shlex.split(line, comments=True)[1:])
        assert code == 0 and out, err
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(block, {})
    assert {path.name for path in (tmp_path / "clothes").iterdir()} >= {"README.md", "samples.png"}
    keys = re.findall(r"^\| `(\w+)`(?:, `(\w+)`)?", text.partition("## Files")[2], re.MULTILINE)
    config = json.loads((tmp_path / "clothes" / "config.json").read_text())
    stated = {key for pair in keys for key in pair if key}
    assert stated - {"parent"} == set(config)  # which is there only where there is one

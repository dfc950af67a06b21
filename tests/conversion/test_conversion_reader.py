"""Foreign checkpoints are read exactly, and hostile ones run, import and allocate nothing."""

from __future__ import annotations

import os
import pickle
import sys
import tracemalloc
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hostile_files
import numpy as np
import pytest
import torch

import ganzoo
from ganzoo.conversion.reading import parts
from ganzoo.conversion.reading.parts import Stub
from ganzoo.conversion.reading.reader import read_file

HOSTILE = hostile_files.made_by_hand()
_WATCHED = ("import", "exec", "compile", "os.", "subprocess.", "socket.", "ctypes.", "pickle.", "shutil.", "marshal.")
_seen: list[str] | None = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _seen is not None and event.startswith(_WATCHED):
        _seen.append(f"{event} {arguments!r:.100}")


sys.addaudithook(_hook)


@contextmanager
def watched() -> Iterator[list[str]]:
    """What is imported, compiled, run or started meanwhile."""
    global _seen
    _seen = events = []
    try:
        yield events
    finally:
        _seen = None


def outcome(read: Callable[[], Any]) -> str:
    """ "read", or the one line that says why not."""
    try:
        read()
    except ganzoo.ConversionError as error:
        return str(error)
    return "read"


@pytest.fixture(scope="module", autouse=True)
def codecs_are_imported(tmp_path_factory):
    """Python imports its codecs when they are first used."""
    path = tmp_path_factory.mktemp("warm") / "file"
    for data in hostile_files.honest().values():
        path.write_bytes(data)
        read_file(path)


def cost(path: Path) -> tuple[str, int, list[str]]:
    """The outcome of reading a file, the most memory it took, and what was run."""
    tracemalloc.start()
    try:
        with watched() as events:
            said = outcome(lambda: read_file(path))
        return said, tracemalloc.get_traced_memory()[1], events
    finally:
        tracemalloc.stop()


def test_there_are_enough_hostile_files():
    assert len(HOSTILE) >= 200


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_file_is_refused_in_one_line_without_running_anything(tmp_path, monkeypatch, what):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(parts, "MAX_STEPS", 80_000)  # a million would take seconds
    path = tmp_path / "file.pkl"
    path.write_bytes(HOSTILE[what])
    said, most, events = cost(path)
    assert said.startswith(f"{path} ") and said.isprintable() and len(said) < 700
    assert events == []
    assert os.listdir(tmp_path) == ["file.pkl"], "it did something"
    assert most < 2e6 + 6 * path.stat().st_size + 220 * 80_000 * ("millions" in what)


def test_what_is_refused_is_named(tmp_path):
    path = tmp_path / "file.pkl"
    path.write_bytes(HOSTILE["stack global posix system"])
    assert outcome(lambda: read_file(path)) == (
        f"{path} is not read: it asks for posix.system, which is not among what is read"
    )
    path.write_bytes(HOSTILE["ext1"])
    assert "the opcode EXT1 at byte 0" in outcome(lambda: read_file(path))
    path.write_bytes(HOSTILE["type 'O8'"])
    assert "an array of type 'O8'" in outcome(lambda: read_file(path))
    path.write_bytes(HOSTILE["legacy: storage longer than the file"])
    assert "4,398,046,511,104 bytes is longer than what is left of the file" in outcome(lambda: read_file(path))


def test_files_damaged_by_chance_are_read_or_refused_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    outcomes = set()
    for what, data in hostile_files.damaged(600):
        path.write_bytes(data)
        said, most, events = cost(path)
        assert events == [] and most < 4e6, (what, most, events)
        assert said == "read" or (said.startswith(f"{path} ") and said.isprintable()), what
        outcomes.add(said == "read")
    assert outcomes == {True, False}


@pytest.mark.parametrize("what", hostile_files.honest())
def test_honest_file_is_read_exactly(tmp_path, what):
    path = tmp_path / "file"
    path.write_bytes(hostile_files.honest()[what])
    found = read_file(path)
    if "torch" in what or "tensors" in what:
        wanted = torch.load(path, weights_only=True) if "torch" in what else pickle.loads(path.read_bytes())
    else:
        wanted = dict(np.load(path)) if "npz" in what else pickle.loads(path.read_bytes())
    same(found, wanted)


def same(found: Any, wanted: Any) -> None:
    if isinstance(wanted, dict):
        assert list(found) == list(wanted)
        for key, value in wanted.items():
            same(found[key], value)
    elif isinstance(wanted, torch.Tensor):
        assert found.shape == tuple(wanted.shape)
        plain = wanted.detach()
        expected = plain.float().numpy() if plain.dtype == torch.bfloat16 else plain.numpy()
        assert found.dtype == expected.dtype and np.array_equal(found, expected)
        assert not (found.size and found.flags.writeable)
    elif isinstance(wanted, np.ndarray):
        assert found.dtype == wanted.dtype.newbyteorder("=") and np.array_equal(found, wanted)
    else:
        assert found == wanted


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 3)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
def test_object_of_an_allowed_class_is_a_stub_with_its_state(tmp_path, zipped):
    path, net = tmp_path / "whole.pth", Net()
    torch.save(net, path, _use_new_zipfile_serialization=zipped)
    named = f"{Net.__module__}.Net"
    assert f"it asks for {named}," in outcome(lambda: read_file(path))
    found = read_file(path, [named])
    assert isinstance(found, Stub) and found.name == named
    layer = found.state["_modules"]["layer"]
    assert layer.name == "torch.nn.modules.linear.Linear"
    assert np.array_equal(layer.state["_parameters"]["weight"], net.layer.weight.detach().numpy())


def test_source_code_in_a_file_is_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program = "import os; os.mkdir('pwned')"
    path = tmp_path / "network.pkl"
    made = hostile_files.call("torch_utils.persistence _reconstruct_persistent_obj", hostile_files.text(program))
    path.write_bytes(made + b".")
    with watched() as events:
        found = read_file(path, ["torch_utils."])
    assert found.arguments == (program,) and events == [] and os.listdir(tmp_path) == ["network.pkl"]


def test_python_2_text_is_latin_1():
    data = b"\x80\x02}U\x04nam\xe9U\x01a" + b"s."
    assert ganzoo.read_pickle(data, "it") == {"namé": "a"}


def test_lists_that_hold_themselves_and_deep_ones_are_read():
    found = ganzoo.read_pickle(b"]q\x00h\x00a.", "it")
    assert found[0] is found
    found = ganzoo.read_pickle(b"]" * 50_000 + b"a" * 49_999 + b".", "it")
    for _ in range(49_999):
        (found,) = found
    assert found == []


def test_pairs_make_an_ordered_dictionary_in_old_protocols():
    content = OrderedDict([("b", 1), ("a", {3, 4})])
    found = ganzoo.read_pickle(pickle.dumps(content, 2), "it")
    assert list(found.items()) == [("b", 1), ("a", {3, 4})]


def test_bytes_after_a_pickle_are_refused():
    with pytest.raises(ganzoo.ConversionError, match="it is not read: 2 bytes follow its pickle"):
        ganzoo.read_pickle(pickle.dumps(1) + b"ab", "it")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.timeout(20)
def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "empty").touch()
    for name, reason in (("pipe", "no regular file"), ("device", "no regular file"), ("empty", "it is empty"),
                         ("missing", "No such file"), (".", "Is a directory")):  # fmt: skip
        assert reason in outcome(lambda name=name: read_file(tmp_path / name)), name


def test_the_reader_imports_no_torch():
    import subprocess

    program = "import ganzoo, sys; ganzoo.read_pickle(b'N.', 'it'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)

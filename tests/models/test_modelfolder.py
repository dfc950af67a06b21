"""Model folders: what is written loads again, and what is hostile is refused with a reason and touches nothing."""

from __future__ import annotations

import contextlib
import json
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import ganzoo
from ganzoo.errors import GanzooError, HubError, ModelError
from ganzoo.hub.pull import pull
from ganzoo.models.modelfolder import load_model
from ganzoo.models.publication import Reference

pytest_plugins = ["hub.fixtures"]

CPU = torch.device("cpu")


def _edit(**changes: Any):
    """Change keys of config.json; "a.b" is a key within a key."""

    def change(folder: Path) -> None:
        path = folder / "config.json"
        config = json.loads(path.read_text())
        for key, value in changes.items():
            *above, last = key.split("__")
            tree = config
            for name in above:
                tree = tree[name]
            tree[last] = value
        path.write_text(json.dumps(config))

    return change


def _rewrite(edit):
    """Change the bytes of config.json."""

    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_bytes(edit(path.read_bytes()))

    return change


def _tensors(edit):
    """Change the tensors of model.safetensors."""

    def change(folder: Path) -> None:
        path = folder / "model.safetensors"
        tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
        edit(tensors)
        save_file(tensors, path, metadata={"format": "pt"})

    return change


def _header(edit):
    """Change the text of the header of model.safetensors; its length is set to fit."""

    def change(folder: Path) -> None:
        path = folder / "model.safetensors"
        data = path.read_bytes()
        length = struct.unpack("<Q", data[:8])[0]
        header = edit(data[8 : 8 + length])
        path.write_bytes(struct.pack("<Q", len(header)) + header + data[8 + length :])

    return change


def _weights(edit):
    """Change the bytes of model.safetensors."""

    def change(folder: Path) -> None:
        path = folder / "model.safetensors"
        path.write_bytes(edit(path.read_bytes()))

    return change


class _Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def _only_a_pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(_Bomb()))


def _set_nan(tensors: dict[str, torch.Tensor]) -> None:
    tensors["layers.0.bias"][1] = float("nan")


def _widen(tensors: dict[str, torch.Tensor]) -> None:
    tensors["layers.0.bias"] = torch.zeros(9)


def _multiply(tensors: dict[str, torch.Tensor]) -> None:
    tensors.update({f"more.{number}": torch.zeros(1) for number in range(9000)})


def _deep_with_tensors_that_fit(folder: Path) -> None:
    _edit(options__widths=[1] * 50_000)(folder)
    _tensors(lambda tensors: tensors.update(weight=torch.zeros(1, 1), bias=torch.zeros(1)))(folder)


def _first_key_twice(header: bytes) -> bytes:
    tree = json.loads(header)
    name = next(name for name in tree if name != "__metadata__")
    return header.rstrip()[:-1] + b"," + json.dumps({name: tree[name]}).encode()[1:]


HOSTILE = {
    "pickle": (_only_a_pickle, r"only pytorch_model\.bin: pickled weights can run code and are never read"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), r"there is no model\.safetensors"),
    "unknown plugin": (
        _edit(generator="unheard-of", plugin__distribution="ganzoo-unheard", plugin__name="unheard"),
        "needs generator 'unheard-of', .* the model's author claims that the package ganzoo-unheard provides it",
    ),
    "shell in the install line": (_edit(plugin__distribution="x; rm -rf ~"), r"plugin\.distribution: .*not allowed"),
    "dotted import": (_edit(generator="os.system"), "generator: 'os.system' is not allowed: a plain name"),
    "import with colon": (_edit(generator="builtins:eval"), "'builtins:eval' is not allowed"),
    "path as generator": (_edit(generator="../../evil"), "'../../evil' is not allowed"),
    "unknown key": (_edit(trust_remote_code=True), "trust_remote_code: unexpected"),
    "unknown option": (_edit(options__command="rm"), "generator mlp has no option 'command'"),
    "wrong type": (_edit(classes="10"), "classes: input should be a valid integer"),
    "number as text": (_edit(options__latent="two"), "latent = 'two': input should be a valid integer"),
    "bool as number": (_edit(classes=True), "classes: input should be a valid integer"),
    "newer format": (_edit(format=2), "has format 2, this ganzoo reads up to 1: update ganzoo"),
    "format zero": (_edit(format=0), "format: input should be greater than or equal to 1"),
    "vast width": (
        _edit(options__widths=[10**9]),
        r"does not fit the network: layers\.0\.weight is \(8, 2\) F32, the network has \(1000000000, 2\)",
    ),
    "vaster width": (_edit(options__widths=[10**18]), "cannot be built as configured|does not fit"),
    "overflowing width": (_edit(options__widths=[2**40, 2**40]), "cannot be built as configured"),
    "vast depth": (_edit(options__widths=[1] * 50_000), r"parameters such as weight \(1, 1\), which fit no tensor in"),
    "vast depth that fits": (_deep_with_tensors_that_fit, "far more parts than the weights' file has tensors"),
    "tensors without end": (_tensors(_multiply), "it names 9004 tensors: more than 8192 are not read"),
    "negative width": (_edit(options__widths=[-8]), "cannot be built as configured"),
    "vast sample": (_edit(target__shape=[10**9]), r"target\.shape\.0: input should be less than"),
    "vast sample of many axes": (_edit(target__shape=[2**20, 2**20]), "more than 268435456 values"),
    "empty sample": (_edit(target__shape=[]), r"target\.shape: list should have at least 1"),
    "range upside down": (_edit(target__low=1.0, target__high=-1.0), r"target\.low 1.0 is not below target\.high"),
    "names without classes": (_edit(class_names=["a", "b"]), "class_names has 2 names for 0 classes"),
    "escape sequence": (_edit(training__device="\x1b]0;owned\x07"), r"training\.device.*: '\\x1b.* is not allowed"),
    "duplicate key": (
        _rewrite(lambda text: text.replace(b"{", b'{"generator": "dcgan", ', 1)),
        "generator stands twice",
    ),
    "NaN in config": (_rewrite(lambda text: text.replace(b'"low": null', b'"low": NaN')), "NaN is no JSON number"),
    "infinite number": (_rewrite(lambda text: text.replace(b'"low": null', b'"low": 1e999')), "1e999 is too large"),
    "not UTF-8": (_rewrite(lambda text: text.replace(b"mlp", b"ml\xff")), "is not UTF-8"),
    "truncated config": (_rewrite(lambda text: text[:200]), "is no valid JSON"),
    "empty config": (_rewrite(lambda text: b""), "is no valid JSON"),
    "list as config": (_rewrite(lambda text: b"[]"), "the whole: "),
    "deep config": (_rewrite(lambda text: b"[" * 100_000), "nested too deeply"),
    "vast config": (_rewrite(lambda text: text + b" " * 2**20), "more than the 1,048,576 bytes that are read"),
    "NaN weight": (_tensors(_set_nan), r"layers\.0\.bias has values that are not finite"),
    "wrong shape": (_tensors(_widen), r"layers\.0\.bias is \(9,\) F32, the network has \(8,\)"),
    "wrong dtype": (
        _tensors(lambda tensors: tensors.update({"layers.0.bias": torch.zeros(8, dtype=torch.int32)})),
        r"layers\.0\.bias is \(8,\) I32",
    ),
    "missing tensor": (_tensors(lambda tensors: tensors.pop("layers.0.bias")), r"it lacks layers\.0\.bias"),
    "extra tensor": (_tensors(lambda tensors: tensors.update(evil=torch.zeros(1))), "it has the unknown evil"),
    "truncated weights": (_weights(lambda data: data[:-4]), "its tensors take"),
    "trailing bytes": (_weights(lambda data: data + b"PK\x03\x04"), "its tensors take"),
    "truncated header": (_weights(lambda data: data[:40]), "is truncated"),
    "oversized header": (_weights(lambda data: struct.pack("<Q", 2**62) + data[8:]), "is truncated"),
    "empty weights": (_weights(lambda data: b""), "is truncated"),
    "duplicate tensor": (_header(_first_key_twice), "stands twice in one object"),
    "header is a list": (_header(lambda text: b"[]"), "it is no JSON object"),
    "huge shape": (_header(lambda text: text.replace(b"[8]", b"[9223372036854775808]")), "list of whole numbers"),
    "overlapping": (_header(lambda text: text.replace(b"[0,32]", b"[32,64]")), "begins at byte"),
    "odd dtype": (_header(lambda text: text.replace(b"F32", b"F99")), "has the type .F99."),
}

REMOTE = ["pickle", "unknown plugin", "dotted import", "unknown key", "vast width", "duplicate key", "NaN weight",
          "wrong shape", "truncated weights", "oversized header"]  # fmt: skip


@pytest.fixture
def folder(run_of) -> Path:
    return run_of("line") / "model"


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_folder_is_refused_with_a_reason(folder, what, tmp_path):
    change, reason = HOSTILE[what]
    change(folder)
    state = torch.random.get_rng_state()
    with pytest.raises(ModelError, match=reason) as caught:
        load_model(folder, CPU)
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value) and len(str(caught.value)) < 1000
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not list(tmp_path.rglob("exploded"))


@pytest.mark.parametrize("hub", ["lfs"], indirect=True)
def test_a_hostile_repository_is_refused_with_a_reason(hub, run_of, tmp_path):
    import shutil

    from huggingface_hub import HfApi

    api = HfApi(hub.url, "hf_alice_secret")
    good = run_of("line") / "model"
    for number, what in enumerate(REMOTE):
        change, reason = HOSTILE[what]
        bad = Path(shutil.copytree(good, tmp_path / f"bad{number}"))
        change(bad)
        api.create_repo(f"alice/bad{number}")
        api.upload_folder(repo_id=f"alice/bad{number}", folder_path=bad)
        before = set(tmp_path.iterdir())
        with pytest.raises(ModelError, match=reason):
            ganzoo.load(f"alice/bad{number}")
        with pytest.raises(ModelError, match=reason):
            pull(Reference(f"alice/bad{number}"), tmp_path / "pulled")
        assert set(tmp_path.iterdir()) - before <= {tmp_path / "cache"}, what
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.suffix == ".bin"], "a pickle was downloaded"


@pytest.mark.parametrize("hub", ["lfs"], indirect=True)
@pytest.mark.parametrize("name", ["../evil.txt", "run/../../evil.txt", "a\\b", "C:evil", ".git/hooks/evil"])
def test_a_file_name_that_leaves_its_folder_is_refused(hub, run_of, name, tmp_path):
    ganzoo.load(run_of("line")).push("alice/model")
    repo = hub.repos["model", "alice/model"]
    files = {path: entry.oid for path, entry in repo.files(repo.resolve("main")).items()}
    files[name] = repo.put("blob", b"evil")
    repo.set_ref("refs/heads/main", repo.put_commit(files, [repo.resolve("main")], "alice", "evil"))
    for use in (
        lambda: ganzoo.load("alice/model"),
        lambda: pull(Reference("alice/model")),
    ):
        with pytest.raises(HubError, match="which leaves its folder: refused"):
            use()
    assert not list(tmp_path.rglob("evil*"))


class _Allocations(TorchDispatchMode):
    """The largest tensor with memory that any operation returns."""

    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for one in tree_leaves(result):
            if isinstance(one, torch.Tensor) and not one.is_meta:
                self.largest = max(self.largest, one.numel() * one.element_size())
        return result


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
_SIZES = st.sampled_from([-1, 0, 1, 2, 8, 2**20, 2**31, 2**40, 2**62])
_LIKELY = {
    "widths": st.lists(_SIZES, max_size=4),
    "latent": _SIZES,
    "shape": st.lists(_SIZES, max_size=4),
    "classes": _SIZES,
    "generator": st.sampled_from(["dcgan", "dcgan-mnist", "mlp", "gaussian", "nothing"]),
}
"""What gets past the types, to the constructor."""


def _refused_or_loaded(folder: Path) -> None:
    """Nothing but `GanzooError`, and no tensor larger than the file."""
    limit = max((folder / "model.safetensors").stat().st_size, 4096)
    with _Allocations() as seen, contextlib.suppress(GanzooError):
        load_model(folder, CPU)
    assert seen.largest <= limit


_FUZZ = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@_FUZZ
@given(data=st.data())
def test_no_config_raises_anything_else_or_allocates_more_than_the_file(runs, tmp_path_factory, data):
    original = (runs["line"] / "model" / "config.json").read_bytes()
    config = json.loads(original)
    paths = [(key,) for key in config]
    paths += [(key, inner) for key in ("options", "target", "plugin") for inner in config[key]] + [("extra",)]
    paths += [path for path in paths if path[-1] in _LIKELY] * 4
    for path in data.draw(st.lists(st.sampled_from(paths), min_size=1, max_size=3)):
        tree = config
        for key in path[:-1]:
            tree = tree[key] if isinstance(tree, dict) and isinstance(tree.get(key), dict) else {}
        tree[path[-1]] = data.draw(_LIKELY.get(path[-1], _JSON))
    text = bytearray(json.dumps(config).encode())
    for _ in range(data.draw(st.sampled_from([0, 0, 0, 1, 2]))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    _refused_or_loaded(_with(runs, tmp_path_factory, config=bytes(text)))


@_FUZZ
@given(data=st.data())
def test_no_header_raises_anything_else_or_allocates_more_than_the_file(runs, tmp_path_factory, data):
    original = (runs["line"] / "model" / "model.safetensors").read_bytes()
    length = struct.unpack("<Q", original[:8])[0]
    header = json.loads(original[8 : 8 + length])
    for name in data.draw(st.lists(st.sampled_from([*header]), max_size=2)):
        if isinstance(header[name], dict) and "shape" in header[name]:
            header[name][data.draw(st.sampled_from(["dtype", "shape", "data_offsets", "more"]))] = data.draw(_JSON)
    text = bytearray(json.dumps(header).encode())
    for _ in range(data.draw(st.integers(0, 3))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    claimed = data.draw(st.just(len(text)) | st.integers(0, 2**64 - 1))
    body = original[8 + length :][: data.draw(st.integers(0, 10**6))]
    _refused_or_loaded(_with(runs, tmp_path_factory, weights=struct.pack("<Q", claimed) + bytes(text) + body))


def _with(runs, tmp_path_factory, config: bytes | None = None, weights: bytes | None = None) -> Path:
    """A model folder in memory-like storage, with one file replaced."""
    source, folder = runs["line"] / "model", tmp_path_factory.getbasetemp() / "fuzzed"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_bytes(config or (source / "config.json").read_bytes())
    (folder / "model.safetensors").write_bytes(weights or (source / "model.safetensors").read_bytes())
    return folder


def test_the_allocation_check_sees_an_allocation():
    with _Allocations() as seen:
        torch.zeros(1000)
        torch.zeros(10**9, device="meta")
    assert seen.largest == 4000


class _Odd(nn.Module):
    """Keeps what no state_dict holds: a buffer that is not saved and a plain tensor."""

    def __init__(self, source, target, classes):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))
        self.register_buffer("table", torch.arange(3.0), persistent=False)
        self.plain = torch.full((3,), 2.0)


def test_what_is_not_saved_gets_its_values_from_the_constructor(folder):
    from ganzoo.models.blueprint import blueprint, left_on_meta

    network = blueprint(lambda: _Odd(None, None, 0), [(3,)], "here")
    network.load_state_dict({"weight": torch.ones(3)}, assign=True)
    assert left_on_meta(network)

    class _Components:
        def load(self, kind, name):
            return _Odd

    _edit(options={})(folder)
    save_file({"weight": torch.tensor([5.0, 6.0, 7.0])}, folder / "model.safetensors", metadata={"format": "pt"})
    loaded = load_model(folder, CPU, _Components()).generator
    assert (
        loaded.weight.tolist() == [5, 6, 7]
        and loaded.table.tolist() == [0, 1, 2]
        and loaded.plain.tolist() == [2, 2, 2]
    )


def test_a_load_leaves_the_random_generators_alone(folder):
    state = torch.random.get_rng_state()
    load_model(folder, CPU)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_folder_is_complete_at_the_end_of_training(runs):
    names = sorted(path.name for path in (runs["pictures"] / "model").iterdir())
    assert names == ["README.md", "config.json", "discriminator.safetensors", "model.safetensors", "samples.png"]

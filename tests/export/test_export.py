"""Export: the file gives torch's samples, says what it is, and is not written otherwise."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from test_docs import blocks
from test_product import narrow
from torch import Tensor, nn

import ganzoo
from ganzoo import cli
from ganzoo.export import comparison, draws, export, program, writing
from ganzoo.models.config import Config, LicenceConfig, PluginConfig, SampleConfig, TranslationConfig
from ganzoo.models.sampling import generate
from ganzoo.registry.registry import registry

ROOT = Path(__file__).parents[2]
PICTURE = ganzoo.Sample((3, 16, 16))
VALUES = ganzoo.Sample((1,), -float("inf"), float("inf"))


@pytest.fixture
def call(capsys):
    """A function that runs the command line in this process: (exit code, stdout, stderr)."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main([str(one) for one in arguments])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> dict[str, Path]:
    """Run folders by what their models are."""
    root = tmp_path_factory.mktemp("trained")
    for side, mode in (("a", "RGB"), ("b", "L")):
        (root / side).mkdir()
        for number in range(4):
            Image.effect_noise((20, 20), 60 + number).convert(mode).save(root / side / f"{number}.png")

    def train(name: str, recipe: str, settings: dict[str, Any], **options: Any) -> Path:
        few = {"images": 32, "batch": 8, "device": "cpu", "progress": False}
        return ganzoo.train(recipe, set=settings, out=root / name, **{**few, **options}).folder

    labelled = {"generator.width": 2, "discriminator.width": 2, "generator.conditional": True, "data.size": 28}
    narrow_dcgan = {"generator.width": 4, "discriminator.width": 4}
    translator = {"data.size": 16, "generator.width": 4, "generator.blocks": 1, "discriminator.width": 4,
                  "discriminator.layers": 1, "loss.identity": 0, "optimizer.decay_start_images": 2}  # fmt: skip
    style = {"generator.latent": 8, "generator.style": 8, "generator.channel_base": 128, "generator.channel_max": 8,
             "discriminator.channel_base": 128, "discriminator.channel_max": 8, "data.size": 8}  # fmt: skip
    return {
        "latents": train("latents", "dcgan", narrow_dcgan),
        "labels": train("labels", "sngan-mini", labelled),
        "translator": train("translator", "cyclegan", translator, data=f"pair:{root}/a:{root}/b", images=8, batch=2),
        "styles": train("styles", "stylegan2-mini", style),
    }  # fmt: skip


@pytest.fixture(scope="module")
def files(trained, tmp_path_factory) -> dict[str, Path]:
    """The same models as files."""
    folder = tmp_path_factory.mktemp("files")
    for name, run in trained.items():
        export(ganzoo.load(run), folder / f"{name}.onnx", name)
    return {name: folder / f"{name}.onnx" for name in trained}


def by_file(path: Path, *given: Tensor) -> Tensor:
    """What onnxruntime makes of the inputs, which are in the file's order."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    named = {one.name: tensor.numpy() for one, tensor in zip(session.get_inputs(), given, strict=True)}
    return torch.from_numpy(session.run(["sample"], named)[0])


def facts(path: Path) -> dict[str, str]:
    return onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map


def by_torch(generator: Any, source: Tensor, label: Tensor | None = None, truncation: float | None = None) -> Tensor:
    label = torch.zeros(len(source), dtype=torch.int64) if label is None else label
    with torch.inference_mode():
        return generate(generator, source, label, truncation)


def same(found: Tensor, wanted: Tensor) -> bool:
    """Equal to rounding, and samples that differ from each other, so that the equality says something."""
    assert wanted.std() > 1e-3
    return found.shape == wanted.shape and torch.allclose(found, wanted, rtol=0, atol=2e-5)


@pytest.mark.parametrize("n", [1, 3])
def test_a_file_gives_the_samples_of_an_unlabelled_model(files, trained, n):
    latent = torch.rand(n, 100) * 2 - 1
    assert same(by_file(files["latents"], latent), by_torch(ganzoo.load(trained["latents"]).generator, latent))


@pytest.mark.parametrize("label", [[7], [0, 9, 4]])
def test_a_file_gives_the_samples_of_a_labelled_model(files, trained, label):
    labels, latent = torch.tensor(label), torch.randn(len(label), 128)
    wanted = by_torch(ganzoo.load(trained["labels"]).generator, latent, labels)
    assert same(by_file(files["labels"], latent, labels), wanted)


def test_the_label_picks_the_class(files):
    latent = torch.randn(1, 128).expand(2, -1).contiguous()
    first, second = by_file(files["labels"], latent, torch.tensor([0, 5]))
    assert (first - second).abs().max() > 1e-5


@pytest.mark.parametrize(("options", "fields"), [([], ("a", "b")), (["--to", "a"], ("b", "a"))])
def test_a_file_translates_in_the_direction_asked_for(call, trained, options, fields):
    assert call("export", trained["translator"], "one.onnx", *options)[0] == 0
    model = ganzoo.load(trained["translator"])
    for n in (1, 3):
        source = torch.rand(n, *model.direction(fields[1]).reads.shape) * 2 - 1
        assert same(by_file(Path("one.onnx"), source), by_torch(model.translators[fields], source))
    told = facts(Path("one.onnx"))
    assert (told["source_field"], told["sample_field"]) == fields
    assert json.loads(told["source_shape"]) == list(source.shape[1:]) and "latent_shape" not in told


@pytest.mark.parametrize("n", [1, 3])
def test_a_file_has_the_noise_of_the_generator(files, trained, n):
    generator: Any = ganzoo.load(trained["styles"]).generator
    assert any(value.abs().item() > 0 for name, value in generator.named_parameters() if "noise_strength" in name)
    latent = torch.randn(n, 8)
    assert same(by_file(files["styles"], latent), by_torch(generator, latent))
    # it is fixed, so that a latent means one sample
    assert facts(files["styles"])["random"] == "false" and "truncation" not in facts(files["styles"])


def test_truncation_is_that_of_the_generator(call, trained):
    assert call("export", trained["styles"], "one.onnx", "--truncation", 0.5)[0] == 0
    generator, latent = ganzoo.load(trained["styles"]).generator, torch.randn(3, 8)
    assert same(by_file(Path("one.onnx"), latent), by_torch(generator, latent, truncation=0.5))
    assert facts(Path("one.onnx"))["truncation"] == "0.5"


def model_of(
    generator: nn.Module, target: ganzoo.Sample = PICTURE, source: ganzoo.Sample | None = None, classes: int = 0
) -> ganzoo.Model:
    """A model that was not trained."""
    reads, makes = (None if one is None else SampleConfig(**one.to_dict()) for one in (source, target))
    translations = [TranslationConfig("G", "a", "b", reads, makes)] if source else []
    network = nn.ModuleDict({"G": generator}) if source else generator
    config = Config(
        1, "tried", {}, reads, makes, classes, [f"class {i}" for i in range(classes)],
        PluginConfig("trials", "ganzoo-trials", "1.5"), {}, {"images": 7},
        licence=LicenceConfig("apache-2.0", "mit", "Somebody"), translations=translations,
    )  # fmt: skip
    return ganzoo.Model(network.eval().requires_grad_(False), config, Path())


def built(name: str, conditional: bool) -> ganzoo.Model | None:
    """A small generator of the name on the first data that it takes; None if it knows no labels."""
    cls: Any = registry().load("generator", name)
    options = dict(narrow()["generator"].get(name, {}))
    if conditional:
        options["conditional"] = True
    for source, target in (
        (None, PICTURE),
        (PICTURE, ganzoo.Sample((1, 16, 16), 0, 1)),
        (None, VALUES),
        (None, ganzoo.Sample((3, 32, 32))),
    ):
        try:
            network = cls(source, target, 5 if conditional else 0, **options)
            if name == "stylegan":  # a map of ones has no variance, and what is divided by that is rounding
                nn.init.normal_(network.constant)
            return model_of(network, target, source, 5 * conditional)
        except ganzoo.Incompatible:
            continue
        except TypeError:
            return None
    raise AssertionError(f"{name} takes none of the data")


_SLOW = [pytest.mark.slow]  # over a minute each


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=_SLOW if "biggan" in one else []) for one in registry().names("generator")]
)
def test_every_bundled_generator_can_be_exported(name, tmp_path):
    models = [model for model in (built(name, False), built(name, True)) if model]
    for model in models:
        exported = export(model, tmp_path / "one.onnx", name)
        assert exported.difference is not None
        assert [port.name for port in exported.inputs][1:] == (["label"] if model.config.classes else [])
        assert all(port.shape[0] == "batch" for port in (*exported.inputs, *exported.outputs))
        assert exported.outputs[0].shape[1:] == model.target.shape


class Tried(ganzoo.Generator):
    """Does what a test asks for behind a linear layer."""

    def __init__(self, act: Any, classes: int = 0) -> None:
        super().__init__()
        self.layer, self.act, self.conditional = nn.Linear(4, PICTURE.size), act, classes > 0

    def sample_latent(self, n: int, device: torch.device) -> Tensor:
        return torch.randn(n, 4, device=device)

    def forward(self, source: Tensor, label: Tensor) -> Tensor:
        return torch.tanh(self.act(self.layer(source).unflatten(1, PICTURE.shape), label))


def with_noise(x: Tensor, label: Tensor) -> Tensor:
    return x + 0.3 * torch.randn(x.shape[0], 1, 16, 16) + 0.2 * torch.rand_like(x) * torch.randn_like(x)


def test_random_numbers_are_followed_and_stated(tmp_path):
    exported = export(model_of(Tried(with_noise)), tmp_path / "one.onnx", "noisy")
    assert exported.difference < 1e-5 and exported.metadata["random"] == "true"
    session = onnxruntime.InferenceSession(tmp_path / "one.onnx")
    first, second = (torch.from_numpy(session.run(None, {"latent": torch.zeros(2, 4).numpy()})[0]) for _ in range(2))
    assert not torch.allclose(first, second, atol=0.1) and not torch.allclose(first[0], first[1], atol=0.1)


DRAWING = {
    "dropout": lambda x, label: torch.dropout(x, 0.3, True),
    "dropout twice": lambda x, label: torch.dropout(torch.dropout(x, 0.5, True) + 1, 0.1, True),
    "channels dropped": lambda x, label: nn.functional.dropout2d(x.repeat(1, 4, 1, 1), 0.5, True).mean(1, keepdim=True),
    "exponential": lambda x, label: x * torch.empty_like(x).exponential_(2.0),
    "gumbel": lambda x, label: nn.functional.gumbel_softmax(3 * x.flatten(1), 0.7).view_as(x) * 20,
    "one of several": lambda x, label: nn.functional.gumbel_softmax(x, hard=True, dim=3) + 0.1 * torch.rand_like(x),
    "coins": lambda x, label: torch.bernoulli(torch.full_like(x, 0.25)) * x,
}


@pytest.mark.parametrize("act", DRAWING.values(), ids=DRAWING)
def test_what_is_drawn_while_sampling_is_followed(act, tmp_path):
    exported = export(model_of(Tried(act)), tmp_path / "one.onnx", "drawing")
    assert exported.difference < 1e-5 and exported.metadata["random"] == "true"
    session = onnxruntime.InferenceSession(tmp_path / "one.onnx")
    first, second = (session.run(None, {"latent": torch.ones(2, 4).numpy()})[0] for _ in range(2))
    assert abs(first - second).max() > 0.05


def test_a_batch_that_python_counts_stays_open(tmp_path):
    exported = export(
        model_of(Tried(lambda x, label: x + torch.zeros(len(x), *PICTURE.shape))), tmp_path / "one.onnx", "x"
    )
    assert exported.outputs[0].shape == ("batch", *PICTURE.shape)


REFUSED = {
    "an operation that ONNX lacks": (lambda x, label: torch.linalg.svd(x)[0], "No ONNX function found for"),
    "one batch size": (lambda x, label: x + torch.zeros(2, *PICTURE.shape), "tied to one batch size"),
    "Python's choice": (lambda x, label: x if x.sum() > 0 else -x, "data-dependent"),
    "whole random numbers": (lambda x, label: x * torch.randint(1, 3, (x.shape[0], 1, 1, 1)), "cannot be followed"),
    "infinity": (lambda x, label: x / x.new_zeros(()) - x / x.new_zeros(()), "not finite"),
}


@pytest.mark.parametrize(("act", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_exported_is_refused_in_one_line_and_leaves_nothing(act, reason, tmp_path, capfd):
    with pytest.raises(ganzoo.ModelError, match=reason) as refusal:
        export(model_of(Tried(act)), tmp_path / "one.onnx", "tried")
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 400
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def spoil(monkeypatch, change) -> None:
    """Change what torch exports before it is looked at."""

    def spoilt(*arguments: Any) -> Any:
        proto = program.translate(*arguments)
        change(proto)
        return proto

    monkeypatch.setattr(writing, "translate", spoilt)


def _other_weights(proto: Any) -> None:
    (bias,) = (one for one in proto.graph.initializer if one.name.endswith("layer.bias"))
    numbers = onnx.numpy_helper.to_array(bias) + 0.05
    bias.CopyFrom(onnx.numpy_helper.from_array(numbers, bias.name))


def _another_function(proto: Any) -> None:
    (node,) = (one for one in proto.graph.node if one.op_type == "Tanh")
    node.op_type = "Sin"


def _a_fixed_batch(proto: Any) -> None:
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2


def _an_unknown_operation(proto: Any) -> None:
    proto.graph.node[0].op_type = "Abracadabra"


SPOILT = [
    (_other_weights, "does not give torch's samples: in a batch of 1"),
    (_another_function, "does not give torch's samples"),
    (_a_fixed_batch, "onnxruntime cannot run the exported file"),
    (_an_unknown_operation, "no valid ONNX"),
]


@pytest.mark.parametrize("act", [lambda x, label: x, with_noise], ids=["plain", "noisy"])
@pytest.mark.parametrize(("change", "reason"), SPOILT)
def test_a_file_that_differs_is_refused_and_the_one_before_stays(change, reason, act, tmp_path, monkeypatch):
    (tmp_path / "one.onnx").write_bytes(b"before")
    spoil(monkeypatch, change)
    with pytest.raises(ganzoo.ModelError, match=reason) as refusal:
        export(model_of(Tried(act)), tmp_path / "one.onnx", "tried")
    assert "\n" not in str(refusal.value)
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("one.onnx", b"before")]


def test_a_write_that_fails_leaves_the_file_before(call, trained, monkeypatch):
    Path("one.onnx").write_bytes(b"before")

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("ganzoo.files.flush", full)
    code, out, err = call("export", trained["latents"], "one.onnx")
    assert (code, out) == (1, "") and "No space left on device" in err
    assert [(one.name, one.read_bytes()) for one in Path().iterdir()] == [("one.onnx", b"before")]


def test_a_single_value_near_zero_is_no_reason_to_refuse(tmp_path):
    """A batch of one value spans nothing: what may differ is judged by all samples that were tried."""
    allowed = comparison._allowed([torch.zeros(1, 1), torch.tensor([[1.0], [-1.0], [0.5]])], VALUES)
    assert allowed == pytest.approx(2e-3 + 1e-6)
    assert comparison._allowed([torch.zeros(1, 1)], ganzoo.Sample((1,), 0, 255)) == pytest.approx(255e-6)


USAGE = {
    "suffix": (["{latents}", "one.pt"], 2, "one.pt: an exported model is one file, whose name ends in .onnx"),
    "folder": (["{latents}", "folder.onnx"], 2, "folder.onnx is a folder: name the file to write"),
    "no folder": (["{latents}", "nowhere/one.onnx"], 2, "nowhere/one.onnx: there is no folder nowhere"),
    "no model": (["nothing", "one.onnx"], 1, "there is no model 'nothing': give a run folder"),
    "direction": (["{latents}", "one.onnx", "--to", "b"], 2, "--to is for models that translate"),
    "field": (["{translator}", "one.onnx", "--to", "c"], 1, "this model does not translate to 'c': it makes b and a"),
    "truncation": (["{translator}", "one.onnx", "--truncation", "0.5"], 2, "--truncation is for models with latents"),
}


@pytest.mark.parametrize(("words", "code", "text"), USAGE.values(), ids=USAGE)
def test_a_wrong_request_is_told_in_one_line(call, trained, words, code, text):
    Path("folder.onnx").mkdir()
    ended, out, err = call("export", *(word.format(**trained) for word in words))
    assert (ended, out) == (code, "") and len(err.splitlines()) == 1 and text in err
    assert [one.name for one in Path().iterdir()] == ["folder.onnx"]


@pytest.mark.parametrize("module", ["onnx", "onnxscript"])
def test_without_the_extra_the_answer_is_what_to_install(call, trained, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    code, out, err = call("export", trained["latents"], "one.onnx")
    assert (code, out) == (2, "")
    assert err == "Error: exporting needs onnx and onnxscript: pip install onnx onnxscript\n"


def test_without_onnxruntime_the_file_is_written_with_a_warning(trained, monkeypatch, caplog, tmp_path):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    exported = export(ganzoo.load(trained["latents"]), tmp_path / "one.onnx", "clothes")
    assert exported.difference is None and "not compared with torch's samples" in caplog.text
    onnx.checker.check_model(str(tmp_path / "one.onnx"))


def test_weights_that_no_file_can_hold_are_refused(trained, monkeypatch, tmp_path):
    monkeypatch.setattr(program, "MOST_BYTES", 1000)
    with pytest.raises(ganzoo.ModelError, match=r"generator dcgan of plugin dcgan has .* GiB of weights"):
        export(ganzoo.load(trained["latents"]), tmp_path / "one.onnx", "clothes")


def test_the_command_prints_path_inputs_and_outputs(call, trained, caplog):
    caplog.set_level(logging.INFO, "ganzoo")
    code, out, _ = call("export", trained["labels"], "one.onnx")
    assert code == 0 and out.splitlines() == [
        "one.onnx",
        "input   latent  float32 (batch, 128)",
        "input   label   int64 (batch)",
        "output  sample  float32 (batch, 1, 28, 28)",
    ]
    assert "gives torch's samples in batches of 1 and 3" in caplog.text


def test_json_says_the_same_and_what_is_in_the_file(call, trained):
    code, out, _ = call("export", trained["latents"], "one.onnx", "--json")
    told = json.loads(out)
    assert code == 0 and told["path"] == "one.onnx" and told["opset"] >= 18 and told["difference"] < 1e-3
    assert told["inputs"] == [{"name": "latent", "type": "float32", "shape": ["batch", 100]}]
    assert told["outputs"] == [{"name": "sample", "type": "float32", "shape": ["batch", 1, 28, 28]}]
    assert told["metadata"] == facts(Path("one.onnx"))
    assert told["metadata"]["name"] == "latents"  # where it lies on this machine is nobody's business
    assert told["metadata"]["latent_distribution"] == '{"name": "uniform", "low": -1.0, "high": 1.0}'


def test_the_file_says_what_it_is(files, trained):
    model = ganzoo.load(trained["labels"])
    assert facts(files["labels"]) == {
        "name": "labels",
        "generator": "sngan",
        "plugin": model.config.plugin.distribution,
        "plugin_version": model.config.plugin.version,
        "ganzoo": ganzoo.__version__,
        "sample_shape": "[1, 28, 28]",
        "sample_range": "[-1.0, 1.0]",
        "latent_shape": "[128]",
        "latent_distribution": '{"name": "normal", "mean": 0.0, "deviation": 1.0}',
        "classes": "10",
        "class_names": json.dumps(model.config.class_names),
        "random": "false",
        "training_images": "32",
        "data_licence": "MIT",
    }
    assert "Sneaker" in facts(files["labels"])["class_names"]


def test_samples_keep_to_the_range_in_every_program(tmp_path):
    """onnxruntime's tanh may give 1.0000001."""
    export(model_of(Tried(lambda x, label: x * 20)), tmp_path / "one.onnx", "tried")
    sample = by_file(tmp_path / "one.onnx", torch.randn(64, 4))
    assert (sample.min(), sample.max()) == (-1, 1)


def test_a_generator_that_leaves_its_range_is_not_cut_to_it(tmp_path):
    with pytest.raises(ganzoo.ModelError, match="does not give torch's samples"):
        export(model_of(Tried(lambda x, label: x), ganzoo.Sample(PICTURE.shape, 0, 1)), tmp_path / "one.onnx", "tried")


def test_licences_and_open_ranges_are_stated(tmp_path):
    unbounded = ganzoo.Sample(PICTURE.shape, 0, float("inf"))
    told = export(model_of(Tried(lambda x, label: x), unbounded), tmp_path / "one.onnx", "tried").metadata
    assert told["sample_range"] == "[0.0, null]" and "classes" not in told
    assert (told["licence"], told["data_licence"], told["data_credit"]) == ("apache-2.0", "mit", "Somebody")
    assert (told["plugin"], told["plugin_version"], told["training_images"]) == ("ganzoo-trials", "1.5", "7")


@pytest.mark.parametrize("name", ["latents", "styles"])
def test_a_file_holds_no_source_code_and_no_path(files, name):
    data = files[name].read_bytes()
    assert [
        word for word in (str(ROOT).encode(), sys.prefix.encode(), b".py", b"line ", b"File ") if word in data
    ] == []


def test_the_same_model_gives_the_same_file(files, trained, tmp_path):
    export(ganzoo.load(trained["latents"]), tmp_path / "again.onnx", "latents")
    assert (tmp_path / "again.onnx").read_bytes() == files["latents"].read_bytes()


class Latents(nn.Module):
    def __init__(self, draw: Any) -> None:
        super().__init__()
        self.draw = draw

    def sample_latent(self, n: int, device: torch.device) -> Tensor:
        return self.draw(n)


@pytest.mark.parametrize(
    ("draw", "wanted"),
    [
        (lambda n: torch.randn(n, 4), {"name": "normal", "mean": 0.0, "deviation": 1.0}),
        (lambda n: 3 - 2 * torch.randn(n, 2, 2), {"name": "normal", "mean": 3.0, "deviation": 2.0}),
        (lambda n: torch.empty(n, 4).normal_(1, 0.5), {"name": "normal", "mean": 1.0, "deviation": 0.5}),
        (lambda n: torch.rand(n, 1), {"name": "uniform", "low": 0.0, "high": 1.0}),
        (lambda n: torch.rand(n, 4) * 2 - 1, {"name": "uniform", "low": -1.0, "high": 1.0}),
        (lambda n: torch.empty(n, 4).uniform_(2, 5), {"name": "uniform", "low": 2.0, "high": 5.0}),
    ],
)
def test_the_latents_distribution_is_found(draw, wanted):
    found = draws.distribution(Latents(draw))
    assert found.pop("name") == wanted.pop("name") and found == pytest.approx(wanted, abs=2e-3)


@pytest.mark.parametrize(
    "draw",
    [
        lambda n: torch.nn.functional.normalize(torch.randn(n, 4), dim=1),
        lambda n: torch.randn(n, 4).clamp(-1, 1),
        lambda n: torch.randn(n, 4) + torch.rand(n, 4),
        lambda n: torch.normal(torch.arange(4.0).expand(n, 4), 1.0),
        lambda n: torch.bernoulli(torch.full((n, 4), 0.5)),
    ],
)
def test_latents_of_another_distribution_are_described(draw):
    found = draws.distribution(Latents(draw))
    assert found["name"] == "other" and found["low"] < found["mean"] < found["high"] and found["deviation"] > 0


def test_exporting_disturbs_no_random_numbers_and_no_logging(trained, tmp_path):
    model = ganzoo.load(trained["latents"])
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    export(model, tmp_path / "one.onnx", "clothes")
    assert torch.equal(torch.rand(3), wanted) and logging.root.manager.disable == 0


def test_help_imports_no_torch():
    script = "import sys; from ganzoo import cli\ntry: cli.main(['export', '--help'])\nexcept SystemExit: pass\n"
    script += "assert not {'torch', 'onnx', 'onnxscript'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.count("  ganzoo export ") == 2, done.stderr


def test_the_documented_program_needs_neither_ganzoo_nor_torch(call, trained):
    (code,) = blocks(ROOT / "docs" / "onnx.md", "python")
    assert call("export", trained["latents"], "clothes.onnx")[0] == 0
    code += "\nimport sys\nassert not {'torch', 'ganzoo'} & set(sys.modules)\nprint(pixels.shape, pixels.std() > 0)\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "(16, 1, 28, 28) True\n", done.stderr

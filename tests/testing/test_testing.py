"""The conformance suite finds each way of breaking a promise, and says how to mend it."""

from __future__ import annotations

import importlib
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from environments import ROOT

import ganzoo
from ganzoo.testing import Case, ConformanceError, Failure, NotChecked, cases, check_plugin

HEAD = '''
"""Parts."""

import math
import random
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

import ganzoo


class G(ganzoo.Generator):
    """A generator.

    latent: length of z.
    """

    def __init__(self, source: ganzoo.Sample | None, target: ganzoo.Sample, classes: int, latent: int = 4) -> None:
        super().__init__()
        self.target, self.latent = target, latent
        self.layer = nn.Linear(latent if source is None else source.size, target.size)

    def sample_latent(self, n, device):
        return torch.randn(n, self.latent, device=device)

    def forward(self, source, label):
        sample = self.layer(source.flatten(1)).unflatten(1, self.target.shape)
        return torch.tanh(sample) * self.scale() + self.middle() if self.target.bounded else sample

    def scale(self):
        return (self.target.high - self.target.low) / 2

    def middle(self):
        return (self.target.high + self.target.low) / 2


class D(ganzoo.Discriminator):
    """A discriminator."""

    def __init__(self, source: ganzoo.Sample | None, target: ganzoo.Sample, classes: int) -> None:
        super().__init__()
        self.layer = nn.Linear(target.size, 1)

    def forward(self, sample, label):
        return self.layer(sample.flatten(1)).flatten()


class L(ganzoo.AdversarialLoss):
    """A loss."""

    def __init__(self) -> None:
        super().__init__()

    def discriminator(self, real, fake):
        return fake.mean() - real.mean()

    def generator(self, fake, real):
        return -fake.mean()


class P(ganzoo.Penalty):
    """A penalty."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, turn):
        return turn.logits(turn.real).square().mean()


class A(ganzoo.Augmentation):
    """An augmentation."""

    def __init__(self, target: ganzoo.Sample) -> None:
        super().__init__()

    def forward(self, sample):
        return sample + torch.randn_like(sample)


class T(ganzoo.Dataset):
    """A data set."""

    def __init__(self) -> None:
        pass

    @property
    def spec(self):
        return ganzoo.DataSpec({"value": ganzoo.Sample((2,), -math.inf, math.inf)}, 2)

    def load(self):
        torch.Generator().manual_seed(0)
        values = torch.arange(24.0).reshape(12, 2)
        return ganzoo.Table({"value": values}, torch.arange(12) % 2)


class C(ganzoo.Callback):
    """A callback."""

    def __init__(self) -> None:
        self.rows = 0

    def on_log(self, run, values):
        self.rows += 1

    def state_dict(self):
        return {"rows": self.rows}

    def load_state_dict(self, state):
        self.rows = state["rows"]


class F(ganzoo.FeatureExtractor):
    """Features."""

    def __init__(self) -> None:
        super().__init__()
        self.dimensions = 3

    def forward(self, image):
        return image.float().mean((2, 3))


class O(torch.optim.Optimizer):
    """An optimiser.

    lr: step size.  decay: of the mean.
    """

    def __init__(self, parameters: Any, lr: float = 0.01, decay: float = 0.5) -> None:
        super().__init__(parameters, {"lr": lr, "decay": decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self.move(group, parameter)

    def move(self, group, parameter):
        mean = self.state[parameter].setdefault("mean", torch.zeros_like(parameter))
        parameter.sub_(group["lr"] * mean.lerp_(parameter.grad, 1 - group["decay"]))
'''
INIT = '''
"""A plugin."""

import ganzoo
{extra}

@ganzoo.hookimpl
def ganzoo_components():
    return [ganzoo.Component("{kind}", "{name}", "{package}.parts:{cls}", "summary")]
'''
CLASSES = {"generator": "G", "discriminator": "D", "loss": "L", "penalty": "P", "augmentation": "A", "dataset": "T",
           "optimizer": "O", "callback": "C", "features": "F"}  # fmt: skip


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A function that writes a plugin of one kind, with a class that overrides parts of a good one."""
    monkeypatch.syspath_prepend(tmp_path)
    written = []

    def write(kind: str, body: str = "", extra: str = "", name: str = "subject") -> str:
        package = f"written_{len(written)}_{kind}"
        (tmp_path / package).mkdir()
        init = INIT.format(kind=kind, name=name, package=package, cls="Subject" if body else CLASSES[kind], extra=extra)
        (tmp_path / package / "__init__.py").write_text(init.lstrip())
        text = HEAD.lstrip()
        if body:
            head = (
                ""
                if body.lstrip().startswith("class ")
                else f'class Subject({CLASSES[kind]}):\n    """Under test."""\n\n'
            )
            text += "\n\n" + head + textwrap.indent(textwrap.dedent(body), "    " if head else "")
        (tmp_path / package / "parts.py").write_text(text)
        importlib.invalidate_caches()
        written.append(package)
        return package

    yield write
    for name in [name for name in sys.modules if name.split(".")[0] in written]:
        del sys.modules[name]


def failures(package: str, only: str = "") -> dict[str, Failure]:
    found = {}
    for case in cases(package):
        if only in case.name:
            try:
                case()
            except Failure as failure:
                found[case.name.rpartition(": ")[2]] = failure
    return found


@pytest.mark.parametrize("kind", CLASSES)
def test_a_good_part_passes(plugin, kind):
    check_plugin(plugin(kind))


BROKEN = {
    "wrong shape": ("generator", "specs", "build it from `target`",
        "def forward(self, source, label): return super().forward(source, label)[..., :-1]"),
    "out of range": ("generator", "specs", "scale a tanh",
        "def forward(self, source, label): return 3 + super().forward(source, label)"),
    "not finite": ("generator", "specs", "first layers",
        "def forward(self, source, label): return super().forward(source, label) / 0"),
    "another type": ("generator", "specs", "dtype of the weights",
        "def forward(self, source, label): return super().forward(source, label).double()"),
    "one batch size": ("generator", "specs", "batch of any size",
        "def forward(self, source, label): return super().forward(source, label.view(3))"),
    "refuses all": ("generator", "specs", "refuse less", """
        def __init__(self, source: ganzoo.Sample | None, target: ganzoo.Sample, classes: int, latent: int = 4) -> None:
            raise ganzoo.Incompatible("never")"""),
    "refuses badly": ("generator", "specs", "raise ganzoo.Incompatible", """
        def __init__(self, source: ganzoo.Sample | None, target: ganzoo.Sample, classes: int, latent: int = 4) -> None:
            assert len(target.shape) == 3
            super().__init__(source, target, classes)"""),
    "refuses labels": ("generator", "labels", "ignore the label", """
        def __init__(self, source: ganzoo.Sample | None, target: ganzoo.Sample, classes: int, latent: int = 4) -> None:
            if classes: raise ganzoo.Incompatible("no labels")
            super().__init__(source, target, classes)"""),
    "reads labels in secret": ("generator", "labels", "self.conditional",
        "def forward(self, source, label): return super().forward(source + label[:, None], label)"),
    "says it reads labels": ("generator", "labels", "feed the label", "conditional = True"),
    "conditional without classes": ("generator", "labels", "classes == 0", """
        def __init__(self, source: ganzoo.Sample | None, target: ganzoo.Sample, classes: int,
                     conditional: bool = False) -> None:
            super().__init__(source, target, classes)
            self.conditional = conditional
        def forward(self, source, label):
            return super().forward(source + label[:, None] * self.conditional, label)"""),
    "latents of numpy": ("generator", "latents", "torch's global generator",
        "def sample_latent(self, n, device): return torch.tensor(np.random.randn(n, 4), dtype=torch.float32)"),
    "one latent": ("generator", "latents", "torch's global generator",
        "def sample_latent(self, n, device): return torch.ones(n, 4, device=device)"),
    "too few latents": ("generator", "latents", "return (n, …) floats",
        "def sample_latent(self, n, device): return torch.randn(4, 4, device=device)"),
    "truncation moves": ("generator", "latents", "about the mean",
        "def truncate(self, latent, truncation): return latent * truncation + 1"),
    "loose tensor": ("generator", "devices and dtypes", "register_buffer", """
        def __init__(self, source: ganzoo.Sample | None, target: ganzoo.Sample, classes: int, latent: int = 4) -> None:
            super().__init__(source, target, classes)
            self.offset = torch.zeros(1)"""),
    "casts to float32": ("generator", "devices and dtypes", "float32 inside",
        "def forward(self, source, label): return super().forward(source, label).float()"),
    "float32 constants": ("generator", "devices and dtypes", "dtype of the input or weights",
        "def forward(self, source, label): return super().forward(source @ torch.eye(source.shape[1]), label)"),
    "reads values": ("generator", "devices and dtypes", "do not read values", """
        def __init__(self, source: ganzoo.Sample | None, target: ganzoo.Sample, classes: int, latent: int = 4) -> None:
            super().__init__(source, target, classes)
            self.total = self.layer.weight.sum().item()"""),
    "wrong gradients by torch": ("generator", "memory layouts", "group_norm", """
        def forward(self, source, label):
            sample = super().forward(source, label)
            return nn.functional.instance_norm(sample) if sample.dim() == 4 else sample"""),
    "gradients by layout": ("discriminator", "memory layouts", "layer by layer", """
        def forward(self, sample, label):
            scale = 2.0 if sample.is_contiguous() else 1.0
            return super().forward(scale * sample, label)"""),
    "weights by chance": ("generator", "determinism", "torch's global generator", """
        def __init__(self, source: ganzoo.Sample | None, target: ganzoo.Sample, classes: int, latent: int = 4) -> None:
            super().__init__(source, target, classes)
            self.layer.weight.data += random.random()"""),
    "noise by chance": ("generator", "determinism", "torch's global generator",
        "def forward(self, source, label): return super().forward(source + random.random(), label)"),
    "forgets weights": ("generator", "safetensors", "register_buffer", """
        def __init__(self, source: ganzoo.Sample | None, target: ganzoo.Sample, classes: int, latent: int = 4) -> None:
            super().__init__(source, target, classes)
            self.register_buffer("hidden", torch.randn(target.shape), persistent=False)
        def forward(self, source, label):
            return torch.tanh(self.hidden.to(source) + super().forward(source, label)) * 0.5 + 0.5"""),
    "extra state": ("generator", "safetensors", "no extra state",
        "def get_extra_state(self): return {'a': 1}\ndef set_extra_state(self, state): pass"),
    "unused parameter": ("generator", "training", "remove it", """
        def __init__(self, source: ganzoo.Sample | None, target: ganzoo.Sample, classes: int, latent: int = 4) -> None:
            super().__init__(source, target, classes)
            self.spare = nn.Linear(2, 2)"""),
    "detached": ("generator", "training", "do not detach",
        "def forward(self, source, label): return super().forward(source, label).detach()"),
    "gradient of zero's root": ("generator", "training", "square roots",
        "def forward(self, source, label): return super().forward(source, label) + (source * 0).sqrt().sum() * 0 * "
        "self.layer.weight.sub(self.layer.weight).sum().sqrt()"),
    "state outside": ("generator", "checkpoint", "lost when a run resumes", """
        calls = 0
        def forward(self, source, label):
            self.calls += self.training
            return super().forward(source * (1 + self.calls), label)"""),
    "no docstring": ("generator", "docstrings", "what it does", "class Subject(G):\n    pass"),
    "silent option": ("generator", "docstrings", "name: what it does", """
        def __init__(self, source: ganzoo.Sample | None, target: ganzoo.Sample, classes: int, width: int = 4) -> None:
            super().__init__(source, target, classes)"""),
    "bare option": ("generator", "options", "annotate it", """
        def __init__(self, source: ganzoo.Sample | None, target: ganzoo.Sample, classes: int, latent=4) -> None:
            super().__init__(source, target, classes)"""),
    "wrong default": ("generator", "options", "correct the default", """
        def __init__(self, source: ganzoo.Sample | None, target: ganzoo.Sample, classes: int,
                     latent: Literal[1, 2] = 4) -> None:
            super().__init__(source, target, classes)"""),
    "logits (N, 1)": ("discriminator", "specs", "squeeze",
        "def forward(self, sample, label): return super().forward(sample, label)[:, None]"),
    "sigmoid": ("discriminator", "raw logits", "leave the last activation out",
        "def forward(self, sample, label): return torch.sigmoid(super().forward(sample, label)).view(-1)"),
    "meets others": ("discriminator", "apart", "as in BatchNorm", """
        judges_apart = True
        def forward(self, sample, label): return super().forward(sample - sample.mean(0), label)"""),
    "ignores the condition": ("discriminator", "labels", "feed the label", """
        def __init__(self, source: ganzoo.Sample | None, target: ganzoo.Sample, classes: int,
                     conditional: bool = False) -> None:
            super().__init__(source, target, classes)"""),
    "loss by sample": ("loss", "logits", "reduce with mean()", "def generator(self, fake, real): return -fake"),
    "overflow": ("loss", "logits", "softplus",
        "def discriminator(self, real, fake): return fake.exp().mean() - torch.log(torch.sigmoid(real)).mean()"),
    "loss of energies": ("loss", "direction", "low_for_real = True", """
        def discriminator(self, real, fake): return real.mean() - fake.mean()
        def generator(self, fake, real): return fake.mean()"""),
    "loss steps": ("loss", "training", "leave backward and step to the trainer", """
        def discriminator(self, real, fake):
            loss = fake.mean() - real.mean()
            loss.backward()
            return loss"""),
    "penalty of nothing": ("penalty", "training", "divisions by 0",
        "def forward(self, turn): return 1 / torch.zeros(())"),
    "augmentation by chance": ("augmentation", "samples", "torch's global generator",
        "def forward(self, sample): return sample + random.random()"),
    "augmentation cuts the gradient": ("augmentation", "samples", "differentiable",
        "def forward(self, sample): return sample.round().detach() + 0 * sample.detach().requires_grad_()"),
    "augmentation crops": ("augmentation", "samples", "return what was given",
        "def forward(self, sample): return sample[1:]"),
    "augmentation halves real samples": ("augmentation", "samples", "do not override it",
        "def real(self, sample): return sample[:1]"),
    "levels of other sizes": ("generator", "levels", "build it from `target`", """
        def __init__(self, source: ganzoo.Sample | None, target: ganzoo.Sample, classes: int, latent: int = 4) -> None:
            super().__init__(source, target, classes, latent)
            self.level = ganzoo.Dial(1, structural=True)

        def forward(self, source, label):
            sample = super().forward(source, label)
            return sample if self.level.level else sample[..., ::2]"""),
    "class names": ("dataset", "spec", "every class", "class_names = ('one', 'two', 'three')"),
    "labels from one": ("dataset", "samples", "from 0", """
        def load(self):
            table = super().load()
            return ganzoo.Table(table.fields, table.labels + 1)"""),
    "another field": ("dataset", "samples", "name them as in spec",
        "def load(self): return ganzoo.Table({'point': torch.zeros(3, 2)}, torch.zeros(3, dtype=torch.int64))"),
    "another shape": ("dataset", "samples", "channels last",
        "def load(self): return ganzoo.Table({'value': torch.zeros(3, 5)}, torch.zeros(3, dtype=torch.int64))"),
    "a list": ("dataset", "samples", "return a ganzoo.Table", "def load(self): return [1, 2]"),
    "another each time": ("dataset", "samples", "same data each time",
        "def load(self): return ganzoo.Table({'value': torch.randn(12, 2)}, torch.arange(12) % 2)"),
    "steps uphill": ("optimizer", "steps", "against the gradient",
        "def move(self, group, parameter): parameter.add_(group['lr'] * parameter.grad)"),
    "moves what has no gradient": ("optimizer", "steps", "whose grad is None", """
        @torch.no_grad()
        def step(self, closure: Any = None) -> None:
            super().step()
            for parameter in self.param_groups[0]["params"]:
                parameter.mul_(0.999)"""),
    "step size of its own": ("optimizer", "step size", "not in the constructor",
        "def move(self, group, parameter): parameter.sub_(0.01 * parameter.grad)"),
    "remembers outside its state": ("optimizer", "state", "keep what lasts", """
        def move(self, group, parameter):
            self.count = getattr(self, "count", 0) + 1
            parameter.sub_(group["lr"] / self.count * parameter.grad)"""),
    "wrong signature": ("callback", "run", "signatures of ganzoo.Callback", "def on_iteration(self): pass"),
    "state is an object": ("callback", "run", "numbers, strings", "def state_dict(self): return {'rows': object()}"),
    "features by batch": ("features", "features", "constants, not by the batch",
        "def forward(self, image): return image.float().mean((2, 3)) - image.float().mean()"),
    "features of one size": ("features", "features", "resize",
        "def forward(self, image): return image.float().flatten(1) @ torch.ones(3072, 3)"),
    "features of other length": ("features", "features", "self.dimensions",
        "def forward(self, image): return super().forward(image)[:, :2]"),
}  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_promise_is_found_and_its_fix_is_told(plugin, broken):
    kind, check, fix, body = BROKEN[broken]
    package = plugin(kind, body)
    found = failures(package, f"{kind} subject: {check}")
    assert list(found) == [check], found
    assert found[check].expected and found[check].found
    assert fix in found[check].fix


@pytest.mark.parametrize("noise", ["torch.randn_like(sample)", "nn.functional.dropout(sample)"])
def test_noise_that_follows_the_memory_layout_is_no_wrong_gradient(plugin, noise):
    body = f"def forward(self, sample, label): return super().forward(sample + self.training * {noise}, label)"
    assert not failures(plugin("discriminator", body), "memory layouts")


@pytest.mark.parametrize(
    ("extra", "check", "words"),
    [
        ("import torch", "lazy import", "torch"),
        ("import pickle\npickle.dumps(1)", "pickling-free", "pickle.dumps"),
        ("import marshal", "pickling-free", "marshal"),
        ("GANZOO_INTERFACE = 7", "hook", "interface 7"),
        ("import nowhere_to_be_found", "hook", "nowhere_to_be_found"),
    ],
)
def test_a_module_at_fault_is_found(plugin, extra, check, words):
    found = failures(plugin("loss", extra=extra), "plugin ")
    assert check in found and words in str(found[check])


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("torch.load('x')", True),
        ("torch.load('x', weights_only=True)", False),
        ("np.load('x', allow_pickle=True)", True),
        ("np.load('x')", False),
        ("from joblib import dump", True),
        ("import pickle", False),
    ],
)
def test_only_what_reads_or_writes_pickles_is_refused(plugin, line, seen):
    body = f"def never(self):\n    {line}"
    assert bool(failures(plugin("loss", body), "pickling-free")) is seen


def test_all_failures_come_at_once_each_with_its_fix(plugin):
    package = plugin("loss", "def generator(self, fake, real): return -fake", extra="import torch")
    with pytest.raises(ConformanceError) as error:
        check_plugin(package)
    text = str(error.value)
    assert f"plugin {package}: lazy import: expected" in text and "loss subject: logits: expected" in text
    assert text.count("fix: ") == len(error.value.failures) >= 2


def test_a_plugin_is_given_as_module_name_or_folder(plugin, tmp_path):
    package = plugin("penalty")
    check_plugin(package)
    check_plugin(importlib.import_module(package))
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / package).rename(folder / package)
    (folder / "pyproject.toml").write_text(f'[project.entry-points.ganzoo]\nmine = "{package}"\n')
    for where in (folder, str(folder)):
        assert any(case.name == "plugin mine: lazy import" for case in cases(where))
        check_plugin(where)
    assert any(case.name.startswith("generator gaussian") for case in cases("gaussian"))
    with pytest.raises(ganzoo.UnknownName, match="did you mean 'gaussian'"):
        cases("gausian")


def test_a_folder_may_set_options_and_shapes():
    folder = ROOT / "plugins" / "dcgan"
    (case,) = (case for case in cases(folder) if case.name == "generator dcgan: specs")
    (trial,) = case.check.args
    assert trial.options["width"] == 8
    (wide,) = (case for case in cases(folder, shapes=[(3, 16, 16)]) if case.name == "generator dcgan: specs")
    assert wide.check.args[0].samples[-1].shape == (3, 16, 16)


NEEDY = """
    needs = {"G": ganzoo.StyleSpace}

    def problems(self, players, spec=None):
        return ("it is for labelled data",) if spec is not None and not spec.classes else ()
"""


def test_a_part_that_the_reference_partners_do_not_fit_names_its_own(plugin):
    package = plugin("loss", NEEDY)
    training = "loss subject: training"
    (case,) = (case for case in cases(package) if case.name == training)
    with pytest.raises(NotChecked, match=r"(?s)G to be .* \[tool.ganzoo.testing.partners\] loss.subject = "):
        case()
    networks = {"generator": "stylegan2", "discriminator": "stylegan2"}
    data = {"name": "reference", "shape": [3, 16, 16], "low": -1.0, "high": 1.0}
    options = {"generator": {"stylegan2": {"latent": 4, "style": 4, "channel_base": 64}}}
    (case,) = (
        case
        for case in cases(package, options=options, partners={"loss": {"subject": {**networks, "data": data}}})
        if case.name == training
    )
    with pytest.raises(Failure, match=r"to play with its partners; found .*it is for labelled data"):
        case()
    labelled = {**networks, "data": {**data, "classes": 2}}
    check_plugin(package, options=options, partners={"loss": {"subject": labelled}})


def test_partners_may_be_those_of_a_recipe_with_options_for_tests(plugin):
    options = {"generator": {"mlp": {"widths": [8]}}}
    found = cases(plugin("penalty"), options=options, partners={"penalty": {"subject": "two-moons"}})
    (case,) = (case for case in found if case.name == "penalty subject: training")
    partners = case.check.args[0].partners
    assert partners["data"]["name"] == "two-moons" and partners["generator"]["widths"] == [8]
    assert "images" not in partners and "batch" not in partners
    case()


LABELLED = """
class Subject(D):
    \"""Two heads, for labelled data alone.

    conditional: read the label.
    \"""

    def __init__(
        self, source: ganzoo.Sample | None, target: ganzoo.Sample, classes: int, conditional: bool = False
    ) -> None:
        if not classes:
            raise ganzoo.Incompatible("it tells classes, the data have none")
        super().__init__(source, target, classes)
        self.heads = {"classes": (classes,)}
        self.tell = nn.Linear(target.size, classes)
        self.embed = nn.Embedding(classes, 1) if conditional else None

    def forward(self, sample, label):
        logit = super().forward(sample, label)
        if self.embed is not None:
            logit = logit + self.embed(label).flatten()BROKEN
        return {"logit": logit, "classes": self.tell(sample.flatten(1))}
"""


def test_a_network_for_labelled_data_alone_is_offered_them(plugin):
    check_plugin(plugin("discriminator", LABELLED.replace("BROKEN", "")))
    broken = failures(plugin("discriminator", LABELLED.replace("BROKEN", ".detach()")), "labelled training")
    assert broken["labelled training"].found == "none for D's embed.weight"


def test_what_cannot_be_checked_here_is_skipped_with_the_reason():
    (case,) = (case for case in cases("data") if case.name == "dataset folder: samples")
    with pytest.raises(NotChecked, match="needs 'path'"):
        case()


def test_checks_leave_the_random_generators_alone(plugin):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    check_plugin(plugin("penalty"))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_case_is_named_after_its_part_and_promise():
    assert isinstance(cases("gaussian")[0], Case)
    assert str(cases("gaussian")[0]) == "plugin gaussian: hook"


def pytest_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def test_pytest_runs_a_test_a_promise_for_the_folder_it_is_called_in(plugin, tmp_path):
    package = plugin("loss", "def generator(self, fake, real): return -fake")
    (tmp_path / "pyproject.toml").write_text(
        f'[project.entry-points.ganzoo]\nmine = "{package}"\n[tool.pytest.ini_options]\ntestpaths = ["tests"]\n'
    )
    done = pytest_in(tmp_path, "--ganzoo", "-k", "loss")
    assert "pyproject.toml::loss subject: logits" in done.stdout
    assert "fix:     reduce with mean()" in done.stdout and done.returncode == 1
    assert "3 passed" in done.stdout or "2 passed" in done.stdout, done.stdout
    assert "Traceback" not in done.stdout


def test_pytest_says_where_there_is_no_plugin(tmp_path):
    done = pytest_in(tmp_path, "--ganzoo")
    assert done.returncode == 4 and "declares [project.entry-points.ganzoo]" in done.stderr


def test_pytest_without_the_option_imports_no_torch(tmp_path):
    (tmp_path / "test_light.py").write_text("import sys\n\ndef test_light():\n    assert 'torch' not in sys.modules\n")
    (tmp_path / "pyproject.toml").write_text('[project.entry-points.ganzoo]\nmine = "nothing"\n')
    done = pytest_in(tmp_path)
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout

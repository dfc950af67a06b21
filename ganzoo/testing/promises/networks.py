"""What generators and discriminators promise. Each check takes a `Trial` and raises `Failure`.

Shapes: N batch; a sample's own shape comes from its `Sample`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ...contract import course_of, dials, heads_of, logit_of
from ...errors import Incompatible
from ...models import save_tensors
from ..outcome import Failure, expect, promised
from ..reference import PAIRS, draw
from ..trial import CLASSES, CPU, Plan, Trial, scratch

_REGISTER = "register it with register_buffer (persistent=False if it never changes), so that it moves and is saved"


def inputs(network: nn.Module, trial: Trial, plan: Plan, n: int) -> Tensor:
    """What the network reads: latents, samples to translate, or samples to judge; n of them."""
    if trial.component.kind == "discriminator":
        return draw(plan.target, n)
    if plan.source is not None:
        return draw(plan.source, n)
    latent: Tensor = network.sample_latent(n, CPU)  # type: ignore[operator]
    return latent


def run(network: nn.Module, trial: Trial, plan: Plan, n: int = 3, label: Tensor | None = None) -> Tensor:
    """The network's output for inputs and noise of a fixed seed."""
    torch.manual_seed(1)
    label = torch.zeros(n, dtype=torch.int64) if label is None else label
    with promised(f"{trial.what} to run on {plan}", "accept a batch of any size and int64 labels (N,)"):
        answer = network(inputs(network, trial, plan, n), label)
    return logit_of(answer)


def heads(trial: Trial) -> None:
    """What a discriminator declares as heads it answers, one row a sample."""
    network = trial.network(trial.plan)
    declared = heads_of(network)
    with promised("heads to be answered", "return a mapping of 'logit' and every head"):
        answer = network(inputs(network, trial, trial.plan, 3), torch.zeros(3, dtype=torch.int64))
    if isinstance(answer, Tensor):
        fix = "return a mapping of 'logit' and every head, or declare none"
        expect(not declared, "a mapping with its heads", f"a tensor, and {', '.join(map(str, declared))} declared", fix)
        return
    wanted, found = {"logit", *map(str, declared)}, {str(name) for name in answer}
    fix = "declare in self.heads exactly what forward returns beside 'logit'"
    expect(wanted == found, f"answers {sorted(wanted)}", str(sorted(found)), fix)
    for name, shape in declared.items():
        one = answer[name]
        wanted_shape, good = (3, *shape), one.is_floating_point() and bool(torch.isfinite(one).all())
        expect(tuple(one.shape) == wanted_shape, f"{name} of shape {wanted_shape}", str(tuple(one.shape)), fix)
        expect(good, f"finite floats from {name}", str(one.dtype), "check the layers of this head")


def pairs(trial: Trial) -> None:
    """A discriminator that takes `given` reads it, and learns from pairs."""
    if "given" not in inspect.signature(trial.target.forward).parameters:
        return
    plan = replace(trial.plan, source=trial.plan.target)
    network = trial.network(plan).eval()
    sample, label = draw(plan.target, 3), torch.zeros(3, dtype=torch.int64)
    with promised("to judge samples with what they were given", "build it for `source`, read `given`"), torch.no_grad():
        first, other = (logit_of(network(sample, label, draw(plan.target, 3))) for _ in range(2))
    differ = not torch.equal(first, other)
    expect(differ, "what is given to change the logits", "it changes nothing", "feed `given` to the network")
    with promised("an iteration of a game of pairs", "read the traceback: run it with --debug"):
        trial.game(plan, discriminator=trial.named(), loss={"name": PAIRS}).iterate()


def apart(trial: Trial) -> None:
    """A discriminator that says that it judges samples apart answers the same beside other samples, or groups."""
    network, plan = trial.network(trial.plan).train(), trial.plan
    n = 3 * int(getattr(network, "judges_apart", 0))
    if not n:
        return
    state = {name: value.clone() for name, value in network.state_dict().items()}
    samples, answers = draw(plan.target, n), list[Tensor]()
    for others in (draw(plan.target, n), 2 * draw(plan.target, n)):
        network.load_state_dict(state)
        torch.manual_seed(1)
        answers.append(logit_of(network(torch.cat([samples, others]), torch.zeros(2 * n, dtype=torch.int64)))[:n])
    first, other = answers
    same = torch.allclose(first, other, rtol=1e-4, atol=1e-5)
    fix = "leave `judges_apart` 0 where samples meet, as in BatchNorm"
    expect(same, "the same logits beside other samples", "others", fix)


def specs(trial: Trial) -> None:
    """Every spec that the constructor accepts is honoured: shape, range, type; one sample is enough to evaluate."""
    for plan in trial.plans:
        network = trial.network(plan)
        _check_output(network, trial, plan, run(network.train(), trial, plan, 3), 3)
        with torch.no_grad():
            _check_output(network, trial, plan, run(network.eval(), trial, plan, 1), 1)


def _check_output(network: nn.Module, trial: Trial, plan: Plan, output: Tensor, n: int) -> None:
    expect(output.dtype == torch.float32, "float32", str(output.dtype), "compute in the dtype of the weights")
    expect(bool(torch.isfinite(output).all()), f"finite values for {plan}", "NaN or infinity", "check the first layers")
    found = tuple(output.shape)
    if trial.component.kind == "discriminator":
        batch = bool(network.judges_batch)
        good = found == (1,) if batch else found == (n,) or (len(found) == 4 and found[:2] == (n, 1))
        shapes = "(1,)" if batch else f"({n},) or ({n}, 1, h, w)"
        expect(good, f"logits of shape {shapes} for {n} samples of {plan}", str(found), "squeeze the logits to (N,)")
        return
    target = plan.target
    expect(found == (n, *target.shape), f"samples of shape {(n, *target.shape)}", str(found), "build it from `target`")
    slack = 1e-5 * max(1.0, abs(target.low), abs(target.high)) if target.bounded else 0.0
    low, high = float(output.detach().min()), float(output.detach().max())
    inside = target.low - slack <= low and high <= target.high + slack
    fix = "scale a tanh to target.low and target.high, and leave it out where target.bounded is False"
    expect(inside, f"values in [{target.low:g}, {target.high:g}]", f"[{low:.3g}, {high:.3g}]", fix)


def levels(trial: Trial) -> None:
    """A network that grows is built whole, and honours its spec at every level and while one is fading in."""
    for plan in trial.plans:
        network = trial.network(plan).train()
        for _, dial in dials(network):
            for half in range(2 * dial.level if dial.structural else 0):
                dial.follow(course_of(half / 2))
                _check_output(network, trial, plan, run(network, trial, plan, 2), 2)


def labels(trial: Trial) -> None:
    """Labels are read by who says so, ignored by all others, and impossible without classes."""
    plan = replace(trial.plan, classes=CLASSES)
    with promised(f"data with classes ({plan}) to be accepted", "ignore the label where it is of no use"):
        plain = trial.network(plan)
    option = "conditional" in inspect.signature(trial.target).parameters
    judged = trial.component.kind == "discriminator"
    if not judged and not option:
        _compare_labels(plain, trial, plan, reads=bool(plain.conditional))
    if not option:
        return
    _compare_labels(trial.network(plan, conditional=False), trial, plan, reads=False)
    network = trial.network(plan, conditional=True)
    if not judged:
        fix = "set self.conditional in the constructor"
        expect(bool(network.conditional), "conditional to be True when asked for", "False", fix)
    _compare_labels(network, trial, plan, reads=True)
    try:
        trial.network(replace(plan, classes=0), conditional=True)
    except Incompatible:
        return
    fix = "raise ganzoo.Incompatible in the constructor if conditional and classes == 0"
    raise Failure("conditional=True to be refused for data without classes", "it is accepted", fix)


def _compare_labels(network: nn.Module, trial: Trial, plan: Plan, reads: bool) -> None:
    with torch.no_grad():
        for parameter in network.parameters():
            # gains and embeddings that start at zero would hide the label
            parameter.add_(0.1 * torch.randn_like(parameter))
        first = run(network.eval(), trial, plan, label=torch.zeros(3, dtype=torch.int64))
        last = run(network, trial, plan, label=torch.full((3,), CLASSES - 1))
    differ = not torch.equal(first, last)
    if reads:
        expect(differ, "another label to change the output", "it changes nothing", "feed the label to the network")
    else:
        fix = "set self.conditional to True in the constructor, or ignore the label"
        expect(not differ, "the label to change nothing while conditional is False", "it changes the output", fix)


def latents(trial: Trial) -> None:
    """Latents come from torch's global generator, n rows of them, and truncation 1 leaves them alone."""
    plan = trial.plan
    if plan.source is not None:
        return
    network = trial.network(plan)
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        with promised("sample_latent(5, device) to give latents", "implement sample_latent"):
            draws.append(network.sample_latent(5, CPU))  # type: ignore[operator]
    first, again, other = draws
    found = f"{first.dtype} {tuple(first.shape)}"
    expect(first.is_floating_point() and len(first) == 5, "5 latents of floats", found, "return (n, …) floats")
    expect(bool(torch.isfinite(first).all()), "finite latents", "NaN or infinity", "draw finite numbers")
    fix = "draw with torch's global generator: torch.randn(n, …, device=device)"
    expect(torch.equal(first, again), "the same latents under the same seed", "others", fix)
    expect(not torch.equal(first, other), "other latents under another seed", "the same", fix)
    kept = network.truncate(first, 1.0)  # type: ignore[operator]
    expect(torch.allclose(kept, first), "truncation 1 to leave latents alone", "they change", "scale about the mean")
    pulled = network.truncate(first, 0.5)  # type: ignore[operator]
    expect(pulled.shape == first.shape, f"truncated latents of shape {tuple(first.shape)}", str(tuple(pulled.shape)),
           "return as many latents as were given")  # fmt: skip


def moves(trial: Trial) -> None:
    """The network moves to other devices and types whole, and computes under autocast."""
    plan = trial.plan
    network = trial.network(plan).eval()
    for name, module in network.named_modules():
        loose = [f"{name}.{key}".lstrip(".") for key, value in vars(module).items() if isinstance(value, Tensor)]
        expect(not loose, "no tensors outside parameters and buffers", ", ".join(loose), _REGISTER)
    with torch.no_grad():
        single = run(network, trial, plan).double()
        torch.manual_seed(1)
        source = inputs(network, trial, plan, 3).double()
        with promised("to compute in float64 after .double()", "create tensors with the dtype of the input or weights"):
            torch.manual_seed(2)
            output = logit_of(network.double()(source, torch.zeros(3, dtype=torch.int64)))
        found = str(output.dtype)
        expect(output.dtype == torch.float64, "float64 after .double()", found, "do not cast to float32 inside")
        expect(output.shape == single.shape, "the same shape in float64", str(tuple(output.shape)), "build it once")
        fix = "use operations that autocast knows, or cast inputs alike"
        with promised("to compute under bfloat16 autocast", fix), torch.autocast("cpu", torch.bfloat16):
            low = run(network.float(), trial, plan)
        expect(
            bool(torch.isfinite(low).all()), "finite values in bfloat16", "NaN or infinity", "avoid huge activations"
        )
    _check_meta(network, trial, plan)
    if torch.cuda.is_available():
        moved = network.to("cuda")
        with promised("to compute on cuda after .to('cuda')", _REGISTER), torch.no_grad():
            moved(source.float().cuda(), torch.zeros(3, dtype=torch.int64, device="cuda"))


def _check_meta(network: nn.Module, trial: Trial, plan: Plan) -> None:
    """Published weights are compared with a network on the meta device before anything is allocated."""
    fix = "do not read values of tensors in the constructor (.item(), if tensor:, NumPy)"
    with promised("the constructor to work on torch's meta device", fix), torch.device("meta"):
        shadow = trial.network(plan)
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in shadow.state_dict().items()}
    expect(shapes == found, "the same tensors on the meta device", f"{found.items() ^ shapes.items()}", fix)


def determinism(trial: Trial) -> None:
    """The same seed gives the same weights and the same outputs."""
    plan = trial.plan
    first, second = trial.network(plan), trial.network(plan)
    fix = "draw all random numbers from torch's global generator, none from NumPy, random or the clock"
    for (name, one), (_, other) in zip(first.state_dict().items(), second.state_dict().items(), strict=True):
        expect(torch.equal(one, other), "the same weights under the same seed", f"another {name}", fix)
    same = torch.equal(run(first.train(), trial, plan), run(second.train(), trial, plan))
    expect(same, "the same output under the same seed", "another", fix)


def safetensors(trial: Trial) -> None:
    """Weights go through a safetensors file into a fresh network, which then gives the same output."""
    plan = trial.plan
    network = trial.network(plan)
    # one pass in training mode moves running statistics away from where every network starts
    run(network.train(), trial, plan)
    expected = run(network.eval(), trial, plan)
    torch.manual_seed(7)
    fresh: nn.Module = trial.build(plan.source, plan.target, plan.classes)
    with (
        promised("a state dict of tensors alone", "keep no extra state; numbers belong into buffers"),
        scratch() as folder,
    ):
        save_tensors(network.state_dict(), folder / "weights.safetensors")
        fresh.load_state_dict(load_file(folder / "weights.safetensors"))
    same = torch.equal(run(fresh.eval(), trial, plan), expected)
    expect(
        same,
        "the same output from reloaded weights",
        "another",
        f"what the output depends on is not saved: {_REGISTER}",
    )


def raw_logits(trial: Trial) -> None:
    """D ends without a sigmoid: the losses work on raw logits."""
    network = trial.network(trial.plan)
    node = run(network.train(), trial, trial.plan).grad_fn
    while node is not None and node.name().startswith(_RESHAPES):
        node = node.next_functions[0][0]
    last = node.name() if node is not None else "no gradient"
    squashed = last.startswith(("Sigmoid", "Softmax", "LogSigmoid", "Tanh"))
    expect(
        not squashed, "raw logits", f"an output of {last.removesuffix('Backward0')}", "leave the last activation out"
    )


_RESHAPES = ("View", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Select", "ToCopy", "Alias", "Clone", "UnsafeView")

_COMMON: Mapping[str, Callable[[Trial], None]] = {
    "specs": specs,
    "levels": levels,
    "labels": labels,
    "devices and dtypes": moves,
    "determinism": determinism,
    "safetensors": safetensors,
}
GENERATOR: Mapping[str, Callable[[Trial], None]] = {**_COMMON, "latents": latents}
DISCRIMINATOR: Mapping[str, Callable[[Trial], None]] = {
    **_COMMON,
    "raw logits": raw_logits,
    "heads": heads,
    "pairs": pairs,
    "apart": apart,
}

"""How fast training on a GPU is, and what memory it takes: the later groups of `benchmarks.gpu`."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

from benchmarks.gpu import Report
from benchmarks.gpu_games import GANZOO, Bench

_COMPILED = "trainer.compile=true"
_TUTORIAL = ("generator.width=64", "generator.kernel=4", "discriminator.width=64", "discriminator.kernel=4")


def timed(bench: Bench, work: Callable[[], object], seconds: float = 0.5) -> float:
    """Seconds that a piece of work takes on the device."""
    for _ in range(3):
        work()
    bench.wait()
    begun, count = time.perf_counter(), 0
    while time.perf_counter() - begun < (0.05 if bench.dry else seconds):
        for _ in range(8):
            work()
        count += 8
        bench.wait()
    return (time.perf_counter() - begun) / count


def machine(report: Report, bench: Bench) -> None:
    """Which it is, and what no program can exceed."""
    name = torch.cuda.get_device_name(bench.device) if bench.cuda else platform.processor() or "cpu"
    report.say("machine", name=name, torch=torch.__version__, cuda=torch.version.cuda, python=platform.python_version())
    with report.check("ceilings") as facts:
        size, side = (2**20, 256) if bench.dry else (2**30, 8192)
        source = torch.zeros(size, dtype=torch.uint8, device=bench.device)
        target = torch.empty_like(source)
        facts["copy_GB_per_second"] = round(2 * size / timed(bench, lambda: target.copy_(source)) / 1e9, 1)
        for dtype in (torch.bfloat16, torch.float32):
            one, two = (torch.randn(side, side, device=bench.device, dtype=dtype) for _ in range(2))
            rate = 2 * side**3 / timed(bench, lambda one=one, two=two: one @ two) / 1e12  # type: ignore[misc]
            facts[f"{dtype}".removeprefix("torch.") + "_TFLOP_per_second"] = round(rate, 2)
        small = torch.zeros(8, device=bench.device)
        facts["launch_microseconds"] = round(1e6 * timed(bench, lambda: small.add_(1)), 2)
    if bench.cuda:
        with report.check("a filter on each channel, NCHW and NHWC, beside one pass over memory") as facts:
            kernel = torch.ones(64, 1, 4, 4, device=bench.device)
            for layout in (torch.contiguous_format, torch.channels_last):
                x = torch.randn(32, 64, 256, 256, device=bench.device).contiguous(memory_format=layout)
                work: Callable[[], Any] = lambda x=x: torch.conv2d(x, kernel, padding=2, groups=64)  # type: ignore[misc] # noqa: E731
                facts[f"{layout}"] = round(timed(bench, work) / timed(bench, lambda x=x: x + 1), 2)  # type: ignore[misc]


def _rows(report: Report, bench: Bench, rows: Mapping[str, tuple[str, tuple[str, ...], dict[str, Any]]]) -> None:
    for name, (recipe, settings, request) in rows.items():
        if report.left < 5:
            report.say(name, error="no time left")
            continue
        with report.check(name) as facts:
            facts.update(bench.speed(bench.trainer(recipe, settings, **request)))
        if bench.cuda:
            torch.cuda.empty_cache()


def speed(report: Report, bench: Bench) -> None:
    """DCGAN at 32x32, batch 128, beside PyTorch's example and the leanest loop: `python -m benchmarks.dcgan`."""
    data = {"data": bench.pictures(32), "batch": 128}
    bf16 = {**data, "precision": "bf16"}
    _rows(
        report,
        bench,
        {
            "dcgan-32 bf16": ("dcgan", _TUTORIAL, bf16),
            "dcgan-32 bf16, eager": ("dcgan", _TUTORIAL, {**bf16, "kind": None}),
            "dcgan-32 bf16, compiled": ("dcgan", (*_TUTORIAL, _COMPILED), bf16),
            "dcgan-32 bf16, compiled, no graph": ("dcgan", (*_TUTORIAL, _COMPILED, "trainer.graphs=false"), bf16),
            "dcgan-32 bf16, reusing": ("dcgan", (*_TUTORIAL, "loss.reuse_fake=true"), bf16),
            "dcgan-32 fp32": ("dcgan", _TUTORIAL, data),
            "dcgan-32 tf32": ("dcgan", _TUTORIAL, {**data, "precision": "tf32" if bench.cuda else "fp32"}),
            "dcgan-32 bf16, NCHW": ("dcgan", (*_TUTORIAL, "trainer.channels_last=false"), bf16),
            "dcgan-32 bf16, batch 1024": ("dcgan", _TUTORIAL, {**bf16, "batch": 1024}),
        },
    )


def stylegan2(report: Report, bench: Bench) -> None:
    """StyleGAN2 at 64x64 and 256x256, batch 32, with its lazy phases spread over their rounds."""
    rows: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {}
    for side in (16,) if bench.dry else (64, 256):
        base = {"data": bench.pictures(side), "batch": 32, "precision": "bf16"}
        for name, change in (("", {}), (", eager", {"kind": None}), (", ADA", {"augment": ["ada"]})):
            rows[f"stylegan2-{side} bf16{name}"] = ("stylegan2", (), {"kind": GANZOO, **base, **change})
    rows["stylegan2-64 bf16, compiled"] = (
        "stylegan2",
        (_COMPILED,),
        {"data": bench.pictures(16 if bench.dry else 64), "batch": 32, "precision": "bf16"},
    )
    _rows(report, bench, rows)


def others(report: Report, bench: Bench) -> None:
    """The other families, at their recipes' sizes."""
    rows: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {
        "ring": ("ring", (), {}),
        "mlp": ("mlp", (), {}),
        "sngan-mini bf16": ("sngan-mini", (), {"precision": "bf16"}),
        "wgan-gp-mini bf16": ("wgan-gp-mini", (), {"precision": "bf16"}),
    }
    if not bench.dry:
        rows["sngan-32 bf16"] = ("sngan", (), {"data": bench.pictures(32), "precision": "bf16"})
        rows["wgan-gp-32 bf16"] = ("wgan-gp", (), {"data": bench.pictures(32), "precision": "bf16"})
    _rows(report, bench, rows)


GROUPS: Mapping[str, Callable[[Report, Bench], None]] = {
    "machine": machine,
    "speed": speed,
    "stylegan2": stylegan2,
    "others": others,
}

"""What `ganzoo.load` and one sample cost, against reading the same safetensors and running the bare module.

    python -m benchmarks.load [--rounds 30] [--json]

Both are timed in turn in one process, and the ratio of the best of each is printed: what else the machine does only
adds. At most 1.2 is wanted.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file

import ganzoo
from ganzoo.models.config import FORMAT, Config, PluginConfig, SampleConfig, write_config
from ganzoo.models.modelfolder import save_tensors
from ganzoo.registry.registry import registry

_MODELS = {
    "dcgan 3x64x64": ("dcgan", {}, (3, 64, 64)),
    "dcgan 1x28x28": ("dcgan", {}, (1, 28, 28)),
    "mlp 1x28x28": ("mlp", {}, (1, 28, 28)),
    "toy, 2 values": ("mlp", {"latent": 32, "widths": [128, 128, 128], "batch_norm": False}, (2,)),
}
_WANTED = 1.2


def write_model(folder: Path, generator: str, options: dict[str, object], shape: tuple[int, ...]) -> None:
    """Write a model folder with untrained weights: what they are worth does not change what they cost."""
    plugin = registry().find("generator", generator).plugin
    target = ganzoo.Sample(shape)
    torch.manual_seed(0)
    network = registry().load("generator", generator)(None, target, 0, **options)
    folder.mkdir(parents=True)
    save_tensors(network.state_dict(), folder / "model.safetensors")
    sample = SampleConfig(list(shape), target.low, target.high)
    where = PluginConfig(plugin.name, plugin.distribution, plugin.version)
    write_config(folder, Config(FORMAT, generator, dict(options), None, sample, 0, [], where, {}, {}))  # type: ignore[arg-type]


def bare(folder: Path, generator: str, options: dict[str, object], shape: tuple[int, ...]) -> torch.Tensor:
    """Build the module, read its weights, draw one sample: what anybody would write by hand."""
    network = registry().load("generator", generator)(None, ganzoo.Sample(shape), 0, **options)
    network.load_state_dict(load_file(folder / "model.safetensors"))
    network.eval()
    with torch.inference_mode():
        torch.manual_seed(0)
        latent = network.sample_latent(1, torch.device("cpu"))
        sample: torch.Tensor = network(latent, torch.zeros(1, dtype=torch.int64))
        return sample


def compare(rounds: int, first: Callable[[], object], second: Callable[[], object]) -> tuple[float, float]:
    """The least seconds of each, timed in turn after one round that is not counted."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for function, seconds in zip((first, second), times, strict=True):
            begun = time.perf_counter()
            function()
            if number:
                seconds.append(time.perf_counter() - begun)
    return min(times[0]), min(times[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=30, help="measurements of each (default 30)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as root:
        for name, (generator, settings, shape) in _MODELS.items():
            folder = Path(root) / name.replace(" ", "-")
            write_model(folder, generator, settings, shape)
            expected = bare(folder, generator, settings, shape)
            assert torch.equal(ganzoo.load(folder).sample(1, seed=0), expected), "they do not make the same sample"
            loaded, by_hand = compare(
                options.rounds,
                lambda folder=folder: ganzoo.load(folder).sample(1, seed=0),
                lambda folder=folder, g=generator, o=settings, s=shape: bare(folder, g, o, s),
            )
            megabytes = (folder / "model.safetensors").stat().st_size / 1e6
            results.append({"model": name, "megabytes": megabytes, "ganzoo_ms": 1e3 * loaded, "bare_ms": 1e3 * by_hand,
                            "ratio": loaded / by_hand})  # fmt: skip
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        for one in results:
            print("{model:<14} {megabytes:6.1f} MB".format(**one), end="  ")
            print("ganzoo {ganzoo_ms:6.2f} ms  bare {bare_ms:6.2f} ms  ratio {ratio:.2f}".format(**one))
    return int(any(one["ratio"] > _WANTED for one in results))


if __name__ == "__main__":
    sys.exit(main())

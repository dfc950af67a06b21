"""The plugin keeps ganzoo's promises, with files of its own and without a network."""

from __future__ import annotations

import tarfile
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
from PIL import Image

from ganzoo.testing import Case, cases


def _options() -> dict[str, dict[str, dict[str, str | int]]]:
    """What `folder`, `shards`, `pair`, `paired` and `npz` read."""
    folder = Path(mkdtemp(prefix="ganzoo-data-"))
    pictures = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)
    for index, picture in enumerate(pictures):
        path = folder / "pictures" / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    with tarfile.open(folder / "shard-0.tar", "w") as tar:
        for index in range(12):
            tar.add(folder / "pictures" / "ab"[index % 2] / f"{index}.png", f"{index}.png")
    np.savez(folder / "pictures.npz", images=pictures, labels=np.arange(12) % 3)
    pair = {"path": f"{folder}/pictures/a:{folder}/pictures/b", "size": 12, "load_size": 14}
    paired = {**pair, "path": f"{folder}/pictures/a"}  # each picture is cut in two
    paths = {"folder": "pictures", "shards": "shard-{0..0}.tar", "npz": "pictures.npz"}
    paths = {name: f"{folder}/{path}" for name, path in paths.items()}
    return {"dataset": {"pair": pair, "paired": paired, **{name: {"path": path} for name, path in paths.items()}}}


@pytest.mark.parametrize("case", cases(Path(__file__).parents[1], options=_options()), ids=str)
def test_plugin_conforms(case: Case):
    case()

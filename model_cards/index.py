"""Write `ganzoo/models/zoo.json`, the index of the trained models, from the folders beside this script.

    python model_cards/index.py

A model is bundled in the wheel if pyproject.toml includes its folder, or files of it. Entries for models on the Hub
stay as they are.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ganzoo.files import file_hash
from ganzoo.models.config import Config, read_config
from ganzoo.models.weights import WEIGHTS
from ganzoo.models.zoo import INDEX, Trained, trained

CARDS = Path(__file__).parent
PREFERRED = ("fid", "wasserstein-1", "sliced-wasserstein")


def main() -> None:
    INDEX.write_text(json.dumps([asdict(one) for one in entries()], indent=2) + "\n", encoding="utf-8")


def entries() -> list[Trained]:
    """All entries by name."""
    included = tomllib.loads((CARDS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    bundled = included["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    places = {source.split("/")[1] for source in bundled if source.startswith("model_cards/")}
    found = {path.parent.name: entry(path.parent, path.parent.name in places) for path in CARDS.glob("*/config.json")}
    published = {name: one for name, one in trained().items() if one.published} if INDEX.exists() else {}
    return [one for _, one in sorted((published | found).items())]


def entry(folder: Path, bundled: bool) -> Trained:
    config, weights = read_config(folder), folder / WEIGHTS
    return Trained(
        folder.name,
        str(config.recipe["name"]),
        data_of(config.recipe["data"]),
        weights.stat().st_size,
        metric(config),
        config.licence.weights or "not stated",
        "bundled" if bundled else "checkout",
        file_hash(weights),
    )


def data_of(part: Any) -> str:
    """The data as a user names them, without a path of this machine."""
    return ":".join([part["name"], *([Path(part["path"]).name] if "path" in part else [])])


def metric(config: Config) -> str:
    """The number that says most, with how it was measured."""
    numbers = {one.name: one for one in config.metrics}
    chosen = next((numbers[name] for name in PREFERRED if name in numbers), config.metrics[0])
    features = chosen.provenance.get("features")
    return f"{chosen.name} {chosen.value:.4g}" + (f" ({features})" if features else "")


if __name__ == "__main__":
    main()

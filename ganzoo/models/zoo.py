"""The trained models that ganzoo comes with: an index in the package, and where each one lies. No torch here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..errors import ModelError
from ..files import file_hash
from .publication import Reference, parse_reference
from .weights import WEIGHTS

INDEX = Path(__file__).with_name("zoo.json")
_PACKAGE = Path(__file__).parents[1]
_PLACES = (_PACKAGE / "model_cards", _PACKAGE.parent / "model_cards")
"""Where models lie: in an installed package, and in a checkout."""


@dataclass(frozen=True)
class Trained:
    """A trained model of the index.

    data: what it was trained on.  bytes: of its weights.  metric: its best-known number and how it was measured.
    where: "bundled" in the package; "checkout" for those too large for it; else "user/name@commit" on the Hub.
    sha256: of the weights.
    """

    name: str
    recipe: str
    data: str
    bytes: int
    metric: str
    licence: str
    where: str
    sha256: str

    @property
    def published(self) -> Reference | None:
        """The commit on the Hub that has it, if that is where it is."""
        return parse_reference(self.where) if "/" in self.where else None

    def folder(self) -> Path | None:
        """Its model folder on this machine, None if that does not have it. Raises `ModelError` for other weights."""
        found = next((place / self.name for place in _PLACES if (place / self.name / WEIGHTS).exists()), None)
        if found is not None:
            self.compare(found)
        return found

    def compare(self, folder: Path) -> None:
        """Raise `ModelError` unless the folder has the weights that the index states."""
        if file_hash(folder / WEIGHTS) != self.sha256:
            raise ModelError(f"{folder / WEIGHTS} is not what the index of ganzoo's models states: install ganzoo anew")


@cache
def trained() -> dict[str, Trained]:
    """All models of the index by name."""
    return {one["name"]: Trained(**one) for one in json.loads(INDEX.read_text(encoding="utf-8"))}

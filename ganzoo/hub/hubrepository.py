"""A repository's files on the Hugging Face Hub, for plugins that read data from there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from ..models import parse_reference
from ..public import public
from .hubclient import connect
from .hubsnapshot import look_up
from .lookup import cached, download


@public
class HubRepository:
    """The files of one commit. Raises `UsageError` for a bad name, `HubError` if it cannot be looked up.

    name: "user/name" or "user/name@revision".  kind: "model", "dataset" or "space".
    token: by default that of `hf auth login` or `HF_TOKEN`.
    """

    def __init__(self, name: str, kind: str = "model", token: str | None = None) -> None:
        self._api = connect(token)
        self._snapshot = look_up(self._api, parse_reference(name, kind=kind))
        self.repo_id = self._snapshot.reference.repo_id
        self.commit = str(self._snapshot.reference.revision)
        self.licence = self._snapshot.licence
        """As the repository's card states it, or None."""
        self.sizes: Mapping[str, int] = MappingProxyType(
            {name: stated.size for name, stated in self._snapshot.files.items()}
        )
        """Bytes of each file, by path."""

    def download(self, names: Iterable[str]) -> Path:
        """Bring files into the Hub's cache, each compared with the hash that the Hub states; those there stay.

        Returns the folder that holds them under their paths. Raises `HubError`.
        """
        wanted = list(names)
        return cached(self._snapshot.reference, wanted) or download(self._api, self._snapshot, wanted)

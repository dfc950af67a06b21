"""Inception-v3 with the weights of the published FID, as torch-fidelity converted them from TensorFlow.

torch-fidelity: Obukhov et al. 2020, doi:10.5281/zenodo.4957738, Apache-2.0; so are the weights.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from urllib.error import URLError

import torch
from torch import Tensor

import ganzoo

_LOG = logging.getLogger("ganzoo.metrics")
_FILE = "weights-inception-2015-12-05-6726825d.pth"
_HASH = "6726825d"
_LAYER = "2048"


class Inception(ganzoo.FeatureExtractor):
    """Inception-v3's 2,048 features before its last layer. Pictures are resized to 299x299 as TensorFlow 1 does it.

    path: of the weights; without it they are looked for in GANZOO_CACHE (~/.cache/ganzoo), then where torch-fidelity
    keeps them, and downloaded once (95 MB).
    Raises `UsageError` without torch-fidelity, `DataError` for weights that are damaged or cannot be downloaded.
    Szegedy et al. 2015 (arXiv:1512.00567); Heusel et al. 2017 (arXiv:1706.08500).
    """

    def __init__(self, path: str | None = None) -> None:
        super().__init__()
        self.dimensions = 2048
        library = _library()
        weights = Path(path).expanduser() if path else _found() or _download(library.URL_INCEPTION_V3)
        with _damage_of(weights):
            # torch-fidelity unpickles whatever it is given: only what holds nothing but tensors gets that far
            torch.load(weights, map_location="cpu", weights_only=True)
            self.network = library.FeatureExtractorInceptionV3(
                "inception-v3-compat", [_LAYER], feature_extractor_weights_path=str(weights)
            )
        self.network.to(memory_format=torch.channels_last)  # half as fast again on a CPU

    def forward(self, image: Tensor) -> Tensor:
        """image: uint8 (N, 3, H, W). Returns float32 (N, 2048)."""
        features: Tensor = self.network(image)[0]
        return features

    def logits(self, features: Tensor) -> Tensor:
        """features: (N, 2048). Returns (N, 1008) scores of ImageNet's classes without bias, as the published score."""
        return features @ self.network.fc.weight.T

    @classmethod
    def at_hand(cls) -> bool:
        """True if the weights need no download."""
        return _found() is not None


def _library() -> ModuleType:
    try:
        from torch_fidelity import feature_extractor_inceptionv3
    except ImportError as error:
        raise ganzoo.UsageError("inception needs torch-fidelity: pip install torch-fidelity scipy") from error
    return feature_extractor_inceptionv3


def _kept() -> Path:
    cache = Path(os.environ.get("GANZOO_CACHE") or "~/.cache/ganzoo").expanduser()
    return cache / "features" / _FILE


def _found() -> Path | None:
    places = (_kept(), Path(torch.hub.get_dir()) / "checkpoints" / _FILE)
    return next((path for path in places if path.is_file()), None)


def _download(url: str) -> Path:
    """Download complete or not at all, and compare the hash that the file's name states."""
    path = _kept()
    _LOG.warning("downloading Inception's weights (95 MB) into %s", path.parent)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), hash_prefix=_HASH, progress=False)
    except (OSError, URLError, RuntimeError) as error:
        reason = getattr(error, "reason", None) or error
        raise ganzoo.DataError(
            f"Inception's weights cannot be downloaded ({reason}): put {_FILE} into {path.parent}, name a file, "
            "--features inception:PATH, or take a classifier of your data, `ganzoo features train`"
        ) from error
    return path


@contextlib.contextmanager
def _damage_of(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, RuntimeError, KeyError, ValueError, pickle.UnpicklingError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ganzoo.DataError(f"{path} holds no weights of Inception-v3 ({first})") from error

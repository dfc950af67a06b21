"""Real samples to measure against. The statistics of pictures are kept in the cache.

Shapes: N, M samples, C channels, H height, W width, F features.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from ..contract import Dataset, Drawn, Sample, Stream, Table
from ..data import normalise
from ..errors import DataError, UsageError
from ..files import write_atomically
from ..recipes import Part
from .distances import Reference, statistics
from .features import Extractor, cache_folder, data_name, slug, three_channels

log = logging.getLogger("ganzoo")
KEPT = 10_000
"""Real pictures whose features are kept one by one; means and covariances are those of all."""
_CHUNK = 256
_ORDER_SEED = 0


class RealPictures:
    """The pictures of a data set in a fixed random order, without flips; larger ones are cut to their middle.

    Raises `UsageError` for data that are no pictures, or without end.
    """

    def __init__(self, dataset: Dataset, field: str) -> None:
        samples = dataset.load()
        if not isinstance(samples, Table | Stream):
            raise UsageError("features are those of finite sets of pictures, and these data are none")
        self._samples, self._field = samples, field
        self._spec: Sample = dataset.spec.fields[field]
        self.count = len(samples.fields[field]) if isinstance(samples, Table) else samples.count
        if self.count < 1:
            raise DataError("the data are empty: no sample was found")
        self._order = torch.randperm(self.count, generator=torch.Generator().manual_seed(_ORDER_SEED))

    @property
    def labels(self) -> Tensor | None:
        """(N,) int64 in the order of `chunks`."""
        return None if self._samples.labels is None else self._samples.labels.long()[self._order]

    def chunks(self, size: int = _CHUNK) -> Iterator[Tensor]:
        """uint8 (N, 3, H, W), all pictures once."""
        for index in torch.split(self._order, size):
            yield three_channels(_in_bytes(self._read(index)).permute(0, 3, 1, 2))

    def samples(self, size: int = _CHUNK) -> Iterator[Tensor]:
        """float32 (N, C, H, W) in the range of the spec, all pictures once."""
        for index in torch.split(self._order, size):
            yield normalise(self._read(index), self._spec)

    def _read(self, index: Tensor) -> Tensor:
        """uint8 or uint16 (N, H, W, C)."""
        if isinstance(self._samples, Table):
            return self._middle(self._samples.fields[self._field][index])
        return torch.stack([self._middle(self._samples.read(i)[self._field]) for i in index.tolist()])

    def _middle(self, picture: Tensor) -> Tensor:
        """Pictures (…, H, W, C), cut to the height and width of the spec."""
        _, height, width = self._spec.shape
        top, left = (picture.shape[-3] - height) // 2, (picture.shape[-2] - width) // 2
        return picture[..., top : top + height, left : left + width, :]

    def digest(self, part: Part) -> str:
        """A hash of the pictures; of their source and number where they are too many to be read for it."""
        shape = "x".join(map(str, self._spec.shape))
        digest = hashlib.sha256(f"{shape} {self.count}".encode())
        if isinstance(self._samples, Table):
            digest.update(self._samples.fields[self._field].contiguous().numpy().data)
        else:
            digest.update(json.dumps([part.name, dict(part.options)], sort_keys=True, default=str).encode())
        return digest.hexdigest()[:16]


def _in_bytes(picture: Tensor) -> Tensor:
    """uint8 or uint16 values as uint8."""
    return picture if picture.dtype == torch.uint8 else (picture.float() / 257).round().to(torch.uint8)


def reference_for(dataset: Dataset, part: Part, field: str, split: str, extractor: Extractor) -> Reference:
    """Features of a data set's pictures: from the cache, or computed and put there.

    What is kept is found again only for the same pictures, sizes included, and the same extractor.
    """
    pictures = RealPictures(dataset, field)
    shape = "x".join(map(str, dataset.spec.fields[field].shape))
    # a recipe from the Hub may state any split: nothing of it but plain characters gets into a path
    place = "-".join([slug(data_name(part)), slug(split), shape, slug(extractor.name)])
    name = f"{place}-{extractor.fingerprint}-{pictures.digest(part)}"
    path = cache_folder() / "reference" / f"{name}.safetensors"
    if path.exists():
        try:
            return Reference(**load_file(path), count=pictures.count)
        except (OSError, SafetensorError, TypeError):
            log.warning("%s is damaged: it is computed anew", path)
    log.info("computing %s features of %s real pictures, once", extractor.name, f"{pictures.count:,}")
    reference = summary(extractor(pictures.chunks()))
    _keep(path, reference)
    return reference


def summary(features: Tensor) -> Reference:
    """What is kept of features, (N, F)."""
    if len(features) < 2:
        raise DataError("one picture has no covariance: measure against more")
    found = statistics(features)
    return Reference(
        features[:KEPT].clone(), torch.from_numpy(found["mu"]), torch.from_numpy(found["sigma"]), len(features)
    )


def _keep(path: Path, reference: Reference) -> None:
    tensors = {"features": reference.features, "mean": reference.mean, "covariance": reference.covariance}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, save(tensors))
    except OSError as error:
        log.warning("%s cannot be written (%s): it will be computed anew", path, error.strerror or error)


def real_values(dataset: Dataset, field: str, count: int, seed: int) -> Tensor:
    """`count` real values, float32 (count, *shape); all there are if they are fewer."""
    samples, generator = dataset.load(), torch.Generator().manual_seed(seed)
    if isinstance(samples, Drawn):
        return samples.draw(count, generator)[0][field]
    if not isinstance(samples, Table):
        raise UsageError("values are measured against data in memory or a distribution, and these are none")
    chosen = torch.randperm(len(samples.fields[field]), generator=generator)[:count]
    return samples.fields[field][chosen]

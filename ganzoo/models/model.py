"""A trained generator that can be sampled, shown and shared."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..contract import Signal
from ..errors import ModelError, did_you_mean
from ..public import public
from . import pictures
from .config import Config, TranslationConfig
from .findings import Directions, Projection
from .publication import Publication, PushOptions
from .sampling import draw_latents, generate, in_chunks, quietly, refuse_too_many
from .spaces import Latents, make, moved, refuse_misfit, space_of
from .views.samplefiles import sound

if TYPE_CHECKING:
    from PIL import Image


@public
class Model:
    """A trained generator that can be sampled.

    generator: the network, in evaluation mode; of a model that translates, the first.  config: what it is and how it
    was made.  target: the `Sample` it makes.  translators: of a model that translates, every generator by the fields
    it reads and makes, as ("a", "b").  folder: the model folder that it was loaded from.
    """

    def __init__(self, network: nn.Module, config: Config, folder: Path) -> None:
        by_role: Any = network
        self.translators: dict[tuple[str, str], nn.Module] = {
            (one.source, one.target): by_role[one.role] for one in config.translations
        }
        self.generator = next(iter(self.translators.values()), network)
        self.config = config
        self.target = config.target.sample()
        self.folder = folder

    def __repr__(self) -> str:
        config, images = self.config, self.config.training.get("images")
        labels = f", classes={config.classes}" if config.classes else ""
        return f"Model({str(self.folder)!r}, generator={config.generator!r}, makes='{self.target}'{labels}, {images=})"

    def _repr_html_(self) -> str:
        """In a notebook: what it is, samples or a plot of many, and signals to hear; of a translator, the words."""
        words = f"<p><code>{html.escape(repr(self))}</code></p>"
        if self.config.source is not None:
            return words
        samples = self.sample(16 if self.target.looks.single else 1_000, seed=0)
        sheet = pictures.sheet(samples, self.target, f"{len(samples):,} samples")
        shown = f'<img alt="samples" src="{pictures.url(sheet)}">'
        if isinstance(self.target.looks, Signal):
            heard = base64.b64encode(sound(samples[:4], self.target)).decode()
            shown += f'<br><audio controls src="data:audio/wav;base64,{heard}"></audio>'
        return words + shown

    def sample(
        self,
        n: int | Latents,
        seed: int | None = None,
        label: int | str | Sequence[int] | None = None,
        truncation: float | None = None,
    ) -> Tensor:
        """Draw n samples, or make those of given latents.

        n: how many, or `Latents`, which say what class each sample is to be unless `label` does.
        seed: makes the draw repeatable.  label: a class number or name, or one number a sample; by default each
        class in turn.  truncation: 1 leaves latents as they are, less trades variety for fidelity.
        Returns float32 (n, *target.shape) on the CPU, in the target's range. Raises `ModelError`.
        """
        if isinstance(n, Latents):
            return self._sample_of(n, label, truncation)
        if n < 1:
            raise ModelError(f"cannot draw {n} samples: ask for at least 1")
        if truncation is not None and not 0 <= truncation <= 1:
            raise ModelError(f"truncation {truncation} is not between 0, the mean sample, and 1, latents as they are")
        refuse_too_many(n, self.target.size)
        labels = self._labels(n, label)
        with quietly(self.generator, seed):
            return generate(self.generator, self._latents(n), labels, truncation)

    def _sample_of(self, given: Latents, label: int | str | Sequence[int] | None, truncation: float | None) -> Tensor:
        """Samples of given latents."""
        if truncation is not None and given.space != "z":
            raise ModelError(f"truncation is for latents of space z, these are of space {given.space}: leave it out")
        refuse_too_many(len(given), self.target.size)
        refuse_misfit(self.generator, given)
        labels = given.label if label is None else self._labels(len(given), label)
        with quietly(self.generator, None):
            if given.space == "z":
                return generate(self.generator, given.values, labels, truncation)
            return in_chunks(
                lambda values, part: make(self.generator, Latents(given.space, values, part)), given.values, labels
            )

    def latents(
        self,
        seed: int | None = None,
        n: int = 1,
        label: int | str | Sequence[int] | None = None,
        space: str = "z",
    ) -> Latents:
        """The latents of which `sample(n, seed, label)` makes its samples.

        space: "z"; of a generator that is a `StyleSpace` also "w", the style that z is mapped to, and "w+", the
        style of each layer. Raises `ModelError`.
        """
        if n < 1:
            raise ModelError(f"cannot draw {n} latents: ask for at least 1")
        space = space_of(self.generator, space)
        labels = self._labels(n, label)
        with quietly(self.generator, seed):
            found = moved(self.generator, Latents("z", self._latents(n), labels), space)
        return found.at(found.values.clone())  # outside of inference mode, so that one may ask for gradients

    def project(self, image: Image.Image | Tensor, **options: Any) -> Projection:
        """Find latents whose sample comes near a picture, or a sample (*target.shape), that the model did not make.

        options: those of `ganzoo.latents.project`: space, label, steps, starts, seed, distance, progress.
        Raises `ModelError` for a model that makes no pictures from latents.
        """
        from ..latents import project  # ways up from a model: it is complete without these tools

        return project(self, image, **options)

    def directions(self, count: int = 8) -> Directions:
        """Directions in latent space along which samples change most, strongest first."""
        from ..latents import find_directions

        return find_directions(self, count)

    def mix(self, a: int | Latents, b: int | Latents, layers: str | Sequence[int] = "coarse") -> Latents:
        """Samples with the styles of a, but for some layers, whose styles are those of b. `sample` makes them.

        a, b: seeds, or latents, as many of each.  layers: "coarse", "middle", "fine", or numbers from 0.
        Raises `ModelError` for a generator that is no `StyleSpace`.
        """
        from ..latents import mix

        return mix(self, a, b, layers)

    def translate(self, pictures_or_samples: Sequence[Image.Image] | Tensor, to: str | None = None) -> Tensor:
        """Translate pictures of one field of the data into the other.

        pictures_or_samples: PIL pictures of any size, of which the middle is taken and resized, or float32 samples
        (n, *shape) in the range of the field that is read.  to: the field to make, by default that of the first
        generator.  Returns float32 (n, *shape) on the CPU, in that field's range. Raises `ModelError`.
        """
        one = self.direction(to)
        reads = one.reads.sample()
        if isinstance(pictures_or_samples, Tensor):
            source = pictures_or_samples
            if source.shape[1:] != reads.shape:
                raise ModelError(f"samples of shape {tuple(source.shape[1:])} cannot be translated: field {one.source} "
                                 f"has {reads.shape}")  # fmt: skip
        else:
            source = pictures.from_images(pictures_or_samples, reads)
        generator = self.translators[one.source, one.target]
        with quietly(generator, None):
            return generate(generator, source, torch.zeros(len(source), dtype=torch.int64))

    def direction(self, to: str | None = None) -> TranslationConfig:
        """The translation that makes the field `to`, by default the first. Raises `ModelError` if there is none."""
        fields = [one.target for one in self.config.translations]
        if not fields:
            raise ModelError("this model makes samples from latents, it translates nothing: use sample()")
        if to is not None and to not in fields:
            raise ModelError(f"this model does not translate to '{to}': it makes {' and '.join(fields)}")
        return next(one for one in self.config.translations if to in (None, one.target))

    def interpolate(
        self,
        n: int | Latents = 8,
        steps: int = 16,
        seed: int | None = None,
        label: int | str | Sequence[int] | None = None,
        space: str = "z",
    ) -> Tensor:
        """Walk through n latents, or given ones, and back to the first, `steps` samples from each to the next.

        space: z, along great circles, or of a `StyleSpace` w, along straight lines.
        Returns float32 (n * steps, *target.shape), as `sample` does.
        """
        refuse_too_many((len(n) if isinstance(n, Latents) else n) * steps, self.target.size)
        if isinstance(n, Latents):
            refuse_misfit(self.generator, n)
        elif label is None and getattr(self.generator, "conditional", False):
            label = 0
        with quietly(self.generator, seed):
            if not isinstance(n, Latents):
                n = Latents("z", self._latents(n), self._labels(n, label))
            corners = moved(self.generator, n, space if n.space == "z" else n.space)
            own: Callable[[Tensor, Tensor, float], Tensor] = self.generator.interpolate  # type: ignore[assignment]
            between = own if corners.space == "z" else torch.lerp
            pairs = zip(corners.values, corners.values.roll(-1, 0), strict=True)
            walk = torch.stack([between(a, b, step / steps) for a, b in pairs for step in range(steps)])
            labels = corners.label.repeat_interleave(steps)
            return self._sample_of(Latents(corners.space, walk, labels), None, None)

    def images(self, n: int | Latents, **options: Any) -> list[Image.Image]:
        """Draw n pictures; the options are those of `sample`. Raises `ModelError` if samples are no pictures."""
        if not self.target.is_image:
            made = self.target.looks.noun
            raise ModelError(f"this model makes {made} of shape {self.target.shape}, not pictures: use sample()")
        return pictures.to_images(self.sample(n, **options), self.target)

    def grid(self, n: int | Latents = 16, **options: Any) -> Image.Image:
        """Draw n pictures as one, in rows; the options are those of `sample`. Raises `ModelError` as `images` does."""
        if not self.target.is_image:
            raise ModelError(f"this model makes values of shape {self.target.shape}, not pictures: use sample()")
        return pictures.grid(self.sample(n, **options), self.target)

    def push(self, repo_id: str, token: str | None = None, **options: Any) -> Publication:
        """Publish the model's folder as "user/name" on the Hugging Face Hub.

        options: the fields of `PushOptions`. Returns the commit that holds it. Raises `HubError`.
        """
        from ..hub import push  # the one way up from a model: nothing else of it needs the Hub

        return push(self.folder, repo_id, PushOptions(**options), token)

    def _latents(self, n: int) -> Tensor:
        if self.config.source is not None:
            fields = " and ".join(one.target for one in self.config.translations)
            raise ModelError(f"this model has no latents to draw from, it translates to {fields}: give it pictures")
        return draw_latents(self.generator, n)

    def _labels(self, n: int, label: int | str | Sequence[int] | None) -> Tensor:
        classes, names = self.config.classes, self.config.class_names
        conditional = getattr(self.generator, "conditional", False)
        if label is not None and not conditional:
            raise ModelError("this model was trained without labels: leave the label out")
        if label is None:
            return torch.arange(n) % (classes if conditional else 1)
        if isinstance(label, str) and label in names:
            label = names.index(label)
        try:
            labels = torch.as_tensor([int(label)] * n if isinstance(label, int | str) else list(label))
        except ValueError:
            labels = torch.tensor([-1])
        if len(labels) != n or labels.min() < 0 or labels.max() >= classes:
            near = did_you_mean(str(label), names)
            raise ModelError(
                f"label {label} is none of the {classes} classes{near}: {', '.join(names) or f'0-{classes - 1}'}"
            )
        return labels

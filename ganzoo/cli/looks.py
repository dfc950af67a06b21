"""What `ganzoo sample` shows beside plain samples: chosen latents, walks, mixtures, directions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from ..files import file_hash

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from ..models import Directions, Latents, Model

log = logging.getLogger("ganzoo")

_OPTIONS = (
    click.option("--seeds", metavar="NUMBERS", help="A sample for each of these seeds, such as 0,7,42 or 0-15."),
    click.option("--latents", metavar="FILE", help="Samples of the latents that `ganzoo project` wrote."),
    click.option("--interpolate", is_flag=True, help="Walk from latent to latent: a film for .gif, .mp4 and .webp."),
    click.option("--along", metavar="DIRECTION",
                 help="Move samples along a direction, a number from 1 or FILE:NUMBER: a picture or a film."),
    click.option("--mix", metavar="SEEDS:SEEDS", help="A grid of rows' styles with the columns' in some layers."),
    click.option("--layers", metavar="LAYERS", help="Of --mix: coarse, middle, fine, or 0-3. [default: coarse]"),
    click.option("--space", metavar="SPACE", help="Of --interpolate: z, or w for a walk through styles. [default: z]"),
    click.option("--loop", is_flag=True, help="Films come back to where they begin and do not pause at their end."),
)  # fmt: skip


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options whose values `Look` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True)
class Look:
    """The options, by their names."""

    seeds: str | None
    latents: str | None
    interpolate: bool
    along: str | None
    mix: str | None
    layers: str | None
    space: str | None
    loop: bool

    def check(self, suffix: str, films: tuple[str, ...], stills: tuple[str, ...]) -> None:
        """Raise `UsageError` for options that do not go together, or not with such a file."""
        ways = {"--interpolate": self.interpolate, "--along": self.along is not None, "--mix": self.mix is not None}
        chosen = [name for name, given in ways.items() if given]
        if len(chosen) > 1:
            raise UsageError(f"{' and '.join(chosen)} are two things to look at: choose one")
        if self.seeds is not None and self.latents is not None:
            raise UsageError("--seeds and --latents both say which latents: choose one")
        if self.mix is not None and (self.seeds is not None or self.latents is not None):
            raise UsageError("--mix names its own seeds: leave out --seeds and --latents")
        for name, given, needed in (("--layers", self.layers, "--mix"), ("--space", self.space, "--interpolate")):
            if given is not None and chosen != [needed]:
                raise UsageError(f"{name} goes with {needed}")
        if self.loop and suffix not in films:
            raise UsageError(f"--loop is for films: write a {', '.join(films)}")
        if self.mix is not None and suffix not in stills:
            raise UsageError("--mix is one picture: write a .png")
        if self.along is not None and suffix not in (*stills, *films):
            raise UsageError("--along is a picture or a film: write a .png or .gif")

    def moves(self) -> bool:
        """True if a film of it makes sense."""
        return self.interpolate or self.along is not None

    def given(self, model: Model, label: str | None) -> Latents | None:
        """The latents that --seeds or --latents name; None for as many as are asked for."""
        from ..models import Latents

        if self.latents is not None:
            return Latents.read(self.latents)
        return None if self.seeds is None else of_seeds(model, self.seeds, label, "--seeds")

    def mixed(self, model: Model, label: str | None) -> Image:
        """The grid of --mix."""
        from ..latents import mixing_grid

        rows, colon, columns = (self.mix or "").partition(":")
        if not colon:
            raise UsageError(f"--mix {self.mix}: write seeds of rows, a colon, and seeds of columns, as 0-3:4-8")
        first, second = (of_seeds(model, part, label, "--mix") for part in (rows, columns))
        return mixing_grid(model, first, second, self.layers or "coarse")

    def moved(self, model: Model, latents: Latents, film: bool) -> Image | list[Tensor]:
        """What --along shows: one picture, or the samples (N, ...) of every frame of a film."""
        from ..latents import along, effects

        found, number = directions_of(model, self.along or "1")
        if not film:
            return effects(model, latents, found, number)
        frames = list(along(model, latents, found, number, 49))
        return [*frames, *frames[-2:0:-1]] if self.loop else frames


def directions_of(model: Model, asked: str) -> tuple[Directions, int]:
    """What --along names: directions of a file, those saved beside the model's weights, or found now; and a number.

    Raises `UsageError` for a text that names none.
    """
    from ..latents import find_directions
    from ..models import DIRECTIONS, WEIGHTS, Directions

    file, _, digits = asked.rpartition(":")
    if not (digits.isascii() and digits.isdecimal()) or int(digits) < 1:
        raise UsageError(f"--along {asked}: write a number from 1, or a file and a number, as {DIRECTIONS}:2")
    number = int(digits)
    if file:
        return Directions.read(file), number
    saved = model.folder / DIRECTIONS
    if saved.is_file():
        try:
            found = Directions.read(saved, file_hash(model.folder / WEIGHTS))
        except UsageError as error:  # nobody named that file: what it should hold is found anew
            log.warning("%s", error)
        else:
            if number <= len(found):
                return found, number
    return find_directions(model, number), number


def of_seeds(model: Model, text: str, label: str | None, asked: str) -> Latents:
    """Latents drawn with one seed each. Raises `UsageError` for a text that names no seeds."""
    import torch

    from ..latents import parsed_numbers

    try:
        seeds = parsed_numbers(text)
    except ValueError as error:
        raise UsageError(f"{asked} {text}: write seeds such as 0,7,42 or 0-15") from error
    labels = model.latents(0, len(seeds), label)
    return labels.at(torch.cat([model.latents(seed).values for seed in seeds]))

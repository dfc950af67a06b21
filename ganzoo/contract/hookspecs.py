"""The whole extension surface: one hook, which returns lazy references. No torch here.

A plugin is a package with an entry point in the group "ganzoo" that implements this hook:

    import ganzoo

    @ganzoo.hookimpl
    def ganzoo_components():
        return [ganzoo.Component("loss", "hinge", "ganzoo_losses.adversarial:Hinge", "Hinge loss")]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pluggy

from ..public import public

hookspec = pluggy.HookspecMarker("ganzoo")
hookimpl = pluggy.HookimplMarker("ganzoo")

KINDS = (
    "recipe",
    "generator",
    "discriminator",
    "loss",
    "penalty",
    "augmentation",
    "dataset",
    "optimizer",
    "callback",
    "features",
    "converter",
    "command",
)

COMMANDS = (
    "train", "study", "check", "plan", "list", "show", "models", "plugins", "data", "sample", "project", "directions",
    "export", "page", "play", "convert", "eval", "features", "report", "doctor", "runs",
    "push", "pull", "search", "card",
)  # fmt: skip
"""ganzoo's own commands, in the order of `--help`: a plugin's command has another name."""

INTERFACE = 1
"""The version of everything that plugins build on: hooks, kinds, constructors and methods of the interfaces."""

INTERFACES: Mapping[int, str | None] = {1: None}
"""Interface versions that this ganzoo speaks, each with the release that will drop it, or None."""


@public
@dataclass(frozen=True)
class Component:
    """A plugin's lazy reference to one implementation; nothing is imported until it is used.

    kind: one of `KINDS`.
    name: what the user types.
    target: "package.module:attribute". A recipe's target is a mapping with the keys of a recipe file, in a
        module that imports no torch; a command's is a click command; all others are classes.
    summary: one line for tables. Other names that people know it by, as "(BCE)", lead to it when somebody types them.
    paper: the source, as "Radford et al. 2016, arXiv:1511.06434".
    size: parameters at a stated shape, for `ganzoo show`.
    """

    kind: str
    name: str
    target: str
    summary: str
    paper: str = ""
    size: str = ""


@hookspec
def ganzoo_components() -> Iterable[Component]:
    """Return references to every component that this plugin provides.

    Called once, when the registry loads the plugin. Must not import torch.
    """
    return ()

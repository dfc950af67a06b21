"""Lazy references only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable

import ganzoo


@ganzoo.hookimpl
def ganzoo_components() -> Iterable[ganzoo.Component]:
    """List this plugin's augmentation."""
    return [
        ganzoo.Component(
            "augmentation",
            "diffaugment",
            "ganzoo_diffaugment.diffaugment:DiffAugment",
            "Random colour, translation and cutout of all pictures that D sees, for little data",
            "Zhao et al. 2020, arXiv:2006.10738",
        )
    ]

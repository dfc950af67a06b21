"""Lazy references only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable

import ganzoo


@ganzoo.hookimpl
def ganzoo_components() -> Iterable[ganzoo.Component]:
    """List this plugin's penalty."""
    return [
        ganzoo.Component(
            "penalty",
            "lecam",
            "ganzoo_lecam.lecam:LeCam",
            "Distance of D's logits from moving averages of those on the other kind, for little data",
            "Tseng et al. 2021, arXiv:2104.03310",
        )
    ]

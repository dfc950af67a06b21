"""Lazy references only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable

import ganzoo


@ganzoo.hookimpl
def ganzoo_components() -> Iterable[ganzoo.Component]:
    """List this plugin's feature extractors."""
    return [
        ganzoo.Component(
            "features",
            "inception",
            "ganzoo_metrics.inception:Inception",
            "Inception-v3 as in the published FID: 2,048 features of photographs",
            "Szegedy et al. 2015, arXiv:1512.00567; Heusel et al. 2017, arXiv:1706.08500",
            "23,869,000 parameters",
        ),
        ganzoo.Component(
            "features",
            "classifier",
            "ganzoo_metrics.classifier:Classifier",
            "A small classifier of the data themselves, learned by `ganzoo features train`",
            "after Lucic et al. 2018, arXiv:1711.10337",
        ),
    ]

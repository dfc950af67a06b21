"""The "50 lines of code" GAN: values from a bell curve. Lazy references only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable

import ganzoo

PAPER = "Dev Nag 2017, 'Generative Adversarial Networks (GANs) in 50 lines of code (PyTorch)'"


@ganzoo.hookimpl
def ganzoo_components() -> Iterable[ganzoo.Component]:
    """List the two networks and the two recipes."""
    networks, recipes = "ganzoo_gaussian.networks", "ganzoo_gaussian.recipes"
    return [
        ganzoo.Component(
            "generator",
            "gaussian",
            f"{networks}:GaussianGenerator",
            "Uniform noise bent into values by 1-5-5-1 tanh layers",
            PAPER,
            "46 parameters at (1,)",
        ),
        ganzoo.Component(
            "discriminator",
            "gaussian",
            f"{networks}:GaussianDiscriminator",
            "Judges a batch by its four moments, or values one by one",
            PAPER,
            "171 parameters at (1,) with moments, 151 with variances, 141 with raw",
        ),
        ganzoo.Component(
            "recipe", "gaussian", f"{recipes}:GAUSSIAN", "Mean and spread of a bell curve, from uniform noise", PAPER
        ),
        ganzoo.Component(
            "recipe", "gaussian-article", f"{recipes}:ARTICLE", "The same with the article's settings, slower", PAPER
        ),
    ]

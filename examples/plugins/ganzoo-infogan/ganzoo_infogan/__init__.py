"""InfoGAN for ganzoo. Lazy references only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import ganzoo

GANZOO_INTERFACE = 1

_PAPER = "Chen et al. 2016, arXiv:1606.03657"

INFOGAN: dict[str, Any] = {
    "data": {"name": "fashion-mini"},
    "generator": {"name": "infogan", "width": 32},
    "discriminator": {"name": "infogan", "width": 32},
    "loss": {"name": "infogan", "continuous": 1.0},
    "images": 500_000,
    "batch": 64,
    "optimizer": {"name": "adam", "lr": 1e-3, "betas": [0.5, 0.999], "D": {"lr": 2e-4}},
}
"""The paper's codes and step sizes for digits (appendix C.1), on the clothes that ganzoo brings. Their continuous codes
have ten times the weight: at 0.1 D had hardly read them after 80,000 clothes (a squared error of 0.29, guessing is 1/3), at 1
it reads them after 60,000 (0.06)."""


@ganzoo.hookimpl
def ganzoo_components() -> Iterable[ganzoo.Component]:
    """List the networks, the loss and the recipe."""
    module = "ganzoo_infogan.infogan"
    return [
        ganzoo.Component("generator", "infogan", f"{module}:Generator", "Noise and codes to pictures", _PAPER),
        ganzoo.Component("discriminator", "infogan", f"{module}:Discriminator", "A logit, and the codes", _PAPER),
        ganzoo.Component("loss", "infogan", f"{module}:InfoGAN", "Codes that D can read off the samples", _PAPER),
        ganzoo.Component("recipe", "infogan", "ganzoo_infogan:INFOGAN", "Ten kinds of clothes, and two codes", _PAPER),
    ]

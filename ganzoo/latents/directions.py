"""Directions in latent space along which samples change most.

Where affine layers read the latents or styles, they are found in closed form: a step n changes what those layers give
by A·n, most along the eigenvectors of AᵀA (Shen & Zhou 2021, "Closed-Form Factorization of Latent Semantics in GANs",
arXiv:2007.06600, equation 4). Elsewhere, the principal components of many samples say what changes most, and each
direction is the regression of latents on one component (after Härkönen et al. 2020, "GANSpace", arXiv:2004.02546).

Suffixes: N draws, D values of a latent or style, K directions, F features.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ..compute import device_of
from ..errors import ModelError, UsageError
from ..models import Directions, Model, make, space_of
from .draws import Cloud, cloud, refuse_without_latents

_DRAWS, _DRAWN_VALUES = 1_000, 1 << 26
_AFFINE = 1e-3
"""How far from affine a layer may be, as a share of what it gives."""


def find_directions(model: Model, count: int = 8) -> Directions:
    """The strongest directions, fewer if latents have fewer values. Raises `ModelError` for a model that translates."""
    if count < 1:
        raise UsageError(f"{count} directions show nothing: ask for at least 1")
    refuse_without_latents(model)
    space = space_of(model.generator, None)
    draws = cloud(model, space, max(64, min(_DRAWS, _DRAWN_VALUES // model.target.size)), 0)
    if draws.latents.values.ndim != 2:
        raise ModelError(f"latents of shape {tuple(draws.mean.shape)} have no directions here: they are no vectors")
    read = list(_readers(model, draws))
    if read:
        reach_FD = torch.cat(read)
        vectors = torch.linalg.eigh(reach_FD.T @ reach_FD).eigenvectors.T.flip(0)[:count]
        method = "closed form"
    else:
        vectors, method = _components(model, draws, count), "principal components"
    # an eigenvector has no sign of its own: its largest value is made positive, so that every machine agrees
    vectors = vectors * vectors.gather(1, vectors.abs().argmax(dim=1, keepdim=True)).sign()
    spread = (draws.latents.values @ vectors.T).std(dim=0)
    return Directions(draws.latents.space, vectors.contiguous(), spread, method)


def _readers(model: Model, draws: Cloud) -> Iterator[Tensor]:
    """What each affine layer that reads the latents makes of them, as (F, D)."""
    generator: Any = model.generator
    some = draws.latents[:2]
    layers: dict[nn.Module, tuple[Tensor, float]] = {}
    inside = [one for one in generator.modules() if next(one.children(), None) is None and one is not generator]

    def look(module: nn.Module, given: tuple[Any, ...]) -> None:
        share = _share(given[0], some.values) if len(given) == 1 and isinstance(given[0], Tensor) else None
        if share:
            layers[module] = given[0][:1].detach().cpu().clone(), share

    hooks = [module.register_forward_pre_hook(look) for module in inside]
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            make(generator, some)
    finally:
        for hook in hooks:
            hook.remove()
    for module, (given, share) in layers.items():
        reach = _reach(module, given, share, draws)
        if reach is not None:
            yield reach


def _share(given: Tensor, values: Tensor) -> float | None:
    """The number by which rows are the latents, with labels behind them or without; None if they are something else."""
    if (
        len(given) != len(values)
        or given[0].numel() < values.shape[1]
        or given.flatten(1).shape[1] > 16 * values.shape[1]
    ):
        return None
    rows = given.flatten(1)[:, : values.shape[1]].float().cpu()
    share = float((rows * values).sum() / values.square().sum())
    return share if torch.allclose(rows, share * values, rtol=1e-5, atol=0.0) else None


def _reach(module: nn.Module, given: Tensor, share: float, draws: Cloud) -> Tensor | None:
    """A of a layer that gives A·x + b for latents x, of which it reads a share, as (F, D): from its answers to unit
    vectors. None if it is not affine.
    """
    width = draws.mean.shape[0]
    device = device_of(module) if next(module.parameters(), None) is not None else torch.device("cpu")

    def answer(values_ND: Tensor) -> Tensor:
        rows = torch.zeros(len(values_ND), given[0].numel())
        rows[:, :width] = share * values_ND
        result = module(rows.reshape(len(rows), *given.shape[1:]).to(device))
        answers: Tensor = result.flatten(1).float().cpu()
        return answers

    with torch.no_grad():
        bias = answer(torch.zeros(1, width))
        reach_DF = answer(torch.eye(width)) - bias
        tried = draws.latents.values[:4]
        expected = tried @ reach_DF + bias
    error = (answer(tried) - expected).norm()
    return reach_DF.T if error <= _AFFINE * expected.norm() and reach_DF.norm() > 0 else None


def _components(model: Model, draws: Cloud, count: int) -> Tensor:
    """Regressions of latents on the principal components of their samples, (K, D)."""
    samples_NF = model.sample(draws.latents).flatten(1)
    centred = samples_NF - samples_NF.mean(dim=0)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        most = min(count, *centred.shape)
        scores_NK = centred @ torch.pca_lowrank(centred, q=most, center=False)[2]
    values = draws.latents.values - draws.mean
    return nn.functional.normalize(torch.linalg.lstsq(scores_NK, values).solution, dim=1)

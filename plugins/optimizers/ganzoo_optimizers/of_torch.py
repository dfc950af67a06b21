"""torch's optimisers with the defaults that GANs are trained with."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn, optim


class Adam(optim.Adam):
    """Adam, by default with the betas of Radford et al. 2016 (arXiv:1511.06434).

    lr: step size.  betas: decay of the running means of the gradient and of its square.
    eps: added to the root of the latter.  weight_decay: added to the gradient, times the weight.
    fused: all parameters in one kernel; follows `trainer.fused`.
    Kingma & Ba 2015 (arXiv:1412.6980).
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        fused: bool = True,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay=weight_decay, fused=fused)


class SGD(optim.SGD):
    """Gradient descent.

    lr: step size.  momentum: share of the last step that is taken again; 0 for none.
    weight_decay: added to the gradient, times the weight.
    fused: all parameters in one kernel; follows `trainer.fused`.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float = 2e-4,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        fused: bool = True,
    ) -> None:
        super().__init__(parameters, lr, momentum=momentum, weight_decay=weight_decay, fused=fused)


class RMSprop(optim.RMSprop):
    """Steps divided by the running root mean square of the gradient.

    lr: step size.  alpha: decay of the running mean square.  eps: added to its root.
    momentum: share of the last step that is taken again; 0 for none.
    weight_decay: added to the gradient, times the weight.
    Tieleman & Hinton 2012, lecture 6.5 of "Neural Networks for Machine Learning".
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float = 2e-4,
        alpha: float = 0.99,
        eps: float = 1e-8,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            parameters, lr, alpha=alpha, eps=eps, momentum=momentum, weight_decay=weight_decay, foreach=True
        )

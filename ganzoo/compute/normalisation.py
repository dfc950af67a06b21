"""BatchNorm over the samples of all processes. torch's own needs CUDA; this one computes anywhere."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .processes import World


class SharedBatchNorm(_BatchNorm):
    """Takes mean and variance over all processes; parameters, buffers and their names are BatchNorm's."""

    def _check_input_dim(self, input: Tensor) -> None:
        """Any (N, C, ...) will do."""

    def forward(self, input: Tensor) -> Tensor:
        """input: (N, C, ...), with as many samples in each process. Returns the same shape."""
        if not self.training:
            return super().forward(input)
        axes = [axis for axis in range(input.dim()) if axis != 1]
        shape = [1, -1, *[1] * (input.dim() - 2)]
        values = input.float()
        mean = _mean_of_all(values.mean(axes))
        centred = values - mean.view(shape)
        variance = _mean_of_all(centred.square().mean(axes))
        self._follow(mean, variance, input.numel() // input.shape[1] * dist.get_world_size())
        normal = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            normal = normal * self.weight.view(shape) + self.bias.view(shape)
        return normal.to(input.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, count: int) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        weight = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, weight)
        self.running_var.lerp_(variance * (count / max(count - 1, 1)), weight)


class _Sum(torch.autograd.Function):
    """The sum over all processes, whose gradient is the sum of their gradients."""

    @staticmethod
    def forward(context: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        return _Sum.apply(gradients[0].contiguous())  # type: ignore[no-any-return]


def _mean_of_all(tensor: Tensor) -> Tensor:
    return _Sum.apply(tensor) / dist.get_world_size()  # type: ignore[no-any-return]


def synchronised(module: nn.Module, world: World) -> nn.Module:
    """The module with every BatchNorm in it taken over all processes; alone, the module as it is."""
    if world.size == 1:
        return module
    for name, child in list(module.named_children()):
        setattr(module, name, synchronised(child, world))
    if not isinstance(module, _BatchNorm) or isinstance(module, SharedBatchNorm):
        return module
    shared = SharedBatchNorm(
        module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats
    )
    shared.load_state_dict(module.state_dict())
    shared.training = module.training
    for parameter, before in zip(shared.parameters(), module.parameters(), strict=True):
        parameter.requires_grad_(before.requires_grad)
    return shared

"""Batch norm over the global batch, whatever the number of processes (law 6).

Shapes: B batch, C channels, H height, W width.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from segpipe.runtime.errors import ParameterError


class _SumOfAll(torch.autograd.Function):
    """The sum of a tensor over all processes, and of its gradient on the way back."""

    @staticmethod
    def forward(_context: Any, own: Tensor) -> Tensor:
        return _summed(own)

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        return _summed(gradient)


def _summed(own: Tensor) -> Tensor:
    total = own.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total


class AllReduceBatchNorm(nn.BatchNorm2d):
    """Batch norm with the mean and variance of all processes' pixels, by one differentiable sum.

    torch.nn.SyncBatchNorm does the same on GPUs and refuses CPUs.
    """

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Normalise (B, C, H, W); in eval mode as nn.BatchNorm2d does."""
        if not self.training:
            return super().forward(x_BCHW)
        wide = x_BCHW.float()
        count = wide.new_tensor([wide.numel() / wide.shape[1]])
        own = torch.cat([wide.sum((0, 2, 3)), wide.square().sum((0, 2, 3)), count])
        total: Tensor = _SumOfAll.apply(own)
        channels, pixels = wide.shape[1], total[-1]
        mean_C = total[:channels] / pixels
        variance_C = total[channels:-1] / pixels - mean_C.square()
        self._remember(mean_C.detach(), variance_C.detach(), pixels.detach())
        scale_C = self.weight * torch.rsqrt(variance_C.clamp(min=0) + self.eps)
        shift_C = self.bias - mean_C * scale_C
        return (wide * scale_C[:, None, None] + shift_C[:, None, None]).to(x_BCHW.dtype)

    def _remember(self, mean_C: Tensor, variance_C: Tensor, pixels: Tensor) -> None:
        """Move the running statistics on, as torch does: the variance without bias."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean_C, self.momentum)
        self.running_var.lerp_(variance_C * pixels / (pixels - 1), self.momentum)


class _ThenActs(nn.Module):
    """What timm's BatchNormAct2d does after it has normalised: drop, then act."""

    drop: nn.Module
    act: nn.Module

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Normalise as the class beside this one does, and go on."""
        acted: Tensor = self.act(self.drop(super().forward(x_BCHW)))
        return acted


class AllReduceBatchNormAct(_ThenActs, AllReduceBatchNorm):
    """BatchNormAct2d over all processes, on CPUs."""


class SyncBatchNormAct(_ThenActs, nn.SyncBatchNorm):
    """BatchNormAct2d over all processes, on GPUs."""


def synchronise_norms(network: nn.Module, device: torch.device, processes: int) -> nn.Module:
    """Replace each batch norm of `network` by a synchronised one; nothing changes for one process.

    Raises ParameterError where a kind of batch norm is not known: what it does beside the norm
    would be lost.
    """
    if processes == 1:
        return network
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, _converted(child, device.type == "cuda"))
    return network


def _converted(norm: nn.BatchNorm2d, on_gpu: bool) -> nn.Module:
    acts = isinstance(getattr(norm, "act", None), nn.Module) and hasattr(norm, "drop")
    if not acts and type(norm) is not nn.BatchNorm2d:
        raise ParameterError(
            f"params.yaml: the network of model holds {type(norm).__name__}, a batch norm that cannot "
            "be shared by several processes; take another encoder, or train with one process "
            "(SEGPIPE_PROCESSES=1)"
        )
    kind: type[nn.BatchNorm2d] | type[nn.SyncBatchNorm]
    if on_gpu:
        kind = SyncBatchNormAct if acts else nn.SyncBatchNorm
    else:
        kind = AllReduceBatchNormAct if acts else AllReduceBatchNorm
    made = kind(norm.num_features, eps=norm.eps, momentum=norm.momentum)
    # The very parameters, buffers and layers: those that rest on purpose go on resting.
    made.weight, made.bias = norm.weight, norm.bias
    for name, buffer in norm.named_buffers(recurse=False):
        setattr(made, name, buffer)
    for name, layer in norm.named_children():
        setattr(made, name, layer)
    return made.train(norm.training)

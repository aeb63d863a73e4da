"""Batch norm over the global batch, by the same arithmetic on any number of processes (law 6).

Shapes: B batch, C channels, H height, W width.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from segpipe.runtime.errors import ParameterError


class _Normalised(torch.autograd.Function):
    """Batch norm with given statistics, on which the gradient depends as well (Ioffe & Szegedy 2015)."""

    @staticmethod
    def forward(
        context: Any,
        x_BCHW: Tensor,
        weight_C: Tensor,
        bias_C: Tensor,
        mean_C: Tensor,
        rstd_C: Tensor,
        pixels: Tensor,
        shared: bool,
    ) -> Tensor:
        context.save_for_backward(x_BCHW, weight_C, mean_C, rstd_C, pixels)
        context.shared = shared
        scale_C = weight_C * rstd_C
        shift_C = bias_C - mean_C * scale_C
        wide = x_BCHW.float()
        normal = torch.addcmul(shift_C[:, None, None], wide, scale_C[:, None, None])
        return normal.to(x_BCHW.dtype)

    @staticmethod
    def backward(context: Any, gradient_BCHW: Tensor) -> tuple[Tensor | None, ...]:
        x_BCHW, weight_C, mean_C, rstd_C, pixels = context.saved_tensors
        wide, given = x_BCHW.float(), gradient_BCHW.float()
        own_2C = torch.stack([given.sum((0, 2, 3)), _products(given, wide)])
        own_2C[1] = (own_2C[1] - mean_C * own_2C[0]) * rstd_C
        all_2C = _summed(own_2C) if context.shared else own_2C
        scale_C = weight_C * rstd_C
        slope_C = -scale_C * rstd_C * all_2C[1] / pixels
        offset_C = -scale_C * all_2C[0] / pixels - slope_C * mean_C
        found = torch.addcmul(offset_C[:, None, None], wide, slope_C[:, None, None])
        found.addcmul_(given, scale_C[:, None, None])
        return found.to(x_BCHW.dtype), own_2C[1], own_2C[0], None, None, None, None


def _products(one_BCHW: Tensor, other_BCHW: Tensor) -> Tensor:
    """Return the sums of products by channel; by image, whose products stay in the processor's cache."""
    sums = [(one * other).sum((1, 2)) for one, other in zip(one_BCHW, other_BCHW, strict=True)]
    return torch.stack(sums).sum(0)


def _summed(own: Tensor) -> Tensor:
    total = own.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total


class AllReduceBatchNorm(nn.BatchNorm2d):
    """Batch norm with the mean and variance of all processes' pixels, or of this one's alone.

    The sums are as exact as float32 allows, where torch's own of channels-last images on CPUs are wrong
    by 1e-4 of the standard deviation; so one process computes as several do. torch.nn.SyncBatchNorm
    does the same on GPUs and refuses CPUs. shared: whether the sums go over all processes.
    """

    shared = True

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Normalise (B, C, H, W); in eval mode as nn.BatchNorm2d does.

        Raises ValueError, as torch does, in training with one value a channel that is not shared.
        """
        channels = x_BCHW.shape[1]
        if not self.training or (x_BCHW.numel() == channels and not self.shared):
            return super().forward(x_BCHW)
        with torch.no_grad():
            wide = x_BCHW.float()
            count = wide.new_tensor([wide.numel() / channels])
            own = torch.cat([wide.sum((0, 2, 3)), _products(wide, wide), count])
            total = _summed(own) if self.shared else own
            pixels = total[-1]
            mean_C = total[:channels] / pixels
            variance_C = (total[channels:-1] / pixels - mean_C.square()).clamp(min=0)
            self._remember(mean_C, variance_C, pixels)
            rstd_C = torch.rsqrt(variance_C + self.eps)
        normal: Tensor = _Normalised.apply(
            x_BCHW, self.weight, self.bias, mean_C, rstd_C, pixels, self.shared
        )
        return normal

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
    """AllReduceBatchNorm for BatchNormAct2d, on CPUs."""


class SyncBatchNormAct(_ThenActs, nn.SyncBatchNorm):
    """BatchNormAct2d over all processes, on GPUs."""


def synchronise_norms(network: nn.Module, device: torch.device, processes: int) -> nn.Module:
    """Replace each batch norm of `network` by one over so many processes.

    On a GPU nothing changes for one process: that torch's own over several computes as its own over one
    is not tried. Raises ParameterError where a kind of batch norm is not known and there are several
    processes: what it does beside the norm would be lost.
    """
    on_gpu = device.type == "cuda"
    if processes == 1 and on_gpu:
        return network
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, _converted(child, on_gpu, processes > 1))
    return network


def _converted(norm: nn.BatchNorm2d, on_gpu: bool, shared: bool) -> nn.Module:
    acts = isinstance(getattr(norm, "act", None), nn.Module) and hasattr(norm, "drop")
    if not acts and type(norm) is not nn.BatchNorm2d:
        if not shared:
            return norm
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
    if isinstance(made, AllReduceBatchNorm):
        made.shared = shared
    # The very parameters, buffers and layers: those that rest on purpose go on resting.
    made.weight, made.bias = norm.weight, norm.bias
    for name, buffer in norm.named_buffers(recurse=False):
        setattr(made, name, buffer)
    for name, layer in norm.named_children():
        setattr(made, name, layer)
    return made.train(norm.training)

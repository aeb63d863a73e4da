"""Batch norm over the global batch, whatever the number of processes (law 6).

Shapes: B batch, C channels, H height, W width.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from segpipe.runtime.errors import ParameterError


class _Normalised(torch.autograd.Function):
    """Batch norm with given statistics, on which the gradient depends as well (Ioffe & Szegedy 2015).

    It goes image by image, so that what is computed on the way stays in the processor's cache. The mean
    is subtracted first: where it is large beside the deviation, any other order rounds that away.
    """

    @staticmethod
    def forward(
        context: Any,
        x_BCHW: Tensor,
        weight_C: Tensor,
        bias_C: Tensor,
        mean_C: Tensor,
        rstd_C: Tensor,
        pixels: Tensor,
    ) -> Tensor:
        context.save_for_backward(x_BCHW, weight_C, mean_C, rstd_C, pixels)
        mean, scale, bias = (c[:, None, None] for c in (mean_C, weight_C * rstd_C, bias_C))
        normal = torch.empty_like(x_BCHW, dtype=torch.float32)
        for x_CHW, out_CHW in zip(x_BCHW, normal, strict=True):
            torch.addcmul(bias, x_CHW.float() - mean, scale, out=out_CHW)
        return normal.to(x_BCHW.dtype)

    @staticmethod
    def backward(context: Any, gradient_BCHW: Tensor) -> tuple[Tensor | None, ...]:
        x_BCHW, weight_C, mean_C, rstd_C, pixels = context.saved_tensors
        mean, given_BCHW = mean_C[:, None, None], gradient_BCHW.float()
        sums_B2C = []
        for x_CHW, given_CHW in zip(x_BCHW, given_BCHW, strict=True):
            both = given_CHW, given_CHW * (x_CHW.float() - mean)
            sums_B2C.append(torch.stack([each.sum((1, 2)) for each in both]))
        own_2C = torch.stack(sums_B2C).sum(0)
        own_2C[1] *= rstd_C
        all_2C = _summed(own_2C)
        scale_C = weight_C * rstd_C
        slope = (-scale_C * rstd_C * all_2C[1] / pixels)[:, None, None]
        offset, scale = (-scale_C * all_2C[0] / pixels)[:, None, None], scale_C[:, None, None]
        found = torch.empty_like(x_BCHW, dtype=torch.float32)
        for x_CHW, given_CHW, out_CHW in zip(x_BCHW, given_BCHW, found, strict=True):
            torch.addcmul(offset, x_CHW.float() - mean, slope, out=out_CHW)
            out_CHW.addcmul_(given_CHW, scale)
        return found.to(x_BCHW.dtype), own_2C[1], own_2C[0], None, None, None


def _sums(x_BCHW: Tensor) -> Tensor:
    """Return the sums over the pixels of x, of its square, and of 1, by channel: (3, C), float64.

    They are taken of the deviation from the first image's mean, which is near the mean of all, and
    brought back in float64: a variance far below the square of the mean would not survive otherwise.
    """
    near_C = x_BCHW[0].float().mean((1, 2))
    sums_B2C = []
    for x_CHW in x_BCHW:
        away_CHW = x_CHW.float() - near_C[:, None, None]
        sums_B2C.append(torch.stack([each.sum((1, 2)) for each in (away_CHW, away_CHW * away_CHW)]))
    away_C, squared_C = torch.stack(sums_B2C).double().sum(0)
    near_C, count_C = near_C.double(), torch.full_like(away_C, x_BCHW[:, 0].numel())
    sum_C = away_C + count_C * near_C
    return torch.stack([sum_C, squared_C + near_C * (away_C + sum_C), count_C])


def _summed(own: Tensor) -> Tensor:
    total = own.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total


class AllReduceBatchNorm(nn.BatchNorm2d):
    """Batch norm with the mean and variance of all processes' pixels, as exact as float32 can hold.

    torch.nn.SyncBatchNorm does the same on GPUs and refuses CPUs.
    """

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Normalise (B, C, H, W); in eval mode as nn.BatchNorm2d does."""
        if not self.training:
            return super().forward(x_BCHW)
        with torch.no_grad():
            sum_C, square_C, pixels_C = _summed(_sums(x_BCHW))
            mean_C = sum_C / pixels_C
            variance_C = (square_C / pixels_C - mean_C.square()).clamp(min=0)
            rstd_C = torch.rsqrt(variance_C + self.eps).float()
            pixels = pixels_C[0].float()
            self._remember(mean_C.float(), variance_C.float(), pixels)
        normal: Tensor = _Normalised.apply(
            x_BCHW, self.weight, self.bias, mean_C.float(), rstd_C, pixels
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

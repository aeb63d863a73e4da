"""Batch norm over the global batch, whatever the number of processes (law 6).

Shapes: B batch, C channels, H height, W width.
"""

import torch
import torch.distributed.nn.functional as differentiable
from torch import Tensor, nn


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
        total: Tensor = differentiable.all_reduce(own)  # type: ignore[no-untyped-call]
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


def synchronise_norms(network: nn.Module, device: torch.device, processes: int) -> nn.Module:
    """Replace each batch norm of `network` by a synchronised one; nothing changes for one process."""
    if processes == 1:
        return network
    if device.type == "cuda":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return converted
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, _converted(child))
    return network


def _converted(norm: nn.BatchNorm2d) -> AllReduceBatchNorm:
    made = AllReduceBatchNorm(norm.num_features, eps=norm.eps, momentum=norm.momentum)
    made.load_state_dict(norm.state_dict())
    # The very parameters: those that rest on purpose go on resting.
    made.weight, made.bias = norm.weight, norm.bias
    return made

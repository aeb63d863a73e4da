"""Muon: an optimizer whose steps change all directions of a kernel by about the same length.

Shapes: G groups of a convolution, M output channels of a group, N all else of its kernels.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

_MOMENTUM = 0.95
# Jordan et al. 2024: the iteration's steepest slope at 0, for which values end near 1 and not at 1.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
# The root mean square of a step in units of the learning rate, about that of AdamW's steps.
_STEP = 0.2


class Muon(torch.optim.AdamW):
    """Muon for the kernels of a network, AdamW for its vectors (biases, scales of norms).

    A kernel of a convolution is a matrix of output channels by all else, for each group of channels.
    It moves along its Nesterov momentum with all singular values set to about 1, times
    sqrt(larger side): Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks",
    https://kellerjordan.github.io/posts/muon/. The factor 0.2 makes learning rate and weight decay
    those of AdamW: Liu et al. 2025, "Muon is scalable for LLM training", section 2.2.
    """

    def __init__(self, network: nn.Module, groups: Iterable[dict[str, Any]], lr: float) -> None:
        super().__init__(groups, lr=lr)
        self._convolution_groups = {
            module.weight: module.groups
            for module in network.modules()
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
        }

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Take a step; the gradients of the kernels are None afterwards."""
        for group in self.param_groups:
            for kernel in group["params"]:
                if kernel.ndim > 1 and kernel.grad is not None:
                    self._step_kernel(kernel, kernel.grad, group["lr"], group["weight_decay"])
                    # AdamW passes over weights without a gradient.
                    kernel.grad = None
        return super().step(closure)

    def _step_kernel(
        self, kernel: Tensor, gradient: Tensor, lr: float, weight_decay: float
    ) -> None:
        state = self.state[kernel]
        if not state:
            # AdamW asks each state for its step when one is restored.
            state["step"] = torch.tensor(0.0)
            state["momentum"] = torch.zeros_like(kernel)
        state["step"] += 1
        state["momentum"].lerp_(gradient, 1 - _MOMENTUM)
        direction = torch.lerp(gradient, state["momentum"], _MOMENTUM)
        groups = self._convolution_groups.get(kernel, 1)
        matrices_GMN = direction.reshape(groups, len(kernel) // groups, -1)
        length = _STEP * max(matrices_GMN.shape[1:]) ** 0.5
        kernel.mul_(1 - lr * weight_decay)
        kernel.add_(orthogonal(matrices_GMN).view_as(direction), alpha=-lr * length)


def orthogonal(matrices_GMN: Tensor) -> Tensor:
    """Return the matrices with all their singular values set to between 0.65 and 1.25.

    Those below 0.003 of a matrix's Frobenius norm stay smaller. It is the Newton-Schulz iteration of
    Jordan et al. 2024, X <- (a + b X X^T + c (X X^T)^2) X. Its factors are polynomials of X X^T, and so
    commute; only they are computed here, of M x M each, and multiplied with X at the end: that is a
    third of the work where N is 9 M, as in a convolution of 3x3, but needs float32.
    """
    tall = matrices_GMN.shape[1] > matrices_GMN.shape[2]
    x = matrices_GMN.mT if tall else matrices_GMN
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    gram = x @ x.mT
    product = factor = _factor(gram)
    for _ in range(_ITERATIONS - 1):
        gram = factor @ gram @ factor
        factor = _factor(gram)
        product = factor @ product
    found: Tensor = product @ x
    return found.mT if tall else found


def _factor(gram_GMM: Tensor) -> Tensor:
    """Return a + b X X^T + c (X X^T)^2 of X X^T."""
    a, b, c = _COEFFICIENTS
    factor_GMM = torch.baddbmm(gram_GMM, gram_GMM, gram_GMM, beta=b, alpha=c)
    factor_GMM.diagonal(dim1=1, dim2=2).add_(a)
    return factor_GMM

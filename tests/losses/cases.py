"""Random batches, and every loss at values that suit them, for the tests of losses.

Shapes: B batch, K classes; K = 1 is the binary case.
"""

import torch
from torch import Tensor

from segpipe.labels.scheme import VOID
from segpipe.losses.build import Loss, build_loss
from segpipe.params.loss import LossParams, OhemParams

WEIGHTS = {1: torch.tensor([0.5, 3.0]), 4: torch.tensor([0.2, 1.0, 2.5, 0.0])}

# Each loss with each number of channels that it can have.
EVERY = [
    (name, channels)
    for channels, own in ((4, "cross_entropy"), (1, "bce"))
    for name in (own, "dice", "lovasz", "focal", "ohem", "boundary", "sum")
]


def batch(
    samples: int = 3, channels: int = 4, height: int = 6, width: int = 7, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Logits that ask for a gradient, and uint8 masks whose samples hold unlike shares of void."""
    random = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(samples, channels, height, width, generator=random)
    mask = torch.randint(0, max(channels, 2), (samples, height, width), generator=random)
    shares = torch.linspace(0.05, 0.6, samples)[:, None, None]
    void = torch.rand(mask.shape, generator=random) < shares
    return logits.requires_grad_(), mask.masked_fill(void, VOID).to(torch.uint8)


def gradient(loss: Tensor, logits: Tensor) -> Tensor:
    """The gradient of a loss towards its logits."""
    return torch.autograd.grad(loss, logits)[0]


def named(name: str, channels: int = 4, weights: Tensor | None = None) -> Loss:
    """The loss as the pipeline builds it; the few pixels of the batches ask for a small minimum."""
    members = {"dice": 1.0, "lovasz": 0.25, "bce" if channels == 1 else "cross_entropy": 0.5}
    ohem = OhemParams(threshold=0.3, share=0.2, min_kept=2)
    return build_loss(LossParams(name=name, sum=members, ohem=ohem), weights)

"""Focal loss, summed over the pixels that count.

Shapes: B batch, K classes; K = 1 is the binary case.
"""

import torch
from torch import Tensor

from segpipe.losses.aligned import Aligned


def focal_sum(aligned: Aligned, gamma: float, weights_K: Tensor | None = None) -> Tensor:
    """Return the sum (float32 scalar) of -w (1 - p)^gamma log p over the valid pixels.

    p is the probability of the true class and w the weight of that class (Lin et al. 2017, "Focal
    loss for dense object detection", equation 5, where w is called alpha). gamma 0 is cross-entropy,
    2 the paper's choice.

    Void, weights, sizes and precision are treated as in `cross_entropy_sum`.
    """
    surprise_BHW = aligned.cross_entropy_BHW
    # expm1 keeps the digits of 1 - p near 0. The bound keeps the slope of a power below 1 finite.
    missing_BHW = (-torch.expm1(-surprise_BHW)).clamp_min(torch.finfo(torch.float32).tiny)
    return aligned.weighted(missing_BHW.pow(gamma) * surprise_BHW, weights_K).sum()

"""Focal loss, summed over the pixels that count.

Shapes: B batch, K classes; K = 1 is the binary case.
"""

import torch
from torch import Tensor

from segpipe.losses.aligned import align, pixel_weights
from segpipe.losses.pixel import pixel_loss


def focal_sum(
    logits_BKHW: Tensor, mask_BHW: Tensor, gamma: float, weights_K: Tensor | None = None
) -> Tensor:
    """Return the sum (float32 scalar) of -w (1 - p)^gamma log p over the valid pixels.

    p is the probability of the true class and w the weight of that class (Lin et al. 2017, "Focal
    loss for dense object detection", equation 5, where w is called alpha). gamma 0 is cross-entropy,
    2 the paper's choice.

    Void, weights, sizes and precision are treated as in `cross_entropy_sum`.
    """
    logits_BKHW, target_BHW, _ = align(logits_BKHW, mask_BHW)
    surprise_BHW = pixel_loss(logits_BKHW, target_BHW)
    # expm1 keeps the digits of 1 - p near 0. The bound keeps the slope of a power below 1 finite.
    missing_BHW = (-torch.expm1(-surprise_BHW)).clamp_min(torch.finfo(torch.float32).tiny)
    loss_BHW = missing_BHW.pow(gamma) * surprise_BHW
    if weights_K is not None:
        loss_BHW = loss_BHW * pixel_weights(target_BHW, weights_K.to(loss_BHW))
    return loss_BHW.sum()

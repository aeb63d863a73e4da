"""Soft Dice loss of each image.

Shapes: B batch, K classes; K = 1 is the binary case.
"""

import torch
from torch import Tensor

from segpipe.losses.aligned import Aligned, class_members, probabilities


def dice_sum(aligned: Aligned, smooth: float) -> Tensor:
    """Return the sum over images (float32 scalar) of 1 - Dice, times the image's valid pixels.

    With the probabilities p and the truth g (0 or 1) of a class over the valid pixels of an image,

        Dice = (2 sum(p g) + smooth) / (sum(p) + sum(g) + smooth)

    (Milletari et al. 2016, "V-Net", who square p and g in the denominator; without the squares as
    in Drozdzal et al. 2016 and in today's libraries). The loss of an image is the mean over the
    classes that its truth holds; false pixels of the others cost through the softmax. One logit
    is scored on its class alone, in every image.

    smooth: pixels, above 0; what keeps the fraction defined when a class is neither seen nor true.

    A perfect prediction costs 0, the worst nearly 1. An image without valid pixels gives 0 with
    gradient 0. Sizes and precision are treated as in `cross_entropy_sum`.
    """
    channels = aligned.logits_BKHW.shape[1]
    probability_BKHW = probabilities(aligned.logits_BKHW)
    members_BKHW = class_members(aligned.target_BHW, channels)
    true_BK = members_BKHW.sum((2, 3))
    both_BK = probability_BKHW.where(members_BKHW, 0).sum((2, 3))
    seen_BK = probability_BKHW.where(aligned.valid_BHW[:, None], 0).sum((2, 3))
    loss_BK = 1 - (2 * both_BK + smooth) / (seen_BK + true_BK + smooth)
    counted_BK = torch.ones_like(true_BK) if channels == 1 else (true_BK > 0).long()
    loss_B = (loss_BK * counted_BK).sum(1) / counted_BK.sum(1).clamp_min(1)
    return (loss_B * aligned.valid_BHW.sum((1, 2))).sum()

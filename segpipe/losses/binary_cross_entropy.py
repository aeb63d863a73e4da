"""Binary cross-entropy of one logit a pixel, summed over the pixels that count.

Shapes: B batch; the mask holds the train ids 0 (rest), 1 (the class) and VOID.
"""

import torch.nn.functional as F
from torch import Tensor

from segpipe.labels.scheme import VOID
from segpipe.losses.aligned import align, pixel_weights


def binary_cross_entropy_sum(
    logits_B1HW: Tensor, mask_BHW: Tensor, weights_2: Tensor | None = None
) -> Tensor:
    """Return the sum (float32 scalar, in nats) of -log p(truth), p(train id 1) being sigmoid(logit).

    weights_2: factors of the pixels of train id 0 and 1; the divisor stays the number of valid
    pixels, as in `cross_entropy_sum`. Void, sizes and precision are treated as there.

    Raises IndexError on the CPU for other train ids, ValueError for more than one logit a pixel or
    other than two weights.
    """
    logits_B1HW, target_BHW, _ = align(logits_B1HW, mask_BHW)
    return pixel_binary_cross_entropy(logits_B1HW, target_BHW, weights_2).sum()


def pixel_binary_cross_entropy(
    logits_B1HW: Tensor, target_BHW: Tensor, weights_2: Tensor | None = None
) -> Tensor:
    """Return the binary cross-entropy of each pixel, (B, H, W); 0 where the target is VOID."""
    if logits_B1HW.shape[1] != 1:
        raise ValueError(f"one logit a pixel is needed, not {logits_B1HW.shape[1]}")
    if weights_2 is not None and len(weights_2) != 2:
        raise ValueError(f"two weights are needed, of train ids 0 and 1, not {len(weights_2)}")
    logits_BHW = logits_B1HW[:, 0]
    truth_BHW = (target_BHW == 1).to(logits_BHW)
    loss_BHW = F.binary_cross_entropy_with_logits(logits_BHW, truth_BHW, reduction="none")
    loss_BHW = loss_BHW.masked_fill(target_BHW == VOID, 0)
    if weights_2 is None:
        return loss_BHW
    return loss_BHW * pixel_weights(target_BHW, weights_2.to(loss_BHW))

"""The cross-entropy of each pixel, of K classes or of one logit: the ground of further losses.

Shapes: B batch, K classes.
"""

from torch import Tensor

from segpipe.losses.binary_cross_entropy import pixel_binary_cross_entropy
from segpipe.losses.cross_entropy import pixel_cross_entropy


def pixel_loss(logits_BKHW: Tensor, target_BHW: Tensor, weights_K: Tensor | None = None) -> Tensor:
    """Return -log p(true class) of each pixel times its class's weight, (B, H, W); 0 where VOID.

    One channel of logits is the binary case, with two weights.
    """
    if logits_BKHW.shape[1] == 1:
        return pixel_binary_cross_entropy(logits_BKHW, target_BHW, weights_K)
    return pixel_cross_entropy(logits_BKHW, target_BHW, weights_K)

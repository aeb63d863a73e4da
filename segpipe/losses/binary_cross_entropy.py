"""Binary cross-entropy of one logit a pixel, summed over the pixels that count.

Shapes: the mask holds the train ids 0 (rest), 1 (the class) and VOID.
"""

from torch import Tensor

from segpipe.losses.aligned import Aligned


def binary_cross_entropy_sum(aligned: Aligned, weights_2: Tensor | None = None) -> Tensor:
    """Return the sum (float32 scalar, in nats) of -log p(truth), p(train id 1) being sigmoid(logit).

    weights_2: factors of the pixels of train id 0 and 1; the divisor stays the number of valid
    pixels, as in `cross_entropy_sum`. Void, sizes and precision are treated as there.

    Raises IndexError on the CPU for other train ids, ValueError for more than one logit a pixel or
    other than two weights.
    """
    if aligned.logits_BKHW.shape[1] != 1:
        raise ValueError(f"one logit a pixel is needed, not {aligned.logits_BKHW.shape[1]}")
    if weights_2 is not None and len(weights_2) != 2:
        raise ValueError(f"two weights are needed, of train ids 0 and 1, not {len(weights_2)}")
    return aligned.weighted(aligned.cross_entropy_BHW, weights_2).sum()

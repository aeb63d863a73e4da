"""Cross-entropy, summed over the pixels that count.

Shapes: K classes; the mask holds train ids 0..K-1 and VOID.
"""

import torch.nn.functional as F
from torch import Tensor

from segpipe.labels.scheme import VOID
from segpipe.losses.aligned import Aligned


def cross_entropy_sum(
    aligned: Aligned, weights_K: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """Return the sum (float32 scalar, in nats) of -log p(true class) over the valid pixels.

    A sum and no mean, for the caller divides by the valid pixels of the whole global batch
    (law 6). A batch without valid pixels gives 0 with gradient 0. Logits that are smaller than the
    mask belong to its centre; those of lower precision are widened first.

    weights_K: factor of a pixel by its true class. The divisor stays the number of valid pixels,
    not the sum of their weights: only so do parts of a batch add up, and as the mean weight over
    the training pixels is 1, both are the same on average.
    label_smoothing: share e in 0..1 of the truth that is spread evenly over all classes (Szegedy et
    al. 2016, "Rethinking the Inception architecture", section 7); with weights, each class's part
    takes its own weight, as in torch.

    Raises IndexError on the CPU when the mask holds a train id beyond K-1 that is not VOID.
    """
    if not label_smoothing:
        return aligned.weighted(aligned.cross_entropy_BHW, weights_K).sum()
    logits_BKHW = aligned.logits_BKHW
    return F.cross_entropy(
        logits_BKHW,
        aligned.target_BHW,
        weight=None if weights_K is None else weights_K.to(logits_BKHW),
        ignore_index=VOID,
        reduction="none",
        label_smoothing=label_smoothing,
    ).sum()

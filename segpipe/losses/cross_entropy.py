"""Cross-entropy, summed over the pixels that count.

Shapes: B batch, K classes; the mask holds train ids 0..K-1 and VOID.
"""

import torch.nn.functional as F
from torch import Tensor

from segpipe.cropping import centre_crop
from segpipe.labels.scheme import VOID


def cross_entropy_sum(logits_BKHW: Tensor, mask_BHW: Tensor) -> Tensor:
    """Return the sum (float32 scalar, in nats) of -log p(true class) over the valid pixels.

    A sum and no mean, for the caller divides by the valid pixels of the whole global batch
    (law 6). A batch without valid pixels gives 0 with gradient 0. Logits that are smaller than the
    mask belong to its centre; those of lower precision are widened first.

    Raises IndexError on the CPU when the mask holds a train id beyond K-1 that is not VOID.
    """
    height, width = logits_BKHW.shape[-2:]
    target_BHW = centre_crop(mask_BHW, height, width).long()
    # torch's own sum over pixels uses atomic additions on CUDA, whose order varies.
    loss_BHW = F.cross_entropy(logits_BKHW.float(), target_BHW, ignore_index=VOID, reduction="none")
    return loss_BHW.sum()

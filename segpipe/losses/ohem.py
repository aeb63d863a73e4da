"""Cross-entropy of the hardest pixels of each image (online hard example mining).

Shapes: B batch, K classes; K = 1 is the binary case.
"""

from math import ceil, inf, log

import torch
from torch import Tensor

from segpipe.losses.aligned import Aligned


def ohem_sum(
    aligned: Aligned,
    share: float,
    threshold: float,
    min_kept: int,
    weights_K: Tensor | None = None,
) -> Tensor:
    """Return the sum over images (float32 scalar) of the mean over the kept pixels times the valid ones.

    Kept are the valid pixels whose true class has a probability below `threshold`, and the hardest
    ones (lowest such probability) up to `share` of the image's valid pixels and up to `min_kept`
    pixels, with all that tie with the last of them. (Shrivastava, Gupta and Girshick 2016, "Training
    region-based object detectors with online hard example mining"; for pixels Wu, Shen and van den
    Hengel 2016, "High-performance semantic segmentation using very deep fully convolutional
    networks".) Images are ranked apart, so that their place in a batch changes nothing.

    share, threshold: 0..1; share 1 keeps all pixels: cross-entropy. weights_K: factors of the kept
    pixels by class; they do not change which are kept, nor the divisor.

    An image without valid pixels gives 0 with gradient 0. Void, sizes and precision are treated as
    in `cross_entropy_sum`.
    """
    surprise_BHW, valid_BHW = aligned.cross_entropy_BHW, aligned.valid_BHW
    limit = -log(threshold) if threshold > 0 else inf
    valid_B = valid_BHW.sum((1, 2))
    hardest_B = _lowest_of_hardest(surprise_BHW.detach(), valid_BHW, valid_B, share, min_kept)
    # Asked this way round, pixels that are not a number are kept, and the engine hears of them.
    easy_BHW = (surprise_BHW <= limit) & (surprise_BHW < hardest_B[:, None, None])
    kept_BHW = valid_BHW & ~easy_BHW
    kept_sum_B = aligned.weighted(surprise_BHW, weights_K).where(kept_BHW, 0).sum((1, 2))
    return (kept_sum_B * (valid_B / kept_BHW.sum((1, 2)).clamp_min(1))).sum()


def _lowest_of_hardest(
    surprise_BHW: Tensor, valid_BHW: Tensor, valid_B: Tensor, share: float, min_kept: int
) -> Tensor:
    """The smallest loss among those pixels of each image that are kept whatever the threshold."""
    ranked_BP = surprise_BHW.masked_fill(~valid_BHW, -1).flatten(1)
    pixels = ranked_BP.shape[1]
    lowest = []
    for ranked_P, valid in zip(ranked_BP, valid_B.tolist(), strict=True):
        kept = max(ceil(share * valid), min(min_kept, valid), 1)
        lowest.append(ranked_P.kthvalue(pixels - kept + 1).values)
    return torch.stack(lowest)

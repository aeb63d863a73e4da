"""The threshold of a network with one logit a pixel, from counts of probabilities.

Shapes: B batch; T thresholds.
"""

import torch
from torch import Tensor

from segpipe.labels.scheme import VOID

# Thresholds are looked for in thousandths; so many ranges of probability lie between them.
PROBABILITIES = 1000


def count_probabilities(logits_B1HW: Tensor, mask_BHW: Tensor) -> Tensor:
    """Return how many valid pixels lie above how many of the thresholds, (2, 1000) int64.

    The first row counts the pixels of train id 0, the second those of train id 1; column t counts
    those whose probability is above exactly t of the thresholds 0.001 .. 0.999. Counts of parts and
    of processes add up (law 7).
    """
    edges_T = _thresholds(logits_B1HW.device)
    above_BHW = torch.bucketize(logits_B1HW[:, 0].float().sigmoid(), edges_T)
    valid_BHW = mask_BHW != VOID
    places = above_BHW[valid_BHW] + PROBABILITIES * (mask_BHW[valid_BHW] == 1)
    return torch.bincount(places, minlength=2 * PROBABILITIES).view(2, PROBABILITIES)


def best_threshold(counts_2T: Tensor) -> float:
    """Return the threshold with the largest IoU of train id 1; of equal ones that nearest to 0.5.

    counts_2T: as `count_probabilities` gives. 0.5 where no pixel is of train id 1.
    """
    counts_2T = counts_2T.cpu()
    if not counts_2T[1].any():
        return 0.5
    # What lies above threshold number t has a count of t + 1 or more.
    above_2T = counts_2T.flip(1).cumsum(1).flip(1)[:, 1:]
    union_T = counts_2T[1].sum() + above_2T[0]
    iou_T = above_2T[1].double() / union_T
    thresholds_T = _thresholds(counts_2T.device)
    best_T = thresholds_T[iou_T == iou_T.max()]
    return round(float(best_T[(best_T - 0.5).abs().argmin()]), 3)


def _thresholds(device: torch.device) -> Tensor:
    return (
        torch.arange(1, PROBABILITIES, device=device, dtype=torch.float64)
        .div(PROBABILITIES)
        .float()
    )

"""Precision and recall of one logit a pixel at every threshold, from counts of probabilities.

Probabilities are told apart in thousandths, so that whole numbers hold all that a curve needs: counts
of images and of processes add up, and the scores are pure functions of the sums (law 7).

Shapes: B batch; T ranges of probability, and as many thresholds, 0 .. 0.999.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segpipe.labels.scheme import VOID
from segpipe.metrics.scores import ratio

PROBABILITIES = 1000  # ranges of probability
FOREGROUND = 1  # the train id that the logit scores, against 0


@dataclass(frozen=True)
class Curve:
    """What each threshold gives, where the probabilities above it are taken as train id 1.

    threshold_T: 0, where all pixels are taken, to 0.999. precision_T is NaN where nothing is taken,
    recall_T and iou_T where no pixel is of train id 1; Dice (F1) is 2 IoU / (1 + IoU).
    """

    threshold_T: NDArray[np.float64]
    precision_T: NDArray[np.float64]
    recall_T: NDArray[np.float64]
    iou_T: NDArray[np.float64]


def count_probabilities(logits_B1HW: Tensor, mask_BHW: Tensor) -> Tensor:
    """Return how many valid pixels lie above how many of the thresholds, (2, 1000) int64.

    The first row counts the pixels of train id 0, the second those of train id 1; column t counts
    those whose probability is above exactly t of the thresholds 0.001 .. 0.999.
    """
    edges = torch.arange(1, PROBABILITIES, device=logits_B1HW.device, dtype=torch.float64)
    # Divided in float64: a threshold of the parameters, such as 0.3, is rounded likewise.
    edges = edges.div(PROBABILITIES).float()
    above_BHW = torch.bucketize(logits_B1HW[:, 0].float().sigmoid(), edges)
    valid_BHW = mask_BHW != VOID
    places = above_BHW[valid_BHW] + PROBABILITIES * (mask_BHW[valid_BHW] == FOREGROUND)
    return torch.bincount(places, minlength=2 * PROBABILITIES).view(2, PROBABILITIES)


def curve(counts_2T: NDArray[np.int64]) -> Curve:
    """Return precision, recall and IoU at each threshold; counts as `count_probabilities` gives."""
    taken_2T = counts_2T[:, ::-1].cumsum(1)[:, ::-1]
    hits_T, pixels = taken_2T[1], counts_2T[1].sum()
    return Curve(
        threshold_T=np.arange(PROBABILITIES) / PROBABILITIES,
        precision_T=ratio(hits_T, taken_2T.sum(0)),
        recall_T=ratio(hits_T, np.full(PROBABILITIES, pixels)),
        iou_T=ratio(hits_T, np.where(pixels > 0, pixels + taken_2T[0], 0)),
    )


def average_precision(counts_2T: NDArray[np.int64]) -> float:
    """Return the mean of the precision over the recall, in 0..1; NaN without pixels of train id 1.

    It is the sum over the thresholds, from high to low, of the precision times the gain in recall,
    without interpolation (scikit-learn, `average_precision_score`).
    """
    pixels = counts_2T[1].sum()
    if not pixels:
        return float("nan")
    return float(np.nansum(curve(counts_2T).precision_T * (counts_2T[1] / pixels)))


def average_precision_bound(counts_2T: NDArray[np.int64]) -> float:
    """Return how far `average_precision` may be from that of the probabilities themselves.

    Within a range their order is unknown. A pixel of train id 1 has at most the precision of its range
    without the others there, and at least the one that it has behind all of them. NaN as there.
    """
    from scipy.special import digamma  # slow to import, and a training needs none of it

    pixels = int(counts_2T[1].sum())
    if not pixels:
        return float("nan")
    own_T, others_T = counts_2T[1].astype(np.float64), counts_2T[0].astype(np.float64)
    own_above_T = own_T[::-1].cumsum()[::-1] - own_T
    others_above_T = others_T[::-1].cumsum()[::-1] - others_T
    found_T = own_T * ratio(own_above_T + own_T, own_above_T + own_T + others_above_T + others_T)
    most_T = own_T * ratio(own_above_T + own_T, own_above_T + own_T + others_above_T)
    # The sum of (s + i) / (s + i + f) for i = 1..a is a - f (H(s + a + f) - H(s + f)).
    false_T = others_above_T + others_T
    steps_T = digamma(own_above_T + own_T + false_T + 1) - digamma(own_above_T + false_T + 1)
    least_T = own_T - false_T * steps_T
    return float(max(np.nansum(most_T - found_T), np.nansum(found_T - least_T)) / pixels)


def best_threshold(counts_2T: NDArray[np.int64]) -> float:
    """Return the threshold in 0.001 .. 0.999 with the largest IoU, of equal ones the nearest to 0.5.

    It is that with the largest Dice (F1) too, which rises with IoU. 0.5 where no pixel is of train
    id 1.
    """
    if not counts_2T[1].any():
        return 0.5
    found = curve(counts_2T)
    iou_T, threshold_T = found.iou_T[1:], found.threshold_T[1:]
    best_T = threshold_T[iou_T == iou_T.max()]
    return float(best_T[np.abs(best_T - 0.5).argmin()])

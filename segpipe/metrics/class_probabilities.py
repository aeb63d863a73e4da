"""Scores of probabilities over all classes, from counts of ranges of probability.

Probabilities are told apart in thousandths, so that whole numbers hold what the scores need: counts of
images and of processes add up (law 7), and memory does not grow with the images.

Shapes: K classes; H, W of an image's truth; T ranges of probability, B bins of calibration.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segpipe.labels.scheme import VOID
from segpipe.metrics.precision_recall import PROBABILITIES, average_precision
from segpipe.metrics.scores import Floats, mean_defined, ratio

BINS = 20  # of calibration, each of so many ranges:
_RANGES_A_BIN = PROBABILITIES // BINS


def class_probabilities(logits_KHW: Tensor, temperature: float = 1.0) -> Tensor:
    """Return probabilities by class, float32: softmax, or of one logit its sigmoid, for train id 1.

    One logit gives (2, H, W), K logits give (K, H, W). temperature: what the logits are divided by.
    """
    scaled_KHW = logits_KHW.float() / temperature
    if len(logits_KHW) > 1:
        return class_softmax(scaled_KHW, 0)
    chance_HW = scaled_KHW[0].sigmoid()
    return torch.stack([1 - chance_HW, chance_HW])


def class_softmax(logits: Tensor, dim: int) -> Tensor:
    """Return the softmax over the dimension of the classes.

    Where the classes of a pixel lie side by side in memory (channels-last), torch is four times as
    fast when they are the last dimension.
    """
    if logits.stride(dim) != 1:
        return logits.softmax(dim)
    return logits.movedim(dim, -1).softmax(-1).movedim(-1, dim)


def count_by_class(probabilities_KHW: Tensor, truth_HW: Tensor) -> Tensor:
    """Return how many valid pixels have a probability in each range, (K, 2, T) int64.

    Row 1 counts the pixels that truly belong to the class, row 0 the others. Range t holds the
    probabilities above t / T, up to (t + 1) / T.
    """
    classes, valid = len(probabilities_KHW), truth_HW != VOID
    truth_N, counts = truth_HW[valid], []
    for k in range(classes):
        places_N = _range(probabilities_KHW[k][valid]) + PROBABILITIES * (truth_N == k)
        counts.append(torch.bincount(places_N, minlength=2 * PROBABILITIES))
    return torch.stack(counts).view(classes, 2, PROBABILITIES)


def count_confidence(probabilities_KHW: Tensor, truth_HW: Tensor) -> Tensor:
    """Return how many valid pixels have their largest probability in each range, (2, T) int64.

    Row 1 counts the pixels whose most probable class is the true one, row 0 the others.
    """
    valid = truth_HW != VOID
    confidence_HW, class_HW = probabilities_KHW.max(0)
    right_N = (class_HW == truth_HW)[valid]
    places_N = _range(confidence_HW[valid]) + PROBABILITIES * right_N
    return torch.bincount(places_N, minlength=2 * PROBABILITIES).view(2, PROBABILITIES)


def auroc(counts_2T: NDArray[np.int64]) -> tuple[float, float]:
    """Return the area under the ROC curve of a class against all others, and how far off it may be.

    Pairs of a pixel of the class and another one whose probabilities lie in one range count half, as
    ties do; at worst all of them are the one or the other way round, which is the second value.
    NaN where one of the two kinds has no pixel.
    """
    others_T, own_T = counts_2T.astype(np.float64)
    pairs = own_T.sum() * others_T.sum()
    if not pairs:
        return float("nan"), float("nan")
    below_T = others_T.cumsum() - others_T
    tied = float((own_T * others_T).sum())
    return float((own_T * below_T).sum() + tied / 2) / pairs, tied / 2 / pairs


def ranking(counts_K2T: NDArray[np.int64]) -> tuple[float, float]:
    """Return the means over the classes of AUROC and of average precision, each of the classes that have it.

    NaN where none has.
    """
    areas = [auroc(counts_2T)[0] for counts_2T in counts_K2T]
    precisions = [average_precision(counts_2T) for counts_2T in counts_K2T]
    return float(mean_defined(np.array(areas))), float(mean_defined(np.array(precisions)))


@dataclass(frozen=True)
class Reliability:
    """The bins of a reliability diagram: pixels_B, their mean probability, and the share that is right.

    confidence_B and accuracy_B are NaN where a bin is empty. Within a range its middle stands for
    all probabilities, so confidence is off by at most 0.0005.
    """

    pixels_B: NDArray[np.int64]
    confidence_B: Floats
    accuracy_B: Floats


def bin_counts(counts_2T: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what bins, 0.05 wide, hold of counts of wrong (row 0) and right (row 1) pixels by range.

    (..., 2, T) gives (..., B, 3): pixels, the sum of their probabilities in halves of a thousandth, and the
    right ones. They add up over images.
    """
    pixels_T = counts_2T.sum(-2)
    halves_T = pixels_T * (2 * np.arange(PROBABILITIES) + 1)
    columns = [_binned(one_T) for one_T in (pixels_T, halves_T, counts_2T[..., 1, :])]
    return np.stack(columns, -1)


def calibration_error(bins_B3: NDArray[np.int64]) -> Floats:
    """Return the expected calibration error of `bin_counts`, (...); NaN without a pixel.

    The mean over pixels of |accuracy - confidence| of their bin (Guo et al., "On calibration of modern
    neural networks", ICML 2017, equation 3).
    """
    apart_B = np.abs(bins_B3[..., 2] - bins_B3[..., 1] / (2 * PROBABILITIES))
    return ratio(apart_B.sum(-1), bins_B3[..., 0].sum(-1))


def reliability(bins_B3: NDArray[np.int64]) -> Reliability:
    """Return the diagram of `bin_counts`."""
    pixels_B, halves_B, right_B = bins_B3.T
    return Reliability(
        pixels_B=pixels_B,
        confidence_B=ratio(halves_B / (2 * PROBABILITIES), pixels_B),
        accuracy_B=ratio(right_B, pixels_B),
    )


def class_errors(counts_K2T: NDArray[np.int64]) -> Floats:
    """Return the calibration error of each class's own probability, (K,); NaN for one not in the truth.

    Its mean is the classwise error (Kull et al., "Beyond temperature scaling", NeurIPS 2019, section 2).
    """
    in_truth_K = counts_K2T[:, 1].any(-1)
    return np.where(in_truth_K, calibration_error(bin_counts(counts_K2T)), np.nan)


def _range(probability_N: Tensor) -> Tensor:
    return (probability_N * PROBABILITIES).ceil().long().sub(1).clamp(0, PROBABILITIES - 1)


def _binned(values_T: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(values_T.reshape(*values_T.shape[:-1], BINS, _RANGES_A_BIN).sum(-1))

"""Precision, recall and threshold from counts, against scikit-learn and a loop over the pixels."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import (
    average_precision_score,
    jaccard_score,
    precision_recall_curve,
    precision_score,
    recall_score,
)

from segpipe.labels.scheme import VOID
from segpipe.metrics.precision_recall import (
    average_precision,
    average_precision_bound,
    best_threshold,
    count_probabilities,
    curve,
)

EDGES = (np.arange(1, 1000) / 1000).astype(np.float32)


def case(seed: int, hardness: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and a truth that leans towards them, with errors, away from the middle, and void."""
    random = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 1, 9, 11, generator=random) * 2
    noise = torch.randn(2, 9, 11, generator=random) * hardness
    mask = (logits[:, 0] + noise > 1.0).to(torch.uint8)
    mask[0, :2] = VOID
    return logits, mask


def counted(logits: torch.Tensor, mask: torch.Tensor) -> NDArray[np.int64]:
    """The sum of the counts of the images, each by itself."""
    parts = [count_probabilities(logits[n : n + 1], mask[n : n + 1]) for n in range(len(mask))]
    return torch.stack(parts).sum(0).numpy()


def valid_pixels(
    logits: torch.Tensor, mask: torch.Tensor
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    valid = mask != VOID
    return logits[:, 0][valid].sigmoid().numpy(), (mask[valid] == 1).numpy()


def quantised(probability: NDArray[np.float32]) -> NDArray[np.int64]:
    """How many of the thresholds lie below each probability, one comparison each."""
    above: NDArray[np.int64] = (probability[:, None] > EDGES).sum(1)
    return above


@pytest.mark.parametrize("seed", range(3))
def test_counts_are_whole_and_add_up_over_images(seed: int) -> None:
    logits, mask = case(seed)
    counts = counted(logits, mask)
    assert counts.dtype == np.int64
    assert (counts == count_probabilities(logits, mask).numpy()).all()
    probability, truth = valid_pixels(logits, mask)
    for row, of_class in enumerate((~truth, truth)):
        wanted = np.bincount(quantised(probability[of_class]), minlength=1000)
        assert (counts[row] == wanted).all()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("hardness", [0.3, 3.0])
def test_the_curve_is_that_of_scikit_learn(seed: int, hardness: float) -> None:
    logits, mask = case(seed, hardness)
    probability, truth = valid_pixels(logits, mask)
    scores = quantised(probability)
    precision, recall, thresholds = precision_recall_curve(truth, scores)
    counts = counted(logits, mask)
    found = curve(counts)
    # Theirs is "score >= t", and q of the thresholds lie below a score of q: the place is q.
    assert found.precision_T[thresholds] == pytest.approx(precision[:-1], abs=1e-12)
    assert found.recall_T[thresholds] == pytest.approx(recall[:-1], abs=1e-12)
    assert average_precision(counts) == pytest.approx(
        average_precision_score(truth, scores), abs=1e-12
    )
    # Thousandths are fine enough: the exact probabilities say nearly the same.
    assert average_precision(counts) == pytest.approx(
        average_precision_score(truth, probability), abs=0.01
    )


def test_each_threshold_scores_what_lies_above_it() -> None:
    logits, mask = case(5)
    probability, truth = valid_pixels(logits, mask)
    found = curve(counted(logits, mask))
    assert found.threshold_T[0] == 0
    assert found.recall_T[0] == 1
    for place in range(1, 1000, 37):
        above = probability > EDGES[place - 1]
        assert found.threshold_T[place] == pytest.approx(EDGES[place - 1])
        assert found.recall_T[place] == pytest.approx(recall_score(truth, above))
        assert found.iou_T[place] == pytest.approx(jaccard_score(truth, above))
        if above.any():
            assert found.precision_T[place] == pytest.approx(precision_score(truth, above))
        else:
            assert math.isnan(found.precision_T[place])


@pytest.mark.parametrize("seed", range(3))
def test_the_best_threshold_has_the_largest_iou_of_all(seed: int) -> None:
    logits, mask = case(seed)
    chosen = best_threshold(counted(logits, mask))
    probability, truth = valid_pixels(logits, mask)
    ious = [
        (truth & (probability > edge)).sum() / (truth | (probability > edge)).sum()
        for edge in EDGES
    ]
    nearest = min(
        (t for t, iou in enumerate(ious, 1) if iou == max(ious)), key=lambda t: abs(t - 500)
    )
    assert chosen == nearest / 1000


def test_a_perfect_and_a_hopeless_network() -> None:
    mask = torch.tensor([[[1, 1, 0, 0, VOID]]], dtype=torch.uint8)
    logits = torch.tensor([[[[4.0, 3.0, -2.0, -5.0, 9.0]]]])
    assert average_precision(counted(logits, mask)) == 1
    assert curve(counted(logits, mask)).iou_T.max() == 1
    # Upside down: precisions 1/3 and 2/4 at recalls 1/2 and 1, and 0 before.
    assert average_precision(counted(-logits, mask)) == pytest.approx(0.5 / 3 + 0.5 * 0.5)


def test_without_the_class_there_is_no_curve_and_the_threshold_stays_in_the_middle() -> None:
    mask = torch.zeros(1, 2, 3, dtype=torch.uint8)
    counts = counted(torch.randn(1, 1, 2, 3), mask)
    assert best_threshold(counts) == 0.5
    assert math.isnan(average_precision(counts))
    found = curve(counts)
    assert np.isnan(found.recall_T).all()
    assert np.isnan(found.iou_T).all()
    nothing = curve(np.zeros((2, 1000), np.int64))
    assert np.isnan(nothing.precision_T).all()


@pytest.mark.parametrize("seed", range(5))
def test_no_order_within_the_ranges_is_further_off_than_the_bound(seed: int) -> None:
    random = np.random.default_rng(seed)
    ranges, truth = random.integers(0, 8, 60) + 900, random.random(60) < 0.4
    counts = np.stack(
        [np.bincount(ranges[truth == kind], minlength=1000) for kind in (False, True)]
    )
    found, bound = average_precision(counts), average_precision_bound(counts)
    assert found == pytest.approx(average_precision_score(truth, ranges), abs=1e-12)
    off = [
        # Worst, best, and others, some with ties: the order of pixels of one range is what differs.
        abs(average_precision_score(truth, ranges + within) - found)
        for within in (
            (~truth) * 0.5,
            truth * 0.5,
            *(random.integers(0, n, 60) / n for n in (2, 5, 1000)),
        )
    ]
    assert max(off) <= bound + 1e-12
    assert max(off[:2]) > bound / 3, "it is not far from what the worst order gives"


def test_the_bound_of_2x4_pixels_by_hand() -> None:
    # One range with 3 of the class and 1 other; then one with 1 and 3.
    counts = np.zeros((2, 1000), np.int64)
    counts[:, 700], counts[:, 300] = (1, 3), (3, 1)
    assert average_precision(counts) == pytest.approx((3 * 3 / 4 + 4 / 8) / 4)
    most = (3 * 1 + 4 / 5) / 4
    least = (1 / 2 + 2 / 3 + 3 / 4 + 4 / 8) / 4
    wanted = max(most - average_precision(counts), average_precision(counts) - least)
    assert average_precision_bound(counts) == pytest.approx(wanted)
    assert math.isnan(average_precision_bound(np.zeros((2, 1000), np.int64)))
    alone = np.zeros((2, 1000), np.int64)
    alone[1, 5] = 4
    assert average_precision_bound(alone) == 0

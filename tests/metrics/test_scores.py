import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from segpipe.metrics.scores import (
    class_counts,
    class_iou,
    miou,
    pixel_accuracy,
    scores,
    weighted_mean,
)


def matrix(seed: int, classes: int = 5) -> np.ndarray:
    """Counts in which class 1 is never true, class 2 never predicted, class 3 neither."""
    counts = np.random.default_rng(seed).integers(0, 50, (classes, classes))
    counts[1, :] = counts[:, 2] = counts[3, :] = counts[:, 3] = 0
    return counts


def pixels(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    truth, prediction = np.indices(counts.shape).reshape(2, -1)
    return truth.repeat(counts.ravel()), prediction.repeat(counts.ravel())


def test_hand_case():
    found = scores(np.array([[2, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]))
    np.testing.assert_allclose(found.iou_K, [2 / 4, 2 / 3, 0, math.nan])
    np.testing.assert_allclose(found.dice_K, [4 / 6, 4 / 5, 0, math.nan])
    np.testing.assert_allclose(found.accuracy_K, [2 / 3, 1, 0, math.nan])
    np.testing.assert_allclose(found.precision_K, [2 / 3, 2 / 3, math.nan, math.nan])
    assert found.pixels_K.tolist() == [3, 2, 1, 0] and found.pixels_K.dtype == np.int64
    assert found.miou == pytest.approx((2 / 4 + 2 / 3) / 3)
    assert found.mean_dice == pytest.approx((4 / 6 + 4 / 5) / 3)
    assert found.mean_accuracy == pytest.approx((2 / 3 + 1) / 3)
    assert found.pixel_accuracy == pytest.approx(4 / 6)
    assert found.frequency_weighted_iou == pytest.approx((3 * 2 / 4 + 2 * 2 / 3) / 6)
    assert found.frequency_weighted_precision == pytest.approx((3 * 2 / 3 + 2 * 2 / 3) / 5)


def test_predicted_but_never_true_counts_as_0():
    found = scores(np.array([[5, 1], [0, 0]]))
    assert found.iou_K.tolist() == [5 / 6, 0] and found.miou == pytest.approx(5 / 12)
    assert found.dice_K[1] == 0 and found.precision_K[1] == 0 and math.isnan(found.accuracy_K[1])
    assert found.mean_accuracy == 5 / 6


def test_nothing_counted_gives_nan_and_no_warning():
    found = scores(np.zeros((3, 3), np.int64))
    assert np.isnan(found.iou_K).all() and found.pixels_K.sum() == 0
    means = [found.miou, found.mean_dice, found.mean_accuracy, found.pixel_accuracy]
    assert all(map(math.isnan, [*means, found.frequency_weighted_iou]))


@pytest.mark.parametrize("seed", range(4))
def test_they_are_the_loop_over_classes(seed):
    counts = matrix(seed)
    truth, prediction = pixels(counts)
    found = scores(counts)
    weighted = 0.0
    for k in range(len(counts)):
        both, either = (
            ((truth == k) & (prediction == k)).sum(),
            ((truth == k) | (prediction == k)).sum(),
        )
        expected = both / either if either else math.nan
        np.testing.assert_allclose(found.iou_K[k], expected, rtol=1e-12)
        if (truth == k).any():
            weighted += (truth == k).mean() * expected
    assert found.frequency_weighted_iou == pytest.approx(weighted, rel=1e-12)
    assert found.pixel_accuracy == pytest.approx((truth == prediction).mean(), rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_they_are_scikit_learns(seed):
    counts = matrix(seed)
    truth, prediction = pixels(counts)
    found = scores(counts)
    by_class = {"labels": range(len(counts)), "average": None, "zero_division": np.nan}
    for ours, theirs in (
        (found.iou_K, sk.jaccard_score(truth, prediction, **by_class | {"zero_division": 0})),
        (found.dice_K, sk.f1_score(truth, prediction, **by_class)),
        (found.accuracy_K, sk.recall_score(truth, prediction, **by_class)),
        (found.precision_K, sk.precision_score(truth, prediction, **by_class)),
    ):
        defined = ~np.isnan(ours)
        np.testing.assert_allclose(ours[defined], theirs[defined], rtol=1e-12)
    # With no labels given scikit-learn too takes those that are in either.
    mean = sk.jaccard_score(truth, prediction, average="macro")
    assert found.miou == pytest.approx(mean, rel=1e-12)
    assert found.mean_dice == pytest.approx(sk.f1_score(truth, prediction, average="macro"))
    weighted = {"average": "weighted", "zero_division": 0}
    assert found.frequency_weighted_iou == pytest.approx(
        sk.jaccard_score(truth, prediction, **weighted)
    )
    assert found.frequency_weighted_dice == pytest.approx(
        sk.f1_score(truth, prediction, **weighted)
    )
    assert found.frequency_weighted_precision == pytest.approx(
        sk.precision_score(truth, prediction, average="weighted", zero_division=np.nan)
    )
    precision = found.precision_K[~np.isnan(found.precision_K)]
    assert found.mean_precision == pytest.approx(precision.mean())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it remarks upon predicted classes that are never true
        balanced = sk.balanced_accuracy_score(truth, prediction)
    assert found.mean_accuracy == pytest.approx(balanced, rel=1e-12)
    assert found.pixel_accuracy == pytest.approx(sk.accuracy_score(truth, prediction))


def test_counts_above_2_24_are_exact():
    many = 2**24 + 1
    found = scores(np.array([[many, 1], [0, many]]))
    assert found.pixels_K.tolist() == [many + 1, many]
    assert found.iou_K.tolist() == [many / (many + 1)] * 2
    assert found.iou_K[0] != 1


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 7))
def test_scores_lie_in_0_to_1_and_do_not_depend_on_the_scale(seed, classes):
    counts = np.random.default_rng(seed).poisson(0.7, (classes, classes))
    found, scaled = scores(counts), scores(counts * 3)
    for values in (found.iou_K, found.dice_K, found.accuracy_K, found.precision_K):
        defined = values[~np.isnan(values)]
        assert ((defined >= 0) & (defined <= 1)).all()
    np.testing.assert_allclose(found.iou_K, scaled.iou_K)
    np.testing.assert_allclose(found.dice_K, 2 * found.iou_K / (1 + found.iou_K))


def weighted_iou(counts_K3):
    return weighted_mean(class_iou(counts_K3), counts_K3[..., 0])


@pytest.mark.parametrize("score", [class_iou, miou, pixel_accuracy, weighted_iou])
def test_many_matrices_at_once(score):
    stack = np.stack([matrix(seed) for seed in range(6)]).reshape(2, 3, 5, 5)
    one_by_one = [[score(class_counts(counts)) for counts in row] for row in stack]
    np.testing.assert_array_equal(score(class_counts(stack)), one_by_one)

import math

import numpy as np
import pytest

from segpipe.metrics.image_scores import (
    image_means,
    iou_of_present,
    mean_of_class_sums,
    sums_of_defined,
    worst_mean,
)
from segpipe.metrics.scores import class_counts


def test_they_are_the_loops_over_images_and_classes() -> None:
    rng = np.random.default_rng(0)
    confusion = rng.poisson(0.6, (30, 4, 4))
    by_image, by_class = [], {k: [] for k in range(4)}
    for counts in confusion:
        ious = {}
        for k in range(4):
            if counts[k].sum():
                ious[k] = counts[k, k] / (counts[k].sum() + counts[:, k].sum() - counts[k, k])
                by_class[k].append(ious[k])
        by_image.append(np.mean(list(ious.values())) if ious else math.nan)
    iou_NK = iou_of_present(class_counts(confusion))
    np.testing.assert_allclose(image_means(iou_NK), by_image)
    mean = np.mean([np.mean(values) for values in by_class.values()])
    assert mean_of_class_sums(sums_of_defined(iou_NK).sum(0)) == pytest.approx(mean)
    lowest = np.sort([value for value in by_image if not math.isnan(value)])
    assert worst_mean(np.array(by_image), 10) == pytest.approx(lowest[: len(lowest) // 10].mean())


def test_hand_case() -> None:
    # Class 1 is predicted in the first image, but not in its truth: it takes no part there.
    iou_NK = iou_of_present(class_counts(np.array([[[3, 1], [0, 0]], [[1, 1], [0, 2]]])))
    np.testing.assert_allclose(iou_NK, [[3 / 4, math.nan], [1 / 2, 2 / 3]])
    np.testing.assert_allclose(image_means(iou_NK), [3 / 4, 7 / 12])
    assert worst_mean(image_means(iou_NK), 5) == pytest.approx(7 / 12), "at least one image"


def test_without_truth_there_is_no_score() -> None:
    iou_NK = iou_of_present(class_counts(np.zeros((2, 3, 3), np.int64)))
    assert np.isnan(image_means(iou_NK)).all()
    assert math.isnan(worst_mean(image_means(iou_NK), 5))
    assert math.isnan(float(mean_of_class_sums(sums_of_defined(iou_NK).sum(0))))

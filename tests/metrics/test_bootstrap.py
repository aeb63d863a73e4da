import math

import numpy as np
import pytest

from segpipe.metrics.bootstrap import bootstrap_interval
from segpipe.metrics.scores import iou, mean_iou, pixel_accuracy


def split(images: int, classes: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 100, (images, classes, classes))


def binomial(images: int, hits: int) -> np.ndarray:
    """Images of one pixel, `hits` of which are right: the accuracy is a binomial share."""
    counts = np.zeros((images, 2, 2), np.int64)
    counts[:hits, 0, 0] = counts[hits:, 0, 1] = 1
    return counts


def test_the_score_of_the_split_lies_between_the_ends():
    counts = split(20)
    low, high = bootstrap_interval(counts, mean_iou, samples=500, seed=0)
    assert low < mean_iou(counts.sum(0)) < high


def test_a_binomial_share_has_its_known_interval():
    low, high = bootstrap_interval(binomial(400, 100), pixel_accuracy, samples=4000, seed=3)
    spread = math.sqrt(0.25 * 0.75 / 400)
    assert low == pytest.approx(0.25 - 1.96 * spread, abs=0.006)
    assert high == pytest.approx(0.25 + 1.96 * spread, abs=0.006)


def test_the_level_is_the_share_between_the_ends():
    counts = split(10)
    wide = bootstrap_interval(counts, mean_iou, 500, 0, level=0.99)
    narrow = bootstrap_interval(counts, mean_iou, 500, 0, level=0.5)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_it_depends_on_its_arguments_alone():
    counts = split(8)
    first = bootstrap_interval(counts, mean_iou, 300, 1)
    np.random.default_rng().random(5)
    assert bootstrap_interval(counts, mean_iou, 300, 1) == first
    assert bootstrap_interval(counts, mean_iou, 300, 2) != first


def test_equal_images_give_an_interval_without_width():
    counts = np.repeat(split(1), 6, axis=0)
    low, high = bootstrap_interval(counts, mean_iou, 100, 0)
    assert low == pytest.approx(high) == pytest.approx(float(mean_iou(counts[0])))


def test_samples_in_which_a_class_is_missing_are_left_out():
    counts = binomial(5, 5)
    counts[0] = [[0, 0], [1, 3]]

    def second_class(confusion_SKK):
        return iou(confusion_SKK)[:, 1]

    assert bootstrap_interval(counts, second_class, 200, 0) == pytest.approx((0.75, 0.75))


@pytest.mark.parametrize(
    ("counts", "samples"),
    [(split(1), 100), (split(0), 100), (split(5), 0), (np.zeros((5, 3, 3), np.int64), 100)],
)
def test_nothing_to_say_is_none(counts, samples):
    assert bootstrap_interval(counts, mean_iou, samples, 0) is None


def test_sums_of_large_counts_are_exact():
    many = 2**31 + 1
    counts = np.full((4, 1, 1), many)
    seen = []

    def keep(confusion_SKK):
        seen.append(confusion_SKK)
        return np.ones(len(confusion_SKK))

    bootstrap_interval(counts, keep, 300, 0)
    assert sum(map(len, seen)) == 300
    assert (np.concatenate(seen) == 4 * many).all()

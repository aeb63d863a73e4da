"""Jackknife intervals: closed forms, a brute-force loop, groups, frames, and the measured coverage
(also bench/coverage.py, and the scores of class counts against those of the whole confusion matrix).
"""

import dataclasses
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from bench.coverage import coverage, in_groups, series
from segpipe.metrics.jackknife import LEAST_FRAMES, LEAST_UNITS, jackknife
from segpipe.metrics.scores import (
    OF_CLASS,
    OF_SPLIT,
    class_counts,
    class_iou,
    miou,
    pixel_accuracy,
    scores,
)

Counts = NDArray[np.int64]


def alone(counts: Counts) -> list[str]:
    return [str(n) for n in range(len(counts))]


def split(images: int, classes: int = 3, seed: int = 0) -> Counts:
    return class_counts(np.random.default_rng(seed).integers(0, 100, (images, classes, classes)))


def binomial(images: int, hits: int) -> Counts:
    """Images of one pixel in random order, `hits` of which are right: the accuracy is a share."""
    counts = np.tile(np.array([1, 0, 0]), (images, 1, 1))
    counts[np.random.default_rng(1).permutation(images)[:hits], 0, 1:] = 1
    return counts


def sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([values, np.ones_like(values)], 1)


def mean(sums_S2: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(sums_S2[..., 0] / sums_S2[..., 1])


def test_the_counts_of_classes_give_the_scores_of_the_confusion_matrix() -> None:
    confusion_KP = np.random.default_rng(2).integers(0, 50, (4, 5)) * (np.arange(4)[:, None] != 2)
    expected = scores(confusion_KP)
    counts_K3 = class_counts(confusion_KP)
    for name, score in OF_SPLIT.items():
        assert float(score(counts_K3)) == pytest.approx(getattr(expected, name)), name
    for name, by_class in OF_CLASS.items():
        found = by_class(counts_K3)
        np.testing.assert_allclose(found, getattr(expected, f"{name}_K"), err_msg=name)
    names = [field.name for field in dataclasses.fields(expected)]
    assert {*OF_SPLIT, *(f"{name}_K" for name in OF_CLASS), "pixels_K"} == set(names)


def test_a_mean_has_the_interval_of_normal_theory() -> None:
    """Of values whose kurtosis is at most 3, as that of uniform ones is 1.8."""
    values = np.random.default_rng(4).uniform(-0.5, 0.5, 60)
    found = jackknife(sums(values), alone(values), mean, difference=True)
    half = stats.t.ppf(0.975, 59) * values.std(ddof=1) / math.sqrt(60)
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half))
    assert found.basis == "95% jackknife over 60 images"


def test_a_share_has_its_interval_on_the_scale_of_its_logit() -> None:
    found = jackknife(binomial(400, 100), alone(binomial(400, 100)), pixel_accuracy)
    half = stats.t.ppf(0.975, 399) / math.sqrt(399 * 0.25 * 0.75)
    ends = [1 / (1 + math.exp(math.log(3) + sign * half)) for sign in (1, -1)]
    assert (found.low, found.high) == pytest.approx(ends, abs=0.002)


def test_leaving_images_out_one_by_one_gives_the_same() -> None:
    counts = split(30, classes=5)
    found = jackknife(counts, alone(counts), miou, difference=True)
    without = [float(miou(np.delete(counts, n, axis=0).sum(0))) for n in range(30)]
    deviations = np.array(without) - np.mean(without)
    error = math.sqrt(29 / 30 * (deviations**2).sum())
    kurtosis = 30 * (deviations**4).sum() / (deviations**2).sum() ** 2
    t = stats.t.ppf(0.975, min(2 * 30 / (kurtosis - 1), 30) - 1)
    score = float(miou(counts.sum(0)))
    assert (found.low, found.high) == pytest.approx((score - t * error, score + t * error))


def test_a_score_that_few_images_decide_has_a_wide_interval() -> None:
    values = np.full(100, 0.5)
    values[:50] += 0.05
    one = np.full(100, 0.5)
    one[0] += 0.05 * math.sqrt(100 * 0.25 / 0.99)
    even, uneven = (
        jackknife(sums(v), alone(v), mean, difference=True)
        for v in (np.random.default_rng(0).permutation(values), one)
    )
    assert values.std() == pytest.approx(one.std(), rel=1e-6)
    assert uneven.high - uneven.low > 5 * (even.high - even.low)


def test_equal_images_give_an_interval_without_width() -> None:
    counts = np.repeat(split(1), LEAST_UNITS, axis=0)
    found = jackknife(counts, alone(counts), miou)
    assert found.low == found.high == pytest.approx(float(miou(counts[0])))


def test_images_without_a_count_change_nothing_and_few_give_none() -> None:
    counts = split(LEAST_UNITS)
    void = np.concatenate([counts, np.zeros_like(counts)])
    assert jackknife(void, alone(void), miou) == jackknife(counts, alone(counts), miou)
    few = jackknife(void[1:], alone(void[1:]), miou)
    assert not few.known
    reason = f"{LEAST_UNITS - 1} image files with truth; at least {LEAST_UNITS} are needed"
    assert few.basis == f"none: {reason}"


def test_a_score_of_one_image_alone_has_none() -> None:
    counts = np.concatenate([split(LEAST_UNITS), np.zeros((LEAST_UNITS, 1, 3), int)], axis=1)
    counts[7, 3] = [5, 4, 3]
    found = jackknife(counts, alone(counts), lambda sums_K3: class_iou(sums_K3)[..., 3])
    assert found.basis == "none: the score hangs on one image or group, or has no meaning"


def test_images_repeated_in_their_group_say_no_more() -> None:
    counts, groups = split(LEAST_UNITS), alone(split(LEAST_UNITS))
    once = jackknife(counts, groups, miou)
    many = jackknife(np.repeat(counts, 5, axis=0), [g for g in groups for _ in range(5)], miou)
    assert (many.low, many.high) == pytest.approx((once.low, once.high))
    assert many.basis == f"95% jackknife over {LEAST_UNITS} groups"
    order = np.random.default_rng(0).permutation(5 * LEAST_UNITS)
    counts_apart = np.repeat(counts, 5, axis=0)[order]
    apart = jackknife(counts_apart, alone(counts_apart), miou)
    assert apart.high - apart.low < 0.6 * (once.high - once.low)


def test_frames_of_a_drive_are_left_out_in_stretches() -> None:
    hidden = series(400, 1, 0.8, np.random.default_rng(5))[:, 0]
    values = sums(0.5 + 0.05 * hidden)
    drive, apart = (
        jackknife(values[order], alone(values), mean)
        for order in (np.arange(400), np.random.default_rng(0).permutation(400))
    )
    assert apart.basis == "95% jackknife over 400 images"
    assert drive.basis.startswith(
        "95% jackknife over 10 stretches of 400 consecutive images of which neighbours correlate by 0."
    )
    assert drive.high - drive.low > 2 * (apart.high - apart.low)
    named = jackknife(values, ["a"] * 150 + ["b"] * 250, mean)
    assert named.basis.endswith("10 stretches of 400 consecutive images in 2 groups")
    few = jackknife(values[:99], alone(values[:99]), mean)
    assert few.basis.endswith(f"at least {LEAST_FRAMES} such images are needed")
    groups = jackknife(values[:99], ["a"] * 40 + ["b"] * 59, mean)
    assert groups.basis == (
        f"none: 99 images in 2 groups; at least {LEAST_FRAMES} such images are needed, or "
        f"{LEAST_UNITS} groups"
    )


def test_frames_that_hardly_change_have_none() -> None:
    hidden = series(150, 1, 0.98, np.random.default_rng(5))[:, 0]
    found = jackknife(sums(0.5 + 0.05 * hidden), alone(hidden), mean)
    assert not found.known
    assert f"independent ones; at least {LEAST_UNITS} are needed" in found.basis


def test_a_difference_is_symmetric() -> None:
    first, second = split(40, seed=1), split(40, seed=2)

    def interval(*both: Counts) -> tuple[float, float]:
        found = jackknife(
            np.stack(both, 1),
            alone(first),
            lambda s: miou(s[:, 1]) - miou(s[:, 0]),
            difference=True,
        )
        return found.low, found.high

    low, high = interval(first, second)
    assert interval(second, first) == pytest.approx((-high, -low))
    assert interval(first, first) == (0, 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("images", "grouped", "neighbours"),
    [(30, False, 0.0), (100, False, 0.0), (250, True, 0.0), (200, False, 0.5)],
)
def test_the_measured_coverage(images: int, grouped: bool, neighbours: float) -> None:
    """Within three standard errors of 93 to 97 %; docs/uncertainty.md has more draws."""

    def hidden(random: np.random.Generator) -> tuple[NDArray[np.float64], list[str]]:
        if grouped:
            return in_groups(images, 43, 10, random), [str(n // 10) for n in range(images)]
        return series(images, 43, neighbours, random), [str(n) for n in range(images)]

    found = coverage(images, (8, 0.3), hidden, draws=400)
    assert len(found) == 8
    for name, (known, held) in found.items():
        if name.startswith("class") and images == 30:
            continue  # few of thirty images hold that class
        assert known > (0.8 if name.startswith("class") else 0.95), name
        assert 0.93 - 0.033 <= held <= 0.97 + 0.026, name

"""Variance of images and seeds: a hand case, a brute-force loop, and simulations whose truth is known."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from bench.coverage import scored_images
from segpipe.metrics.jackknife import LEAST_UNITS, Estimate
from segpipe.metrics.repeats import (
    Variances,
    difference_interval,
    mean_interval,
    variances,
    with_seeds,
)
from segpipe.metrics.scores import miou

Floats = NDArray[np.float64]


def sums(values_NR: Floats) -> Floats:
    return np.stack([values_NR, np.ones_like(values_NR)], -1)


def mean(sums_SR2: Floats) -> Floats:
    return np.asarray(sums_SR2[..., 0] / sums_SR2[..., 1])


def alone(values: Floats) -> list[str]:
    return [str(n) for n in range(len(values))]


def made(
    images: int, runs: int, parts: tuple[float, float, float], random: np.random.Generator
) -> Floats:
    """Values around 0.5, (N, R), whose mean over images has these standard deviations.

    parts: of what images do to all runs, of what a seed does to all images, and of both together.
    """
    of_images, of_seed, of_both = parts
    values_NR = math.sqrt(images) * of_images * random.normal(size=(images, 1))
    values_NR = values_NR + of_seed * random.normal(size=(1, runs))
    values_NR += math.sqrt(images) * of_both * random.normal(size=(images, runs))
    return 0.5 + values_NR


def test_a_hand_case() -> None:
    """Twenty images, half of which are 0.2 better for all three runs, which are 0.1 apart.

    Nothing is of both: the images' variance is that of a mean of twenty such values, 0.01 / 19, the
    seed's that of 0.4, 0.5 and 0.6.
    """
    values_NR = np.array([[0.3, 0.4, 0.5], [0.5, 0.6, 0.7]] * 10)
    found = variances(sums(values_NR), alone(values_NR), mean)
    assert found.images == pytest.approx(0.01 / 19)
    assert found.between == found.seed == pytest.approx(0.01)
    assert found.images_share == pytest.approx(1 / 20)
    assert found.units == "20 images"
    assert isinstance(found.of_mean, Estimate)
    assert found.of_mean.variance == pytest.approx(0.01 / 19)
    # Variances 0.01 / 19 (19 degrees of freedom) and 0.01 / 3 (two).
    total = 0.01 / 19 + 0.01 / 3
    freedom = total**2 / ((0.01 / 19) ** 2 / 19 + (0.01 / 3) ** 2 / 2)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(total) / 0.25
    interval = mean_interval(found, 3)
    expected = [1 / (1 + math.exp(-sign * half)) for sign in (-1, 1)]
    assert [interval.low, interval.high] == pytest.approx(expected)
    assert interval.basis == "95% jackknife over 20 images, 3 seeds"


def test_runs_that_differ_by_image_alone_have_no_variance_of_the_seed() -> None:
    """One run is better on the even images, the other on the odd ones; by 0.1 each."""
    values_NR = np.array([[0.5, 0.6], [0.6, 0.5]] * 10)
    found = variances(sums(values_NR), alone(values_NR), mean)
    assert found.images == pytest.approx(0.0025 / 19)
    assert found.between == pytest.approx(0)
    assert found.seed == 0
    assert found.images_share == 1


def test_leaving_images_out_by_hand_gives_the_same() -> None:
    counts_NRK3 = scored_images(np.random.default_rng(0).normal(size=(40, 23)), 4, 0.5)
    found = variances(counts_NRK3, alone(counts_NRK3), miou)

    def jackknifed(scores_N: Floats) -> float:
        return float(39 / 40 * np.square(scores_N - scores_N.mean()).sum())

    without_NR = np.array([miou(np.delete(counts_NRK3, n, axis=0).sum(0)) for n in range(40)])
    of_runs = [jackknifed(without_NR[:, run]) for run in (0, 1)]
    of_mean = jackknifed(without_NR.mean(1))
    assert found.images == pytest.approx(np.mean(of_runs))
    assert isinstance(found.of_mean, Estimate)
    assert found.of_mean.variance == pytest.approx(of_mean)
    assert found.between == pytest.approx(np.var(miou(counts_NRK3.sum(0)), ddof=1))
    both = 2 * (np.mean(of_runs) - of_mean)
    assert both > 0
    assert found.seed == pytest.approx(max(found.between - both, 0))


def test_too_few_images_have_a_spread_and_no_interval() -> None:
    values_NR = made(LEAST_UNITS - 1, 3, (0.02, 0.01, 0), np.random.default_rng(0))
    found = variances(sums(values_NR), alone(values_NR), mean)
    assert found.between == pytest.approx(values_NR.mean(0).var(ddof=1))
    assert math.isnan(found.images_share)
    interval = mean_interval(found, 3)
    assert not interval.known
    assert interval.basis == "none: 19 image files with truth; at least 20 are needed"


def test_two_seeds_have_a_spread_and_no_interval() -> None:
    values_NR = made(30, 5, (0.02, 0.01, 0), np.random.default_rng(0))
    found = variances(sums(values_NR[:, :2]), alone(values_NR), mean)
    assert found.between > 0
    assert mean_interval(found, 2).basis == "none: 2 seeds; at least 3 are needed"
    apart = difference_interval(sums(values_NR), alone(values_NR), mean, first=3)
    assert apart.basis == "none: 2 seeds; at least 3 are needed"


def test_the_difference_of_two_families_by_hand() -> None:
    """The last three runs are 0.1 better on all images, 0.2 on every second; seeds are 0.02 apart."""
    first_NR = np.array([[0.28, 0.3, 0.32], [0.58, 0.6, 0.62]] * 10)
    values_NR = np.hstack([first_NR, first_NR + np.array([[0.1], [0.2]] * 10)])
    found = difference_interval(sums(values_NR), alone(values_NR), mean, first=3)
    parts = [(0.0025 / 19, 19), (0.0004 / 3, 2), (0.0004 / 3, 2)]
    total = sum(variance for variance, _ in parts)
    freedom = total**2 / sum(variance**2 / degrees for variance, degrees in parts)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(total)
    assert (found.low, found.high) == pytest.approx((0.15 - half, 0.15 + half))
    assert found.basis == "95% jackknife over 20 images, 3 and 3 seeds"


def test_a_score_that_one_run_has_not_has_no_interval() -> None:
    values_NR = made(30, 3, (0.02, 0.01, 0), np.random.default_rng(0))
    values_NR[:, 1] = np.nan
    found = variances(sums(values_NR), alone(values_NR), mean)
    assert mean_interval(found, 3).basis.startswith("none: the score hangs on one image")


def test_equal_images_and_equal_seeds_have_no_width() -> None:
    found = variances(sums(np.full((30, 3), 0.5)), alone(np.ones(30)), mean)
    interval = mean_interval(found, 3)
    assert (interval.low, interval.high) == (0.5, 0.5)
    assert math.isnan(found.images_share)


def test_without_images_the_interval_is_that_of_student() -> None:
    found = with_seeds(Estimate(0.1, 0.0, 30.0), [(0.03, 3)]).interval("", difference=True)
    assert found.high - 0.1 == pytest.approx(stats.t.ppf(0.975, 2) * 0.1)
    welch = with_seeds(Estimate(0.1, 0.0, 30.0), [(0.02, 5), (0.06, 3)])
    assert welch.variance == pytest.approx(0.024)
    assert welch.freedom == pytest.approx(0.024**2 / (0.004**2 / 4 + 0.02**2 / 2))


# Standard deviations of a run's score by images, by seed, and by both; a point is 0.01.
CASES = [
    (100, 5, (0.02, 0.01, 0.005)),
    (100, 3, (0.02, 0.02, 0.005)),
    (100, 4, (0.01, 0.01, 0.005)),
    (100, 5, (0.02, 0.0, 0.01)),
    (30, 5, (0.02, 0.01, 0.02)),
    (300, 3, (0.003, 0.01, 0.003)),
    (200, 10, (0.01, 0.01, 0.01)),
]


@pytest.mark.parametrize(("images", "runs", "parts"), CASES)
def test_simulated_data_sets_and_seeds(
    images: int, runs: int, parts: tuple[float, float, float]
) -> None:
    """Each draw has new images and new seeds; the true mean is 0.5.

    Of 600 intervals 93 to 98 % hold it, within three standard errors of 0.9 %. The variances are right
    in the mean, that of images within 10 %; that of the seed is too large where the clip at 0 matters, by
    less than what both do together. The share of the mean variances is within 7 points of the true one.
    """
    random, draws = np.random.default_rng(images + runs), 600
    held, found = [], list[Variances]()
    for _ in range(draws):
        values_NR = made(images, runs, parts, random)
        one = variances(sums(values_NR), alone(values_NR), mean)
        interval = mean_interval(one, runs)
        if interval.known:
            found.append(one)
            held.append(interval.low <= 0.5 <= interval.high)
    assert len(found) > 0.95 * draws
    assert 0.93 - 0.027 <= np.mean(held) <= 0.98
    of_images, of_seed, of_both = np.square(parts)
    assert np.mean([one.images for one in found]) == pytest.approx(of_images + of_both, rel=0.1)
    assert np.mean([one.between for one in found]) == pytest.approx(of_seed + of_both, rel=0.2)
    true_share = (of_images + of_both) / sum(np.square(parts))
    seed = np.mean([one.seed for one in found])
    assert of_seed * 0.9 <= seed <= of_seed * 1.15 + of_both
    images_variance = np.mean([one.images for one in found])
    assert images_variance / (images_variance + seed) == pytest.approx(true_share, abs=0.07)


def test_the_share_of_many_seeds_and_images_is_the_true_one() -> None:
    """Of a single family of 200 runs on 2000 images."""
    values_NR = made(2000, 200, (0.01, 0.02, 0.005), np.random.default_rng(3))
    found = variances(sums(values_NR), alone(values_NR), mean)
    assert found.images_share == pytest.approx(0.000125 / 0.000525, abs=0.04)
    assert math.sqrt(found.seed) == pytest.approx(0.02, rel=0.1)

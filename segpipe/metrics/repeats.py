"""Scores of several trainings that differ in their seed: mean, spread, and what is the images'.

A run's score on a split is modelled as mean + images + seed + both: what these images do to every
run, what this seed does on all images, and what this seed does on these images alone. Other images,
other seeds: these are the sources of variance that Bouthillier et al. ("Accounting for Variance in
Machine Learning Benchmarks", MLSys 2021) name data sampling and training; runs on the same images
show the spread of seed and both, the jackknife shows images and both.

Shapes: U units, R runs; S sums over images; C the counts of a score.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.metrics.jackknife import (
    ON_ONE_UNIT,
    Counts,
    Estimate,
    Statistic,
    Uncertainty,
    choose_units,
    estimate,
    no_interval,
)
from segpipe.metrics.scores import ratio

# With two, 95 % intervals hold 89 % where the seed's variance is as large as that of the images.
LEAST_SEEDS = 3


@dataclass(frozen=True)
class Variances:
    """Of a score of R runs with different seeds on the same images; NaN where it is not known.

    between: of the runs' scores, with R - 1. of_mean: the mean of the runs with what other images
    would do to it, or why that is not known. units: what was left out for it, in words.
    images, seed: the variance of a single run that other images and other seeds make; `images` holds
    what they make together.
    """

    between: float
    of_mean: Estimate | str
    units: str = ""
    images: float = float("nan")
    seed: float = float("nan")

    @property
    def images_share(self) -> float:
        """The images' share of the variance of a single run, in 0..1; NaN where it has none."""
        return float(ratio(np.array(self.images), np.array(self.images + self.seed)))


def variances(counts_FRC: Counts, groups: Sequence[str], statistic: Statistic) -> Variances:
    """Return where the variance of a score comes from.

    statistic: from sums, (S, R, *C), to the score of each run, (S, R). groups: as `jackknife` takes them.

    With the jackknife's variance of the mean, M = images + both / R, and its mean over the runs,
    V = images + both: both = (V - M) R / (R - 1). The runs' own variance is seed + both, so that
    the seed's is what is left of it, at least 0.
    """
    scores_R = statistic(counts_FRC.sum(0)[None])[0]
    between, runs = float(scores_R.var(ddof=1)), len(scores_R)
    mean = partial(_mean, statistic)
    units = choose_units(counts_FRC, groups, mean)
    if isinstance(units, str):
        return Variances(between, units)
    of_mean = estimate(units, mean)
    of_runs = [estimate(units, partial(_of_run, statistic, run)) for run in range(runs)]
    known = [one.variance for one in of_runs if one is not None]
    if of_mean is None or len(known) < runs:
        return Variances(between, ON_ONE_UNIT)
    images = float(np.mean(known))
    both = max(images - of_mean.variance, 0.0) * runs / (runs - 1)
    return Variances(between, of_mean, units.words, images, seed=max(between - both, 0.0))


def mean_interval(found: Variances, runs: int) -> Uncertainty:
    """Return the 95 % interval of the mean of R runs, for other images and other seeds."""
    if isinstance(found.of_mean, str):
        return no_interval(found.of_mean)
    if runs < LEAST_SEEDS:
        return no_interval(_too_few(runs))
    basis = f"95% jackknife over {found.units}, {runs} seeds"
    return with_seeds(found.of_mean, [(found.between, runs)]).interval(basis, difference=False)


def difference_interval(
    counts_FRC: Counts, groups: Sequence[str], statistic: Statistic, first: int
) -> Uncertainty:
    """Return the 95 % interval of the mean of the last runs less that of the `first` ones.

    All runs are on the same images; the seeds are not paired. The other arguments are those of
    `variances`.
    """
    apart = partial(_difference, statistic, first)
    units = choose_units(counts_FRC, groups, apart)
    if isinstance(units, str):
        return no_interval(units)
    of_images = estimate(units, apart)
    if of_images is None:
        return no_interval(ON_ONE_UNIT)
    families = np.split(statistic(counts_FRC.sum(0)[None])[0], [first])
    fewest = min(map(len, families))
    if fewest < LEAST_SEEDS:
        return no_interval(_too_few(fewest))
    spreads = [(float(part_R.var(ddof=1)), len(part_R)) for part_R in families]
    seeds = " and ".join(str(number) for _, number in spreads)
    basis = f"95% jackknife over {units.words}, {seeds} seeds"
    return with_seeds(of_images, spreads).interval(basis, difference=True)


def _too_few(runs: int) -> str:
    return f"{runs} seeds; at least {LEAST_SEEDS} are needed"


def with_seeds(of_images: Estimate, families: Sequence[tuple[float, int]]) -> Estimate:
    """Return an estimate with what other seeds would change added to what other images would.

    families: of each mean in the score the variance between its runs, and how many they are.

    The variances add up: the images', M, and between / R of each family, of R - 1 degrees of freedom.
    Those of the sum are (sum of v)^2 / sum of v^2 / freedom (Satterthwaite 1946), an approximation.
    What seeds and images do together is in both, so the interval is rather too wide.
    """
    parts = [(of_images.variance, of_images.freedom)]
    parts += [(between / runs, runs - 1.0) for between, runs in families]
    total = sum(variance for variance, _ in parts)
    squares = sum(variance**2 / freedom for variance, freedom in parts)
    freedom = total**2 / squares if squares else float("inf")
    return Estimate(of_images.score, total, freedom)


def _mean(statistic: Statistic, sums_SRC: NDArray[Any]) -> NDArray[np.float64]:
    mean_S: NDArray[np.float64] = statistic(sums_SRC).mean(-1)
    return mean_S


def _difference(statistic: Statistic, first: int, sums_SRC: NDArray[Any]) -> NDArray[np.float64]:
    scores_SR = statistic(sums_SRC)
    apart_S: NDArray[np.float64] = scores_SR[:, first:].mean(1) - scores_SR[:, :first].mean(1)
    return apart_S


def _of_run(statistic: Statistic, run: int, sums_SRC: NDArray[Any]) -> NDArray[np.float64]:
    return statistic(sums_SRC[:, [run]])[:, 0]

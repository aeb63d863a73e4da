"""How far a score would move with other images of the same kind: jackknife intervals.

What is left out, one at a time, is a unit: an image, a group of images, or a stretch of consecutive
images. docs/uncertainty.md has the coverage that was measured (bench/coverage.py).

Shapes: F image files, U units; the counts of a file have any shape, here C.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, stdtrit

Counts = NDArray[Any]  # int64 or float64
# Sums over images, (U, *C), to one number each, (U,); NaN where it has no meaning.
Statistic = Callable[[NDArray[Any]], NDArray[np.float64]]

# Independent images or groups, and frames of few drives; docs/uncertainty.md says what was measured.
LEAST_UNITS = 20
LEAST_FRAMES = 100
STRETCHES = 10
_LEVEL = 0.95
ON_ONE_UNIT = "the score hangs on one image or group, or has no meaning"


@dataclass(frozen=True)
class Uncertainty:
    """The 95 % interval of a score, or why there is none.

    basis: how it was found; where there is none, `none: ` and the reason. low, high: then NaN.
    """

    low: float
    high: float
    basis: str

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return not np.isnan(self.low)


@dataclass(frozen=True)
class Units:
    """What is left out one at a time. words: how many of what.

    widening: of the variance, for what neighbouring units share.
    """

    counts_UC: NDArray[np.float64]
    words: str
    widening: float = 1.0


@dataclass(frozen=True)
class Estimate:
    """A score, the variance that other images would give it, and the degrees of freedom of that."""

    score: float
    variance: float
    freedom: float

    def interval(self, basis: str, difference: bool) -> Uncertainty:
        """Return the 95 % interval by Student's t; the arguments are those of `jackknife`.

        Of a score in 0..1 it is symmetric in the logit.
        """
        t = stdtrit(max(self.freedom, 1.0), (1 + _LEVEL) / 2)
        score, half = self.score, float(t * np.sqrt(self.variance))
        if difference or not half or not 0 < score < 1:
            return Uncertainty(score - half, score + half, basis)
        half /= score * (1 - score)
        low, high = (float(expit(logit(score) + sign * half)) for sign in (-1, 1))
        return Uncertainty(low, high, basis)


def jackknife(
    counts_FC: Counts, groups: Sequence[str], statistic: Statistic, difference: bool = False
) -> Uncertainty:
    """Return the interval of a score of the sum of all counts.

    groups: the group of each file; files follow each other as they were taken. difference: whether the
    score is one of two scores, in -1..1, and not one in 0..1, whose interval is symmetric in its logit.

    The units are those of `choose_units`. Nothing is drawn at random.
    """
    units = choose_units(counts_FC, groups, statistic)
    if isinstance(units, str):
        return no_interval(units)
    found = estimate(units, statistic)
    return (
        no_interval(ON_ONE_UNIT)
        if found is None
        else found.interval(f"95% jackknife over {units.words}", difference)
    )


def choose_units(counts_FC: Counts, groups: Sequence[str], statistic: Statistic) -> Units | str:
    """Return the units of a score of the sum of all counts, or why there are none.

    groups: as `jackknife` takes them.

    The units are the groups where files share groups and there are `LEAST_UNITS`. Otherwise they are
    the files, where neighbouring ones are not alike: their correlation is at most 1 / sqrt(F), or twice
    that for fewer than `LEAST_FRAMES`. Frames of a few drives are left out by `STRETCHES` equal
    stretches (batch means, Schmeiser 1982), and the variance is widened for what neighbouring stretches
    still share. Files without a count are no units.
    """
    places = np.flatnonzero(counts_FC.any(tuple(range(1, counts_FC.ndim)))).tolist()
    # float64 holds whole numbers up to 2^53, so sums of counts are exact.
    counted_FC = counts_FC[places].astype(np.float64)
    members = [groups[place] for place in places]
    names, files = set(members), len(members)
    shared = len(names) < files
    if shared and len(names) >= LEAST_UNITS:
        return Units(sums_by(members, counted_FC), f"{len(names)} groups")
    if files < LEAST_UNITS:
        return f"{files} image files with truth; at least {LEAST_UNITS} are needed"
    alike = _correlation(_moves(counted_FC, statistic))
    # Of independent files 16 % exceed one standard error, which costs little, or 2 % two, which costs all.
    errors = 1 if files >= LEAST_FRAMES else 2
    if not shared and alike <= errors * files**-0.5:
        return Units(counted_FC, f"{files} images")
    cause = f"in {len(names)} groups" if shared else f"of which neighbours correlate by {alike:.2f}"
    if files < LEAST_FRAMES:
        return f"{files} images {cause}; at least {LEAST_FRAMES} such images are needed" + (
            f", or {LEAST_UNITS} groups" if shared else ""
        )
    # Its standard error more, since few images show too little of the correlation.
    alike = min(alike + files**-0.5, 0.99)
    worth = files * (1 - alike) / (1 + alike)
    if worth < LEAST_UNITS:
        return (
            f"{files} images {cause}, neighbours so alike that they may say no more than {worth:.0f} "
            f"independent ones; at least {LEAST_UNITS} are needed"
        )
    # As in an autoregressive series of the first order, whose neighbours correlate so.
    length = files / STRETCHES
    lost = 2 * alike * (1 - alike**length) / (length * (1 - alike**2))
    units_UC = np.stack([part_FC.sum(0) for part_FC in np.array_split(counted_FC, STRETCHES)])
    words = f"{STRETCHES} stretches of {files} consecutive images {cause}"
    return Units(units_UC, words, widening=1 / (1 - lost))


def sums_by(keys: Sequence[str], values_N: Counts) -> Counts:
    """Return the sum of the values that have the same key, in the order of the keys' first places."""
    places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    summed = np.zeros((len(places), *values_N.shape[1:]), values_N.dtype)
    np.add.at(summed, [places[key] for key in keys], values_N)
    return summed


def estimate(units: Units, statistic: Statistic) -> Estimate | None:
    """Return a score with its variance, or None where it hangs on one unit.

    The degrees of freedom are those of a variance of such values (Satterthwaite 1946): 2 U / (k - 1)
    for the kurtosis k, 3 for normal ones, at most U, less one. So a score that a few units decide, as
    the mIoU of rare classes is, has a wide interval.
    """
    score, moves_U = _score(units.counts_UC, statistic), _moves(units.counts_UC, statistic)
    if np.isnan(score) or np.isnan(moves_U).any():
        return None
    number, squares = len(moves_U), float((moves_U**2).sum())
    if not squares:
        return Estimate(score, 0.0, float("inf"))
    kurtosis = number * float((moves_U**4).sum()) / squares**2
    effective = min(2 * number / max(kurtosis - 1, 1e-9), number)
    variance = units.widening * squares / (number * (number - 1))
    return Estimate(score, variance, max(effective - 1, 1.0))


def _score(units_UC: NDArray[np.float64], statistic: Statistic) -> float:
    return float(statistic(units_UC.sum(0)[None])[0])


def _moves(units_UC: NDArray[np.float64], statistic: Statistic) -> NDArray[np.float64]:
    """Return by how much each unit moves the score: the pseudo-values less their mean; or NaN."""
    without_U = statistic(units_UC.sum(0) - units_UC)
    # Equal images move nothing; what is left of the subtraction is rounding.
    apart_U: NDArray[np.float64] = np.round(without_U.mean() - without_U, 14)
    return (len(units_UC) - 1) * apart_U


def _correlation(moves_U: NDArray[np.float64]) -> float:
    """Return the correlation of neighbouring units, at least 0; 0 where a score has no meaning."""
    if np.isnan(moves_U).any():
        return 0.0
    products = float((moves_U[1:] * moves_U[:-1]).sum())
    return max(products / max(float((moves_U**2).sum()), 1e-300), 0.0)


def no_interval(reason: str) -> Uncertainty:
    """Return that there is no interval, and why."""
    return Uncertainty(float("nan"), float("nan"), f"none: {reason}")

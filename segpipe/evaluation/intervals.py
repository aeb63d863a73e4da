"""Scores as the tables and evaluation.json hold them: rounded, without NaN, with their intervals."""

from dataclasses import dataclass
from math import isnan

import numpy as np
from numpy.typing import NDArray

from segpipe.metrics.bootstrap import Statistic, bootstrap_interval


@dataclass(frozen=True)
class Interval:
    """How the uncertainty is found: bootstrap samples (0: not at all) and their seed."""

    samples: int
    seed: int

    def of(
        self, counts_NKK: NDArray[np.int64] | NDArray[np.float64], statistic: Statistic
    ) -> dict[str, float] | None:
        """Return the ends of the 95 % interval, None where `bootstrap_interval` has none."""
        found = bootstrap_interval(counts_NKK, statistic, self.samples, self.seed)
        return None if found is None else {"low": round(found[0], 6), "high": round(found[1], 6)}


def number(value: float) -> float | None:
    """Return a score with six digits; None, which is null in JSON, for one without meaning."""
    return None if isnan(value) else round(float(value), 6)

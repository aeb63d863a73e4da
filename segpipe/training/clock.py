"""How long training takes, and how much of it is spent waiting for data."""

from time import perf_counter
from typing import Any

from segpipe.loading.batches import Prefetch


class Clock:
    """Seconds from lap to lap, and those of them in which the training stood waiting."""

    def __init__(self, batches: Prefetch[Any, Any]) -> None:
        """batches: what the training waits for."""
        self._batches = batches
        self._last = perf_counter()
        self._waited = batches.waited

    def lap(self) -> tuple[float, float]:
        """Return the seconds since the last lap, and how many of them were waited."""
        now, waited = perf_counter(), self._batches.waited
        passed = now - self._last, waited - self._waited
        self._last, self._waited = now, waited
        return passed

"""The line that tells a person, while the network trains, how far it is and how fast it goes."""

import sys
from collections import deque
from time import perf_counter
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

from segpipe.runtime.console import say
from segpipe.training.setup import Job

# What is shown is the mean of so many steps: it neither jumps nor remembers the slow start.
_STEPS = 50
_REDRAWN_EVERY = 0.2  # seconds, on a terminal
_SAID_EVERY = 15.0  # seconds, anywhere else


class LiveLine:
    """How a training goes: one moving line on a terminal, elsewhere a plain line now and then.

    The leading process alone shows it. As a context manager it leaves the terminal in order.
    """

    def __init__(self, job: Job, taken: int) -> None:
        """taken: the optimizer steps that were taken before."""
        self._job = job
        # Of the last steps: loss, seconds, and those of them in which there was no data.
        self._steps: deque[tuple[float, float, float]] = deque(maxlen=_STEPS)
        self._first = taken + 1
        self._validation = 0.0
        self._ended, self._said = perf_counter(), -_SAID_EVERY  # the first step is said at once
        shown = job.leads and sys.stderr.isatty()
        self._bar = _bar(job.lengths.total, taken) if shown else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def step(self, taken: int, loss: float, lr: float, seconds: float, waited: float) -> None:
        """Show step number `taken` (from 1): it took `seconds`, and waited so many of them for data."""
        if not self._job.leads:
            return
        self._note(taken, loss, seconds, waited)
        text = f"{self._place(taken)}: {self._pace(lr)}"
        if self._bar is not None:
            self._bar.set_description_str(text, refresh=False)
            self._bar.update()
        elif self._ended - self._said >= _SAID_EVERY:
            self._said = self._ended
            say(text)

    def _note(self, taken: int, loss: float, seconds: float, waited: float) -> None:
        now = perf_counter()
        if (taken - 1) % self._job.lengths.validate_every == 0:
            self._validation = max(now - self._ended - seconds, 0.0)
        self._ended = now
        if taken == self._first + 1:
            self._steps.clear()  # the first one warms up
        self._steps.append((loss, seconds, waited))

    def _place(self, taken: int) -> str:
        each, total = self._job.steps_per_epoch, self._job.lengths.total
        epoch, step = divmod(taken - 1, each)
        left = duration(self._seconds_left(taken))
        return f"epoch {epoch + 1}/{-(-total // each)}, step {step + 1}/{each}, {left} left"

    def _pace(self, lr: float) -> str:
        loss, seconds, waited = (sum(column) for column in zip(*self._steps, strict=True))
        speed = len(self._steps) * self._job.train.batch_size / max(seconds, 1e-9)
        return (
            f"loss {loss / len(self._steps):.3f}, lr {lr:.2g}, {speed:.3g} images/s, "
            f"{100 * waited / max(seconds, 1e-9):.0f} % waiting for data"
        )

    def _seconds_left(self, taken: int) -> float:
        """For the steps and validations to come, as long as those before; early stopping may end it."""
        total, every = self._job.lengths.total, self._job.lengths.validate_every
        each = sum(seconds for _, seconds, _ in self._steps) / len(self._steps)
        validations = -(-total // every) - taken // every
        return (total - taken) * each + validations * self._validation


def duration(seconds: float) -> str:
    """Return seconds as 0:42, 12:05 or 3:07:00 (hours, minutes, seconds)."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def _bar(total: int, taken: int) -> "tqdm[Any]":
    bar: tqdm[Any] = tqdm(
        total=total,
        initial=taken,
        bar_format="|{bar:12}| {desc}",
        mininterval=_REDRAWN_EVERY,
        maxinterval=_REDRAWN_EVERY,
        dynamic_ncols=True,
        leave=False,
        file=sys.stderr,
    )
    return bar

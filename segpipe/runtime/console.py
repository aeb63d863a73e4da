"""What a person sees while a stage works: plain lines, and a bar where there is a terminal."""

import sys
from collections.abc import Iterable
from time import monotonic
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")
_SAID_EVERY = 10.0  # seconds


def say(text: str) -> None:
    """Print one line at once, also when the output is a pipe; a bar on the terminal moves below it."""
    if sys.stderr.isatty():
        tqdm.write(text, file=sys.stdout)
        sys.stdout.flush()
    else:
        print(text, flush=True)


def progress(
    items: Iterable[T], description: str, unit: str, total: int | None = None, delay: float = 0.0
) -> Iterable[T]:
    """Yield `items` under a progress bar on stderr.

    Where stderr is no terminal there are plain lines instead of a moving bar: one every ten seconds
    and one at the end. delay: seconds before there is a bar; what is done by then shows none.
    """
    if sys.stderr.isatty():
        return tqdm(
            items,
            desc=description,
            unit=f" {unit}",
            total=total,
            delay=delay,
            mininterval=0.2,
            maxinterval=0.2,
            dynamic_ncols=True,
            file=sys.stderr,
        )
    return _with_lines(items, description, unit, total, delay)


def _with_lines(
    items: Iterable[T], description: str, unit: str, total: int | None, delay: float
) -> Iterable[T]:
    began = said = monotonic()
    done = 0

    def line(now: float) -> None:
        of_all = "" if total is None else f" of {total}"
        counted = f"{done}{of_all} {unit}{'' if (total or done) == 1 else 's'}"
        print(f"{description}: {counted}, {now - began:.0f} s", file=sys.stderr, flush=True)

    for item in items:
        yield item
        done, now = done + 1, monotonic()
        if now - said >= _SAID_EVERY and done != total:
            said = now
            line(now)
    if monotonic() - began >= delay:
        line(monotonic())

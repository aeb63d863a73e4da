"""What a person sees while a stage works: plain lines, and a bar where there is a terminal."""

import sys
from collections.abc import Iterable
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")


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

    Where stderr is no terminal, a line is written every ten seconds instead of a moving bar. delay:
    seconds before there is a bar; what is done by then shows none.
    """
    return tqdm(items, desc=description, unit=f" {unit}", total=total, delay=delay, **_style())


def _style() -> dict[str, Any]:
    moving = sys.stderr.isatty()
    every = 0.2 if moving else 10.0
    return {
        "mininterval": every,
        "maxinterval": every,
        "dynamic_ncols": moving,
        "ascii": not moving,
        "file": sys.stderr,
    }

"""What a person sees while a stage works: plain lines, and a bar where there is a terminal."""

import re
import sys
from collections.abc import Iterable
from time import monotonic
from typing import TextIO, TypeVar

from tqdm import tqdm

T = TypeVar("T")
_SAID_EVERY = 10.0  # seconds
# Control characters, line separators, and surrogates: as such Python reads the bytes of a file name
# that are not UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def say(text: str) -> None:
    """Print one line at once, also when the output is a pipe; a bar on the terminal moves below it.

    What is not `printable`, or not of the output's encoding, is printed as an escape.
    """
    encoding = sys.stdout.encoding or "utf-8"
    text = printable(text).encode(encoding, "backslashreplace").decode(encoding)
    if sys.stderr.isatty():
        tqdm.write(f"{text}\n", file=sys.stdout, end="")
        sys.stdout.flush()
    else:
        _print_line(text, sys.stdout)


def say_error(text: str) -> None:
    """Print one line on stderr at once, with escapes for what is not `printable`."""
    _print_line(printable(text), sys.stderr)


def _print_line(text: str, stream: TextIO) -> None:
    """Print text and line end in one piece, so that no other thread's or process's comes between."""
    stream.write(f"{text}\n")
    stream.flush()


def printable(text: str, kept: str = "\n\t") -> str:
    r"""Return `text` with escapes for what a file name can do to a terminal or a page.

    An escape character becomes \x1b, a byte that is not UTF-8 becomes \xe4; those in `kept` stay.
    """
    return _UNPRINTABLE.sub(lambda found: found[0] if found[0] in kept else _escape(found[0]), text)


def _escape(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def progress(
    items: Iterable[T], description: str, unit: str, total: int | None = None, delay: float = 0.0
) -> Iterable[T]:
    """Yield `items` under a progress bar on stderr.

    Where stderr is no terminal there are plain lines instead of a moving bar: one every ten seconds
    and one at the end. delay: seconds before there is a bar; what is done by then shows none.
    """
    description = printable(description)
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
        _print_line(f"{description}: {counted}, {now - began:.0f} s", sys.stderr)

    for item in items:
        yield item
        done, now = done + 1, monotonic()
        if now - said >= _SAID_EVERY and done != total:
            said = now
            line(now)
    if monotonic() - began >= delay:
        line(monotonic())

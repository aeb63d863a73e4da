"""What a person sees of a download: one bar with rate and time left, and lines about events."""

import sys
import threading
from typing import NoReturn, TextIO

from tqdm import tqdm


def readable(count: float) -> str:
    """Return a number of bytes as people say it: `241.0 MB`, in powers of 1000."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} bytes" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def tell(text: str) -> None:
    """Print one line at once, above the bar where there is one."""
    tqdm.write(text, file=sys.stdout)
    sys.stdout.flush()


class Display:
    """The progress of all packages together; to be used as a context, and from any thread.

    total: bytes of all packages. kept: bytes that are there from an earlier try, which count as
    done and not into the rate. Where stderr is no terminal a line is written every ten seconds.
    """

    def __init__(self, packages: int, total: int, kept: int) -> None:
        moving = sys.stderr.isatty()
        every = 0.2 if moving else 10.0
        self._lock = threading.Lock()
        self._bar: tqdm[NoReturn] = tqdm(
            desc=f"download {packages} package{'s' if packages > 1 else ''}",
            total=total,
            initial=kept,
            unit="B",
            unit_scale=True,
            mininterval=every,
            maxinterval=every,
            dynamic_ncols=moving,
            ascii=not moving,
            file=sys.stderr if moving else _Lines(sys.stderr),
        )

    def __enter__(self) -> "Display":
        return self

    def __exit__(self, *_exception: object) -> None:
        self._bar.close()

    def add(self, count: int) -> None:
        """Count bytes that have come, or, negative, bytes that have to come again."""
        with self._lock:
            self._bar.update(count)

    def expect(self, more: int) -> None:
        """Correct the total by so many bytes, once a package's exact size is known."""
        with self._lock:
            self._bar.total = (self._bar.total or 0) + more


class _Lines:
    """A text stream that gets a line where tqdm would draw over the line before."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        line = text.strip("\r\n ")
        if line:
            self._stream.write(line + "\n")

    def flush(self) -> None:
        self._stream.flush()

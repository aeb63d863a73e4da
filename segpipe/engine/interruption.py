"""Ends that come from outside: a signal, or the loss of the parent process (law 12)."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

# EX_TEMPFAIL of sysexits.h: not finished, but starting again goes on from here.
RESUMABLE = 75


class Interrupted(Exception):  # noqa: N818 (it is no error)
    """The run was asked to stop and has saved its state."""


class StopRequest:
    """Whether the run was asked to stop; the training loop looks at it once a step."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Note the request. A second one ends the process at once, by the system's default."""
        self.asked = True
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def listening() -> Iterator[StopRequest]:
    """Turn Ctrl-C, SIGTERM and the parent's death into a StopRequest while the block runs."""
    request = StopRequest()
    before = {
        number: signal.signal(number, request.ask) for number in (signal.SIGINT, signal.SIGTERM)
    }
    done = threading.Event()
    watch = threading.Thread(target=_watch_parent, args=(os.getppid(), request, done), daemon=True)
    watch.start()
    try:
        yield request
    finally:
        done.set()
        for number, handler in before.items():
            signal.signal(number, handler)


def _watch_parent(parent: int, request: StopRequest, done: threading.Event) -> None:
    """A process whose parent dies is handed to another; training on as an orphan is never wanted."""
    while not done.wait(1.0):
        if os.getppid() != parent:
            request.asked = True
            return

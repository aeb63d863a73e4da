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
        """Note the request. A second Ctrl-C ends the process at once.

        A SIGTERM after it does not: the launcher of several processes passes a Ctrl-C on as one,
        and the state is still being saved then.
        """
        self.asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def listening() -> Iterator[StopRequest]:
    """Turn Ctrl-C, SIGTERM and the parent's death into a StopRequest while the block runs."""
    request = StopRequest()
    before = {
        number: signal.signal(number, request.ask) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        with parent_watched():
            yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def parent_watched() -> Iterator[None]:
    """Send this process a SIGTERM if its parent dies while the block runs.

    A process whose parent dies is handed to another; training on as an orphan is never wanted.
    """
    done = threading.Event()
    watch = threading.Thread(target=_watch_parent, args=(os.getppid(), done), daemon=True)
    watch.start()
    try:
        yield
    finally:
        done.set()


def _watch_parent(parent: int, done: threading.Event) -> None:
    while not done.wait(1.0):
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
            return

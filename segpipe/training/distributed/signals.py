"""Signals that end a training, which saves its state first (law 12)."""

import contextlib
import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

# EX_TEMPFAIL of sysexits.h: not finished, but starting again goes on from here.
RESUMABLE = 75
# CPU seconds; a process that has imported torch took more, anything else that was started less.
_OF_A_TRAINING = 1.0


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
def listening(stop: StopRequest) -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into a stop request while the block runs."""
    with _handled_by(stop.ask):
        yield


@contextlib.contextmanager
def passing_on() -> Iterator[None]:
    """Pass Ctrl-C and SIGTERM on to the processes that this one started, while the block runs."""
    with _handled_by(pass_on):
        yield


def pass_on(_signal: int, _frame: FrameType | None) -> None:
    """Handle a signal in a launcher: its processes save and leave, and their exit code ends it.

    torch's own launcher would kill them 30 seconds later, be the state saved or not. A second
    Ctrl-C ends them at once. Raises SystemExit while there are no processes yet.
    """
    processes = children()
    _send(signal.SIGTERM, processes)
    signal.signal(signal.SIGINT, lambda _number, _frame: _send(signal.SIGINT, children()))
    if not processes and not _trained():
        raise SystemExit(RESUMABLE)  # nothing was begun, so there is nothing to save


def children() -> list[int]:
    """Return the processes that this one has started, whichever thread did (proc(5): children)."""
    lists = Path("/proc/self/task").glob("*/children")
    return [int(number) for text in lists for number in text.read_text().split()]


@contextlib.contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def _send(number: int, processes: list[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def _trained() -> bool:
    """Whether processes of this machine have ended; the others are waited for then."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime > _OF_A_TRAINING

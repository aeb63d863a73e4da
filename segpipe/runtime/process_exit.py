"""How a command ends: with its exit code, with one message in plain words, or with its parent."""

import contextlib
import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from segpipe.runtime.atomic import disk_errors_explained
from segpipe.runtime.errors import SegpipeError

INTERRUPTED = 130  # as a shell reports Ctrl-C
READER_GONE = 141  # as a shell reports SIGPIPE


class Terminated(KeyboardInterrupt):
    """The signal `number` has come; it ends the program through its `finally` blocks as Ctrl-C does."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def explained(
    work: Callable[[], int], interrupted: str = "interrupted; nothing was published"
) -> int:
    """Return what `work` returns; say expected errors in one message, without a traceback.

    interrupted: what is said after a Ctrl-C or a signal that a `Terminated` stands for. A crash of
    native code, which ends the process at once, says where Python was.
    """
    if sys.__stderr__ and not faulthandler.is_enabled():
        faulthandler.enable(sys.__stderr__)
    try:
        with disk_errors_explained(Path.cwd()):
            return work()
    except SegpipeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read the output has gone, as `| head` does; what is still buffered goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except KeyboardInterrupt as error:
        print(interrupted, file=sys.stderr)
        return 128 + error.number if isinstance(error, Terminated) else INTERRUPTED


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM, and SIGHUP unless it is ignored (nohup), raise `Terminated` within the block."""

    def end(number: int, _: object) -> None:
        # A second one must not cut the tidying short.
        signal.signal(number, signal.SIG_IGN)
        raise Terminated(number)

    numbers = [signal.SIGTERM, signal.SIGHUP]
    before = {
        number: signal.signal(number, end)
        for number in numbers
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def interrupted_when_told() -> Iterator[None]:
    """Let SIGTERM, and the death of the parent, end the block as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    over = watch_parent()
    try:
        yield
    finally:
        over.set()
        signal.signal(signal.SIGTERM, before)


def watch_parent() -> threading.Event:
    """Send this process a SIGTERM when its parent dies, from now on until the returned event is set.

    A process whose parent dies is handed to another; working on as an orphan is never wanted, for
    whoever starts the work again has two at it. To be called first thing: of a parent that died
    before, nothing is known.
    """
    over = threading.Event()
    threading.Thread(target=_watch, args=(os.getppid(), over), daemon=True).start()
    return over


def _watch(parent: int, over: threading.Event) -> None:
    while not over.wait(1.0):
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
            return

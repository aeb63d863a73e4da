"""How a command ends: with its exit code, with one message in plain words, or with its parent."""

import contextlib
import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from segpipe.runtime.atomic import disk_errors_explained
from segpipe.runtime.errors import SegpipeError

INTERRUPTED = 130  # as a shell reports Ctrl-C
READER_GONE = 141  # as a shell reports SIGPIPE
TERMINATED = 143  # as a shell reports SIGTERM
_AGAIN_SECONDS = 0.1


class Terminated(KeyboardInterrupt):
    """The process got a SIGTERM; it ends as after a Ctrl-C, but with another exit code."""


def explained(
    work: Callable[[], int], interrupted: str = "interrupted; nothing was published"
) -> int:
    """Return what `work` returns; say expected errors in one message, without a traceback.

    interrupted: what is said after a Ctrl-C or SIGTERM. A crash of native code, which ends the
    process at once, says where Python was.
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
    except KeyboardInterrupt as told:
        print(interrupted, file=sys.stderr)
        return TERMINATED if isinstance(told, Terminated) else INTERRUPTED


@contextlib.contextmanager
def interrupted_when_told(by_parent: bool = True) -> Iterator[None]:
    """Let SIGTERM, and the death of the parent where `by_parent`, end the block by Terminated.

    by_parent: not for a command that a person may leave alone, as with nohup. Once told, further
    SIGTERMs change nothing: the process is ending, and they would cut that short.
    """
    told = _Told()
    before = signal.signal(signal.SIGTERM, told.terminate)
    hook, sys.unraisablehook = sys.unraisablehook, told.tell_again
    over = watch_parent() if by_parent else threading.Event()
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN if told.once else before)
        sys.unraisablehook = hook
        over.set()


class _Told:
    """Whether a SIGTERM has come."""

    def __init__(self) -> None:
        self.once = False

    def terminate(self, _signal: int, _frame: FrameType | None) -> None:
        """Raise Terminated at the first signal."""
        if not self.once:
            self.once = True
            raise Terminated

    def tell_again(self, dropped: "sys.UnraisableHookArgs") -> None:
        """Have Terminated raised anew where Python dropped it, as in finalizers and weak references."""
        if not issubclass(dropped.exc_type, Terminated):
            sys.__unraisablehook__(dropped)
            return
        self.once = False
        again = threading.Timer(_AGAIN_SECONDS, os.kill, (os.getpid(), signal.SIGTERM))
        again.daemon = True
        again.start()


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

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
from segpipe.runtime.console import say_error
from segpipe.runtime.errors import SegpipeError
from segpipe.runtime.memory import is_out_of_memory, out_of_memory_text

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
        say_error(f"error: {error}")
        return 1
    except BrokenPipeError:
        # Whoever read the output has gone, as `| head` does; what is still buffered goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except KeyboardInterrupt as told:
        say_error(interrupted)
        return TERMINATED if isinstance(told, Terminated) else INTERRUPTED
    except (MemoryError, RuntimeError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        say_error(f"error: {out_of_memory_text(error)}")
        return 1


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


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Put Ctrl-C and SIGTERM off until the block has ended, which should take seconds at most.

    For what must not be left half done. Worker processes whose start is interrupted are ended by
    nobody, and the interpreter waits for them for ever at its end. A thread whose `join` is
    interrupted counts as ended from then on (Python 3.11, Thread._wait_for_tstate_lock); the
    interpreter goes while it runs, and if it runs native code, that aborts the process: "terminate
    called without an active exception".
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python handles signals in the main thread alone
        return
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {
        number: signal.signal(number, lambda sent, _frame: came.append(sent)) for number in numbers
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for sent in came:
            signal.raise_signal(sent)


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

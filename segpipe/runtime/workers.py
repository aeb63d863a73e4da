"""Worker processes of a stage, which leave when it does."""

import multiprocessing
import signal
from concurrent.futures import ProcessPoolExecutor

from segpipe.runtime.process_exit import watch_parent


def worker_pool(processes: int) -> ProcessPoolExecutor:
    """Return a pool of so many worker processes.

    An interruption is the stage's to handle: a Ctrl-C, which reaches all processes of a terminal,
    does not end the workers. Killed with kill -9, the stage takes them along.
    """
    # A forked copy of a process with running threads can hang; a spawned one starts clean.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(processes, context, initializer=_begin)


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watch_parent()

"""Locks between the processes of this machine, and of others on a file system that has locks.

The system drops a lock when its holder ends, however it ends.
"""

import contextlib
import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def held_file(path: Path, busy: Callable[[str], None], *, delete: bool = False) -> Iterator[None]:
    """Hold the lock file `path` for the block; its content is the holder's process id and machine.

    delete: whether the file goes at the end of the block; all who lock it must ask for the same.

    busy: called with that content ("unknown" where the holder has not written it yet)
    before it is waited for; what it raises ends the waiting. Raises OSError when the file cannot be
    opened (with its name) or its file system has no locks (without).
    """
    while True:
        with path.open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                busy(file.read().strip() or "unknown")
                fcntl.flock(file, fcntl.LOCK_EX)
            if not _has_name(file.fileno(), path):
                continue  # its holder deleted it between the opening and the lock
            file.seek(0)
            file.truncate()
            file.write(f"{os.getpid()} on {socket.gethostname()}")
            file.flush()
            try:
                yield
            finally:
                if delete:  # while it is held: nobody else has this file locked
                    path.unlink(missing_ok=True)
            return


def _has_name(handle: int, path: Path) -> bool:
    """Return whether `path` is still the open file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def held_folder(path: Path) -> Iterator[bool]:
    """Lock a folder for the block, and yield whether that could be done.

    It could not where another process has the lock, the folder is gone, or its file system has no
    locks on folders.
    """
    handle = lock_folder(path)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            os.close(handle)


def lock_folder(path: Path) -> int | None:
    """Lock a folder; return the descriptor that holds the lock, None where that cannot be done.

    The lock is dropped when the last process that has the descriptor closes it or ends: a child that was
    given it keeps the lock beyond the death of its parent.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(path.stat(), os.fstat(handle)):
            return handle
    except OSError:
        pass
    os.close(handle)
    return None

"""One process at a time downloads into a folder; the others wait for it."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from segpipe.errors import SegpipeError


@contextlib.contextmanager
def held_in_turn(folder: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of a download folder, waiting for the process that has it.

    The system drops the lock when its holder ends, however it ends. Raises SegpipeError where the
    file system knows no locks.
    """
    # Never deleted: another process could lock a file that no longer has a name.
    with _opened(folder / ".lock") as file:
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                tell(f"process {holder} is downloading into {folder}; waiting until it has ended")
                fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise SegpipeError(
                f"{folder}: its file system cannot lock files ({error.strerror}), so two downloads "
                "could write one package; put the repository on a local disk, or download the "
                "packages by hand and name their folder in source.path"
            ) from error
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield


def _opened(path: Path) -> TextIO:
    try:
        return path.open("a+", encoding="utf-8")
    except OSError as error:
        raise SegpipeError(
            f"{path}: cannot be written ({error.strerror}); see to the permissions of its folder"
        ) from error

"""Marks of the runs that are going on here, so that those of killed processes do not stay RUNNING.

A process holds the lock of its mark as long as it lives. A mark that nobody holds is of a run whose
process ended without saying so; the next run that starts gives it its last status.
"""

import contextlib
import fcntl
import json
import os
from pathlib import Path
from typing import Literal

from segpipe.runtime.state import repository_root
from segpipe.tracking.store import Store, find_run

Status = Literal["FINISHED", "FAILED", "KILLED"]


class Mark:
    """The mark of one run, held by this process.

    It only helps: where a disk is full or a file system has no locks, there is no mark.
    """

    def __init__(self, store: Store, run_id: str) -> None:
        self._address = store.address
        self._path = _folder() / f"{run_id}.json"
        self._handle = -1
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = _locked(self._path)
        self.leave("KILLED")

    def leave(self, status: Status) -> None:
        """Note what the run shall be called when nothing more is heard of this process."""
        content = json.dumps({"store": self._address, "status": status}).encode()
        with contextlib.suppress(OSError):
            os.pwrite(self._handle, content, 0)
            os.ftruncate(self._handle, len(content))

    def touch(self) -> None:
        """Note that the run was alive just now."""
        with contextlib.suppress(OSError):
            os.utime(self._handle)

    def remove(self) -> None:
        """Take the mark away: the run's status is in MLflow."""
        with contextlib.suppress(OSError):
            self._path.unlink()
        self.release()

    def release(self) -> None:
        """Let the next run that starts set the status that was left."""
        handle, self._handle = self._handle, -1
        with contextlib.suppress(OSError):
            os.close(handle)


def end_abandoned_runs(store: Store) -> None:
    """Give the runs of processes that are gone the status they left, KILLED as a rule."""
    for path in sorted(_folder().glob("*.json")):
        # Nothing here is worth stopping a training for: what fails is tried again next time.
        with contextlib.suppress(Exception):
            handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _end(store, path)
            finally:
                os.close(handle)


def _end(store: Store, path: Path) -> None:
    mark = json.loads(path.read_text(encoding="utf-8"))
    if mark["store"] != store.address:
        return
    with store.calls() as client:
        run = find_run(client, path.stem)
        if run is not None and run.info.status == "RUNNING":
            last = int(path.stat().st_mtime * 1000)
            client.set_terminated(path.stem, mark["status"], last)
    path.unlink()


def _locked(path: Path) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:
            os.close(handle)
            raise
        if os.fstat(handle).st_nlink:
            return handle
        os.close(handle)  # another process has just ended this run: the file has no name any more


def _folder() -> Path:
    return repository_root() / ".segpipe" / "running"

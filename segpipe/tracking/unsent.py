"""What a process could not send to MLflow, kept on the disk; the next one that can sends it.

Each process keeps it in a folder of its own, .segpipe/unsent/<run>-<random>: `entries.jsonl` lists
metrics and files, all else in it are files made for MLflow alone, at their place among the run's
artifacts. Whoever holds the lock in the folder owns it: first the process that fills it, until it
ends (however it ends), then the one that sends it. Sending twice changes nothing in the store, so
that a process which is killed while it sends loses nothing and doubles nothing.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from segpipe.runtime.atomic import write_text
from segpipe.runtime.console import say
from segpipe.runtime.errors import TrackingError
from segpipe.runtime.state import repository_root
from segpipe.tracking.entries import BATCH, Files, Point, send_files, send_points, stored_points
from segpipe.tracking.store import Store, find_run

ENTRIES, _LOCK = "entries.jsonl", "lock"
# How long to wait for another process that is just sending what belongs to this very run.
_TURN = 10.0


class Kept:
    """The folder of this process for one run; it is made when it is first needed."""

    def __init__(self, run_id: str) -> None:
        self.folder = unsent_folder() / f"{run_id}-{secrets.token_hex(4)}"
        self._lock = -1

    def add(self, content: bytes, place: str) -> Path:
        """Write a file that is to lie at `place` among the artifacts; OSError where that fails."""
        self._make()
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def leave(self, points: Sequence[Point], files: Sequence[Files]) -> None:
        """Leave behind what is still to be sent, or nothing; OSError where it cannot be written."""
        try:
            if points or files:
                self._make()
                lines: list[dict[str, object]] = [point._asdict() for point in points]
                # Files of ours lie in the folder already.
                lines += [_listed(each) for each in files if not each.ours]
                text = "".join(f"{json.dumps(line)}\n" for line in lines)
                write_text(self.folder / ENTRIES, text)
            else:
                shutil.rmtree(self.folder, ignore_errors=True)
        finally:
            if self._lock >= 0:
                os.close(self._lock)
                self._lock = -1

    def _make(self) -> None:
        if self._lock >= 0:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        # Where a file system has no locks, another process may send the same: it is idempotent.
        with contextlib.suppress(OSError):
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def unsent_folder() -> Path:
    """Return where the folders of all processes lie."""
    return repository_root() / ".segpipe" / "unsent"


def send_unsent(store: Store, run_id: str, stop: Callable[[], bool]) -> None:
    """Send what earlier processes left, of all runs that are in this store, and say so.

    run_id: the run of this process; where another process is just sending what belongs to it, that
    is waited for. stop: whether to leave the rest to the next process. What the store does not take
    stays; raises what MLflow raises where it is away.
    """
    for folder in sorted(unsent_folder().glob("*-*")):
        if stop():
            return
        run = folder.name.rpartition("-")[0]
        with _owned(folder, _TURN if run == run_id else 0.0) as owned:
            if owned and _is_known(store, run):
                try:
                    _send_folder(store, run, folder, stop)
                except TrackingError as error:
                    say(f"warning: {error}")


def _send_folder(store: Store, run: str, folder: Path, stop: Callable[[], bool]) -> None:
    points, listed = _entries(folder)
    new = _not_stored(store, run, points)
    for start in range(0, len(new), BATCH):
        send_points(store, run, new[start : start + BATCH])
    ours = [
        Files(path, path.parent.relative_to(folder).as_posix().removeprefix("."), ours=True)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path not in (folder / ENTRIES, folder / _LOCK)
    ]
    same = [
        files for files, digest in listed if digest is not None and digest == _digest(files.path)
    ]
    for files in (*ours, *same):
        if stop():
            return
        send_files(store, run, files)
    shutil.rmtree(folder, ignore_errors=True)
    gone = len(listed) - len(same)
    missing = f"; {gone} others are no longer there, or not as they were" if gone else ""
    say(
        f"MLflow: {len(new)} metric values and {len(ours) + len(same)} files or folders of run "
        f"{run}, kept since it was away, have been sent{missing}"
    )


def _listed(files: Files) -> dict[str, object]:
    path = files.path.absolute()
    return {"path": str(path), "under": files.under, "digest": _digest(path)}


def _digest(path: Path) -> str | None:
    """Return a digest of a file, or of all below a folder: by then another training may lie there."""
    members = sorted(path.rglob("*")) if path.is_dir() else [path]
    digest = hashlib.blake2b(digest_size=16)
    try:
        for member in members:
            if not member.is_dir():
                digest.update(member.relative_to(path).as_posix().encode())
                with member.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "blake2b").digest())
    except OSError:  # it is not there
        return None
    return digest.hexdigest()


def _entries(folder: Path) -> tuple[list[Point], list[tuple[Files, str | None]]]:
    path = folder / ENTRIES
    if not path.exists():  # the process was killed: there are only files
        return [], []
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        points = [Point(**line) for line in lines if "metric" in line]
        files = [
            (Files(Path(line["path"]), line["under"]), line["digest"])
            for line in lines
            if "path" in line
        ]
    except (ValueError, TypeError, KeyError) as error:  # the disk or a hand: it was written whole
        raise TrackingError(
            f"{path}: is damaged ({error}); what it lists is not sent to MLflow. Repair or delete it"
        ) from error
    return points, files


def _not_stored(store: Store, run: str, points: list[Point]) -> list[Point]:
    """Leave out what is in the store: the very point, or the same value for the same step."""
    stored = stored_points(store, run, {point.metric for point in points})
    exact = {(point.metric, point.step, point.timestamp) for point in stored}
    equal = {(point.metric, point.step, point.value) for point in stored}
    return [
        point
        for point in points
        if (point.metric, point.step, point.timestamp) not in exact
        and (point.metric, point.step, point.value) not in equal
    ]


def _is_known(store: Store, run: str) -> bool:
    with store.calls() as client:
        return find_run(client, run) is not None


@contextlib.contextmanager
def _owned(folder: Path, patience: float) -> Iterator[bool]:
    """Hold the lock of a folder in the block; False where another process has it or had it just now."""
    try:
        handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # it was sent meanwhile
        yield False
        return
    try:
        deadline = time.monotonic() + patience
        while not (held := _try(handle)) and time.monotonic() < deadline:
            time.sleep(0.05)
        yield held and os.fstat(handle).st_nlink > 0
    finally:
        os.close(handle)


def _try(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True

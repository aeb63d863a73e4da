"""What a process tells an MLflow run, on the disk until the store has it.

Each process has a folder of its own, .segpipe/unsent/<run>-<random>. `entries.jsonl` in it has a line
for each row of metric values and one for the final status; every other file is an artifact, at its
place among the run's artifacts. The process holds the folder's lock as long as it lives: a folder
that nobody holds belongs to a process that ended, however it ended, before the store had everything.
"""

import contextlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from segpipe.runtime.console import say
from segpipe.runtime.errors import TrackingError
from segpipe.runtime.lock import held_folder
from segpipe.runtime.small_files import parse_json
from segpipe.runtime.state import repository_root

_ENTRIES, _PARTIAL = "entries.jsonl", ".partial"
Status = Literal["FINISHED", "FAILED", "KILLED"]


class Row(NamedTuple):
    """Metric values of one moment, which a store takes together or not at all.

    timestamp: milliseconds since 1970. step: a run has one row of a kind for each; None: every row
    counts, as those of repeated evaluations do, and MLflow shows step 0.
    """

    values: Mapping[str, float]
    timestamp: int
    step: int | None


class Outbox:
    """The folder of one process for one run.

    rows: those that the store may lack. end: the final status and when it was set, in milliseconds;
    None while the process works.
    """

    def __init__(self, folder: Path) -> None:
        """Read what a process that ended has left in `folder`, if it is there."""
        self.folder, self.run_id = folder, run_of(folder)
        self.rows: list[Row] = []
        self.end: tuple[Status, int] | None = None
        self._lock = contextlib.ExitStack()
        if folder.exists():
            self._read(folder / _ENTRIES)

    @classmethod
    def create(cls, run_id: str) -> "Outbox":
        """Make and hold the folder of this process for a run; TrackingError where that fails."""
        outbox = cls(unsent_folder() / f"{run_id}-{secrets.token_hex(4)}")
        hidden = outbox.folder.with_name(f".{outbox.folder.name}")
        try:
            hidden.mkdir(parents=True)
            # Held before it has its name, so that nobody takes it for one that was left.
            outbox._lock.enter_context(held_folder(hidden))
            (hidden / _ENTRIES).touch()
            hidden.rename(outbox.folder)
        except OSError as error:
            raise TrackingError(
                f"{outbox.folder}: cannot be written: {error}. Free some space or permit it, or set "
                "`tracking.enabled: false` in params.yaml"
            ) from error
        return outbox

    def log_row(self, row: Row) -> None:
        """Keep a row. It is sent also when the disk refuses it."""
        self.rows.append(row)
        self._append(row._asdict())

    def log_end(self, status: Status) -> None:
        """Keep the final status, which the next process sets should this one not come to it."""
        self.end = status, int(time.time() * 1000)
        self._append({"status": status, "timestamp": self.end[1]})

    def log_content(self, content: bytes, place: str) -> None:
        """Keep a file of this content that is to be at `place` among the artifacts."""
        self._add(place, lambda path: path.write_bytes(content))

    def log_files(self, path: Path, under: str) -> None:
        """Keep a file, or all files below a folder, for the folder `under` of the artifacts.

        They are hard links, which cost neither time nor space: segpipe and DVC replace files, and
        never write into one that is there. On another file system they are copies.
        """
        folder = path if path.is_dir() else path.parent
        for member in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if not member.is_dir():
                place = f"{under}/{member.relative_to(folder).as_posix()}"
                self._add(place, partial(_link, member))

    def files(self) -> list[Path]:
        """Return the artifacts that the store lacks."""
        # "lock" is in the folders of segpipe 0.1's first form.
        own = [self.folder / name for name in (_ENTRIES, _PARTIAL, "lock")]
        return sorted(path for path in self.folder.rglob("*") if path.is_file() and path not in own)

    def release(self) -> None:
        """Leave the folder to the next process."""
        self._lock.close()

    def remove(self) -> None:
        """Delete the folder: the store has everything."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.release()

    def _read(self, path: Path) -> None:
        is_there, damaged = path.exists(), 0
        last = (path if is_there else self.folder).stat().st_mtime
        self.end = "KILLED", int(last * 1000)
        for line in path.read_text("utf-8", "replace").splitlines() if is_there else []:
            try:
                entry = parse_json(line)
                if "status" in entry:
                    self.end = entry["status"], entry["timestamp"]
                    continue
                if "metric" in entry:  # segpipe 0.1's first form: a line a value, step 0 for None
                    entry["values"] = {entry["metric"]: entry["value"]}
                    entry["step"] = entry["step"] or None
                self.rows.append(Row(dict(entry["values"]), entry["timestamp"], entry["step"]))
            except (ValueError, TypeError, KeyError):
                damaged += 1
        if damaged:
            say(f"warning: {path}: {damaged} lines cannot be read and are not sent to MLflow")

    def _append(self, entry: dict[str, Any]) -> None:
        path = self.folder / _ENTRIES
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(entry)}\n")
        except OSError as error:
            say(
                f"warning: {path}: cannot be written: {error}; what MLflow does not take before this "
                "process ends is lost"
            )

    def _add(self, place: str, make: Callable[[Path], object]) -> None:
        """Let `make` write a file, which then appears whole: another thread may be sending."""
        partial, target = self.folder / _PARTIAL, self.folder / place
        try:
            partial.unlink(missing_ok=True)
            make(partial)
            target.parent.mkdir(parents=True, exist_ok=True)
            partial.replace(target)
        except OSError as error:
            say(f"warning: {place} is not kept in MLflow: {error}")


def outbox_folders(run_id: str = "[!.]*") -> list[Path]:
    """Return the folders of all processes, living or not, of one run or of all."""
    return sorted(unsent_folder().glob(f"{run_id}-*"))


def run_of(folder: Path) -> str:
    """Return the id of the run that a folder of a process is for."""
    return folder.name.rpartition("-")[0]


def unsent_folder() -> Path:
    """Return where the folders of all processes lie."""
    return repository_root() / ".segpipe" / "unsent"


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)

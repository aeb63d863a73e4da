"""Files and folders that appear whole or not at all: write beside, fsync, rename (law 8)."""

import contextlib
import csv
import errno
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from segpipe.runtime.errors import SegpipeError
from segpipe.runtime.lock import held_folder

_PARTIAL = ".partial"
_TRIALS = 4


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it onto `path` when the block ends well.

    When the block raises, the temporary file is removed and `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    Path(name).chmod(0o644)  # mkstemp makes files that only their owner can read
    partial = Path(name)
    try:
        yield partial
        sync(partial)
        partial.replace(path)
        sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_dir(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; it takes the place of `path` when the block ends well.

    When the block raises, the temporary folder is removed and `path` is as it was. What a killed
    process has left of its own goes too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_over(path)
    with _new_beside(path) as partial:
        try:
            yield partial
            if path.exists():
                shutil.rmtree(path)
            partial.replace(path)
            sync(path.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def _new_beside(path: Path) -> Iterator[Path]:
    """A new folder, whose lock says that it is in use; without one where there are no locks."""
    for trial in range(_TRIALS):
        partial = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=_PARTIAL, dir=path.parent))
        with held_folder(partial) as held:
            if held or trial == _TRIALS - 1:
                partial.chmod(0o755)  # mkdtemp makes folders that only their owner can read
                yield partial
                return
        # Another process took it for left over, before it was locked.
        shutil.rmtree(partial, ignore_errors=True)


def _remove_left_over(path: Path) -> None:
    made_here = re.compile(rf"\.{re.escape(path.name)}\.\w{{8}}{re.escape(_PARTIAL)}")
    for folder in path.parent.iterdir():
        if made_here.fullmatch(folder.name):
            with held_folder(folder) as held:
                if held:
                    shutil.rmtree(folder, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text to `path`, whole or not at all."""
    with atomic_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all. NaN is refused: JSON has no such number."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_csv(
    path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None
) -> None:
    """Write rows under the names of `columns` (None: the first row's keys), whole or not at all.

    The cells are written by `str`; floats are better given as text with the digits that they need.
    """
    text = io.StringIO()
    table = csv.DictWriter(text, columns or rows[0].keys(), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(path, text.getvalue())


@contextlib.contextmanager
def disk_errors_explained(place: Path) -> Iterator[None]:
    """Turn the system's 'no space left' within the block into a message that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise SegpipeError(
            f"{place}: the disk is full; nothing was kept of this step. "
            "Free some space (`dvc gc --workspace --all-experiments` drops unused results) "
            "and start again."
        ) from error


def sync(path: Path) -> None:
    """Have the system write a file's content, or a folder's entries, to the disk now."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

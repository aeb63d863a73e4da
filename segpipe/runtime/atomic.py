"""Files and folders that appear whole or not at all: write beside, fsync, rename (law 8)."""

import contextlib
import csv
import errno
import functools
import io
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from segpipe.runtime.errors import SegpipeError
from segpipe.runtime.lock import held_folder

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)  # the disk itself, or what of it a person may use
_PROTECTED = (errno.EROFS, errno.EACCES, errno.EPERM)
# Of one length, whatever the target's name is: that may be as long as the file system allows.
_PARTIAL = ".segpipe-{}.partial"
_LEFT_OVER = re.compile(re.escape(_PARTIAL).replace(r"\{\}", "[0-9a-f]{16}"))
_TRIALS = 4


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield the path of a file to be written; rename it onto `path` when the block ends well.

    It is in a folder of its own beside `path`, which goes at the end with all that is in it. When
    the block raises, `path` is as it was. What killed processes have left in the folder of `path` is
    removed when this process writes there for the first time. The file follows the umask.
    """
    with atomic_files([path]) as [partial]:
        yield partial


@contextlib.contextmanager
def atomic_files(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """As `atomic_file`, for several files of one file system, which are renamed one after the other.

    The folder that they lie in until then is beside the first of `paths`.
    """
    beside = paths[0].parent
    beside.mkdir(parents=True, exist_ok=True)
    _remove_left_over_once(beside.absolute())
    with _new_folder(beside) as folder:
        partials = [folder / f"file{number}" for number in range(len(paths))]
        yield partials
        for partial, path in zip(partials, paths, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            sync(partial)
            partial.replace(path)
            sync(path.parent)


@contextlib.contextmanager
def atomic_dir(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; it takes the place of `path` when the block ends well.

    When the block raises, the temporary folder is removed and `path` is as it was. What killed
    processes have left in the folder of `path` goes too. The folder follows the umask.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_over(path.parent)
    with _new_folder(path.parent) as partial:
        yield partial
        if path.exists():
            shutil.rmtree(path)
        partial.replace(path)
        sync(path.parent)


@contextlib.contextmanager
def temporary_dir(parent: Path) -> Iterator[Path]:
    """Yield a new folder in `parent`, which goes at the end of the block with all that is in it.

    What a killed process leaves of it goes when something is next written into `parent` as above.
    """
    parent.mkdir(parents=True, exist_ok=True)
    with _new_folder(parent) as folder:
        yield folder


@contextlib.contextmanager
def _new_folder(parent: Path) -> Iterator[Path]:
    """A new folder, whose lock says that it is in use; without one where there are no locks."""
    for trial in range(_TRIALS):
        partial = parent / _PARTIAL.format(secrets.token_hex(8))
        try:
            partial.mkdir()
            with held_folder(partial) as held:
                # Not held: another process took it for left over, before it was locked.
                if held or trial == _TRIALS - 1:
                    yield partial
                    return
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _remove_left_over(parent: Path) -> None:
    with contextlib.suppress(PermissionError):  # a folder may be written to and not be listed
        for folder in parent.iterdir():
            if _LEFT_OVER.fullmatch(folder.name):
                with held_folder(folder) as held:
                    if held:
                        shutil.rmtree(folder, ignore_errors=True)


_remove_left_over_once = functools.cache(_remove_left_over)


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
    """Turn what the system says within the block of a full or protected disk into what to do."""
    try:
        yield
    except OSError as error:
        # Without a file the refusal is of something else, such as a port or another process.
        if error.errno in _PROTECTED and error.filename:
            raise SegpipeError(
                f"{error.filename}: {error.strerror}. segpipe needs to read this place, and "
                "to write into the folder that it is started in: change its owner or its mode, or "
                "work in a copy"
            ) from error
        if error.errno not in DISK_FULL:
            raise
        raise SegpipeError(
            f"{place}: the disk is full; no file was left half-written. "
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

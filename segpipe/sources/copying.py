"""Copies of the user's files: the originals are only ever read."""

import contextlib
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from segpipe.runtime.console import progress
from segpipe.runtime.errors import DataError

_DESCRIBING = frozenset({".csv", ".txt", ".yaml", ".yml"})


def copy_files(source: Path, files: Sequence[Path], target: Path) -> None:
    """Copy `files`, which lie below `source`, to the same places below `target`.

    The content is copied, never linked: DVC write-protects what it caches, and a link would carry
    that over to the user's own file. Raises DataError when the disk is too small for all of them,
    which is seen before the first, and when a file goes away meanwhile.
    """
    refuse_too_little_space(size_of_files(files), target, f"{source}: the data")
    for path in progress(files, f"copy {source.name}", "file"):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        with _unreadable_explained(path):
            shutil.copyfile(path, copy)


def size_of_files(files: Iterable[Path]) -> int:
    """Return the bytes of all files; DataError names one that is not there or is no regular file."""
    total = 0
    for path in files:
        with _unreadable_explained(path):
            about_it = path.stat()
        if not stat.S_ISREG(about_it.st_mode):
            raise DataError(f"{path}: is a folder, pipe, socket or device, not a file; remove it")
        total += about_it.st_size
    return total


def refuse_too_little_space(needed: int, target: Path, what: str) -> None:
    """Raise DataError when `needed` bytes do not fit on the disk of the folder `target`."""
    free = shutil.disk_usage(target).free
    if needed > free:
        raise DataError(
            f"{what} needs {needed:,} bytes, but only {free:,} are free on the disk of "
            f"{target.parent}; free some space and start again"
        )


def beside_data(source: Path) -> list[Path]:
    """Return the files in `source` itself that describe the data: labels and lists, sorted."""
    found = source.iterdir() if source.is_dir() else ()
    return sorted(
        path for path in found if path.suffix.lower() in _DESCRIBING and not path.is_dir()
    )


def refuse_nested(source: Path, target: Path) -> None:
    """Raise DataError when one folder lies in the other, where copying would feed on itself."""
    inner, outer = source.resolve(), target.resolve()
    if inner == outer or inner in outer.parents or outer in inner.parents:
        raise DataError(
            f"params.yaml: source.path is {source}, which overlaps {target}, where segpipe writes; "
            "put the data into a folder of its own"
        )


@contextlib.contextmanager
def _unreadable_explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, PermissionError) as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error

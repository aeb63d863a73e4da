"""Copies of the user's files: the originals are only ever read."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from segpipe.console import progress
from segpipe.errors import DataError


def copy_files(source: Path, files: Sequence[Path], target: Path) -> None:
    """Copy `files`, which lie below `source`, to the same places below `target`.

    The content is copied, never linked: DVC write-protects what it caches, and a link would carry
    that over to the user's own file. Raises DataError when a file goes away meanwhile.
    """
    for path in progress(files, f"copy {source.name}", "file"):
        if path.is_dir():
            continue
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(path, copy)
        except (FileNotFoundError, PermissionError) as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def refuse_nested(source: Path, target: Path) -> None:
    """Raise DataError when one folder lies in the other, where copying would feed on itself."""
    inner, outer = source.resolve(), target.resolve()
    if inner == outer or inner in outer.parents or outer in inner.parents:
        raise DataError(
            f"params.yaml: source.path is {source}, which overlaps {target}, where segpipe writes; "
            "put the data into a folder of its own"
        )

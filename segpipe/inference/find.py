"""What `segpipe predict` finds at a path: the files to predict, and what it passes over."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from segpipe.inference.film import FILM_SUFFIXES
from segpipe.inference.overwriting import written_by_predict
from segpipe.raw.reader import Reader
from segpipe.runtime.errors import DataError

_NUMBER = re.compile(r"(\d+)")
# Links in linked folders multiply; a folder that so many have led to is not followed further.
_WAYS = 16


@dataclass
class Found:
    """Files to predict, or folders of tiles.

    root: the folder that the names of what is written are relative to. paths: sorted by name, tiles
    by number. films: those that were named. passed_over: how many files are not read, by suffix. own:
    how many are of an earlier prediction, in the output folder. unreadable: a line for each folder
    that cannot be listed.
    """

    root: Path
    paths: list[Path] = field(default_factory=list)
    films: list[Path] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)
    own: int = 0
    unreadable: list[str] = field(default_factory=list)

    def pass_over(self, file: Path) -> None:
        """Count a file that is not read."""
        self.passed_over[file.suffix.lower() or "without suffix"] += 1

    def left_out(self) -> str:
        """Say how many files are not read, such as "3 .gif, 1 .txt"; "" for none."""
        return ", ".join(f"{count} {kind}" for kind, count in sorted(self.passed_over.items()))


def find(reader: Reader, path: Path, out: Path) -> Found:
    """Return what is to be predicted at `path`: itself, or all that the folder and those in it hold.

    Hidden files and folders are passed over without a word. What predict wrote earlier below `out`,
    where that lies in the folder, is counted and passed over. Links are followed, but for those to a
    folder that holds them. Files of other kinds, and what is no regular file (such as a FIFO, which
    would never end), are counted.

    Raises DataError when there is nothing to predict.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder")
    if path.is_file():
        if reader.folders:
            raise DataError(f"{path}: {reader.nothing_found()}")
        return Found(path.parent, [path])
    if not path.is_dir():
        raise DataError(f"{path}: is neither a regular file nor a folder, and is not read")
    if reader.folders and reader.is_input(path, given=True):
        named = path if path.name else path.resolve()  # of the present folder, "."
        return Found(named.parent, [named])
    found, written = Found(path), out.resolve()
    named_itself = path.resolve().is_relative_to(written)
    for real, files in _folders(reader, path, found):
        inside = not named_itself and real.is_relative_to(written)
        for file in files:
            if inside and written_by_predict(file):
                found.own += 1
            elif not _is(file.is_file):
                found.passed_over["pipes, devices or broken links"] += 1
            elif reader.is_input(file) and not reader.folders:
                found.paths.append(file)
            elif reader.resizes and file.suffix.lower() in FILM_SUFFIXES:
                found.passed_over["films (they are read where they are named: 'DIR/*.mp4')"] += 1
            else:
                found.pass_over(file)
    if not found.paths:
        others = f"; what it holds: {found.left_out()}" if found.passed_over else ""
        raise DataError(f"{path}: {reader.nothing_found()}{others}")
    found.paths.sort(key=_by_number if reader.folders else None)
    return found


def _folders(reader: Reader, top: Path, found: Found) -> Iterator[tuple[Path, list[Path]]]:
    """Yield where each folder from `top` on really lies, and its files; tiles are added to `found`."""
    ways: Counter[Path] = Counter()
    real_top = top.resolve()
    # Each folder, where it really lies, and the folders that hold it on the way and there.
    waiting = [(top, real_top, frozenset([real_top, *real_top.parents]))]
    while waiting:
        folder, real, above = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                shown = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            found.unreadable.append(f"{folder}: cannot be listed: {error.strerror}")
            continue
        files = []
        for entry in shown:
            item, target = folder / entry.name, real / entry.name
            if not _is(entry.is_dir):
                files.append(item)
            elif reader.folders and reader.is_input(item):
                found.paths.append(item)
            elif not entry.is_symlink():
                waiting.append((item, target, above | {target}))
            elif (target := item.resolve()) not in above:
                ways[target] += 1
                if ways[target] > _WAYS:
                    found.unreadable.append(f"{item}: leads where {_WAYS} other links lead to")
                else:
                    waiting.append((item, target, above | {target, *target.parents}))
        yield real, files


def _is(kind: Callable[[], bool]) -> bool:
    """Return what `is_file` or `is_dir` says; False where a link leads to itself, or reading is forbidden."""
    try:
        return kind()
    except OSError:
        return False


def _by_number(path: Path) -> list[tuple[str, int]]:
    """Order Tile2 before Tile10."""
    parts = _NUMBER.split(str(path))
    return [(text, int(number)) for text, number in zip(parts[::2], [*parts[1::2], 0], strict=True)]

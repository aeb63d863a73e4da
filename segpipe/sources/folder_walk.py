"""The files below a folder, through links, and what lies there that cannot be used."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from segpipe.runtime.console import printable
from segpipe.runtime.findings import Finding, about

_Id = tuple[int, int]  # device and inode

# A folder that so many paths lead to is not followed further: links in linked folders multiply.
_PATHS = 16
# By kind: severity, text and repair.
_FINDINGS: dict[str, tuple[Literal["error", "warning"], str, str]] = {
    "unreachable": (
        "error",
        "{n} links or folders cannot be followed",
        "restore what they lead to and the right to read it, or remove them",
    ),
    "special_file": (
        "error",
        "{n} entries are pipes, sockets or devices, which are not read",
        "remove them: `dvc repro` would wait for a pipe for ever",
    ),
    "unusable_name": (
        "error",
        "{n} names are not UTF-8 text, or hold control characters",
        "rename them; `convmv -r -f cp1252 -t utf-8 --notest FOLDER` renames from the encoding "
        "cp1252, for example",
    ),
    "linked_folder": (
        "warning",
        "{n} folders are links, behind which DVC sees no change",
        "after each change there run `dvc repro -f fetch`, then `dvc repro`; or let source.path "
        "itself be the link, which DVC follows",
    ),
    "same_folder": (
        "warning",
        "{n} folders are listed under several names, so their files count more than once",
        "remove the links that are not meant",
    ),
}


def files_below(root: Path, folders: Iterable[str], findings: list[Finding]) -> list[Path]:
    """Return the regular files below `folders`, which lie in `root`, sorted.

    Links to files and to folders are followed. Hidden files, such as ._name.png of macOS, are passed
    over. What cannot be used is left out, and becomes an error among the findings: links to nowhere
    or to a folder that holds them, folders that cannot be listed (`unreachable`), what is no
    regular file and could block whoever opens it (`special_file`), names that not every terminal,
    table or program takes (`unusable_name`). Warnings: `linked_folder`, since DVC (3.67) passes over
    links to folders below a dependency, and `same_folder`.
    """
    walk = _Walk(root)
    there = [root / folder for folder in folders if os.path.lexists(root / folder)]
    waiting = [(folder, _with_parents(root)) for folder in there]
    while waiting:
        folder, above = waiting.pop()
        waiting += walk.enter(folder, above)
    findings += walk.findings()
    return sorted(walk.files)


@dataclass
class _Walk:
    """files: found so far. faults: items by kind of finding. paths: by folder, those that led there."""

    root: Path
    files: list[Path] = field(default_factory=list)
    faults: dict[str, list[str]] = field(default_factory=lambda: {kind: [] for kind in _FINDINGS})
    paths: dict[_Id, list[str]] = field(default_factory=dict)
    links: set[str] = field(default_factory=set)

    def enter(self, folder: Path, above: frozenset[_Id]) -> list[tuple[Path, frozenset[_Id]]]:
        """List a folder; return the folders in it, each with the folders that hold it.

        above: the folders that hold this one, on the way that led here and where it really lies.
        """
        is_link = folder != self.root and folder.is_symlink()
        try:
            own = _id(folder)
            if is_link:
                above |= _with_parents(folder) - {own}
            paths = self.paths.setdefault(own, [])
            # Each way back, and each second way, begins with a link.
            if is_link and own in above:
                self._blame("unreachable", folder, "leads to a folder that holds it")
                return []
            if is_link and len(paths) >= _PATHS:
                self._blame("unreachable", folder, f"is reached on more than {_PATHS} ways")
                return []
            with os.scandir(folder) as entries:
                inside = [entry for entry in entries if self._visit(entry)]
        except OSError as error:
            self._blame("unreachable", folder, str(error.strerror))
            return []
        paths.append(self._place(folder))
        if is_link:
            self.links.add(paths[-1])
            self._blame("linked_folder", folder)
        return [(Path(entry), above | {own}) for entry in inside]

    def _visit(self, entry: "os.DirEntry[str]") -> bool:
        """Take a file, or say what is wrong with it; return whether it is a folder to be entered."""
        if entry.name.startswith(".") or entry.name == "Icon\r":  # a folder's icon, of macOS
            return False
        if printable(entry.name, kept="") != entry.name:
            self._blame("unusable_name", Path(entry))
            return False
        try:
            if entry.is_dir():
                return True
            if entry.is_file():
                self.files.append(Path(entry))
            else:
                entry.stat()  # raises where a link leads nowhere
                self._blame("special_file", Path(entry))
        except OSError as error:
            self._blame("unreachable", Path(entry), str(error.strerror))
        return False

    def findings(self) -> list[Finding]:
        """Return what was blamed, each kind as one finding, and folders under several names."""
        self.faults["same_folder"] = [
            " and ".join(sorted(paths))
            for paths in self.paths.values()
            if len(paths) > 1 and not self.links.isdisjoint(paths)
        ]
        return [
            finding
            for kind, (severity, text, repair) in _FINDINGS.items()
            for finding in about(sorted(self.faults[kind]), kind, text, repair, severity)
        ]

    def _blame(self, kind: str, path: Path, reason: str = "") -> None:
        target = f" -> {path.readlink()}" if path.is_symlink() else ""
        because = f": {reason}" if reason else ""
        self.faults[kind].append(printable(f"{self._place(path)}{target}{because}", kept=""))

    def _place(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def _with_parents(folder: Path) -> frozenset[_Id]:
    """Return a folder and those that hold it, where it really lies."""
    place = folder.resolve()
    return frozenset(_id(each) for each in (place, *place.parents))


def _id(path: Path) -> _Id:
    about_it = path.stat()
    return about_it.st_dev, about_it.st_ino

"""Where the parts of Cityscapes lie: as folders, as archives beside them, or downloaded before."""

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from segpipe.runtime.errors import DataError
from segpipe.runtime.findings import Finding
from segpipe.sources.archives import member_sizes, unpack
from segpipe.sources.cityscapes_layout.layout import Part, split_of_folder
from segpipe.sources.cityscapes_layout.samples import folder_names
from segpipe.sources.copying import copy_files, size_of_files


@dataclass(frozen=True)
class Holding:
    """A part, and the place of its files: the folder that holds `part.folder`, or an archive.

    findings: what of the folder cannot be used; known once `names` are.
    """

    part: Part
    place: Path
    findings: list[Finding] = field(default_factory=list, compare=False)

    @cached_property
    def names(self) -> list[str]:
        """The paths of the part's files below the data set, with forward slashes.

        Raises DataError when there are none, or the archive is damaged or not safe to unpack.
        """
        names = (
            folder_names(self.place, [self.part], self.findings) if self._unpacked else self._sizes
        )
        found = [name for name in names if self.part.holds(name)]
        if not found:
            text = (
                f"{self.place}: holds no files {self.part.folder}/SPLIT/CITY/FILE of "
                f"{' or '.join(self.part.splits)}, but {self._instead(names)}"
            )
            raise DataError("\n".join([text, *map(str, self.findings)]))
        return found

    def _instead(self, names: Collection[str]) -> str:
        """Say what is there in place of the part's files, and what to do."""
        anew = f"get {self.part.archive} anew"
        for name in names:
            outer, inside, _ = name.partition(f"/{self.part.folder}/")
            if inside:
                return (
                    f"{name!r}: its files are below one folder more, {outer!r}; unpack it, and set "
                    f"source.path to the folder that has {self.part.folder} right in it, or {anew}"
                )
        found = f"{len(names)} others, such as {min(names)!r}" if names else "nothing at all"
        return f"{found}; {anew}"

    def size(self, names: Collection[str]) -> int:
        """Return how many bytes the named files have, unpacked."""
        if self._unpacked:
            return size_of_files(self.place / name for name in names)
        return sum(self._sizes[name] for name in names)

    def bring(self, names: Collection[str], target: Path) -> None:
        """Copy or unpack the named files to the same places below `target`."""
        if self._unpacked:
            copy_files(self.place, [self.place / name for name in names], target)
        else:
            unpack(self.place, target, frozenset(names).__contains__)

    @property
    def _unpacked(self) -> bool:
        return self.place.is_dir()

    @cached_property
    def _sizes(self) -> dict[str, int]:
        return member_sizes(self.place)


def find(part: Part, source: Path, downloads: Path) -> Holding | None:
    """Return where a part lies: as a folder in `source`, else as an archive there or in `downloads`."""
    if lies_unpacked(part, source):
        return Holding(part, source)
    for folder in (source, downloads):
        if (folder / part.archive).is_file():
            return Holding(part, folder / part.archive)
    return None


def lies_unpacked(part: Part, source: Path) -> bool:
    """Return whether the part's folder in `source` holds one of its splits or cities.

    The folder alone says little: leftImg8bit may hold train_extra only, or the others only.
    """
    folder = source / part.folder
    return folder.is_dir() and any(
        part.claims(split_of_folder(inner.name))
        for inner in folder.iterdir()
        if inner.is_dir() and not inner.name.startswith(".")
    )


def describe(part: Part, source: Path) -> str:
    """Name the two forms in which a part can lie in `source`."""
    splits = ", ".join(f"{split}/" for split in part.splits)
    return f"{source / part.archive} (or the folder {source / part.folder} with {splits})"

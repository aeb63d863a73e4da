"""The files of an export: found once, and looked up by what other files of the export call them."""

import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from unicodedata import normalize
from xml.etree import ElementTree

from segpipe.importing.contents import collected
from segpipe.runtime.errors import DataError, excerpt
from segpipe.runtime.findings import Finding, refuse, say_warnings
from segpipe.runtime.small_files import parse_any_json, read_small_file
from segpipe.sources.folder_walk import files_below
from segpipe.sources.picture_files import SUFFIXES

MOST_BYTES = 1 << 30  # of one file of annotations: the largest of COCO has 450 MB
_UNICODE: tuple[Literal["NFC"], Literal["NFD"]] = ("NFC", "NFD")
_LOOKED_AT = 3  # JSON files of one folder, of which an export may have thousands


@dataclass(frozen=True)
class ExportTree:
    """files: by their path below `root`, with slashes, sorted."""

    root: Path
    files: dict[str, Path]
    _parsed: dict[str, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def pictures(self) -> list[str]:
        """Paths of the files that their suffix calls pictures, of the kinds that the source reads."""
        return [place for place in self.files if posixpath.splitext(place)[1].lower() in SUFFIXES]

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for place in self.files:
            found.setdefault(posixpath.basename(place), []).append(place)
        return found

    @cached_property
    def by_stem(self) -> dict[str, list[str]]:
        """Paths of the pictures by their name without folders and suffix."""
        found: dict[str, list[str]] = {}
        for place in self.pictures:
            found.setdefault(posixpath.splitext(posixpath.basename(place))[0], []).append(place)
        return found

    def named(self, name: str) -> list[str]:
        """Return the paths of files of this name."""
        return self._by_name.get(name, [])

    def ending(self, *ends: str) -> list[str]:
        """Return the paths that end so, in any case."""
        return [place for place in self.files if place.lower().endswith(ends)]

    def inside(self, folder: str) -> list[str]:
        """Return the pictures below a folder of this name, wherever it lies."""
        return [place for place in self.pictures if folder in place.split("/")[:-1]]

    def find(self, reference: str, folder: str = "") -> str:
        """Return the path of a file that a file in `folder` calls `reference`.

        The reference may be an absolute path of the computer that made the export: what counts is the
        longest end of it that one file of the export has. Nothing outside of the export is looked
        at. Raises DataError where it leads out of the export, or fits no file or several.
        """
        plain = reference.replace("\\", "/")
        # Archives made by macOS hold decomposed letters, files of annotations composed ones.
        for text in dict.fromkeys((plain, *(normalize(form, plain) for form in _UNICODE))):
            place = posixpath.normpath(posixpath.join(folder, text))
            if place in self.files:
                return place
            if place.split("/")[0] == "..":
                raise DataError(
                    f"{excerpt(reference)} leads out of the export, where nothing is read"
                )
            parts = [part for part in text.split("/") if part not in ("", ".", "..")]
            for start in range(len(parts)):
                tail = "/".join(parts[start:])
                near = self.named(parts[-1])
                fits = [one for one in near if one == tail or one.endswith(f"/{tail}")]
                if len(fits) == 1:
                    return fits[0]
                if fits:
                    raise DataError(f"{excerpt(reference)} may be {fits[0]} or {fits[1]}")
        raise DataError(f"{excerpt(reference)} is not in the export")

    def head(self, place: str) -> bytes:
        """Return the first 64 KiB of a file, to tell what it is."""
        with self.files[place].open("rb") as file:
            return file.read(1 << 16)

    def read_bytes(self, place: str) -> bytes:
        """Return a file's content; DataError where it cannot be read or is implausibly large."""
        try:
            return read_small_file(self.files[place], MOST_BYTES)
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise DataError(str(error)) from error

    def read_text(self, place: str) -> str:
        """Return a file's text of UTF-8; DataError where it is none."""
        try:
            return self.read_bytes(place).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError("is not UTF-8 text") from error

    def json(self, place: str) -> Any:
        """Return what a JSON file holds; DataError where it is cut off or no JSON."""
        if place in self._parsed:
            return self._parsed[place]
        try:
            return parse_any_json(self.read_bytes(place))
        except ValueError as error:
            raise DataError(f"is not valid JSON, or cut off: {error}") from error

    def json_files(
        self, is_form: Callable[[Any], bool], faults: list[str]
    ) -> Iterator[tuple[str, Any]]:
        """Give the JSON files whose content is of a form, one after the other, with their paths.

        What is wrong with one of them, of whatever form, joins `faults`.
        """
        for place in self.ending(".json"):
            with collected(faults, place):
                value = self.json(place)
                if is_form(value):
                    yield place, value

    def xml(self, place: str) -> ElementTree.Element:
        """Return the root of an XML file; entities, which can stand for any amount, are refused."""
        content = self.read_bytes(place)
        if b"<!ENTITY" in content or b"<!DOCTYPE" in content:
            raise DataError("declares a document type or entities, which no export does")
        try:
            return ElementTree.fromstring(content)
        except ElementTree.ParseError as error:
            raise DataError(f"is not valid XML, or cut off: {error}") from error

    @cached_property
    def sample_of_json(self) -> dict[str, Any]:
        """The content of the first readable JSON files of each folder, by path."""
        looked_at: dict[str, int] = {}
        for place in self.ending(".json"):
            folder = posixpath.dirname(place)
            looked_at[folder] = looked_at.get(folder, 0) + 1
            if looked_at[folder] <= _LOOKED_AT:
                try:
                    self._parsed[place] = self.json(place)
                except DataError:
                    continue  # whoever reads the form names it
        return dict(self._parsed)


def open_tree(folder: Path) -> ExportTree:
    """Find the files of an export, below the only folder in it where there is nothing else.

    Hidden files are passed over; what cannot be used is refused, as `files_below` says.
    """
    findings: list[Finding] = []
    paths = files_below(folder, ["."], findings)
    say_warnings([one for one in findings if one.kind == "same_folder"])
    refuse(findings)
    parts = [path.relative_to(folder).parts for path in paths]
    depth = 0
    while parts and all(len(each) > depth + 1 and each[depth] == parts[0][depth] for each in parts):
        depth += 1
    root = folder.joinpath(*parts[0][:depth]) if parts else folder
    return ExportTree(
        root, {"/".join(each[depth:]): path for each, path in zip(parts, paths, strict=True)}
    )

"""The import of an annotation tool's export into the layout that the source `folder` reads."""

import contextlib
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from segpipe.importing.build import build_form, recognise
from segpipe.importing.contents import Contents, malformed_explained
from segpipe.importing.tree import ExportTree, open_tree
from segpipe.importing.write import CLASSES, write_folder
from segpipe.labels.load import scheme_at
from segpipe.labels.scheme import VOID_NAMES
from segpipe.raw.sample import SPLITS
from segpipe.runtime.atomic import atomic_dir, disk_errors_explained
from segpipe.runtime.console import say
from segpipe.runtime.errors import DataError, ParameterError, file_named, listing
from segpipe.runtime.findings import Finding, about
from segpipe.sources.archives import unpack

_UNPACKED = ".export"


@dataclass(frozen=True)
class Imported:
    """What was imported.

    form: its name (`build.FORMS`). seen: which files speak for it. splits: images by split; all under
    "" where the export has none that a training can use. classes: their names, void left out.
    findings: warnings and nothing else. images_left_out: whether some could not be read.
    needs_ratio_split: whether prepare.split.by must be ratio.
    """

    form: str
    seen: str
    splits: dict[str, int]
    classes: tuple[str, ...]
    findings: tuple[Finding, ...]
    images_left_out: bool
    needs_ratio_split: bool


def import_export(export: Path, folder: Path, *, form: str | None, copy: bool) -> Imported:
    """Write what an export holds into a new folder: images/, masks/ and classes.csv.

    export: a folder or a .zip archive, which is only read. folder: must not exist, or be empty; it
    appears whole. form: a name of `build.FORMS`; None to recognise it. copy: images are copied
    instead of linked.

    What cannot be read is left out and named in the findings. Raises DataError where `folder` is not
    empty or lies in the export, where the form is not known, and where nothing could be imported.
    """
    _refuse_place(export, folder)
    with disk_errors_explained(folder), atomic_dir(folder) as partial:
        with _opened(export, partial) as (tree, packed):
            seen = "chosen by --form"
            if form is None:
                form, seen = recognise(tree)
                say(f"{export}: {form} ({seen})")
            with file_named(export), malformed_explained():
                contents = build_form(form).read(tree)
            _leave_out_repeats(contents)
            by_split = _decide_splits(contents)
            written = write_folder(
                contents,
                partial,
                f"import {export.name}",
                by_split=by_split,
                how="copy" if copy else "keep" if packed else "link",
            )
        if not written:
            raise DataError(
                f"{export}: nothing could be imported ({form}: {seen}); if the export lacks the images, "
                "export it with them, or put them into its folder:\n"
                f"{listing([*contents.faults, *contents.unannotated, *contents.notes])}"
            )
        findings = [*_findings(contents), *_class_findings(contents, partial)]
        _refuse_place(export, folder)
    order = {split: written[split] for split in ("", *SPLITS) if split in written}
    names = tuple(
        each.name
        for each in contents.classes
        if each.counts and each.name.lower() not in VOID_NAMES
    )
    return Imported(form, seen, order, names, tuple(findings), bool(contents.faults), not by_split)


def _refuse_place(export: Path, folder: Path) -> None:
    if not export.exists():
        raise DataError(f"{export}: there is no such folder or .zip archive")
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise DataError(f"{folder}: is a link or a file; name a folder that does not exist yet")
    if folder.is_dir() and any(folder.iterdir()):
        raise DataError(
            f"{folder}: is not empty, and nothing in it is overwritten; name a folder that does not "
            "exist yet, or remove this one"
        )
    if export.is_dir() and folder.resolve().is_relative_to(export.resolve()):
        raise DataError(
            f"{folder}: lies in the export, which is only read; name a folder elsewhere"
        )


@contextlib.contextmanager
def _opened(export: Path, partial: Path) -> Iterator[tuple[ExportTree, bool]]:
    """Give the files of an export, and whether they come out of an archive and go at the end."""
    if export.is_dir():
        yield open_tree(export), False
        return
    if not (export.is_file() and zipfile.is_zipfile(export)):
        raise DataError(
            f"{export}: is neither a folder nor a complete .zip archive; unpack other archives first"
        )
    unpacked = partial / _UNPACKED
    unpacked.mkdir()
    unpack(export, unpacked, lambda name: not name.startswith("__MACOSX/"))
    try:
        yield open_tree(unpacked), True
    finally:
        shutil.rmtree(unpacked)


def _leave_out_repeats(contents: Contents) -> None:
    """Leave out all but the first annotation of an image."""
    first = {each.place: each for each in reversed(contents.images)}
    twice = [each for each in contents.images if first[each.place] is not each]
    contents.faults += [
        f"{each.place}: is annotated more than once; the first counts" for each in twice
    ]
    contents.images = [each for each in contents.images if first[each.place] is each]


def _decide_splits(contents: Contents) -> bool:
    """Return whether the splits can be used: train and val have images; images are checked for it.

    Test images may lack masks where all of them do, and only in a split of their own.
    """
    counts = {split: sum(each.split == split for each in contents.images) for split in SPLITS}
    strays = [each for each in contents.images if each.split is None]
    by_split = bool(counts["train"] and counts["val"])
    if not by_split and any(counts.values()):
        said = ", ".join(f"{count} {split}" for split, count in counts.items() if count)
        contents.notes.append(
            f"the export has {said} alone, and a training needs train and val: all images are put "
            "together"
        )
    if by_split and strays:
        contents.faults += [f"{each.place}: is in no split" for each in strays]
        contents.images = [each for each in contents.images if each.split is not None]
    withheld = by_split and all(
        each.draw is None for each in contents.images if each.split == "test"
    )
    if not withheld:
        contents.unannotated += [each.place for each in contents.images if each.draw is None]
        contents.images = [each for each in contents.images if each.draw is not None]
    return by_split


def _findings(contents: Contents) -> list[Finding]:
    """Return what was left out and how the export was understood, as warnings."""
    findings = [
        Finding("import_note", "warning", note, "see docs/data-format.md")
        for note in contents.notes
    ]
    findings += about(
        contents.faults,
        "not_imported",
        "{n} things could not be imported, and were left out",
        "mend them in the export and import again, or go on without them",
        severity="warning",
    )
    findings += about(
        contents.passed_over,
        "no_area",
        "{n} shapes cover no area, and were passed over",
        "draw them as polygons or masks if they are meant",
        severity="warning",
    )
    findings += about(
        contents.unannotated,
        "not_annotated",
        "{n} images have no annotation, and were left out",
        "annotate them, or leave it so",
        severity="warning",
    )
    return findings


def _class_findings(contents: Contents, partial: Path) -> list[Finding]:
    """Return what keeps classes.csv from being read as it is, and names that a person must give."""
    findings = []
    if contents.open_classes:
        findings.append(
            Finding(
                "names_missing",
                "warning",
                f"no file of the export names the classes; {CLASSES} has a line for each value found",
                f"write their names into {CLASSES} (void for what counts nowhere)",
            )
        )
    try:
        scheme_at(str(partial / CLASSES))
    except (DataError, ParameterError) as error:
        text = str(error).replace(f"{partial}/", "")
        findings.append(
            Finding(
                "classes", "warning", f"{CLASSES} needs an edit: {text}", "then run segpipe check"
            )
        )
    return findings

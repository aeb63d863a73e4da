"""The user's own folder of images and masks is copied; `samples.py` describes its layout."""

from pathlib import Path

from segpipe.runtime.findings import Finding, refuse, say_warnings
from segpipe.sources.copying import beside_data, copy_files, refuse_nested
from segpipe.sources.folder_walk import files_below
from segpipe.sources.picture_files import (
    PARTS,
    SUFFIXES,
    ignored_files,
    read_files,
    refuse_missing,
)


def fetch(source: Path, target: Path) -> None:
    """Copy images, masks, label and list files from `source`, which is only read, to `target`.

    What is passed over is said. Raises DataError, before anything is copied, where something in
    images/ or masks/ cannot be read.
    """
    refuse_missing(source, SUFFIXES)
    refuse_nested(source, target)
    findings: list[Finding] = []
    files = files_below(source, PARTS, findings)
    findings += ignored_files(source, files, SUFFIXES)
    say_warnings(findings)
    refuse(findings)
    copy_files(source, [*beside_data(source), *read_files(files, SUFFIXES)], target)

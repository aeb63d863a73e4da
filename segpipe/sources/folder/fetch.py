"""The user's own folder of images and masks is copied; `samples.py` describes its layout."""

from pathlib import Path

from segpipe.runtime.findings import refuse, say_warnings
from segpipe.sources.copying import beside_data, copy_files, refuse_nested
from segpipe.sources.folder_walk import files_below
from segpipe.sources.layout import find_layout
from segpipe.sources.picture_files import SUFFIXES, ignored_files, read_files


def fetch(source: Path, target: Path) -> None:
    """Copy images, masks, label and list files from `source`, which is only read, to `target`.

    What is passed over is said. Raises DataError, before anything is copied, where something in
    the folders of images or masks cannot be read.
    """
    layout = find_layout(source, SUFFIXES)
    refuse_nested(source, target)
    findings = layout.findings()
    files = files_below(source, layout.folders, findings)
    findings += ignored_files(source, files, SUFFIXES)
    say_warnings(findings)
    refuse(findings)
    copy_files(source, [*beside_data(source), *read_files(files, SUFFIXES)], target)

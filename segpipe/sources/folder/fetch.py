"""The user's own folder of images and masks is copied; `samples.py` describes its layout."""

from pathlib import Path

from segpipe.sources.copying import beside_data, copy_files, refuse_nested
from segpipe.sources.picture_files import picture_files, refuse_missing


def fetch(source: Path, target: Path) -> None:
    """Copy images, masks, label and list files from `source`, which is only read, to `target`."""
    refuse_missing(source)
    refuse_nested(source, target)
    pictures = [*picture_files(source / "images"), *picture_files(source / "masks")]
    copy_files(source, [*beside_data(source), *pictures], target)

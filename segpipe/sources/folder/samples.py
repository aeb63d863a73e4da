"""The user's own folder of images and masks.

Layout: images/ and masks/ (or other names: `segpipe.sources.layout`) with files of the same base name,
either in images/{train,val,test} or {train,val,test}/images (prepare.split.by: folder) or anywhere
below images/ (lists, ratio); for `lists` train.txt, val.txt and perhaps test.txt beside them, a base
name a line; a class file beside them.
"""

from collections.abc import Mapping
from pathlib import Path

from segpipe.params.prepare import SplitParams
from segpipe.raw.sample import SPLITS, Sample
from segpipe.runtime.findings import Finding
from segpipe.sources.listing import Listing
from segpipe.sources.pairing import find_named
from segpipe.sources.picture_files import SUFFIXES
from segpipe.sources.splits import groups_by_pattern, split_names


def list_samples(raw: Path, split: SplitParams) -> Listing:
    """Return the samples by split below `raw`, sorted by name, and all that is wrong with the names.

    Errors among the findings: images without a mask and masks without an image (`unpaired`), base
    names that appear twice (`name_twice`), images outside of the splits' folders (`outside_splits`),
    lists that are missing or name what is not there or what another list names (`lists`), names in
    which prepare.split.group finds nothing (`no_group`), groups in two splits (`torn_group`), and
    those of `files_below`. Warnings: files of other kinds in images/ and masks/ (`ignored_files`),
    images in no list (`unlisted`), further folders of images or masks (`passed_over`). Hidden files are
    passed over in silence.

    Raises DataError as `find_layout` does, and when there is no picture in images or masks.
    """
    findings: list[Finding] = []
    found = find_named(raw, SUFFIXES, findings, by_folder=split.by == "folder")
    images, masks = found.images, found.masks
    names = sorted(set(images) & (set(masks) | _withheld(images, masks)))
    groups = groups_by_pattern(names, split.group, findings)
    chosen = split_names(split, groups, images, raw, "images", findings)
    prefix = len if split.by == "folder" else (lambda _part: -1)
    samples = {
        part: [
            Sample(name[prefix(part) + 1 :], groups[name], images[name], masks.get(name))
            for name in chosen[part]
        ]
        for part in SPLITS
    }
    return Listing(samples, findings, folders=found.folders)


def _withheld(images: Mapping[str, str], masks: Mapping[str, str]) -> set[str]:
    """Truth may be withheld in test/ alone, and there for all images or none."""
    if any(name.startswith("test/") for name in masks):
        return set()
    return {name for name in images if name.startswith("test/")}

"""Samples of data in the layout of Cityscapes: the real data and the synthetic scenes."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from segpipe.params.source import CityscapesParams, SourceParams
from segpipe.runtime.errors import DataError
from segpipe.runtime.findings import Finding
from segpipe.sources.cityscapes_layout.layout import (
    COARSE_TRUTH,
    EXTRA_IMAGES,
    IMAGES,
    SEQUENCES,
    TRUTH,
    Part,
)
from segpipe.sources.cityscapes_layout.pairing import pair
from segpipe.sources.folder_walk import files_below
from segpipe.sources.listing import Listing


def list_samples(raw: Path, source: SourceParams, truth_withheld: bool) -> Listing:
    """Return the samples by split below `raw`, sorted by name, and what is wrong with the names.

    truth_withheld: whether gtFine/test holds no truth. The official masks there are dummies: they
    mark what camera calibration knows, the car's own bonnet and the border, and leave the rest
    unlabelled (https://github.com/mcordts/cityscapesScripts/issues/45). By that rule, without
    reading a pixel, all samples of test have mask None, so that no dummy is ever scored. The
    synthetic source has the same layout and true labels for test.

    The city is the group. A file belongs to the split of its folder; where there is no such folder,
    to the split that the 50 cities have officially. Coarse scenes (of the source `cityscapes` only)
    join train: coarse_per_fine for each fine sample, ranked by a hash of (seed, name), without
    those whose image is damaged. Sample.frames are the (clip.frames - 1) frames before the
    annotated one.

    Errors among the findings: images without truth and truth without image (`unpaired`; those
    samples are left out), frames that are not there (`missing_frames`; left out too), folders that
    are no split and no city (`outside_splits`), files that appear twice (`name_twice`), cities in
    two splits (`torn_group`), and those of `files_below`. Warnings: scenes of train_extra without
    image or coarse truth (`unpaired`), fewer coarse scenes than asked for (`few_coarse`).

    Raises DataError when `raw` holds no images at all, ParameterError when coarse scenes are to
    have clips, for which there are no frames.
    """
    parts, findings = parts_needed(_with_own_parts(source)), list[Finding]()
    there = folder_names(raw, parts, findings)
    names = [name for name in there if any(part.holds(name) for part in parts)]
    if not any(IMAGES.holds(name) for name in names):
        text = f"{raw / IMAGES.folder}: holds no images of train, val or test; run fetch again"
        raise DataError("\n".join([text, *map(str, findings)]))
    found = pair_names(source, names, truth_withheld=truth_withheld)
    return replace(found, findings=findings + found.findings)


def pair_names(source: SourceParams, names: Iterable[str], truth_withheld: bool) -> Listing:
    """Pair the files `names`, paths below the data set, to samples; see `list_samples`."""
    return pair(names, source.clip, _with_own_parts(source).cityscapes, truth_withheld)


def parts_needed(source: SourceParams) -> list[Part]:
    """Return the parts that the parameters ask for."""
    parts = [IMAGES, TRUTH]
    if source.cityscapes.coarse_per_fine > 0:
        parts += [EXTRA_IMAGES, COARSE_TRUTH]
    if source.clip.frames > 1:
        parts.append(SEQUENCES)
    return parts


def folder_names(root: Path, parts: Iterable[Part], findings: list[Finding]) -> list[str]:
    """Return the files in the parts' folders below `root`, sorted; findings: as `files_below`."""
    folders = sorted({part.folder for part in parts})
    found = files_below(root, folders, findings)
    return [path.relative_to(root).as_posix() for path in found]


def _with_own_parts(source: SourceParams) -> SourceParams:
    """Coarse scenes belong to Cityscapes itself; the synthetic source has the layout alone."""
    if source.name == "cityscapes":
        return source
    return source.model_copy(update={"cityscapes": CityscapesParams()})

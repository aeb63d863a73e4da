"""The names of all images, masks and frames, looked up by what their files share: the stem."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from segpipe.raw.sample import SPLITS
from segpipe.runtime.findings import Finding, about
from segpipe.sources.cityscapes_layout.layout import (
    COARSE_TRUTH,
    EXTRA_SPLIT,
    IMAGES,
    INSTANCES_END,
    SEQUENCES,
    TRUTH,
    Place,
    place,
)

_Places = dict[str, Place]


@dataclass
class Index:
    """The places of the files by stem.

    images, truth: of the finely annotated scenes; extra_images, coarse_truth: of train_extra;
    sequences: frames. instances: the paths of the files that tell objects apart. findings: what lies
    in no split or appears twice.
    """

    images: _Places = field(default_factory=dict)
    truth: _Places = field(default_factory=dict)
    extra_images: _Places = field(default_factory=dict)
    coarse_truth: _Places = field(default_factory=dict)
    sequences: _Places = field(default_factory=dict)
    instances: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)


def index_names(names: Iterable[str]) -> Index:
    """Sort paths below the data set (forward slashes) by what they are; others are passed over."""
    index = Index()
    strays: dict[str, int] = {}
    twice: list[str] = []
    for name in sorted(names):
        found = place(name)
        stem = found.stem if found else None
        if found is None or stem is None:
            if name.endswith(INSTANCES_END):
                index.instances.add(name)
            continue
        if found.stray is not None:
            strays[found.stray] = strays.get(found.stray, 0) + 1
            continue
        places = _places_for(index, found)
        if places is None:
            continue
        if stem in places:
            twice.append(f"{places[stem].name} and {name}")
        else:
            places[stem] = found
    index.findings += about(
        [f"{folder}: {count} files" for folder, count in strays.items()],
        "outside_splits",
        "{n} folders are neither a split nor one of the 50 cities of Cityscapes",
        "move them into train/, val/ or test/ of the same part, or away",
    )
    index.findings += about(
        twice,
        "name_twice",
        "{n} files of Cityscapes appear twice",
        "keep one of each, with or without the folder of the split",
    )
    return index


def _places_for(index: Index, found: Place) -> _Places | None:
    extra = found.split == EXTRA_SPLIT
    if not extra and found.split not in SPLITS:
        return None
    match found.folder:
        case IMAGES.folder:
            return index.extra_images if extra else index.images
        case TRUTH.folder if not extra:
            return index.truth
        case COARSE_TRUTH.folder if extra:
            return index.coarse_truth
        case SEQUENCES.folder if not extra:
            return index.sequences
    return None

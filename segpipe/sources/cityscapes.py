"""Cityscapes as it is published: archives or unpacked folders on the user's disk.

Layout: leftImg8bit/{train,val,test}/<city>/<city>_<seq6>_<frame6>_leftImg8bit.png and
gtFine/{train,val,test}/<city>/<city>_<seq6>_<frame6>_gtFine_labelIds.png
(https://github.com/mcordts/cityscapesScripts, README, "Dataset Structure").
"""

from pathlib import Path

from segpipe.errors import DataError, listing
from segpipe.sample import SPLITS, Sample
from segpipe.sources.archives import member_names, unpack
from segpipe.sources.copying import copy_files

IMAGES, TRUTH = "leftImg8bit", "gtFine"
_ARCHIVES = {IMAGES: "leftImg8bit_trainvaltest.zip", TRUTH: "gtFine_trainvaltest.zip"}
_IMAGE_END, _MASK_END = "_leftImg8bit.png", "_gtFine_labelIds.png"


def fetch(source: Path, target: Path) -> None:
    """Bring leftImg8bit and gtFine from the folder `source` into `target`.

    Each may lie there as the official archive or unpacked (the folder is taken if both are there).
    Raises DataError when one is missing or an archive is damaged.
    """
    _refuse_missing(source)
    for part, archive in _ARCHIVES.items():
        if (source / part).is_dir():
            copy_files(source, sorted((source / part).rglob("*.*")), target)
        else:
            unpack(source / archive, target)


def list_samples(raw: Path) -> dict[str, list[Sample]]:
    """Return the samples by split below `raw`, sorted by name; the city is the group.

    Raises DataError with all images of train and val without truth, and all truth without image.
    """
    images = (
        path.relative_to(raw).as_posix() for path in (raw / IMAGES).glob(f"*/*/*{_IMAGE_END}")
    )
    masks = (path.relative_to(raw).as_posix() for path in (raw / TRUTH).glob(f"*/*/*{_MASK_END}"))
    return pair(sorted(images), set(masks))


def check_without_unpacking(source: Path) -> dict[str, list[Sample]]:
    """Return the samples of `source`, where archives are only looked into, not unpacked."""
    _refuse_missing(source)
    names: list[str] = []
    for part, archive in _ARCHIVES.items():
        if (source / part).is_dir():
            names += (
                path.relative_to(source).as_posix() for path in (source / part).rglob("*.png")
            )
        else:
            names += member_names(source / archive)
    images = sorted(name for name in names if name.endswith(_IMAGE_END))
    return pair(images, {name for name in names if name.endswith(_MASK_END)})


def is_unpacked(source: Path) -> bool:
    """Return whether all parts lie in `source` as folders."""
    return all((source / part).is_dir() for part in _ARCHIVES)


def pair(images: list[str], masks: set[str]) -> dict[str, list[Sample]]:
    """Join image and mask paths to samples; raise DataError for those of train and val left over."""
    samples: dict[str, list[Sample]] = {split: [] for split in SPLITS}
    unpaired = []
    for image in images:
        _, split, city, file = image.split("/")
        stem = file.removesuffix(_IMAGE_END)
        mask = f"{TRUTH}/{split}/{city}/{stem}{_MASK_END}"
        if mask not in masks and split != "test":
            unpaired.append(f"{image} has no {mask}")
        if split in samples:
            samples[split].append(Sample(stem, city, image, mask if mask in masks else None))
        masks.discard(mask)
    unpaired += [f"{mask} has no image" for mask in sorted(masks)]
    if unpaired:
        raise DataError(
            f"{len(unpaired)} files of Cityscapes lack their partner; "
            f"get both archives whole:\n{listing(unpaired)}"
        )
    return samples


def _refuse_missing(source: Path) -> None:
    missing = [
        f"{source / archive} (or the folder {source / part})"
        for part, archive in _ARCHIVES.items()
        if not (source / part).is_dir() and not (source / archive).is_file()
    ]
    if missing:
        raise DataError(
            "params.yaml: source.path must name the folder with the Cityscapes archives, as "
            f"downloaded or unpacked; not found:\n{listing(missing)}"
        )

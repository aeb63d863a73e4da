"""Which folders hold images and masks: `images/train` or `train/images`, under any of the usual names."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from segpipe.runtime.errors import DataError, listing
from segpipe.runtime.findings import Finding, about
from segpipe.sources.other_layouts import advice

PARTS = ("images", "masks")
# Names of folders in lower case, and what they hold.
_KINDS = {
    **dict.fromkeys(("images", "image", "imgs", "img", "jpegimages", "rgb"), "images"),
    **dict.fromkeys(("masks", "mask", "labels", "label", "annotations", "annotation"), "masks"),
    **dict.fromkeys(("segmentationclass", "ground_truth", "groundtruth", "gt"), "masks"),
}
# Names of folders in lower case, and the split that each is.
SPLIT_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


@dataclass(frozen=True)
class Layout:
    """images, masks: the folders of each, paths below the source, with the split that each is of.

    The split is empty for folders above those of the splits. passed_over: folders of the same
    meaning that hold files, too.
    """

    images: dict[str, str]
    masks: dict[str, str]
    passed_over: tuple[str, ...] = ()

    @property
    def folders(self) -> list[str]:
        """All folders that are read, those of images first."""
        return [*self.images, *self.masks]

    def name(self, place: str, part: str, by_folder: bool) -> str | None:
        """Return a file's name, without suffix and folder of its kind, such as train/a; None for others.

        place: its path below the source. part: images or masks. by_folder: whether the splits are
        those of the folders, whose names are then train, val and test.
        """
        for folder, split in (self.images if part == "images" else self.masks).items():
            if place.startswith(f"{folder}/"):
                first, slash, rest = place.removeprefix(f"{folder}/").partition("/")
                if split:
                    first = f"{split}/{first}"
                elif by_folder and slash:
                    first = SPLIT_WORDS.get(first.lower(), first)
                return Path(first + slash + rest).with_suffix("").as_posix()
        return None

    def findings(self) -> list[Finding]:
        """Return a warning of the folders that are passed over."""
        return about(
            self.passed_over,
            "passed_over",
            f"{{n}} folders are not read, since {', '.join(self.folders)} are",
            "move these away, or rename them to images and masks if they are the ones that are meant",
            severity="warning",
        )

    def __str__(self) -> str:
        """The folders in words."""
        return f"images in {', '.join(self.images)}; masks in {', '.join(self.masks)}"

    @property
    def usual(self) -> bool:
        """Whether the folders are images/ and masks/."""
        return self.folders == [*PARTS]


def find_layout(source: Path, suffixes: Collection[str]) -> Layout:
    """Return which folders of `source` hold the images and masks.

    suffixes: of the files that are read. images/ and masks/ come before other names, and folders of
    images and masks before folders of splits with these in them.

    Raises DataError, which says what lies there instead, when the folder, images or masks are missing;
    and for several folders of one meaning, such as labels/ and annotations/, that hold such files.
    """
    if not source.is_dir():
        raise DataError(
            f"{source}: there is no such folder; put your data (or a link to it) there, "
            "or set source.path in params.yaml"
        )
    above: dict[str, list[str]] = {part: [] for part in PARTS}
    inside: dict[str, dict[str, list[str]]] = {part: {} for part in PARTS}
    for folder in _folders(source):
        if part := _KINDS.get(folder.lower()):
            above[part].append(folder)
        if split := SPLIT_WORDS.get(folder.lower()):
            for each in _folders(source / folder):
                if part := _KINDS.get(each.lower()):
                    inside[part].setdefault(split, []).append(f"{folder}/{each}")
    if all(above.values()):
        chosen = {part: _chosen(source, above[part], suffixes) for part in PARTS}
        return Layout(
            {chosen["images"]: ""},
            {chosen["masks"]: ""},
            _passed_over(source, above, chosen, suffixes),
        )
    if all(inside.values()):
        images, masks = (
            {_chosen(source, folders, suffixes): split for split, folders in inside[part].items()}
            for part in PARTS
        )
        return Layout(images, masks)
    missing = [_missing(source / part) for part in PARTS if not above[part]]
    text = f"{source}: needs a folder images/ and a folder masks/; not found:"
    raise DataError("\n".join([text, listing(missing), *advice(source, suffixes)]))


def _folders(folder: Path) -> list[str]:
    """Return the names of the folders in a folder, also through links, sorted; hidden ones are left out."""
    try:
        with os.scandir(folder) as entries:
            return sorted(each.name for each in entries if each.is_dir() and each.name[0] != ".")
    except OSError:  # such a folder is an error where it holds files that are read
        return []


def _chosen(source: Path, folders: list[str], suffixes: Collection[str]) -> str:
    """Return the folder that is meant of several of one meaning; DataError where that is not clear."""
    exact = [folder for folder in folders if folder.rpartition("/")[2] in PARTS]
    filled = [folder for folder in folders if _holds(source / folder, suffixes)]
    meant = [folder for folder in exact if folder in filled] or filled or exact or folders
    if len(meant) > 1:
        part = _KINDS[meant[0].rpartition("/")[2].lower()]
        raise DataError(
            f"{source}: {' and '.join(f'{folder}/' for folder in meant)} may all be the {part}; "
            f"rename the one that is meant to {part}, or move the others away"
        )
    return meant[0]


def _passed_over(
    source: Path,
    above: dict[str, list[str]],
    chosen: dict[str, str],
    suffixes: Collection[str],
) -> tuple[str, ...]:
    return tuple(
        f"{folder}/"
        for part, folders in above.items()
        for folder in folders
        if folder != chosen[part] and _holds(source / folder, suffixes)
    )


def _holds(folder: Path, suffixes: Collection[str]) -> bool:
    """Tell whether a file with one of `suffixes` lies anywhere below a folder."""
    return any(
        Path(name).suffix.lower() in suffixes and not name.startswith(".")
        for _, _, names in os.walk(folder)
        for name in names
    )


def _missing(folder: Path) -> str:
    return f"{folder}/" + (f", a link to {folder.readlink()}" if folder.is_symlink() else "")

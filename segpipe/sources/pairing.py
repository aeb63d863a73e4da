"""Images and their masks by name, and why files do not pair: what differs between two likely names."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segpipe.runtime.findings import Finding
from segpipe.sources.folder_walk import files_below
from segpipe.sources.layout import find_layout
from segpipe.sources.picture_files import ignored_files, named_apart

# Endings and beginnings that labelling tools and data sets add to a name, the longest first.
MASK_ENDS = (
    "_gtFine_labelTrainIds",
    "_gtCoarse_labelIds",
    "_gtFine_labelIds",
    "_gtFine_color",
    "_labelTrainIds",
    "_segmentation",
    "_groundtruth",
    "_labelIds",
    "_colour",
    "_labels",
    "_color",
    "_label",
    "_masks",
    "_mask",
    "_gt",
    "_seg",
    "-mask",
    "-label",
    "_L",
)
IMAGE_ENDS = ("_leftImg8bit", "_image", "_img", "_rgb", "_sat")


@dataclass(frozen=True)
class NamedFiles:
    """images, masks: paths below the source by name, of all files. folders: as in `Listing`."""

    images: dict[str, str]
    masks: dict[str, str]
    folders: str


def find_named(
    raw: Path,
    suffixes: Collection[str],
    findings: list[Finding],
    *,
    by_folder: bool,
    beside: Collection[str] = (),
) -> NamedFiles:
    """Return the images and masks below `raw`, whichever of the usual folders hold them.

    suffixes: of the files that are read; beside: endings of the files that belong to them. by_folder:
    whether the splits are those of the folders. `findings` gets what cannot be used, what is passed
    over and what does not pair. Raises DataError as `find_layout` and `named_apart` do.
    """
    layout = find_layout(raw, suffixes)
    findings += layout.findings()
    files = files_below(raw, layout.folders, findings)
    images = named_apart(files, raw, layout, "images", suffixes, by_folder, findings)
    masks = named_apart(files, raw, layout, "masks", suffixes, by_folder, findings)
    findings += ignored_files(raw, files, suffixes, beside)
    findings += unpaired(images, masks)
    return NamedFiles(images, masks, "" if layout.usual else str(layout))


def unpaired(images: Mapping[str, str], masks: Mapping[str, str]) -> list[Finding]:
    """Return what has no partner, as findings of the kind `unpaired`.

    images, masks: path by name, where partners have the same name. Masks of test/ may be missing,
    all of them. The repair names what would pair the files: an ending that all masks have, another
    case or Unicode normalisation, another folder.
    """
    withheld = not any(name.startswith("test/") for name in masks)
    bare = [
        name
        for name in sorted(set(images) - set(masks))
        if not (withheld and name.startswith("test/"))
    ]
    lonely = sorted(set(masks) - set(images))
    reason = _reasons(bare, lonely)
    findings = []
    if bare:
        text = f"{len(bare)} images have no mask of the same base name below masks/"
        repair = _repair(bare, reason, "add the masks, or move the images away")
        items = tuple(_item(images[name], masks, reason.get(name)) for name in bare)
        findings.append(Finding("unpaired", "error", text, repair, items))
    if lonely:
        text = f"{len(lonely)} masks have no image of the same base name below images/"
        mirrored = {
            partner: (name, *why) for name, (partner, *why) in reason.items() if name in images
        }
        repair = _repair(lonely, mirrored, "add the images, or move the masks away")
        items = tuple(_item(masks[name], images, mirrored.get(name)) for name in lonely)
        findings.append(Finding("unpaired", "error", text, repair, items))
    return findings


def _reasons(bare: Sequence[str], lonely: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Map an image's name to its likely mask's name, what differs, and how to mend it."""
    found: dict[str, tuple[str, ...]] = {}
    for what, mend, key in (
        (
            "only in Unicode normalisation",
            "rename the files so that both use the same Unicode normalisation (NFC)",
            _normal,
        ),
        ("only in case", "write both names in the same case", _folded),
        ("only in its folder", "put masks/ into the same subfolders as images/", _last),
    ):
        partners = _unique(key, lonely)
        for name in bare:
            partner = partners.get(key(name))
            if name not in found and partner is not None:
                found[name] = partner, what, mend
    taken = set(lonely)
    for name in bare:
        affixed = _affixed(name, taken)
        if name not in found and affixed is not None:
            found[name] = affixed
    return found


def _affixed(name: str, masks: set[str]) -> tuple[str, ...] | None:
    """Return the mask that differs from an image in a usual ending alone, with the mending."""
    for image_end, mask_end in usual_ends(name):
        mask = name.removesuffix(image_end) + mask_end
        if mask in masks:
            ends = [f"`{mask_end}` off the masks' names"] if mask_end else []
            ends += [f"`{image_end}` off the images' names"] if image_end else []
            return mask, "in its ending", f"take {' and '.join(ends)}"
    return None


def usual_ends(name: str) -> Iterator[tuple[str, str]]:
    """Give the ending of an image's name, and that of its mask's in place of it, the likeliest first."""
    for image_end in ("", *IMAGE_ENDS):
        if name.endswith(image_end):
            for mask_end in (*MASK_ENDS, "") if image_end else MASK_ENDS:
                yield image_end, mask_end


def _repair(names: Sequence[str], reason: Mapping[str, tuple[str, ...]], otherwise: str) -> str:
    """Join the different ways that mend, the most frequent first."""
    ways = Counter(reason[name][2] for name in names if name in reason)
    said = [f"{way} ({count} would pair)" for way, count in ways.most_common()]
    if sum(ways.values()) < len(names):
        said.append(otherwise)
    return "; ".join(said)


def _item(path: str, others: Mapping[str, str], reason: tuple[str, ...] | None) -> str:
    return path if reason is None else f"{path}: differs from {others[reason[0]]} {reason[1]}"


def _unique(key: Callable[[str], str], names: Sequence[str]) -> dict[str, str]:
    """Map keys to names, without the keys that several names share."""
    counts = Counter(key(name) for name in names)
    return {key(name): name for name in names if counts[key(name)] == 1}


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    return _normal(name).casefold()


def _last(name: str) -> str:
    return name.rpartition("/")[2]

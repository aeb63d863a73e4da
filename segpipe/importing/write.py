"""The layout images/, masks/ and classes.csv that the source `folder` reads, from what was imported."""

import posixpath
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from string import digits
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segpipe.importing.contents import (
    Annotated,
    Contents,
    ExportClass,
    malformed_explained,
    split_word,
)
from segpipe.labels.label_text import PROPOSED_NAME, name_fault
from segpipe.labels.scheme import LARGEST_ID, VOID, VOID_NAMES
from segpipe.raw.pictures.deep import picture_header
from segpipe.raw.pictures.opener import open_picture
from segpipe.runtime.atomic import DISK_FULL, write_csv
from segpipe.runtime.console import progress
from segpipe.runtime.errors import DataError

CLASSES = "classes.csv"
# Folders that say what is in them and nothing about an image.
_STRUCTURE = frozenset(
    {"images", "image", "imgs", "img", "jpegimages", "img_dir", "leftimg8bit", "data", "default"}
)
# What an image becomes: a copy; a hard link, else a link with its whole path; of a file that goes at
# the end a hard link, else a copy.
Placing = Literal["copy", "link", "keep"]


def write_folder(
    contents: Contents, target: Path, description: str, *, by_split: bool, how: Placing
) -> dict[str, int]:
    """Write images, masks and classes.csv below `target`; what fails joins the faults of `contents`.

    by_split: into a folder for each split. how: what images become. Returns the number of images by
    split, "" without splits.
    """
    written: Counter[str] = Counter()
    used: set[int] = set()
    names = _names(contents.images, by_split=by_split)
    pairs = list(zip(contents.images, names, strict=True))
    for each, name in progress(pairs, description, "image", total=len(pairs)):
        image = target / "images" / name
        mask = target / "masks" / f"{posixpath.splitext(name)[0]}.png"
        try:
            with malformed_explained():
                _place_image(each.image, image, how)
                if each.draw is not None:
                    height, width = _upright_size(image)
                    _save_mask(_checked(each.draw(height, width), contents, used), mask)
        except (DataError, OSError) as error:
            if isinstance(error, OSError) and error.errno in DISK_FULL:
                raise
            reason = error.strerror if isinstance(error, OSError) else error
            contents.faults.append(f"{each.place}: {str(reason).removeprefix(f'{image}: ')}")
            for path in (image, mask):
                path.unlink(missing_ok=True)
            continue
        written[name.split("/")[0] if by_split else ""] += 1
    _complete_classes(contents, used)
    _write_classes(contents, target / CLASSES)
    return written


def _upright_size(image: Path) -> tuple[int, int]:
    """Return the height and width of an image turned upright; a damaged one raises DataError."""
    header = picture_header(image)
    if not header.deep:
        open_picture(image)
    sides = header.height, header.width
    return sides[::-1] if header.orientation > 4 else sides  # the EXIF tags that turn by 90 degrees


def _checked(mask_HW: NDArray[Any], contents: Contents, used: set[int]) -> NDArray[Any]:
    """Return the mask; DataError where it holds what is no class. `used` gets its values."""
    if mask_HW.min() < 0 or mask_HW.max() > LARGEST_ID:
        raise DataError(f"its mask holds values outside 0..{LARGEST_ID}")
    found = set(np.flatnonzero(np.bincount(mask_HW.ravel())).tolist())
    strange = sorted(found - {one.id for one in contents.classes} - {VOID})
    if strange and not contents.open_classes:
        shown = ", ".join(map(str, strange[:5]))
        raise DataError(f"its mask holds values that are no class of the export: {shown}")
    used |= found
    return mask_HW


def _save_mask(mask_HW: NDArray[Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = np.uint16 if mask_HW.max() > 255 else np.uint8
    Image.fromarray(mask_HW.astype(kind)).save(path, format="PNG", compress_level=1)


def _place_image(image: Path | Callable[[], bytes], path: Path, how: Placing) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(image, Path):
        path.write_bytes(image())
        return
    real = image.resolve()
    if how == "copy":
        shutil.copyfile(real, path)
        return
    try:
        path.hardlink_to(real)
    except OSError as error:  # on another disk, say
        if error.errno in DISK_FULL:
            raise
        if how == "link":
            path.symlink_to(real)
        else:
            shutil.copyfile(real, path)


def _names(images: Sequence[Annotated], *, by_split: bool) -> list[str]:
    """Return the path of each image below images/, so that no two have the same without suffix.

    Folders that only say what is in them, or the split, are left out. Where a.jpg and a.png meet,
    they become a_jpg.jpg and a_png.png.
    """
    plain = [_name(each, by_split=by_split) for each in images]
    stems = [posixpath.splitext(name)[0].casefold() for name in plain]
    taken = Counter(stems)
    twice = {stem for stem, images in taken.items() if images > 1}
    used: set[str] = set()
    names = []
    for name, stem in zip(plain, stems, strict=True):
        bare, suffix = posixpath.splitext(name)
        chosen, number = (f"{bare}_{suffix[1:]}" if stem in twice else bare), 1
        while chosen.casefold() in used or (stem in twice and chosen.casefold() in taken):
            number += 1
            chosen = f"{bare}_{suffix[1:]}_{number}"
        used.add(chosen.casefold())
        names.append(chosen + suffix)
    return names


def _name(each: Annotated, *, by_split: bool) -> str:
    *folders, last = each.place.split("/")
    kept = [
        one
        for one in folders
        if one.casefold() not in _STRUCTURE and not split_word(one.rstrip(digits))  # train2017
    ]
    return "/".join([*([str(each.split)] if by_split else []), *kept, last])


def _complete_classes(contents: Contents, used: set[int]) -> None:
    """Add void where masks hold 255 that is no class; the classes that no file of the export names."""
    known = {one.id for one in contents.classes}
    for value in sorted(used - known):
        void = value == VOID
        name = "void" if void else f"{PROPOSED_NAME}{value}"
        contents.classes.append(ExportClass(value, name, None, not void))


def _write_classes(contents: Contents, path: Path) -> None:
    rows = []
    for each in contents.classes:
        name = " ".join(each.name.split())
        if fault := name_fault(name):
            name = f"{PROPOSED_NAME}{each.id}"
            contents.notes.append(f"{fault}; it is called {name}")
        red, green, blue = each.colour or ("", "", "")
        row = {"id": each.id, "name": name, "red": red, "green": green, "blue": blue}
        if not each.counts and name.lower() not in VOID_NAMES:
            row["class"] = "void"
        rows.append(row)
    columns = ["id", "name", "red", "green", "blue"]
    columns += ["class"] if any("class" in row for row in rows) else []
    write_csv(path, [{column: row.get(column, "") for column in columns} for row in rows], columns)

"""Exports that hold masks as pictures: numbers or colours become ids, and masks find their images."""

import posixpath
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.importing.contents import Annotated, Contents, Draw, ExportClass
from segpipe.importing.run_lengths import Mask
from segpipe.importing.tree import ExportTree
from segpipe.labels.scheme import VOID, Colour, pack_colour
from segpipe.raw.pictures.opener import open_picture
from segpipe.runtime.errors import DataError
from segpipe.sources.pairing import usual_ends

# VOC2012's border of objects, the last colour of its palette (VOClabelcolormap.m).
VOC_BORDER: Colour = (224, 224, 192)


def numbers(path: Path) -> NDArray[Any]:
    """Return a mask of numbers, (H, W): grey, of a palette (its indices), or three equal channels."""
    picture = open_picture(path).picture
    if picture.mode in ("1", "L", "P", "I", "I;16", "I;16B", "I;16L"):
        return np.asarray(picture).astype(np.int64)
    if picture.mode in ("LA", "PA", "RGB", "RGBA"):
        values_HWC = np.asarray(picture)
        grey_HW = values_HWC[..., 0]
        colours_HWC = values_HWC[..., : 3 if picture.mode.startswith("RGB") else 1]
        if (colours_HWC == grey_HW[..., None]).all():
            return grey_HW.astype(np.int64)
        raise DataError("is painted in colours, where numbers are expected")
    raise DataError(f"is of kind {picture.mode}; a mask holds numbers or colours")


def painted_or_numbers(path: Path, classes: Iterable[ExportClass]) -> NDArray[Any]:
    """Return a mask of ids, (H, W), of a file that is painted in the classes' colours or holds ids.

    A palette counts where it paints all that the mask holds in colours of the classes. VOC's colour of
    borders is void, 255. Raises DataError for a colour that is no class's or several classes'.
    """
    picture = open_picture(path).picture
    by_colour: dict[int, int] = {}
    several = set()
    for each in classes:
        if each.colour is not None:
            packed = pack_colour(each.colour)
            if by_colour.setdefault(packed, each.id) != each.id:
                several.add(packed)
    by_colour.setdefault(pack_colour(VOC_BORDER), VOID)
    if picture.mode not in ("P", "PA", "RGB", "RGBA"):
        return numbers(path)
    red, green, blue = (
        np.asarray(channel).astype(np.int64) for channel in picture.convert("RGB").split()
    )
    values, places = np.unique(red << 16 | green << 8 | blue, return_inverse=True)
    strange = [value for value in values.tolist() if value not in by_colour or value in several]
    if not strange:
        ids = np.array([by_colour[value] for value in values.tolist()])
        return ids[places].reshape(red.shape)
    if picture.mode in ("P", "PA") or ((red == green) & (green == blue)).all():
        return numbers(path)
    shown = ", ".join(f"{one >> 16},{one >> 8 & 255},{one & 255}" for one in strange[:5])
    raise DataError(f"holds {len(strange)} colours that are not those of one class: {shown}")


def add_pairs(
    tree: ExportTree,
    contents: Contents,
    images: Mapping[str, tuple[str | None, str]],
    masks: Mapping[str, str],
    read: Callable[[Path], NDArray[Any]] = numbers,
) -> None:
    """Add the images with their masks to `contents`.

    images: split and path in the export by name. masks: path by name, where a mask has the name of
    its image, or one that differs in a usual ending (_mask, _gtFine_labelIds; leftImg8bit of the
    image). read: makes ids of a mask file. Images without a mask are kept in test, and unannotated
    elsewhere; masks without an image are faults.
    """
    left = set(masks)
    for name, (split, place) in images.items():
        found = next((one for one in _mask_names(name) if one in masks), None)
        if found is None:
            if split == "test":
                contents.images.append(Annotated(place, tree.files[place], split, None))
            else:
                contents.unannotated.append(place)
            continue
        left.discard(found)
        draw = file_drawn(tree.files[masks[found]], masks[found], read)
        contents.images.append(Annotated(place, tree.files[place], split, draw))
    contents.faults += [f"{masks[name]}: is a mask without an image" for name in sorted(left)]


def file_drawn(path: Path, place: str, read: Callable[[Path], NDArray[Any]]) -> Draw:
    """Return what reads a mask file by `read`; place: its path in the export."""

    def draw(height: int, width: int) -> NDArray[Any]:
        try:
            mask_HW = read(path)
        except DataError as error:
            raise DataError(f"its mask {place} {str(error).removeprefix(f'{path}: ')}") from error
        if mask_HW.shape != (height, width):
            rows, columns = mask_HW.shape
            raise DataError(
                f"is {height} x {width}, but its mask {place} is {rows} x {columns}; are they a pair?"
            )
        return mask_HW

    return draw


def _mask_names(name: str) -> Iterable[str]:
    yield name
    for image_end, mask_end in usual_ends(name):
        yield name.removesuffix(image_end) + mask_end


def below(places: Iterable[str], folder: str) -> dict[str, str]:
    """Return paths by name: without the folder called `folder`, and without the suffix.

    Of two images of one name, a.jpg and a.png, both keep theirs: the second has its suffix.
    """
    found: dict[str, str] = {}
    for place in places:
        parts = place.split("/")
        at = parts.index(folder)
        whole = "/".join([*parts[:at], *parts[at + 1 :]])
        name = posixpath.splitext(whole)[0]
        found[whole if name in found else name] = place
    return found


def png_mask(content: bytes) -> Mask:
    """Return a PNG file of an object, (H, W): what is not 0, in its alpha channel where it has one.

    Raises DataError where it is damaged, or has more pixels than a picture may have.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "object.png"
        path.write_bytes(content)
        try:
            picture = open_picture(path).picture
        except DataError as error:
            raise DataError(str(error).removeprefix(f"{path}: ")) from error
    if picture.mode in ("RGBA", "LA", "PA"):
        return np.asarray(picture.getchannel("A")) > 0
    values = np.asarray(picture)
    return (values if values.ndim == 2 else values[..., 0]) > 0

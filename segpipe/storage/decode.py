"""Image and mask files become arrays, or a DataError that says what is wrong with the file."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from segpipe.errors import DataError
from segpipe.labels.scheme import LabelScheme

_IMAGE_MODES = frozenset({"RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "YCbCr"})
_COLOUR_MODES = frozenset({"RGB", "RGBA"})


def read_image(path: Path) -> NDArray[np.uint8]:
    """Return an image file as (H, W, 3) uint8 RGB, upright (EXIF), without its alpha channel.

    Raises DataError when it cannot be read, is cut off, or has more than 8 bits a channel.
    """
    picture = _open(path)
    if picture.mode not in _IMAGE_MODES:
        raise DataError(
            f"{path}: has pixels of kind {picture.mode} (more than 8 bits a channel?); "
            "save it with 8 bits"
        )
    return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))


def read_mask(path: Path, scheme: LabelScheme) -> tuple[NDArray[np.uint8], dict[int, int], bool]:
    """Return a mask file as train ids, (H, W) uint8, the values the scheme does not know, and whether
    the file is painted in colours.

    Grey and palette files hold raw ids, RGB files hold colours. The unknown values come with their
    number of pixels; those of colour masks are 0xRRGGBB.
    Raises DataError when the file cannot be read or its palette contradicts its values.
    """
    picture = _open(path)
    if picture.mode in _COLOUR_MODES:
        return *scheme.encode_colours(np.asarray(picture.convert("RGB"))), True
    if picture.mode == "P":
        _refuse_contradiction(path, picture, scheme)
    return *scheme.encode(_values(path, picture)), False


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: cannot be read as a picture: {error}") from error


def _values(path: Path, picture: Image.Image) -> NDArray[Any]:
    match picture.mode:
        case "L" | "P":
            return np.asarray(picture)
        case "1":
            return np.asarray(picture).astype(np.uint8)
        case "LA" | "PA":
            return np.asarray(picture)[..., 0]
        case "I" | "I;16" | "I;16B" | "I;16L":
            values = np.asarray(picture)
            if values.min() < 0 or values.max() > 65535:
                raise DataError(
                    f"{path}: holds values outside 0..65535; no label can be such a number"
                )
            return values.astype(np.uint16)
        case mode:
            raise DataError(
                f"{path}: is of kind {mode}; a mask holds label numbers, a palette or RGB colours"
            )


def _refuse_contradiction(path: Path, picture: Image.Image, scheme: LabelScheme) -> None:
    """A palette file holds numbers and colours; where they name different classes, neither is safe."""
    palette = np.array(picture.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    used = [value for value in np.unique(np.asarray(picture)).tolist() if value < len(palette)]
    by_colour = {label.colour: label for label in scheme.raw}
    painted = {value: by_colour.get(tuple(palette[value].tolist())) for value in used}
    if len(used) < 2 or any(label is None for label in painted.values()):
        return  # the palette is not the scheme's; a grey ramp, for instance
    by_id = {label.id: label for label in scheme.raw}
    for value, label in painted.items():
        numbered = by_id.get(value)
        if label and (numbered is None or numbered.train_id != label.train_id):
            meant = numbered.name if numbered else "no class"
            raise DataError(
                f"{path}: value {value} means {meant}, but its palette paints it like {label.name}; "
                "if the colours are right, save the mask as RGB"
            )

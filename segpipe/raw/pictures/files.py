"""Image and mask files become arrays, or a DataError that says what is wrong with the file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from segpipe.labels.scheme import LARGEST_ID, SMALLEST_ID, LabelScheme, pack_colour
from segpipe.runtime.errors import DataError

_IMAGE_MODES = frozenset({"RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "YCbCr"})
_COLOUR_MODES = frozenset({"RGB", "RGBA"})


def read_image(path: Path) -> NDArray[np.uint8]:
    """Return an image file as (H, W, 3) uint8 RGB, upright (EXIF), without its alpha channel.

    Raises DataError when it cannot be read, is cut off, or has more than 8 bits a channel.
    """
    return np.asarray(open_image(path)[0])


def open_image(path: Path) -> tuple[Image.Image, str]:
    """Return an image file as an upright RGB picture, and the kind of pixels that the file has.

    Raises DataError as `read_image` does.
    """
    picture = _open(path)
    if picture.mode not in _IMAGE_MODES:
        raise DataError(
            f"{path}: has pixels of kind {picture.mode} (more than 8 bits a channel?); "
            "save it with 8 bits"
        )
    mode = picture.mode
    ImageOps.exif_transpose(picture, in_place=True)  # a copy of a large image takes milliseconds
    return picture if mode == "RGB" else picture.convert("RGB"), mode


@dataclass(frozen=True)
class MaskFile:
    """A mask as it is stored.

    picture: of label numbers (mode L, I;16 or I), or, where `painted`, of colours (RGB).
    mode: Pillow's name of the file's pixels. values: each raw value with its pixels; 0xRRGGBB where
    the mask is painted.
    """

    picture: Image.Image
    painted: bool
    mode: str
    values: dict[int, int]

    def unknown(self, scheme: LabelScheme) -> dict[int, int]:
        """Return the values that the scheme does not know, with their pixels."""
        strange = self._encoded_values(scheme)[1]
        return {value: self.values[value] for value in strange}

    def train_pixels(self, scheme: LabelScheme) -> dict[int, int]:
        """Return the pixels by train id; those of unknown values are VOID."""
        counted: dict[int, int] = {}
        train_ids = self._encoded_values(scheme)[0].ravel().tolist()
        for train_id, pixels in zip(train_ids, self.values.values(), strict=True):
            counted[train_id] = counted.get(train_id, 0) + pixels
        return counted

    def _encoded_values(self, scheme: LabelScheme) -> tuple[NDArray[np.uint8], dict[int, int]]:
        values_1N = np.array([list(self.values)], np.int64)
        if self.painted:
            channels = [(values_1N >> shift & 255).astype(np.uint8) for shift in (16, 8, 0)]
            return scheme.encode_colours(np.stack(channels, axis=-1))
        return scheme.encode(values_1N)

    def encoded(self, scheme: LabelScheme, picture: Image.Image) -> NDArray[np.uint8]:
        """Return the train ids of `picture`: this mask's own, or a smaller version of it."""
        values = np.asarray(picture)
        if self.painted:
            return scheme.encode_colours(values)[0]
        if picture.mode != "L" and min(self.values) >= 0:
            values = values.astype(np.uint16)  # encoded faster than wider numbers
        return scheme.encode(values)[0]


def read_mask(path: Path, scheme: LabelScheme) -> tuple[NDArray[np.uint8], dict[int, int], bool]:
    """Return a mask file as train ids, (H, W) uint8, the values the scheme does not know, and whether
    the file is painted in colours.

    Grey and palette files hold raw ids, RGB files hold colours. The unknown values come with their
    number of pixels; those of colour masks are 0xRRGGBB.
    Raises DataError when the file cannot be read or its palette contradicts its values.
    """
    mask = open_mask(path, scheme)
    return mask.encoded(scheme, mask.picture), mask.unknown(scheme), mask.painted


def open_mask(path: Path, scheme: LabelScheme) -> MaskFile:
    """Return a mask file with all values that stand in it; DataError as `read_mask` says."""
    picture = _open(path)
    if picture.mode in _COLOUR_MODES:
        painted = picture if picture.mode == "RGB" else picture.convert("RGB")
        values = _colours(painted)
        if fault := scheme.ambiguity(values):
            raise DataError(f"{path}: {fault}")
        return MaskFile(painted, True, picture.mode, values)
    if picture.mode == "P":
        _refuse_contradiction(path, picture, scheme)
    numbered = _numbers(path, picture)
    return MaskFile(numbered, False, picture.mode, _counts(numbered))


def _colours(picture: Image.Image) -> dict[int, int]:
    """Count the colours of an RGB picture as 0xRRGGBB."""
    found: Any = picture.getcolors(picture.width * picture.height)
    return {(red << 16) | (green << 8) | blue: pixels for pixels, (red, green, blue) in found}


def _counts(picture: Image.Image) -> dict[int, int]:
    """Count the values of a picture of numbers."""
    if picture.mode == "L":
        lowest, counts = 0, picture.histogram()
    else:
        values = np.asarray(picture).ravel()
        lowest = min(0, int(values.min()))  # bincount takes no numbers below 0
        counts = np.bincount(values - lowest).tolist()
    return {value: pixels for value, pixels in enumerate(counts, start=lowest) if pixels}


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: cannot be read as a picture: {error}") from error


def _numbers(path: Path, picture: Image.Image) -> Image.Image:
    """Return the label numbers of a picture, as mode L or, beyond 255, I."""
    match picture.mode:
        case "L":
            return picture
        case "P" | "1":
            return Image.fromarray(np.asarray(picture).astype(np.uint8))
        case "LA" | "PA":
            return picture.getchannel(0)
        case "I" | "I;16" | "I;16B" | "I;16L":
            values = np.asarray(picture)
            if values.min() < SMALLEST_ID or values.max() > LARGEST_ID:
                bounds = f"{SMALLEST_ID}..{LARGEST_ID}"
                raise DataError(
                    f"{path}: holds values outside {bounds}; no label can be such a number"
                )
            return Image.fromarray(values.astype(np.int32))
        case mode:
            raise DataError(
                f"{path}: is of kind {mode}; a mask holds label numbers, a palette or RGB colours"
            )


def _refuse_contradiction(path: Path, picture: Image.Image, scheme: LabelScheme) -> None:
    """A palette file holds numbers and colours; where they name different classes, neither is safe."""
    palette = np.array(picture.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    # A colour with several meanings says nothing against the numbers.
    clear_N = [
        pack_colour((int(r), int(g), int(b))) not in scheme.ambiguous_colours for r, g, b in palette
    ]
    used = [
        value
        for value in np.unique(np.asarray(picture)).tolist()
        if value < len(palette) and clear_N[value]
    ]
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

"""Image and mask files become arrays, or a DataError that says what is wrong with the file."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segpipe.labels.counting import value_counts
from segpipe.labels.scheme import LARGEST_ID, SMALLEST_ID, Colour, LabelScheme
from segpipe.raw.pictures.deep import picture_header, read_channels
from segpipe.raw.pictures.opener import LostBitsError, OpenedPicture, open_picture
from segpipe.raw.pictures.palette import contradiction
from segpipe.runtime.errors import DataError

_IMAGE_MODES = frozenset({"RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "YCbCr"})
_COLOUR_MODES = frozenset({"RGB", "RGBA"})
_PALETTE_MODES = frozenset({"P", "PA"})
# How the mode of a mask ends where it holds ids in three equal channels; and where the greys in it mean
# the same as ids and as colours.
TRIPLED, GREY = "three equal channels of ids", "three equal channels"


def read_image(path: Path) -> NDArray[np.uint8]:
    """Return an image file as (H, W, 3) uint8 RGB, upright (EXIF), without its alpha channel.

    Raises DataError as `open_picture` does, and for pixels that are no colours or greys of 8 bits.
    """
    return np.asarray(open_image(path).picture)


def open_image(path: Path) -> OpenedPicture:
    """Return an image file as an RGB picture; DataError as `read_image` says."""
    opened = open_picture(path)
    if opened.mode not in _IMAGE_MODES:
        raise DataError(
            f"{path}: has pixels of kind {opened.mode}, not grey or colours of 8 bits; bring its values "
            "into 0..255 and save it with 8 bits a channel"
        )
    if opened.mode == "RGB":
        return opened
    opened.picture.info.pop("transparency", None)  # dropped as alpha is; Pillow would warn
    return replace(opened, picture=opened.picture.convert("RGB"))


@dataclass
class MaskFile:
    """A mask as it is stored.

    picture: of label numbers (mode L, I;16 or I), or, where `painted`, of colours (RGB).
    mode: as in OpenedPicture, with a comma and TRIPLED or GREY where that is so. palette: colours by
    value; empty for a file without one. further_pages, lossy: as in OpenedPicture.
    """

    picture: Image.Image
    painted: bool
    mode: str
    palette: list[Colour]
    further_pages: int
    lossy: bool

    @cached_property
    def values(self) -> dict[int, int]:
        """Each raw value with its pixels, 0xRRGGBB where the mask is painted; set by who counts them."""
        return _colours(self.picture) if self.painted else _counts(self.picture)

    def check(self, path: Path, scheme: LabelScheme) -> None:
        """Raise DataError for colours of several meanings, and for a palette against the values."""
        if self.painted:
            fault = scheme.ambiguity(self.values)
        else:
            fault = contradiction(self.palette, self.values, scheme) if self.palette else None
        if fault:
            raise DataError(f"{path}: {fault}")

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

    Grey and palette files hold raw ids, RGB files hold colours, or raw ids in three equal channels
    (`_as_ids`). The unknown values come with their number of pixels; those of colour masks are 0xRRGGBB.
    Raises DataError as `open_picture` does, for pixels that are no labels, for colours of several
    meanings, and when a palette contradicts the values.
    """
    mask = open_mask(path, scheme)
    return mask.encoded(scheme, mask.picture), mask.unknown(scheme), mask.painted


def read_instances(path: Path, shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Return the numbers of a file that tells objects apart, (H, W).

    shape: of the mask beside it. Raises DataError for another one, and as `read_mask` does.
    """
    instances_HW = np.asarray(_numbers(path, open_picture(path).picture)).astype(np.int32)
    if instances_HW.shape != shape:
        found, wanted = (" x ".join(map(str, one)) for one in (instances_HW.shape, shape))
        raise DataError(f"{path}: is {found}, but the mask beside it is {wanted}; get both anew")
    return instances_HW


def open_mask(path: Path, scheme: LabelScheme) -> MaskFile:
    """Return a mask file, upright, with all values in it; DataError as `read_mask` says."""
    mask = load_mask(path, scheme)
    mask.check(path, scheme)
    return mask


def load_mask(path: Path, scheme: LabelScheme) -> MaskFile:
    """Return a mask file, upright, that is not checked against the scheme.

    The scheme says whether greys in three channels are ids. Raises DataError as `open_picture` does,
    and for pixels that are no labels.
    """
    try:
        opened = open_picture(path)
    except LostBitsError as error:
        opened = _equal_channels(path, error)
    picture, mode, rest = opened.picture, opened.mode, (opened.further_pages, opened.lossy)
    if mode not in _COLOUR_MODES:
        return MaskFile(_numbers(path, picture), False, mode, _palette(picture), *rest)
    colours = picture if mode == "RGB" else picture.convert("RGB")
    values = _colours(colours)
    greys = _as_ids(values, scheme)
    named = f"{mode}, {greys}" if greys else mode
    if greys != TRIPLED:
        mask = MaskFile(colours, True, named, [], *rest)
        mask.values = values
        return mask
    mask = MaskFile(colours.getchannel(0), False, named, [], *rest)
    mask.values = {value & 255: pixels for value, pixels in sorted(values.items())}
    return mask


def _equal_channels(path: Path, error: LostBitsError) -> OpenedPicture:
    """Return a mask of 16 bits in three equal channels as one of numbers; else raise `error`."""
    header = picture_header(path)
    values_HWC = read_channels(path, header)
    if values_HWC.shape[2] != 3 or (values_HWC != values_HWC[..., :1]).any():
        raise error
    picture = Image.fromarray(values_HWC[..., 0].astype(np.int32))
    return OpenedPicture(picture, f"I, {TRIPLED}", header.further_pages, lossy=False)


def _as_ids(colours: Collection[int], scheme: LabelScheme) -> str | None:
    """Return TRIPLED for colours (0xRRGGBB) that are ids in three equal channels, GREY for greys that
    mean the same in either way; None for colours.

    Greys are colours where the scheme has all of them as colours; else they are ids, unless it knows
    more of them as colours.
    """
    values = [code & 255 for code in colours if code == (code & 255) * 0x010101]
    if len(values) < len(colours):
        return None
    painted = {label.colour[0]: label.train_id for label in scheme.raw if len({*label.colour}) == 1}
    numbered = {label.id: label.train_id for label in scheme.raw}
    as_colours = sum(value in painted for value in values)
    if as_colours < len(values):
        return TRIPLED if sum(value in numbered for value in values) >= as_colours else None
    return GREY if all(numbered.get(value) == painted[value] for value in values) else None


def _palette(picture: Image.Image) -> list[Colour]:
    """Return the colours of a palette picture by value; of another one none."""
    if picture.mode not in _PALETTE_MODES:
        return []
    channels = iter(picture.getpalette("RGB") or [])
    return list(zip(channels, channels, channels, strict=True))


def _colours(picture: Image.Image) -> dict[int, int]:
    """Count the colours of an RGB picture as 0xRRGGBB."""
    found: Any = picture.getcolors(picture.width * picture.height)
    return {(red << 16) | (green << 8) | blue: pixels for pixels, (red, green, blue) in found}


def _counts(picture: Image.Image) -> dict[int, int]:
    """Count the values of a picture of numbers."""
    if picture.mode == "L":
        lowest, counts = 0, value_counts(np.asarray(picture).ravel(), 256).tolist()
    else:
        values = np.asarray(picture).ravel()
        lowest = min(0, int(values.min()))  # bincount takes no numbers below 0
        counts = np.bincount(values - lowest).tolist()
    return {value: pixels for value, pixels in enumerate(counts, start=lowest) if pixels}


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

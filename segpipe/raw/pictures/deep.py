"""Pictures of more than 8 bits or of other channels than grey and RGB, scaled as a FileSpec says.

They are PNG and TIFF files, which GDAL reads in any depth and with any number of channels; Pillow
keeps the upper 8 bits of three. Shapes: H and W of a picture, C channels without alpha.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL.ImageFile import ImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from segpipe.raw.input_spec import Scaling
from segpipe.raw.pictures.headers import further_tiff_pages, png_pixels, tiff_tags
from segpipe.raw.pictures.opener import opened_file, orientation, refuse_too_large
from segpipe.raw.rasters.gdal import opened
from segpipe.raw.rasters.read import scale_bands
from segpipe.runtime.errors import DataError

_DRIVERS: dict[str, Literal["PNG", "GTiff"]] = {"PNG": "PNG", "TIFF": "GTiff"}
_GREY = frozenset({"1", "L", "LA"})
_PNG_GREYS = (0, 4)  # colour types: grey, grey with alpha
_ALPHA = frozenset({1, 2})  # ExtraSamples of TIFF 6.0: associated and unassociated alpha
_RGB, _GREYS = 2, (0, 1)  # PhotometricInterpretation


@dataclass(frozen=True)
class PictureHeader:
    """What the header of a picture file says of its pixels.

    bits: of a channel. bands: the numbers (from 1) of the channels without alpha; three for palettes
    and other colours that become RGB. deep: whether the file holds more than grey or colours of 8 bits.
    orientation: the EXIF tag. format: PNG, TIFF, JPEG and others. further_pages: that follow the first.
    """

    height: int
    width: int
    bits: int
    bands: tuple[int, ...]
    deep: bool
    orientation: int
    format: str
    further_pages: int = 0

    def __str__(self) -> str:
        """The kind of the pixels in words."""
        number = len(self.bands)
        return f"{number} channel{'s' * (number > 1)} of {self.bits} bits"


def picture_header(path: Path) -> PictureHeader:
    """Return what the header of a picture file says, without decoding a pixel.

    A fourth channel of a TIFF file is alpha where the file says so. Raises DataError as
    `segpipe.raw.pictures.opener.open_picture` does, for what a header shows.
    """
    with opened_file(path) as (file, of_format):
        is_tiff = of_format is TiffImageFile
        header = _of_tiff(file) if is_tiff else _of_others(file, of_format(file))
        refuse_too_large(path, header.height, header.width)
        return header


def _of_tiff(file: BinaryIO) -> PictureHeader:
    tags = tiff_tags(file)
    samples, photometric = int(tags.get(277, 1)), int(tags.get(262, 1))
    extra = tuple(tags.get(338, ()))
    alpha = {samples - len(extra) + place + 1 for place, kind in enumerate(extra) if kind in _ALPHA}
    bits = max(tags.get(258, (1,)))
    bands = tuple(number for number in range(1, samples + 1) if number not in alpha)
    if photometric in (_RGB, *_GREYS):
        deep = bits > 8 or len(bands) != (3 if photometric == _RGB else 1)
    else:  # palettes, CMYK, YCbCr, CIELAB
        deep, bands = bits > 8, bands if bits > 8 else (1, 2, 3)
    return PictureHeader(
        height=int(tags[257]),
        width=int(tags[256]),
        bits=bits,
        bands=bands,
        deep=deep,
        orientation=int(tags.get(274, 1)),
        format="TIFF",
        further_pages=further_tiff_pages(file),
    )


def _of_others(file: BinaryIO, picture: ImageFile) -> PictureHeader:
    bits, grey = 8, picture.mode in _GREY
    if isinstance(picture, PngImageFile):
        bits, colour_type = png_pixels(file)
        grey = colour_type in _PNG_GREYS
    bands = (1,) if grey else (1, 2, 3)
    return PictureHeader(
        height=picture.height,
        width=picture.width,
        bits=bits,
        bands=bands,
        deep=bits > 8,
        orientation=orientation(picture),
        format=str(picture.format),
    )


def read_channels(path: Path, header: PictureHeader) -> NDArray[Any]:
    """Return all channels but alpha as the file holds them, upright, (H, W, C).

    Raises DataError where the file cannot be read or holds complex numbers, and ParameterError where
    rasterio is not installed.
    """
    if header.format not in _DRIVERS:
        raise DataError(
            f"{path}: is a {header.format} file; pictures of more than 8 bits, or of other channels "
            "than grey and RGB, are read from PNG and TIFF files"
        )
    with opened(path, _DRIVERS[header.format]) as dataset:
        values_CHW = dataset.read(list(header.bands))
    if values_CHW.dtype.kind == "c":
        raise DataError(f"{path}: holds complex numbers; save their magnitude")
    return _upright(np.moveaxis(values_CHW, 0, 2), header.orientation)


def read_scaled(path: Path, scaling: Scaling) -> tuple[NDArray[np.float16], PictureHeader]:
    """Return a picture scaled to 0..1, (H, W, C) float16; what is not finite becomes 0.

    Raises DataError as `read_channels` does, and for a picture of other channels or of fewer bits than
    those on which the scaling was measured.
    """
    header = picture_header(path)
    wanted, most = len(scaling.bands), max(scaling.high)
    if len(header.bands) != wanted:
        raise DataError(
            f"{path}: has {header} without alpha, where the training pictures have {wanted}; save all "
            "pictures with the same channels"
        )
    if header.bits <= 8 and most > 255:
        raise DataError(
            f"{path}: has {header}, where the training pictures hold values up to {most:g}; save all "
            "pictures with the same bits and the same range of values"
        )
    values_HWC = read_channels(path, header)
    finite_HW = np.isfinite(values_HWC).all(2)
    return scale_bands(np.moveaxis(values_HWC, 2, 0), finite_HW, scaling), header


def _upright(image_HWC: NDArray[Any], turn: int) -> NDArray[Any]:
    """Turn an image as the EXIF tag of orientation says (EXIF 2.32, tag 274: 1 to 8)."""
    if turn in (2, 3, 6, 7):
        image_HWC = image_HWC[:, ::-1] if turn in (2, 3) else image_HWC[::-1]
    if turn in (3, 4, 7, 8):
        image_HWC = image_HWC[::-1] if turn in (3, 4) else image_HWC[:, ::-1]
    return image_HWC.swapaxes(0, 1) if turn in (5, 6, 7, 8) else image_HWC


def read_shown(path: Path) -> NDArray[np.uint8]:
    """Return a deep picture as it can be looked at by itself: its own range, three channels, uint8."""
    values_HWC = read_channels(path, picture_header(path)).astype(np.float32)
    last = values_HWC.shape[2] - 1
    shown_HW3 = np.nan_to_num(values_HWC[..., [0, min(1, last), min(2, last)]])
    low, high = np.quantile(shown_HW3, (0.01, 0.99))
    unit_HW3 = ((shown_HW3 - low) / max(high - low, 1e-6)).clip(0, 1)
    return np.asarray(np.rint(unit_HW3 * 255), np.uint8)

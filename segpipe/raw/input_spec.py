"""InputSpec: how the files of a data set become arrays, and what the network is fed.

It travels with the prepared data (dataset.json) and with the model (model.json). It is plain data:
the readers that follow it are chosen in `segpipe.raw.build`.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, FiniteFloat, TypeAdapter

from segpipe.params.prepare import EsdParams
from segpipe.params.section import PositiveInt

Kind = Literal["picture", "raster", "esd"]
Fit = Literal["stretch", "pad", "crop"]
Side = Annotated[int, Field(ge=1, le=65536)]
Number = TypeVar("Number", np.uint8, np.float32)
# The ranges in the annotations are checked when a file is read (`segpipe.runtime.validation.typed`),
# what must agree between fields always.
_STRICT = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True)
class Scaling:
    """Which bands of a raster or picture are read (numbers from 1), and the values of each that become
    0 and 1.
    """

    __pydantic_config__ = _STRICT

    bands: tuple[PositiveInt, ...]
    low: tuple[FiniteFloat, ...]
    high: tuple[FiniteFloat, ...]

    def __post_init__(self) -> None:
        if not len(self.bands) == len(self.low) == len(self.high) > 0:
            raise ValueError(
                f"bands, low and high have {len(self.bands)}, {len(self.low)} and {len(self.high)} "
                "values; each band needs one of each"
            )


@dataclass(frozen=True)
class FileSpec:
    """How raw files become arrays.

    kind: pictures without scaling are kept as 8 bits RGB; pictures with one, and the bands of rasters
    and ESD tiles, are scaled to 0..1.
    channels: their names, in order. display: which of them are shown as red, green and blue.
    truth_ratio: image pixels along each side of a truth pixel; above 1 the truth is coarser.
    scaling: of the bands of a raster, and of pictures of more than 8 bits or of other channels than
    grey and RGB. esd: which bands of a tile are used.
    """

    __pydantic_config__ = _STRICT

    kind: Kind
    channels: tuple[str, ...]
    display: tuple[int, int, int]
    truth_ratio: Side = 1
    scaling: Scaling | None = None
    esd: EsdParams | None = None

    def __post_init__(self) -> None:
        number = len(self.channels)
        if not all(0 <= channel < number for channel in self.display):
            raise ValueError(f"display is {self.display}, but there are {number} channels (from 0)")
        scaled = self.scaling is not None
        if self.kind == "picture" and not scaled and number != 3:
            raise ValueError(f"pictures without scaling have 3 channels, not {number}")
        if (self.kind == "raster" and not scaled) or (self.kind == "esd" and scaled):
            raise ValueError(
                f"kind is {self.kind}; rasters need a scaling, and ESD tiles have none"
            )
        if (self.kind == "esd") != (self.esd is not None):
            raise ValueError(f"kind is {self.kind}; esd belongs to ESD tiles, and these need it")
        if self.scaling and len(self.scaling.bands) != number:
            raise ValueError(
                f"{len(self.scaling.bands)} bands are scaled, but channels are {number}"
            )

    @property
    def dtype(self) -> type[np.uint8] | type[np.float16]:
        """The type of the prepared images: uint8, or float16 in 0..1."""
        return np.uint8 if self.kind == "picture" and self.scaling is None else np.float16


PICTURES = FileSpec("picture", ("red", "green", "blue"), (0, 1, 2))


@dataclass(frozen=True)
class InputSpec:
    """What a network is fed.

    files: how the raw files become arrays. height, width: of the canvas, in pixels. fit: how
    pictures come onto it. frames: of a clip. mean, std: by channel, of images in 0..1.
    """

    __pydantic_config__ = _STRICT

    files: FileSpec
    height: Side
    width: Side
    fit: Fit
    frames: PositiveInt
    mean: list[FiniteFloat]
    std: list[Annotated[float, Field(gt=0, allow_inf_nan=False)]]

    def __post_init__(self) -> None:
        number, ratio = len(self.files.channels), self.files.truth_ratio
        if not len(self.mean) == len(self.std) == number:
            raise ValueError(
                f"mean and std have {len(self.mean)} and {len(self.std)} values, but there are "
                f"{number} channels"
            )
        if min(self.height, self.width) < ratio:
            raise ValueError(
                f"height and width are {self.height} and {self.width}, less than a truth pixel of "
                f"{ratio}x{ratio}"
            )

    def to_json(self) -> dict[str, Any]:
        """Return plain values, of which `segpipe.runtime.validation.typed` makes an InputSpec."""
        plain: dict[str, Any] = TypeAdapter(InputSpec).dump_python(self, mode="json")
        return plain


def picture_of(image_HWC: NDArray[Any], files: FileSpec) -> NDArray[np.uint8]:
    """Return the channels that are shown of an image as red, green and blue, (H, W, 3) uint8.

    image_HWC: a uint8 picture, which is that already, or any channels as floats in 0..1. What is no
    number is shown black, as outside of the image.
    """
    if image_HWC.dtype == np.uint8:
        return image_HWC
    bands_HW3 = image_HWC[..., list(files.display)].astype(np.float32)
    shown_HW3: NDArray[np.float32] = np.nan_to_num(bands_HW3).clip(0, 1)
    return np.rint(shown_HW3 * 255).astype(np.uint8)


def at_image_size(map_hw: NDArray[Number], files: FileSpec) -> NDArray[Number]:
    """Return a mask, or other map, with as many pixels as its image: each truth pixel repeated."""
    ratio = files.truth_ratio
    return map_hw.repeat(ratio, 0).repeat(ratio, 1) if ratio > 1 else map_hw

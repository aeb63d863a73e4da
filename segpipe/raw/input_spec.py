"""InputSpec: how the files of a data set become arrays, and what the network is fed.

It travels with the prepared data (dataset.json) and with the model (model.json). It is plain data:
the readers that follow it are chosen in `segpipe.raw.build`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from segpipe.params.prepare import EsdParams
from segpipe.runtime.errors import DataError

Kind = Literal["picture", "raster", "esd"]
Fit = Literal["stretch", "pad", "crop"]
Number = TypeVar("Number", np.uint8, np.float32)


@dataclass(frozen=True)
class Scaling:
    """Which bands of a raster are read (numbers from 1), and the values of each that become 0 and 1."""

    bands: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def to_json(self) -> dict[str, list[float]]:
        """Return plain lists for a JSON file."""
        return {"bands": [*self.bands], "low": [*self.low], "high": [*self.high]}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Scaling":
        """Return the scaling that `to_json` described; DataError when it is damaged."""
        try:
            bands = tuple(int(band) for band in content["bands"])
            low, high = (tuple(float(end) for end in content[key]) for key in ("low", "high"))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"the scaling of the bands is damaged: {error!r}") from error
        if not len(bands) == len(low) == len(high) > 0 or not np.isfinite([*low, *high]).all():
            raise DataError(f"the scaling of the bands is damaged: {content!r}")
        return cls(bands, low, high)


@dataclass(frozen=True)
class FileSpec:
    """How raw files become arrays.

    kind: pictures are kept as 8 bits; the bands of rasters and ESD tiles are scaled to 0..1.
    channels: their names, in order. display: which of them are shown as red, green and blue.
    truth_ratio: image pixels along each side of a truth pixel; above 1 the truth is coarser.
    scaling: of the bands of a raster. esd: which bands of a tile are used.
    """

    kind: Kind
    channels: tuple[str, ...]
    display: tuple[int, int, int]
    truth_ratio: int = 1
    scaling: Scaling | None = None
    esd: EsdParams | None = None

    @property
    def dtype(self) -> type[np.uint8] | type[np.float16]:
        """The type of the prepared images: uint8, or float16 in 0..1."""
        return np.uint8 if self.kind == "picture" else np.float16

    def to_json(self) -> dict[str, Any]:
        """Return plain values that `from_json` reads back."""
        return {
            "kind": self.kind,
            "channels": list(self.channels),
            "display": list(self.display),
            "truth_ratio": self.truth_ratio,
            "scaling": self.scaling.to_json() if self.scaling else None,
            "esd": self.esd.model_dump(mode="json") if self.esd else None,
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "FileSpec":
        """Rebuild what `to_json` gave; raises KeyError, TypeError or ValueError on another form."""
        red, green, blue = value["display"]
        scaling, esd = value["scaling"], value["esd"]
        return FileSpec(
            kind=value["kind"],
            channels=tuple(value["channels"]),
            display=(red, green, blue),
            truth_ratio=value["truth_ratio"],
            scaling=Scaling.from_json(scaling) if scaling else None,
            esd=EsdParams.model_validate(esd) if esd else None,
        )


PICTURES = FileSpec("picture", ("red", "green", "blue"), (0, 1, 2))


@dataclass(frozen=True)
class InputSpec:
    """What a network is fed.

    files: how the raw files become arrays. height, width: of the canvas, in pixels. fit: how
    pictures come onto it. frames: of a clip. mean, std: by channel, of images in 0..1.
    """

    files: FileSpec
    height: int
    width: int
    fit: Fit
    frames: int
    mean: list[float]
    std: list[float]

    def to_json(self) -> dict[str, Any]:
        """Return plain values that `from_json` reads back."""
        return {**asdict(self), "files": self.files.to_json()}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "InputSpec":
        """Rebuild what `to_json` gave; raises KeyError, TypeError or ValueError on another form."""
        return InputSpec(**{**value, "files": FileSpec.from_json(value["files"])})


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

"""Reading: how the raw files of a data set become arrays; it travels with data and model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from segpipe.params.prepare import EsdParams, PrepareParams
from segpipe.raw.esd.tile import channel_names, display_channels
from segpipe.raw.rasters.scaling import Scaling, measure_scaling
from segpipe.raw.sample import Sample

Kind = Literal["picture", "raster", "esd"]
Number = TypeVar("Number", np.uint8, np.float32)


@dataclass(frozen=True)
class Reading:
    """How raw files are read.

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
    def from_json(value: Mapping[str, Any]) -> "Reading":
        """Rebuild what `to_json` gave; raises KeyError, TypeError or ValueError on another form."""
        red, green, blue = value["display"]
        scaling, esd = value["scaling"], value["esd"]
        return Reading(
            value["kind"],
            tuple(value["channels"]),
            (red, green, blue),
            value["truth_ratio"],
            Scaling.from_json(scaling) if scaling else None,
            EsdParams.model_validate(esd) if esd else None,
        )


PICTURES = Reading("picture", ("red", "green", "blue"), (0, 1, 2))


def choose_reading(
    source: str,
    samples: Mapping[str, Sequence[Sample]],
    raw: Path,
    prepare: PrepareParams,
    truth_ratio: int,
) -> Reading:
    """Return how the files of a source (by its name in params.yaml) are read.

    The scaling of rasters is measured on the training split alone; DataError when one of them
    cannot be read.
    """
    match source:
        case "rasters":
            return _rasters(samples["train"], raw, prepare, truth_ratio)
        case "esd" | "synthetic_esd":
            names = channel_names(prepare.esd)
            return Reading(
                "esd", tuple(names), display_channels(names), truth_ratio, esd=prepare.esd
            )
        case _:
            return PICTURES


def _rasters(
    samples: Sequence[Sample], raw: Path, prepare: PrepareParams, truth_ratio: int
) -> Reading:
    paths = [raw / image for image in sorted({sample.image for sample in samples})]
    scaling = measure_scaling(paths, prepare.rasters.bands, prepare.rasters.quantiles)
    # The first three bands are taken for red, green and blue; of fewer, the last one again.
    last = len(scaling.bands) - 1
    display = (0, min(1, last), min(2, last))
    names = tuple(f"band {number}" for number in scaling.bands)
    return Reading("raster", names, display, truth_ratio, scaling=scaling)


def picture_of(image_HWC: NDArray[Any], reading: Reading) -> NDArray[np.uint8]:
    """Return the channels that are shown of an image as red, green and blue, (H, W, 3) uint8.

    image_HWC: a uint8 picture, which is that already, or any channels as floats in 0..1. What is no
    number is shown black, as outside of the image.
    """
    if image_HWC.dtype == np.uint8:
        return image_HWC
    bands_HW3 = image_HWC[..., list(reading.display)].astype(np.float32)
    shown_HW3: NDArray[np.float32] = np.nan_to_num(bands_HW3).clip(0, 1)
    return np.rint(shown_HW3 * 255).astype(np.uint8)


def at_image_size(map_hw: NDArray[Number], reading: Reading) -> NDArray[Number]:
    """Return a mask, or other map, with as many pixels as its image: each truth pixel repeated."""
    ratio = reading.truth_ratio
    return map_hw.repeat(ratio, 0).repeat(ratio, 1) if ratio > 1 else map_hw

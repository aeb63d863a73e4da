"""Sample: one image of a raw data set, with its truth where there is one."""

from dataclasses import dataclass

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a raster, in pixels of the image.

    skip_top, skip_left: how much of its top and left counts in the windows beside it, not here.
    """

    top: int
    left: int
    height: int
    width: int
    skip_top: int = 0
    skip_left: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """Names of one image and its mask.

    name: unique within the data set; names the sample in tables and its prediction's file.
    group: samples of one group (a city, a drive, a scene, a tile) never stand in two splits.
    image, mask: paths below data/raw with forward slashes; mask is None where truth is withheld.
    frames: of a clip, the frames before `image`, the earliest first.
    window: of a raster, the part that the sample is; None where it is the whole image.
    """

    name: str
    group: str
    image: str
    mask: str | None
    frames: tuple[str, ...] = ()
    window: Window | None = None

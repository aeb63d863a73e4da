"""Sample: one image of a raw data set, with its truth where there is one."""

from dataclasses import dataclass, field

SPLITS = ("train", "val", "test")
Side = tuple[int, int]  # height and width in pixels


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a raster, in pixels of the image.

    skip_top, skip_left: how much of its top and left belongs to the windows beside it.
    """

    top: int
    left: int
    height: int
    width: int
    skip_top: int = 0
    skip_left: int = 0

    def owned(self) -> "Window":
        """Return the part that does not belong to the windows beside it."""
        top, left = self.top + self.skip_top, self.left + self.skip_left
        return Window(top, left, self.height - self.skip_top, self.width - self.skip_left)

    def rows(self, ratio: int = 1) -> slice:
        """Return its rows, in pixels that are `ratio` image pixels long."""
        return slice(self.top // ratio, (self.top + self.height) // ratio)

    def columns(self, ratio: int = 1) -> slice:
        """Return its columns, in pixels that are `ratio` image pixels long."""
        return slice(self.left // ratio, (self.left + self.width) // ratio)


@dataclass(frozen=True, slots=True)
class Sample:
    """Names of one image and its mask.

    name: unique within the data set; names the sample in tables and its prediction's file.
    group: samples of one group (a city, a drive, a scene, a tile) never stand in two splits.
    image, mask: paths below data/raw with forward slashes; mask is None where truth is withheld.
    frames: of a clip, the frames before `image`, the earliest first.
    window: of a raster, the part that the sample is; None where it is the whole image.
    instances: a picture that tells apart the objects in the mask, path as above; None without.
    """

    name: str
    group: str
    image: str
    mask: str | None
    frames: tuple[str, ...] = ()
    window: Window | None = None
    # Not in repr, which is part of the fingerprint of prepared data: it decides no training.
    instances: str | None = field(default=None, repr=False)

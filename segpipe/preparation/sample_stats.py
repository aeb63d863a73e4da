"""Statistics of each sample, from one reading of every file: what preflight judges."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from segpipe.raw.sample import Sample, Side


class Pixels(Mapping[int, int]):
    """Pixels by value, to be read as a dictionary, in a fifth of its memory."""

    __slots__ = ("_packed",)

    def __init__(self, counts: Mapping[int, int]) -> None:
        """Take over the counts."""
        flat = [number for pair in counts.items() for number in pair]
        self._packed = struct.pack(f"{len(flat)}q", *flat)

    def __getitem__(self, value: int) -> int:
        """Return the pixels of `value`; KeyError where there are none."""
        return dict(self._pairs())[value]

    def __iter__(self) -> Iterator[int]:
        """Yield the values in the order in which they were given."""
        return (value for value, _ in self._pairs())

    def __len__(self) -> int:
        """Return the number of values."""
        return len(self._packed) // 16

    def __hash__(self) -> int:
        """Equal counts have equal hashes, in whatever order they came."""
        return hash(frozenset(self._pairs()))

    def _pairs(self) -> Iterator[tuple[int, int]]:
        return struct.iter_unpack("2q", self._packed)


_NONE = Pixels({})


@dataclass(frozen=True, slots=True)
class SampleStats:
    """What was seen of one sample; a few hundred bytes, so that it can be kept for every sample.

    unreadable: the reasons, where a file could not be read. image_side, mask_side: height and
    width in pixels as stored (for a window of a raster: of the window). image_mode, mask_mode:
    Pillow's name of the pixels (RGB, RGBA, L, P, I;16, ...), for rasters number and type of bands.
    mask_lossy: whether the mask's file is of a form that changes values.
    unknown: values of the mask outside the label scheme with their pixels; 0xRRGGBB where the mask
    is `painted` in colours and not numbered. raw_pixels: pixels by raw value, for numbered masks.
    train_pixels: pixels by train id, 255 for void, at the mask's own resolution.
    brightness: mean of the prepared image over all channels, 0..1. dhash: difference hash of 64
    bits, which hardly changes when an image is resized or stored anew. excluded: the labels of
    `labels.exclude_images_with` that stand in its mask; with one of them it is left out.
    left_out: what of its files was not read, such as further pages, each with the file's name.
    hidden_class: of a raster's mask, the nodata value with its pixels where it is the id of a class.
    partly_nodata: pixels of a raster's window that hold the nodata value in some of the bands alone.
    """

    sample: Sample
    split: str
    unreadable: tuple[str, ...] = ()
    image_side: Side | None = None
    mask_side: Side | None = None
    image_mode: str = ""
    mask_mode: str = ""
    mask_lossy: bool = False
    unknown: Mapping[int, int] = _NONE
    painted: bool = False
    raw_pixels: Mapping[int, int] = _NONE
    train_pixels: Mapping[int, int] = _NONE
    brightness: float | None = None
    dhash: int | None = None
    excluded: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    hidden_class: Mapping[int, int] = _NONE
    partly_nodata: int = 0

    @property
    def good(self) -> bool:
        """Whether nothing is wrong with the sample."""
        differ = self.mask_side is not None and self.mask_side != self.image_side
        return not (self.unreadable or self.unknown or differ)


@dataclass(frozen=True)
class Survey:
    """The statistics of all samples, in the order of their splits.

    labels: those of `labels.exclude_images_with`.
    """

    samples: list[SampleStats]
    labels: tuple[str, ...] = ()

    @property
    def kept(self) -> list[SampleStats]:
        """The statistics of the samples that are not left out."""
        return [stats for stats in self.samples if not stats.excluded]

    @property
    def excluded(self) -> dict[str, int]:
        """How many samples are left out for each label; one with two of them counts for both."""
        return {name: sum(name in stats.excluded for stats in self.samples) for name in self.labels}

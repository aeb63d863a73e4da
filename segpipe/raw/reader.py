"""Reader: what all kinds of raw files have in common, so that nothing else asks for the kind.

Shapes: T frames, H and W of the image, C channels, h and w of the truth, which may be coarser.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from segpipe.labels.scheme import LabelScheme
from segpipe.raw.input_spec import FileSpec, Fit
from segpipe.raw.rasters.grid import Grid
from segpipe.raw.sample import Sample, Side, Window


@dataclass(frozen=True)
class RawTruth:
    """A mask as train ids, and what stood in it.

    mask_hw: uint8, VOID where nothing is scored. unknown: values outside the scheme, with their
    pixels. values: all raw values with their pixels, of rasters. painted: whether in colours.
    hidden_class: the nodata value of a raster, where it is the raw id of a class, with the pixels that
    are unknown for it.
    """

    mask_hw: NDArray[np.uint8]
    unknown: dict[int, int]
    values: dict[int, int]
    painted: bool = False
    hidden_class: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class RawSample:
    """A sample at its own resolution.

    frames_THWC: uint8, or float16 in 0..1, the annotated frame last. seen_hw: which truth pixels the
    image has data for; all, but for rasters with nodata. truth: None where it is withheld.
    partly_nodata: image pixels that have data, but the nodata value in some of the bands.
    """

    frames_THWC: NDArray[Any]
    seen_hw: NDArray[np.bool_]
    truth: RawTruth | None
    partly_nodata: int = 0


@dataclass
class CanvasSample:
    """A sample on its canvas, and what was seen on the way.

    frames_THWC, mask_hw: None where they could not be made. image_side, mask_side: height and width
    as stored. area: the rows and columns of the canvas that the image covers. image_mode, mask_mode:
    what kind of pixels the files have, in words. mask_lossy: as in OpenedPicture. unknown, values,
    painted, hidden_class: as in RawTruth. partly_nodata: as in RawSample. train_pixels: pixels by train
    id, at the mask's own resolution. unreadable: the reasons, where a file could not be read. left_out:
    what of a file was not read, with its name.
    """

    frames_THWC: NDArray[Any] | None = None
    mask_hw: NDArray[np.uint8] | None = None
    image_side: Side | None = None
    mask_side: Side | None = None
    area: tuple[slice, slice] = (slice(None), slice(None))
    image_mode: str = ""
    mask_mode: str = ""
    mask_lossy: bool = False
    unknown: dict[int, int] = field(default_factory=dict)
    painted: bool = False
    values: dict[int, int] = field(default_factory=dict)
    train_pixels: dict[int, int] = field(default_factory=dict)
    hidden_class: dict[int, int] = field(default_factory=dict)
    partly_nodata: int = 0
    unreadable: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


class Canvas(Protocol):
    """The size that a network is fed, and how pictures come onto it; of PrepareParams and InputSpec."""

    @property
    def height(self) -> int:
        """Pixels."""

    @property
    def width(self) -> int:
        """Pixels."""

    @property
    def fit(self) -> Fit:
        """How images of other proportions come onto the canvas."""


class Reader(ABC):
    """Reads one kind of raw file as a FileSpec says; by itself, whole images that are not resized.

    unit: what one file is called. suffixes, file_type: of the files to predict, and what these are
    called. folders: whether one to predict is a folder. on_earth: whether its labels are written as a
    GeoTIFF. resizes: whether images are resized for the network, so that they can be seen at other
    scales and in windows that slide. streamed: whether a file may be larger than the memory, so that
    it is predicted and written window by window and is never shown whole. samples_a_process: how many
    of them take as long to read as a process takes to start.
    """

    unit: ClassVar[str]
    suffixes: ClassVar[frozenset[str]]
    file_type: ClassVar[str]
    folders: ClassVar[bool] = False
    on_earth: ClassVar[bool] = False
    streamed: ClassVar[bool] = False
    resizes: ClassVar[bool] = False
    samples_a_process: ClassVar[int] = 16

    def __init__(self, files: FileSpec) -> None:
        self.files = files

    @abstractmethod
    def read(self, sample: Sample, raw: Path, scheme: LabelScheme) -> RawSample:
        """Read a sample at its own resolution, each of its files once.

        Where an image has no data, and where another window is scored, the truth is VOID. Raises
        DataError when a file cannot be read.
        """

    @abstractmethod
    def read_onto_canvas(
        self, sample: Sample, raw: Path, scheme: LabelScheme, canvas: Canvas
    ) -> CanvasSample:
        """Read a sample for the prepared arrays; what is wrong with its files is returned."""

    @abstractmethod
    def read_image(
        self, path: Path, window: Window | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Read a file to predict, or a window of it: image_HWC and which pixels hold data, (H, W)."""

    def left_out(self, path: Path) -> str | None:
        """Say what of a file to predict is not read, such as its further pages; None for nothing."""
        return None

    def grid(self, path: Path) -> Grid | None:
        """Return the grid on which the labels of a file are written; None where it has no place."""
        return None

    def network_size(self, height: int, width: int, canvas: Canvas) -> Side:
        """Return the height and width to which an image is resized for the network."""
        return height, width

    def parts(self, height: int, width: int, canvas: Canvas, overlap: int = 0) -> list[Window]:
        """Return the windows of an image that the network sees one by one; they cover all of it.

        overlap: image pixels that neighbours share, of which each keeps the half nearer to it.
        Raises DataError, without the file's name, when the image holds no whole number of truth pixels.
        """
        return [Window(0, 0, height, width)]

    def drawn(self, samples: Sequence[Sample], raw: Path, number: int) -> list[Sample]:
        """Return what is drawn for the first `number` images of `samples`."""
        return list(samples[:number])

    def is_input(self, path: Path, given: bool = False) -> bool:
        """Return whether a file, or a folder where `folders`, is one to predict.

        given: whether a person has named this path; else it was found in the folder that was named.
        """
        return path.suffix.lower() in self.suffixes

    def nothing_found(self) -> str:
        """Say of a folder that there is nothing to predict in it."""
        return f"holds no {self.file_type} ({', '.join(sorted(self.suffixes))})"

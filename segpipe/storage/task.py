"""What one worker does with one sample: read, check, resize, copy, count."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segpipe.errors import DataError
from segpipe.labels.scheme import LabelScheme
from segpipe.params.schema import PrepareParams
from segpipe.sample import Sample
from segpipe.storage.copies import recoloured
from segpipe.storage.decode import read_image, read_mask
from segpipe.storage.geometry import covered, fit_image, fit_mask
from segpipe.storage.layout import IMAGES, MASKS


@dataclass(frozen=True)
class Task:
    """One sample, and the rows of the arrays in `folder` that it fills (none: it is only checked)."""

    sample: Sample
    folder: Path | None = None
    first_row: int = 0
    rows: int = 0


@dataclass
class Outcome:
    """What was found in one sample.

    unreadable: the reason, where a file could not be read. mismatch: where the sizes differ.
    unknown: values outside the label scheme, with their pixels; 0xRRGGBB where the mask is painted
    in colours and not numbered.
    pixels_256: pixels by train id after resizing, over all rows. histogram_3x256: pixels by channel
    and value, of the images themselves (not of padding), from which mean and std come exactly.
    digests: a hash for each row, from which the data's fingerprint is made.
    """

    sample: Sample
    unreadable: list[str] = field(default_factory=list)
    mismatch: str | None = None
    unknown: dict[int, int] = field(default_factory=dict)
    painted: bool = False
    pixels_256: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    histogram_3x256: NDArray[np.int64] = field(default_factory=lambda: np.zeros((3, 256), np.int64))
    digests: list[bytes] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing is wrong with the sample."""
        return not (self.unreadable or self.mismatch or self.unknown)


def work(task: Task, raw: Path, scheme: LabelScheme, prepare: PrepareParams) -> Outcome:
    """Check one sample and, where the task has rows, write them. Faults are returned, not raised."""
    sample, outcome = task.sample, Outcome(task.sample)
    image_HW3 = mask_HW = None
    try:
        image_HW3 = read_image(raw / sample.image)
    except DataError as error:
        outcome.unreadable.append(str(error))
    if sample.mask is not None:
        try:
            mask_HW, outcome.unknown, outcome.painted = read_mask(raw / sample.mask, scheme)
        except DataError as error:
            outcome.unreadable.append(str(error))
    if image_HW3 is not None and mask_HW is not None and image_HW3.shape[:2] != mask_HW.shape:
        outcome.mismatch = (
            f"{sample.image} is {_size(image_HW3)}, {sample.mask} is {_size(mask_HW)}"
        )
    if outcome.good and task.folder is not None and image_HW3 is not None and mask_HW is not None:
        _fill_rows(task, task.folder, image_HW3, mask_HW, prepare, outcome)
    return outcome


def _fill_rows(
    task: Task,
    folder: Path,
    image_HW3: NDArray[np.uint8],
    mask_HW: NDArray[np.uint8],
    prepare: PrepareParams,
    outcome: Outcome,
) -> None:
    canvas = prepare.height, prepare.width, prepare.fit
    image, mask = fit_image(image_HW3, *canvas), fit_mask(mask_HW, *canvas)
    rows, columns = covered(mask_HW.shape[0], mask_HW.shape[1], *canvas)
    pixels_256 = np.bincount(mask.ravel(), minlength=256)
    # Opened anew for each sample, so that a worker's mapped pages do not pile up.
    images = np.load(folder / IMAGES, mmap_mode="r+")
    masks = np.load(folder / MASKS, mmap_mode="r+")
    for copy in range(task.rows):
        shown = recoloured(image, task.sample.name, copy, prepare)
        images[task.first_row + copy] = shown
        masks[task.first_row + copy] = mask
        outcome.pixels_256 += pixels_256
        for channel in range(3):
            seen = shown[rows, columns, channel].ravel()
            outcome.histogram_3x256[channel] += np.bincount(seen, minlength=256)
        outcome.digests.append(
            hashlib.blake2b(shown.tobytes() + mask.tobytes(), digest_size=16).digest()
        )


def _size(array: NDArray[np.uint8]) -> str:
    return f"{array.shape[0]}x{array.shape[1]}"

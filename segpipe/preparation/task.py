"""What one worker does with one sample: read, check, resize, copy, count.

Shapes: T frames, H and W of the canvas, C channels, h and w of the truth.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segpipe.dataset.layout import IMAGES, MASKS
from segpipe.labels.exclusion import ExcludedLabel
from segpipe.labels.scheme import LabelScheme
from segpipe.params.prepare import PrepareParams
from segpipe.preparation.copies import changed_copy
from segpipe.preparation.sample_stats import Pixels, SampleFacts, Side
from segpipe.preparation.statistics import Counted, count_row
from segpipe.raw.geometry import covered, fit_image, fit_labels
from segpipe.raw.input_spec import Reading, picture_of
from segpipe.raw.pictures import MaskFile, open_image, open_mask
from segpipe.raw.rasters.windows import counted
from segpipe.raw.read import read_raw
from segpipe.raw.sample import Sample
from segpipe.runtime.errors import DataError


@dataclass(frozen=True)
class Task:
    """One sample, and the rows of the arrays in `folder` that it fills (none: it is only checked)."""

    sample: Sample
    split: str
    folder: Path | None = None
    first_row: int = 0
    rows: int = 0


@dataclass(frozen=True)
class Work:
    """What all tasks have in common.

    excluded: the labels whose images are left out, by name.
    """

    raw: Path
    scheme: LabelScheme
    reading: Reading
    prepare: PrepareParams
    excluded: dict[str, ExcludedLabel] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What came of one sample.

    counted: an entry for each row that was written. digests: a hash for each, from which the data's
    fingerprint is made.
    """

    facts: SampleFacts
    counted: tuple[Counted, ...] = ()
    digests: tuple[bytes, ...] = ()


@dataclass
class _Seen:
    """A sample on its canvas, and what was seen on the way."""

    frames_THWC: NDArray[Any] | None = None
    mask_hw: NDArray[np.uint8] | None = None
    image_side: Side | None = None
    mask_side: Side | None = None
    image_mode: str = ""
    mask_mode: str = ""
    unknown: dict[int, int] = field(default_factory=dict)
    painted: bool = False
    values: dict[int, int] = field(default_factory=dict)
    train_pixels: dict[int, int] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)


def work(tasks: Sequence[Task], shared: Work) -> list[Outcome]:
    """Check samples and, where a task has rows, write them. Faults are returned, not raised."""
    return [_work(task, shared) for task in tasks]


def _work(task: Task, shared: Work) -> Outcome:
    sample = task.sample
    seen = _picture(sample, shared) if shared.reading.kind == "picture" else _raster(sample, shared)
    facts = _facts(task, seen, shared)
    if task.folder is None or facts.excluded or not facts.good:
        return Outcome(facts)
    rows, digests = _fill_rows(task, task.folder, seen, shared)
    return Outcome(facts, tuple(rows), tuple(digests))


def _picture(sample: Sample, shared: Work) -> _Seen:
    """Read the pictures of a sample, resizing each before it is turned into numbers."""
    seen, raw, prepare = _Seen(), shared.raw, shared.prepare
    canvas = prepare.height, prepare.width, prepare.fit
    frames = []
    for path in (*sample.frames, sample.image):
        try:
            picture, seen.image_mode = open_image(raw / path)
        except DataError as error:
            seen.unreadable.append(str(error))
            continue
        seen.image_side = picture.height, picture.width
        frames.append(fit_image(picture, *canvas))
    if frames and not seen.unreadable:
        seen.frames_THWC = np.stack(frames) if len(frames) > 1 else frames[0][None]
    if sample.mask is not None:
        try:
            _add_mask(seen, open_mask(raw / sample.mask, shared.scheme), shared)
        except DataError as error:
            seen.unreadable.append(str(error))
    return seen


def _add_mask(seen: _Seen, mask: MaskFile, shared: Work) -> None:
    picture, prepare = mask.picture, shared.prepare
    seen.mask_side, seen.mask_mode = (picture.height, picture.width), mask.mode
    seen.painted, seen.unknown = mask.painted, mask.unknown(shared.scheme)
    seen.values, seen.train_pixels = mask.values, mask.train_pixels(shared.scheme)
    if not seen.unknown:
        seen.mask_hw = fit_labels(
            picture,
            lambda resized: mask.encoded(shared.scheme, resized),
            prepare.height,
            prepare.width,
            prepare.fit,
        )


def _raster(sample: Sample, shared: Work) -> _Seen:
    """Read a window of a raster or tile; it is as large as the canvas already."""
    seen = _Seen()
    try:
        found = read_raw(sample, shared.raw, shared.scheme, shared.reading)
    except DataError as error:
        seen.unreadable.append(str(error))
        return seen
    truth, seen.frames_THWC = found.truth, found.frames_THWC
    height, width, channels = seen.frames_THWC.shape[1:]
    seen.image_side, seen.image_mode = (height, width), f"{channels} bands"
    if truth is not None:
        ratio = shared.reading.truth_ratio
        seen.mask_side = truth.mask_hw.shape[0] * ratio, truth.mask_hw.shape[1] * ratio
        seen.mask_hw, seen.mask_mode = truth.mask_hw, "raster"
        seen.unknown, seen.values = truth.unknown, truth.values
        assert sample.window is not None
        own = truth.mask_hw[counted(sample.window, ratio)]  # the rest counts in windows beside
        ids, counts = np.unique(own, return_counts=True)
        seen.train_pixels = dict(zip(ids.tolist(), counts.tolist(), strict=True))
    return seen


def _facts(task: Task, seen: _Seen, shared: Work) -> SampleFacts:
    brightness = dhash = None
    if seen.frames_THWC is not None:
        grey_HW = _grey(seen.frames_THWC[-1], shared.reading)
        brightness, dhash = float(np.mean(grey_HW)) / 255, difference_hash(grey_HW)
    return SampleFacts(
        sample=task.sample,
        split=task.split,
        unreadable=tuple(seen.unreadable),
        image_side=seen.image_side,
        mask_side=seen.mask_side,
        image_mode=seen.image_mode,
        mask_mode=seen.mask_mode,
        unknown=Pixels(seen.unknown),
        painted=seen.painted,
        raw_pixels=Pixels({} if seen.painted else seen.values),
        train_pixels=Pixels(seen.train_pixels),
        brightness=brightness,
        dhash=dhash,
        excluded=tuple(
            name
            for name, label in shared.excluded.items()
            if label.is_in(seen.values, seen.painted)
        ),
    )


def _grey(image_HWC: NDArray[Any], reading: Reading) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(picture_of(image_HWC, reading)).convert("L"))


def difference_hash(grey_HW: NDArray[np.uint8]) -> int:
    """Return the difference hash: which of 8x9 areas is brighter than its left neighbour, 64 bits.

    N. Krawetz 2013, "Kind of like that" (hackerfactor.com/blog/index.php?/archives/529).
    """
    small = Image.fromarray(grey_HW).resize((9, 8), Image.Resampling.BOX)
    tiny_89 = np.asarray(small, np.int16)
    return int.from_bytes(np.packbits(tiny_89[:, 1:] > tiny_89[:, :-1]).tobytes(), "big")


def _fill_rows(
    task: Task, folder: Path, seen: _Seen, shared: Work
) -> tuple[list[Counted], list[bytes]]:
    assert seen.frames_THWC is not None
    assert seen.mask_hw is not None
    assert seen.image_side is not None
    prepare, clip = shared.prepare, len(seen.frames_THWC)
    fit = prepare.fit if shared.reading.kind == "picture" else "stretch"
    area = covered(*seen.image_side, prepare.height, prepare.width, fit)
    # Opened anew for each sample, so that a worker's mapped pages do not pile up.
    images = np.load(folder / IMAGES, mmap_mode="r+")
    masks = np.load(folder / MASKS, mmap_mode="r+")
    rows, digests = [], []
    for copy in range(task.rows):
        frames_THWC, mask_hw = changed_copy(
            seen.frames_THWC, seen.mask_hw, task.sample.name, copy, prepare.copies
        )
        row = task.first_row + copy
        images[row * clip : (row + 1) * clip] = frames_THWC
        masks[row] = mask_hw
        # Mean and std are those of the originals: what a copy turns in from outside is no image.
        seen_THWC = frames_THWC[:, *area] if copy == 0 else None
        rows.append(count_row(seen_THWC, mask_hw))
        content = frames_THWC.tobytes() + mask_hw.tobytes()
        digests.append(hashlib.blake2b(content, digest_size=16).digest())
    return rows, digests

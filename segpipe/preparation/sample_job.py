"""What one worker does with one sample: read, check, resize, copy, count.

Shapes: T frames, H and W of the canvas, C channels, h and w of the truth.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segpipe.dataset.digests import row_digest
from segpipe.dataset.shards import IMAGES, MASKS, shard_path
from segpipe.labels.exclusion import ExcludedLabel
from segpipe.labels.scheme import LabelScheme
from segpipe.params.prepare import PrepareParams
from segpipe.preparation.copies import changed_copy
from segpipe.preparation.sample_stats import Pixels, SampleStats
from segpipe.preparation.statistics import RowStatistics, Sums, row_statistics
from segpipe.raw.build import build_reader
from segpipe.raw.input_spec import FileSpec, picture_of
from segpipe.raw.reader import CanvasSample, Reader
from segpipe.raw.sample import Sample


@dataclass(frozen=True)
class SampleJob:
    """One sample, and the rows of a shard in `folder` that it fills (None: it is only checked)."""

    sample: Sample
    split: str
    folder: Path | None = None
    shard: int = 0
    first_row: int = 0
    rows: int = 0

    @property
    def shard_name(self) -> str:
        """A name for its shard that says split and number."""
        return f"{self.split}-{self.shard:05d}"


@dataclass(frozen=True)
class PrepareContext:
    """What all jobs have in common.

    raw: the folder of the samples' files. excluded: the labels whose images are left out, by name.
    """

    raw: Path
    scheme: LabelScheme
    files: FileSpec
    prepare: PrepareParams
    excluded: dict[str, ExcludedLabel] = field(default_factory=dict)


@dataclass(frozen=True)
class SampleResult:
    """What came of one sample.

    rows: the statistics of each row that was written. digests: a hash of each, from which the data's
    fingerprint is made. sums: those of the original, where the images are floats.
    """

    stats: SampleStats
    rows: tuple[RowStatistics, ...] = ()
    digests: tuple[bytes, ...] = ()
    sums: Sums | None = None


def process_samples(jobs: Sequence[SampleJob], context: PrepareContext) -> list[SampleResult]:
    """Check samples and, where a job has rows, write them. Faults are returned, not raised."""
    reader = build_reader(context.files)
    return [_process(job, context, reader) for job in jobs]


def _process(job: SampleJob, context: PrepareContext, reader: Reader) -> SampleResult:
    seen = reader.read_onto_canvas(job.sample, context.raw, context.scheme, context.prepare)
    stats = _sample_stats(job, seen, context)
    if job.folder is None or stats.excluded or not stats.good:
        return SampleResult(stats)
    rows, digests = _fill_rows(job, job.folder, seen, context.prepare)
    return SampleResult(stats, tuple(rows), tuple(digests), rows[0].sums)


def _sample_stats(job: SampleJob, seen: CanvasSample, context: PrepareContext) -> SampleStats:
    brightness = dhash = None
    if seen.frames_THWC is not None:
        grey_HW = grey(picture_of(seen.frames_THWC[-1], context.files))
        brightness, dhash = float(np.mean(grey_HW)) / 255, difference_hash(grey_HW)
    return SampleStats(
        sample=job.sample,
        split=job.split,
        unreadable=tuple(seen.unreadable),
        left_out=tuple(seen.left_out),
        image_side=seen.image_side,
        mask_side=seen.mask_side,
        image_mode=seen.image_mode,
        mask_mode=seen.mask_mode,
        mask_lossy=seen.mask_lossy,
        unknown=Pixels(seen.unknown),
        painted=seen.painted,
        raw_pixels=Pixels({} if seen.painted else seen.values),
        train_pixels=Pixels(seen.train_pixels),
        brightness=brightness,
        dhash=dhash,
        excluded=tuple(
            name
            for name, label in context.excluded.items()
            if label.is_in(seen.values, seen.painted)
        ),
        hidden_class=Pixels(seen.hidden_class),
        partly_nodata=seen.partly_nodata,
    )


def grey(picture_HW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the luma of a picture (ITU-R BT.601), (H, W), as `difference_hash` takes it."""
    return np.asarray(Image.fromarray(picture_HW3).convert("L"))


def difference_hash(grey_HW: NDArray[np.uint8]) -> int:
    """Return the difference hash: which of 8x9 areas is brighter than its left neighbour, 64 bits.

    N. Krawetz 2013, "Kind of like that" (hackerfactor.com/blog/index.php?/archives/529).
    """
    small = Image.fromarray(grey_HW).resize((9, 8), Image.Resampling.BOX)
    tiny_89 = np.asarray(small, np.int16)
    return int.from_bytes(np.packbits(tiny_89[:, 1:] > tiny_89[:, :-1]).tobytes(), "big")


def _fill_rows(
    job: SampleJob, folder: Path, seen: CanvasSample, prepare: PrepareParams
) -> tuple[list[RowStatistics], list[bytes]]:
    assert seen.frames_THWC is not None
    assert seen.mask_hw is not None
    # Opened anew for each sample, so that a worker's mapped pages do not pile up.
    images = np.load(shard_path(folder, IMAGES, job.shard), mmap_mode="r+")
    masks = np.load(shard_path(folder, MASKS, job.shard), mmap_mode="r+")
    rows, digests = [], []
    for copy in range(job.rows):
        frames_THWC, mask_hw = changed_copy(
            seen.frames_THWC, seen.mask_hw, job.sample.name, copy, prepare.copies
        )
        row = job.first_row + copy
        images[row], masks[row] = frames_THWC, mask_hw
        # Mean and std are those of the originals: what a copy turns in from outside is no image.
        seen_THWC = frames_THWC[:, *seen.area] if copy == 0 else None
        rows.append(row_statistics(seen_THWC, mask_hw))
        digests.append(row_digest(frames_THWC, mask_hw))
    return rows, digests

"""The files of shards, while they are filled: made at full size, closed up where samples were left out.

Shapes: T frames, H, W, C of the images, h, w of the masks.
"""

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from pathlib import Path

import numpy as np

from segpipe.dataset.layout import STORED_SPLITS, Row
from segpipe.dataset.shards import IMAGES, MASKS, shard_count, shard_path, shard_places
from segpipe.preparation.copies import refuse_impossible
from segpipe.preparation.sample_job import PrepareContext, SampleJob
from segpipe.raw.sample import Sample

Samples = Mapping[str, Sequence[Sample]]


def plan_splits(
    samples: Samples, context: PrepareContext, target: Path
) -> tuple[dict[str, list[SampleJob]], dict[str, int]]:
    """Return the jobs of each split, which fill the folders of the splits in `target`, and the number
    of shards of each that is stored.

    Raises ParameterError when the copies that are asked for cannot be made of such data.
    """
    if context.prepare.copies.count:
        files = context.files
        refuse_impossible(context.prepare.copies, len(files.channels), files.truth_ratio > 1)
    plans: dict[str, list[SampleJob]] = {}
    shards: dict[str, int] = {}
    for split, members in samples.items():
        plans[split], number = _split_jobs(split, members, context, target / split)
        if number and split in STORED_SPLITS:
            shards[split] = number
    return plans, shards


def _split_jobs(
    split: str, members: Sequence[Sample], context: PrepareContext, folder: Path
) -> tuple[list[SampleJob], int]:
    """Return the jobs that fill the split's folder with its `members`, in their order, and the number
    of its shards. A split that is only checked has as many as if it were stored.
    """
    if not members:
        return [], 0
    each = 1 + (context.prepare.copies.count if split == "train" else 0)
    layout = _row_layout(context, len(members[0].frames) + 1)
    row_bytes = sum(prod(shape) * np.dtype(kind).itemsize for kind, shape in layout.values())
    shards = shard_count(len(members) * each * row_bytes)
    rows = [Row(sample, copy) for sample in members for copy in range(each)]
    shard_N, place_N = shard_places(rows, shards)
    into = folder if split in STORED_SPLITS else None
    firsts = zip(members, shard_N[::each].tolist(), place_N[::each].tolist(), strict=True)
    return [
        SampleJob(sample, split, into, shard, place, each) for sample, shard, place in firsts
    ], shards


def by_shard(jobs: Iterable[SampleJob]) -> dict[str, list[SampleJob]]:
    """Return the jobs of each shard, by a name that says split and number."""
    found: dict[str, list[SampleJob]] = {}
    for job in jobs:
        found.setdefault(job.shard_name, []).append(job)
    return found


def allocate(jobs: Iterable[SampleJob], context: PrepareContext) -> None:
    """Make the files that the jobs fill, at full size, so that rows can be filled in any order."""
    rows: Counter[tuple[Path, int, int]] = Counter()
    for job in jobs:
        if job.folder is not None:
            rows[job.folder, job.shard, len(job.sample.frames) + 1] += job.rows
    for (folder, shard, frames), number in rows.items():
        for kind, (dtype, shape) in _row_layout(context, frames).items():
            path = shard_path(folder, kind, shard)
            np.lib.format.open_memmap(path, "w+", dtype, (number, *shape)).flush()
            _reserve(path)


def close_up(planned: Sequence[SampleJob], kept: Sequence[SampleJob]) -> None:
    """Take the rows of samples that were left out away from the files of one split."""
    places: dict[int, list[int]] = {job.shard: [] for job in planned}
    rows: Counter[int] = Counter()
    for job in planned:
        rows[job.shard] += job.rows
    for job in kept:
        places[job.shard] += range(job.first_row, job.first_row + job.rows)
    folder = planned[0].folder
    assert folder is not None
    for shard, left in places.items():
        for kind in (IMAGES, MASKS):
            if not left:
                shard_path(folder, kind, shard).unlink()
            elif len(left) < rows[shard]:
                _keep(shard_path(folder, kind, shard), sorted(left))


def _row_layout(
    context: PrepareContext, frames: int
) -> dict[str, tuple[type[np.generic], tuple[int, ...]]]:
    """Return type and shape of one row of the images, (T, H, W, C), and of the masks, (h, w)."""
    prepare, files = context.prepare, context.files
    sides, ratio = (prepare.height, prepare.width), files.truth_ratio
    return {
        IMAGES: (files.dtype, (frames, *sides, len(files.channels))),
        MASKS: (np.uint8, tuple(side // ratio for side in sides)),
    }


def _keep(path: Path, rows: Sequence[int]) -> None:
    """Write the file anew with these rows alone, one at a time."""
    whole = np.load(path, mmap_mode="r")
    smaller = path.with_suffix(".kept.npy")
    kept = np.lib.format.open_memmap(smaller, "w+", whole.dtype, (len(rows), *whole.shape[1:]))
    for place, row in enumerate(rows):
        kept[place] = whole[row]
    kept.flush()
    del kept, whole
    shutil.move(smaller, path)


def _reserve(path: Path) -> None:
    """Take the disk space of a file at once: writing to a mapped file on a full disk kills."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)

"""Shards: the files of about 32 MB in which the rows of a split lie (docs/data-format.md).

A sample's shard depends on its name and on the number of shards alone, and within a shard the rows
stand in the order of their names. So a sample that is added, removed or changed changes the files of
one shard. The order of the split itself is that of index.csv.

Shapes: N rows of a split, B of them that are asked for.
"""

import functools
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from segpipe.dataset.layout import Row

IMAGES, MASKS = "images", "masks"  # the kinds of files
# Bytes of a shard, images and masks together: on average at least so many, and less than twice that.
_LEAST_AVERAGE = 24 << 20
# Files of one array that are mapped at once. Each takes a file descriptor, of which a process has 1024
# by default, and a training maps the images and masks of two splits.
_MOST_OPEN = 128


def shard_count(split_bytes: int) -> int:
    """Return the number of shards of a split whose rows take so many bytes.

    It is a power of two, so that it stays the same until the size passes the next of 48, 96, 192 and so
    on MiB; there each shard is divided in two.
    """
    return 1 << max(0, (split_bytes // _LEAST_AVERAGE).bit_length() - 1)


def shard_of(name: str, shards: int) -> int:
    """Return the shard of the sample `name`, 0 to shards - 1: a hash, which spreads them evenly."""
    digest = hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % shards


def shard_places(rows: Sequence[Row], shards: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the shard of each row of a split, and its place among the rows of that shard: two (N,).

    In a shard the rows are sorted by the name of the sample, then by the number of the copy.
    """
    shard_N = np.array([shard_of(row.sample.name, shards) for row in rows], np.int64)
    place_N, filled = np.empty(len(rows), np.int64), np.zeros(shards, np.int64)
    for n in sorted(range(len(rows)), key=lambda n: (rows[n].sample.name, rows[n].copy)):
        place_N[n] = filled[shard_N[n]]
        filled[shard_N[n]] += 1
    return shard_N, place_N


def shard_path(folder: Path, kind: str, shard: int) -> Path:
    """Return the file of a shard in a split's folder. kind: IMAGES or MASKS."""
    return folder / f"{kind}-{shard:05d}.npy"


class ShardedArray:
    """An array whose rows lie in the files of shards, indexed first by row: `array[rows, ...]`.

    One row is a view of the mapped file; several rows (a slice, a list, an array of numbers or of
    booleans) are copied into a new array. Files are mapped when a row of theirs is first asked for,
    and the last 128 stay mapped.
    """

    def __init__(
        self,
        folder: Path,
        kind: str,
        places: tuple[NDArray[np.int64], NDArray[np.int64]],
        row_shape: tuple[int, ...],
        dtype: DTypeLike,
    ) -> None:
        """Check the files of all shards that hold a row, without reading the rows.

        places: of each row the shard, and the place in it. Raises OSError where a file is missing,
        ValueError where it is cut short, or its shape or type is not that of its rows.
        """
        self._folder, self._kind = folder, kind
        self._shard_N, self._place_N = places
        self.shape, self.dtype = (len(self._shard_N), *row_shape), np.dtype(dtype)
        for shard, rows in zip(*np.unique(self._shard_N, return_counts=True), strict=True):
            self._check(shard, (int(rows), *row_shape))
        self._mapped = functools.lru_cache(_MOST_OPEN)(self._map)

    def __len__(self) -> int:
        return len(self._shard_N)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self[row] for row in range(len(self)))

    def __getitem__(self, key: Any) -> Any:
        rows, *rest = key if isinstance(key, tuple) else (key,)
        shards, places = self._shard_N[rows], self._place_N[rows]
        if shards.ndim == 0:
            return self._mapped(int(shards))[(places, *rest)]
        if not len(shards):
            return np.empty((0, *self.shape[1:]), self.dtype)[(slice(None), *rest)]
        pairs_B = zip(shards.tolist(), places.tolist(), strict=True)
        return np.stack([self._mapped(shard)[(place, *rest)] for shard, place in pairs_B])

    def _map(self, shard: int) -> NDArray[Any]:
        path = shard_path(self._folder, self._kind, shard)
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))

    def _check(self, shard: int, shape: tuple[int, ...]) -> None:
        try:
            found = self._map(shard)
        except (ValueError, EOFError) as error:
            raise ValueError(
                f"{shard_path(self._folder, self._kind, shard).name}: {error}"
            ) from error
        if (found.shape, found.dtype) != (shape, self.dtype):
            raise ValueError(
                f"{shard_path(self._folder, self._kind, shard).name} holds {found.dtype} of shape "
                f"{found.shape}, but by the index it is {self.dtype} of shape {shape}"
            )

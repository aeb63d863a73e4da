"""Prepared data as memory-mapped arrays, checked against their description when opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from segpipe.dataset.digests import AGAIN, DIGESTS, RowDigests, refuse_changed, row_digest
from segpipe.dataset.layout import DESCRIPTION, FORMAT, INDEX, Row, read_index
from segpipe.dataset.shards import IMAGES, MASKS, ShardedArray, shard_places
from segpipe.labels.scheme import LabelScheme
from segpipe.params.section import PositiveInt
from segpipe.raw.input_spec import InputSpec
from segpipe.runtime.errors import DataError
from segpipe.runtime.small_files import read_json
from segpipe.runtime.validation import typed


@dataclass(frozen=True)
class Split:
    """The arrays of one split; N rows of T frames (1 unless they are clips).

    images_NTHWC: uint8, or float16 in 0..1 for the bands of rasters. masks_Nhw: uint8 train ids, of
    the image's size or coarser by a whole ratio. rows: what each row of the arrays is. digests: what
    `read` compares the rows with.

    The arrays know their shape and type, and are indexed first by row; `[:]` reads all of them.
    """

    images_NTHWC: NDArray[Any]
    masks_Nhw: NDArray[np.uint8]
    rows: list[Row]
    digests: RowDigests

    def __len__(self) -> int:
        return len(self.rows)

    def subset(self, places: Sequence[int]) -> "Split":
        """Return the samples at some places of this split; nothing is read before it is asked for."""
        chosen = np.asarray(places, np.int64)
        return Split(
            cast(NDArray[Any], _ChosenRows(self.images_NTHWC, chosen)),
            cast(NDArray[np.uint8], _ChosenRows(self.masks_Nhw, chosen)),
            [self.rows[place] for place in chosen],
            self.digests.subset(chosen),
        )

    def read(
        self, rows_B: NDArray[np.int64], frames: int
    ) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        """Copy some rows: the last `frames` of their images, (B, frames, H, W, C), and their masks.

        Raises DataError for a row that is not as it was prepared; each is compared when it is first read.
        """
        for row in self.digests.unread(rows_B):
            digest = row_digest(self.images_NTHWC[row], self.masks_Nhw[row])
            self.digests.compare(row, digest, self.rows[row].sample.name)
        images_BTHWC = np.ascontiguousarray(self.images_NTHWC[rows_B, -frames:])
        return images_BTHWC, np.ascontiguousarray(self.masks_Nhw[rows_B])


class _ChosenRows:
    """Some rows of an array, as if they were an array of their own: indexed first by row.

    Indexing the array itself would read all of them into memory.
    """

    def __init__(self, array: NDArray[Any], places: NDArray[np.int64]) -> None:
        self._array, self._places = array, places
        self.shape, self.dtype = (len(places), *array.shape[1:]), array.dtype

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, key: Any) -> Any:
        rows, *rest = key if isinstance(key, tuple) else (key,)
        return self._array[(self._places[rows], *rest)]


@dataclass(frozen=True)
class Dataset:
    """Prepared data: its label scheme, what a network is fed of it, its arrays.

    splits: what is counted, by split. shards: their number, by split. excluded: samples that were
    left out, by the label found in them.
    """

    folder: Path
    scheme: LabelScheme
    input: InputSpec
    splits: dict[str, dict[str, Any]]
    shards: dict[str, int]
    excluded: dict[str, int]
    fingerprint: str

    @property
    def truth_ratio(self) -> int:
        """Image pixels along each side of a truth pixel."""
        return self.input.files.truth_ratio

    def split(self, name: str) -> Split:
        """Open a split's arrays; DataError when they are not what dataset.json says."""
        folder, number = self.folder / name, self.splits[name]["rows"]
        spec, ratio = self.input, self.truth_ratio
        image_shape = spec.frames, spec.height, spec.width, len(spec.files.channels)
        mask_shape = spec.height // ratio, spec.width // ratio
        refuse_changed(self.folder, f"{name}/{INDEX}", f"{name}/{DIGESTS}")
        try:
            rows = read_index(folder / INDEX)
            if len(rows) != number:
                raise ValueError(f"{INDEX} has {len(rows)} rows, {DESCRIPTION} {number}")
            places = shard_places(rows, self.shards[name])
            images = ShardedArray(folder, IMAGES, places, image_shape, spec.files.dtype)
            masks = ShardedArray(folder, MASKS, places, mask_shape, np.uint8)
            digests = RowDigests(folder, np.load(folder / DIGESTS, allow_pickle=False))
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise DataError(f"{folder}: cannot be opened ({error}); {AGAIN}") from error
        return Split(cast(NDArray[Any], images), cast(NDArray[np.uint8], masks), rows, digests)


class _Description(BaseModel):
    """The content of dataset.json."""

    scheme: LabelScheme
    input: InputSpec
    splits: dict[str, dict[str, Any]]
    shards: dict[str, PositiveInt]
    excluded: dict[str, int]
    fingerprint: str


def open_dataset(folder: Path) -> Dataset:
    """Open prepared data; DataError when it is missing, damaged, changed by hand or of another format."""
    path = folder / DESCRIPTION
    try:
        content = read_json(path)
        if content.get("format") != FORMAT:
            raise DataError(
                f"{path}: was prepared by another version of segpipe, in format "
                f"{content.get('format')} and not {FORMAT}; {AGAIN}"
            )
        about = typed(_Description, content)
        refuse_changed(folder, DESCRIPTION)
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file; run `dvc repro prepare` first") from error
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: cannot be read; {AGAIN}:\n{error}") from error
    return Dataset(
        folder=folder,
        scheme=about.scheme,
        input=about.input,
        splits=about.splits,
        shards=about.shards,
        excluded=about.excluded,
        fingerprint=about.fingerprint,
    )

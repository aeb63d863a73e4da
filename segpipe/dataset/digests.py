"""Digests of prepared data, by which a change by hand and a damaged disk are noticed.

Each row of a split has one, which is compared when the row is first read: so every byte that is learnt from
is compared, and a start takes no longer, however large the data is. The small files are compared whole.

Shapes: N rows of a split.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segpipe.dataset.layout import DESCRIPTION, INDEX, read_samples
from segpipe.raw.sample import Sample
from segpipe.runtime.atomic import write_json
from segpipe.runtime.errors import DataError
from segpipe.runtime.small_files import read_json

DIGESTS, SUMS = "digests.npy", "sums.json"
AGAIN = "run `dvc repro --force prepare` to make it again"
_SIZE = 16  # bytes of a digest
_CHANGED = (
    "is not as prepare wrote it: it was changed by hand, or the disk is at fault; "
    f"{AGAIN} (images and labels are corrected in the raw data)"
)


def row_digest(frames_THWC: NDArray[np.generic], mask_hw: NDArray[np.uint8]) -> bytes:
    """Return the digest of a row: BLAKE2b (RFC 7693) of 16 bytes, over its frames and its mask."""
    digest = hashlib.blake2b(digest_size=_SIZE)
    for array in (frames_THWC, mask_hw):
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.digest()


def file_digest(path: Path) -> str:
    """Return the digest of a file: BLAKE2b of 16 bytes, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=_SIZE)).hexdigest()


def write_row_digests(folder: Path, digests: Sequence[bytes]) -> None:
    """Write the digests of a split, in the order of its rows, into its folder: (N, 16) uint8."""
    np.save(folder / DIGESTS, np.frombuffer(b"".join(digests), np.uint8).reshape(-1, _SIZE))


def write_sums(folder: Path) -> None:
    """Write sums.json: the digest of each small file of prepared data, by its path in `folder`."""
    paths = [folder / DESCRIPTION, *folder.glob(f"*/{INDEX}"), *folder.glob(f"*/{DIGESTS}")]
    sums = {path.relative_to(folder).as_posix(): file_digest(path) for path in sorted(paths)}
    write_json(folder / SUMS, sums)


def refuse_changed(folder: Path, *names: str) -> None:
    """Raise DataError unless these files of prepared data are as sums.json says. names: paths in `folder`."""
    path = folder / SUMS
    try:
        sums = read_json(path)
        for name in names:
            path = folder / name
            if file_digest(path) != sums.get(name):
                raise DataError(f"{path}: {_CHANGED}")
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file; run `dvc repro prepare` first") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); {AGAIN}") from error


def prepared_samples(folder: Path, split: str) -> list[Sample]:
    """Return the samples of a split of prepared data, each once; DataError where that is not as it was."""
    refuse_changed(folder, f"{split}/{INDEX}")
    return read_samples(folder / split / INDEX)


class RowDigests:
    """What the rows of a split are to be; each is compared when it is read for the first time."""

    def __init__(self, folder: Path, digests_N16: NDArray[np.uint8]) -> None:
        """folder: of the split, for messages."""
        self._folder, self._digests_N16 = folder, digests_N16
        self._unread_N = np.ones(len(digests_N16), np.bool_)

    def subset(self, places: NDArray[np.int64]) -> "RowDigests":
        """Return those of the rows at some places."""
        return RowDigests(self._folder, self._digests_N16[places])

    def unread(self, rows_B: NDArray[np.int64]) -> list[int]:
        """Return those of some rows that were not compared yet."""
        found: list[int] = np.unique(rows_B[self._unread_N[rows_B]]).tolist()
        return found

    def compare(self, row: int, digest: bytes, name: str) -> None:
        """Note that a row was read; DataError, with the name of its sample, where it is another."""
        if digest != self._digests_N16[row].tobytes():
            raise DataError(f"{self._folder}: {name} {_CHANGED}")
        self._unread_N[row] = False

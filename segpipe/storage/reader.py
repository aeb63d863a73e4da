"""Prepared data as memory-mapped arrays, checked against their description when opened."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.errors import DataError
from segpipe.labels.scheme import LabelScheme
from segpipe.storage.geometry import Fit
from segpipe.storage.layout import DESCRIPTION, FORMAT, IMAGES, INDEX, MASKS, Row, read_index


@dataclass(frozen=True)
class Split:
    """The arrays of one split.

    images_NHWC: uint8, RGB. masks_NHW: uint8 train ids. rows: what each row of the arrays is.
    """

    images_NHWC: NDArray[np.uint8]
    masks_NHW: NDArray[np.uint8]
    rows: list[Row]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Dataset:
    """Prepared data: its label scheme, the statistics of its training split (0..1), its arrays."""

    folder: Path
    scheme: LabelScheme
    height: int
    width: int
    fit: Fit
    mean: list[float]
    std: list[float]
    splits: dict[str, dict[str, Any]]
    fingerprint: str

    def split(self, name: str) -> Split:
        """Open a split's arrays; DataError when they are not what dataset.json says."""
        folder = self.folder / name
        try:
            images = np.load(folder / IMAGES, mmap_mode="r", allow_pickle=False)
            masks = np.load(folder / MASKS, mmap_mode="r", allow_pickle=False)
            rows = read_index(folder / INDEX)
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise DataError(f"{folder}: cannot be opened ({error}); {_AGAIN}") from error
        shape = self.splits[name]["rows"], self.height, self.width
        if images.shape != (*shape, 3) or masks.shape != shape or len(rows) != shape[0]:
            raise DataError(
                f"{folder}: holds images {images.shape}, masks {masks.shape} and {len(rows)} rows, "
                f"but {DESCRIPTION} says {shape}; {_AGAIN}"
            )
        if images.dtype != np.uint8 or masks.dtype != np.uint8:
            raise DataError(
                f"{folder}: holds {images.dtype} and {masks.dtype}, not uint8; {_AGAIN}"
            )
        return Split(images, masks, rows)


_AGAIN = "run `dvc repro --force prepare` to make it again"


def open_dataset(folder: Path) -> Dataset:
    """Open prepared data; DataError when it is missing, damaged or of another format."""
    path = folder / DESCRIPTION
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file; run `dvc repro prepare` first") from error
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: cannot be read ({error}); {_AGAIN}") from error
    if about.get("format") != FORMAT:
        raise DataError(f"{path}: is of format {about.get('format')}, not {FORMAT}; {_AGAIN}")
    return Dataset(
        folder,
        LabelScheme.from_json(about["scheme"]),
        about["height"],
        about["width"],
        about["fit"],
        about["mean"],
        about["std"],
        about["splits"],
        about["fingerprint"],
    )

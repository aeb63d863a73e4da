"""PNG files that appear whole or not at all: label images and pictures."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segpipe.atomic import disk_errors_explained, whole_file


def write_png(path: Path, array: NDArray[Any]) -> None:
    """Write `array` to `path` as a PNG without loss.

    array: (H, W) uint8 or uint16 for label images (values are kept as they are, one channel), or
        (H, W, 3) uint8 for a picture.

    Raises ValueError for any other array and SegpipeError when the disk is full; then `path` is
    as it was before.
    """
    grey = array.ndim == 2 and array.dtype in (np.uint8, np.uint16)
    picture = array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8
    if not (grey or picture) or 0 in array.shape:
        raise ValueError(
            f"{path}: an array of shape {array.shape} and type {array.dtype} is no image; "
            "write (H, W) uint8 or uint16, or (H, W, 3) uint8"
        )
    with disk_errors_explained(path), whole_file(path) as partial:
        # The temporary name has no suffix from which Pillow could tell the format.
        Image.fromarray(np.ascontiguousarray(array)).save(partial, format="PNG")

"""PNG files that appear whole or not at all: label images and pictures."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segpipe.runtime.atomic import disk_errors_explained, whole_file


def write_png(path: Path, array: NDArray[Any]) -> None:
    """Write `array` to `path` as a PNG without loss.

    array: (H, W) uint8 or uint16 for label images (values are kept as they are, one channel), or
        (H, W, 3) uint8 for a picture.

    Raises ValueError for any other array and SegpipeError when the disk is full; then `path` is
    as it was before.
    """
    _refuse_no_image(array, str(path))
    with disk_errors_explained(path), whole_file(path) as partial:
        # The temporary name has no suffix from which Pillow could tell the format.
        Image.fromarray(np.ascontiguousarray(array)).save(partial, format="PNG")


def png_bytes(array: NDArray[Any]) -> bytes:
    """Return `array`, which is as `write_png` wants it, as the content of a PNG file."""
    _refuse_no_image(array, "a picture")
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(array)).save(content, format="PNG")
    return content.getvalue()


def _refuse_no_image(array: NDArray[Any], name: str) -> None:
    grey = array.ndim == 2 and array.dtype in (np.uint8, np.uint16)
    picture = array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8
    if not (grey or picture) or 0 in array.shape:
        raise ValueError(
            f"{name}: an array of shape {array.shape} and type {array.dtype} is no image; "
            "write (H, W) uint8 or uint16, or (H, W, 3) uint8"
        )

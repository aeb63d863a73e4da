"""PNG files that appear whole or not at all: label images and pictures."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from segpipe.runtime.atomic import atomic_file, disk_errors_explained


def write_png(path: Path, array: NDArray[Any], software: str | None = None) -> None:
    """Write `array`, with `software`, as `png_bytes` takes them, to `path` as a PNG without loss.

    Raises ValueError for any other array and SegpipeError when the disk is full; then `path` is
    as it was before.
    """
    content = png_bytes(array, str(path), software)
    with disk_errors_explained(path), atomic_file(path) as partial:
        partial.write_bytes(content)


def png_bytes(array: NDArray[Any], name: str = "a picture", software: str | None = None) -> bytes:
    """Return `array` as the content of a PNG file.

    array: (H, W) uint8 or uint16 for label images (values are kept as they are, one channel), or
        (H, W, 3) uint8 for a picture.
    name: of the picture, for the message of the ValueError that any other array raises.
    software: what has made it, for the file's text "Software"; None for no such text.
    """
    grey = array.ndim == 2 and array.dtype in (np.uint8, np.uint16)
    picture = array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8
    if not (grey or picture) or 0 in array.shape:
        raise ValueError(
            f"{name}: an array of shape {array.shape} and type {array.dtype} is not an image; "
            "write (H, W) uint8 or uint16, or (H, W, 3) uint8"
        )
    content, text = io.BytesIO(), PngInfo()
    if software is not None:
        text.add_text("Software", software)
    Image.fromarray(np.ascontiguousarray(array)).save(content, format="PNG", pnginfo=text)
    return content.getvalue()

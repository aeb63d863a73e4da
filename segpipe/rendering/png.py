"""PNG files that appear whole or not at all: label images and pictures."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from segpipe.runtime.atomic import atomic_file, disk_errors_explained

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SUB = 1  # the filter of a row that is given as differences from the pixel to the left
_LEVEL = 1  # of compression: probabilities hardly get smaller with more


def write_png(
    path: Path,
    array: NDArray[Any],
    software: str | None = None,
    palette_256x3: NDArray[np.uint8] | None = None,
) -> None:
    """Write `array` to `path` as a PNG without loss; all but the path as `png_bytes` takes it.

    Raises ValueError for any other array and SegpipeError when the disk is full; then `path` is
    as it was before.
    """
    write_bytes(path, png_bytes(array, str(path), software, palette_256x3))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all; SegpipeError when the disk is full."""
    with disk_errors_explained(path), atomic_file(path) as partial:
        partial.write_bytes(content)


def png_bytes(
    array: NDArray[Any],
    name: str = "a picture",
    software: str | None = None,
    palette_256x3: NDArray[np.uint8] | None = None,
) -> bytes:
    """Return `array` as the content of a PNG file.

    array: (H, W) uint8 or uint16 for label images (values are kept as they are, one channel), or
        (H, W, 3) uint8 for a picture.
    name: of the picture, for the message of the ValueError that any other array raises.
    software: what has made it, for the file's text "Software"; None for no such text.
    palette_256x3: the colours by value in which viewers show a label image of uint8; None for grey.
        Label images of uint16 stay grey, for PNG's palettes have 256 colours.
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
    picture_file = Image.fromarray(np.ascontiguousarray(array))
    if palette_256x3 is not None and picture_file.mode == "L":
        picture_file.putpalette(palette_256x3.tobytes())
    picture_file.save(content, format="PNG", pnginfo=text)
    return content.getvalue()


class GreyPng:
    """A grey PNG file whose rows come in turn, so that memory need not hold them all (PNG, 3rd edition).

    bits: 8 or 16 a pixel. software: what has made it, for the file's text "Software".
    """

    def __init__(self, path: Path, height: int, width: int, bits: int, software: str) -> None:
        self._path, self._bytes = path, bits // 8
        self._compressor = zlib.compressobj(_LEVEL)
        header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
        text = b"Software\0" + software.encode("latin-1")
        path.write_bytes(_SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"tEXt", text))

    def add(self, rows_RW: NDArray[Any]) -> None:
        """Write the next rows, uint8 or uint16 as `bits` says."""
        rows = np.ascontiguousarray(rows_RW, f">u{self._bytes}")
        rows_RB = rows.view(np.uint8).reshape(len(rows), -1)
        filtered_RB = np.full((len(rows), 1 + rows_RB.shape[1]), _SUB, np.uint8)
        filtered_RB[:, 1:] = rows_RB
        filtered_RB[:, 1 + self._bytes :] -= rows_RB[:, : -self._bytes]
        self._append(self._compressor.compress(filtered_RB.tobytes()))

    def finish(self) -> None:
        """Write the end; before it the file is none."""
        self._append(self._compressor.flush(), _chunk(b"IEND", b""))

    def _append(self, compressed: bytes, end: bytes = b"") -> None:
        with self._path.open("ab") as file:
            file.write((_chunk(b"IDAT", compressed) if compressed else b"") + end)


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

"""Picture files that Pillow cannot write: 16 bits in several channels, signed numbers, odd pages."""

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def write_deep_png(path: Path, values_HWC: NDArray[np.uint16]) -> None:
    """Write grey, grey-alpha, RGB or RGBA with 16 bits a channel."""
    height, width, channels = values_HWC.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values_HWC)
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0),
        b"IDAT": zlib.compress(rows),
        b"IEND": b"",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for name, body in chunks.items():
            file.write(struct.pack(">I", len(body)) + name + body)
            file.write(struct.pack(">I", zlib.crc32(name + body)))


def write_tiff(
    path: Path, *pages_HWC: NDArray[Any], photometric: int = 2, **tags: Mapping[int, int]
) -> None:
    """Write an uncompressed little-endian TIFF file, each array a page.

    tags: by page<number> further tags of one whole number.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(struct.pack("<2sHI", b"II", 42, 8))
        for number, page_HWC in enumerate(pages_HWC):
            last = number + 1 == len(pages_HWC)
            entries = _entries(page_HWC, photometric) | dict(tags.get(f"page{number}", {}))
            file.write(_page(file.tell(), page_HWC, entries, last))


def _entries(page_HWC: NDArray[Any], photometric: int) -> dict[int, int | list[int]]:
    height, width, channels = page_HWC.shape
    kind = {"u": 1, "i": 2, "f": 3}[page_HWC.dtype.kind]
    return {
        256: width,
        257: height,
        258: [8 * page_HWC.itemsize] * channels,
        259: 1,
        262: photometric,
        277: channels,
        278: height,
        279: page_HWC.nbytes,
        339: [kind] * channels,
    }


def _page(
    start: int, page_HWC: NDArray[Any], entries: dict[int, int | list[int]], last: bool
) -> bytes:
    """Return directory, long values and pixels of a page that begins at byte `start`."""
    entries |= {273: 0}
    after = start + 2 + 12 * len(entries) + 4
    lists = {tag: value for tag, value in entries.items() if isinstance(value, list)}
    outside = {tag: struct.pack(f"<{len(value)}H", *value) for tag, value in lists.items()}
    places = {}
    for tag, body in outside.items():
        places[tag] = after
        after += len(body)
    directory = struct.pack("<H", len(entries))
    for tag in sorted(entries):
        value = entries[tag]
        if not isinstance(value, list):
            directory += struct.pack("<HHII", tag, 4, 1, after if tag == 273 else value)
        elif len(outside[tag]) > 4:
            directory += struct.pack("<HHII", tag, 3, len(value), places[tag])
        else:
            directory += struct.pack("<HHI", tag, 3, len(value)) + outside[tag].ljust(4, b"\0")
    after += page_HWC.nbytes
    directory += struct.pack("<I", 0 if last else after)
    pixels = page_HWC.astype(page_HWC.dtype.newbyteorder("<")).tobytes()
    return directory + b"".join(outside.values()) + pixels

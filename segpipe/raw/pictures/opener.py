"""The one place where picture files are opened: regular files of known formats, 8 bits, upright."""

import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from segpipe.runtime.errors import DataError

# What is read, by its first bytes. Pillow's Image.open would try 40 more formats, one of which
# (PostScript) starts a program, and has a limit of pixels that can only be changed for the process.
_FORMATS: dict[bytes, type[ImageFile]] = {
    b"\x89PNG\r\n\x1a\n": PngImageFile,
    b"\xff\xd8\xff": JpegImageFile,
    b"BM": BmpImageFile,
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), TiffImageFile),
    b"RIFF": WebPImageFile,
}
_READ = "JPEG, PNG, BMP, TIFF and WebP files are read"
# What is often found under the name of a picture.
_OTHERS = {
    b"%!PS": "a PostScript file",
    b"\xc5\xd0\xd3\xc6": "a PostScript file",
    b"%PDF": "a PDF file",
    b"GIF8": "a GIF file",
    b"8BPS": "a Photoshop file",
    b"\0\0\0\x0cjP": "a JPEG 2000 file",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip file",
    b"version https://git-lfs": "a pointer of Git LFS (`git lfs pull` fetches the file itself)",
    b"<": "text in angle brackets, such as a web page or an SVG drawing",
}
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_LARGEST = "SEGPIPE_MAX_PIXELS"
_MAX_PIXELS = 200_000_000  # the largest sensors; 800 MB while a picture is read
# Pillow's modes of one byte a channel.
_BYTES = frozenset({"L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB"})
# Values of the EXIF tag of orientation, and what brings the picture upright (EXIF 2.32, tag 274).
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_NOT_A_PAGE = 1 | 4  # NewSubfileType: a copy of reduced resolution, a transparency mask (TIFF 6.0)


@dataclass(frozen=True)
class OpenedPicture:
    """The first page of a picture file, decoded and upright.

    mode: Pillow's name of the file's pixels. further_pages: how many pages of a TIFF file, or frames
    of an animation, were left out.
    """

    picture: Image.Image
    mode: str
    further_pages: int


def open_picture(path: Path) -> OpenedPicture:
    """Decode the first page of a picture file and turn it upright by its own EXIF tag.

    Raises DataError when the file is missing, no regular file, of another format, damaged, of more
    than SEGPIPE_MAX_PIXELS pixels (200 million), or when its channels have more than 8 bits where
    Pillow keeps only 8 (it keeps 16 and 32 of a single channel: modes I;16, I and F).
    """
    with _header(path) as (file, picture):
        _refuse_too_large(path, picture)
        _refuse_lost_bits(path, file, picture)
        picture.load()
        _refuse_negative(path, picture)
        turn = _turn(picture)
        upright = picture if turn is None else picture.transpose(turn)
        return OpenedPicture(upright, picture.mode, _further_pages(file, picture))


def further_pages(path: Path) -> int:
    """Return how many pages or frames follow the first, from the file's headers alone.

    Raises DataError as `open_picture` does, for what the headers show.
    """
    with _header(path) as (file, picture):
        return _further_pages(file, picture)


@contextmanager
def _header(path: Path) -> Iterator[tuple[BinaryIO, ImageFile]]:
    """Give a file and the picture in it, not decoded; what Pillow raises comes out as DataError."""
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
        if kind != stat.S_IFREG:  # the opening of a pipe would wait for ever
            raise DataError(f"{path}: is {_KINDS.get(kind, 'no file')}, not a picture file")
        with path.open("rb") as file, warnings.catch_warnings():
            # Pillow warns of odd metadata without naming the file.
            warnings.filterwarnings("ignore", module=r"PIL\.")
            head = file.read(32)
            file.seek(0)
            for start, of_format in _FORMATS.items():
                if head.startswith(start):
                    yield file, of_format(file)
                    return
            raise DataError(f"{path}: cannot be read as a picture: it is {_named(head)}; {_READ}")
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    # Decoders raise anything on damaged files.
    except Exception as error:
        cause = str(error) or type(error).__name__
        raise DataError(f"{path}: cannot be read as a picture: {cause}") from error


def _named(head: bytes) -> str:
    if not head:
        return "empty"
    if head[4:8] == b"ftyp":
        return "a HEIC, AVIF or video file"
    named = (name for start, name in _OTHERS.items() if head.startswith(start))
    return next(named, "of no known format")


def _refuse_too_large(path: Path, picture: Image.Image) -> None:
    text = os.environ.get(_LARGEST, str(_MAX_PIXELS))
    try:
        most = int(text)
    except ValueError as error:
        raise DataError(f"{_LARGEST} is {text!r}; it must be a whole number of pixels") from error
    pixels = picture.width * picture.height
    if pixels > most:
        raise DataError(
            f"{path}: has {pixels:,} pixels ({picture.height} x {picture.width}), and the limit of a "
            f"picture is {most:,}; cut it into tiles, or set the environment variable {_LARGEST} to "
            f"{pixels} where there is memory for it (about {8 * pixels / 1e9:.1f} GB a process)"
        )


def _refuse_lost_bits(path: Path, file: BinaryIO, picture: ImageFile) -> None:
    """Ask the file for its bits a channel: Pillow's mode is RGB for 8 and for 16 bits alike."""
    if isinstance(picture, PngImageFile):
        place = file.tell()
        file.seek(24)  # signature, length and name of IHDR, width, height
        bits = file.read(1)[0]
        file.seek(place)
    elif isinstance(picture, TiffImageFile):
        bits = max(picture.tag_v2.get(258, (1,)))  # BitsPerSample
    else:
        return  # JPEG of more bits is refused by Pillow; BMP and WebP have no more
    if bits > 8 and picture.mode in _BYTES:
        raise DataError(
            f"{path}: has {bits} bits a channel, of which only the upper 8 would be read; bring the "
            "values into 0..255 and save it with 8 bits (label numbers: as grey, of 8 or 16 bits)"
        )


def _refuse_negative(path: Path, picture: ImageFile) -> None:
    """Pillow reads signed bytes as unsigned ones: -1 would be 255."""
    if not isinstance(picture, TiffImageFile) or picture.mode != "L":
        return
    if 2 in picture.tag_v2.get(339, ()) and np.asarray(picture).max() > 127:  # SampleFormat
        raise DataError(f"{path}: holds negative numbers of 8 bits; save its values as 0..255")


def _turn(picture: Image.Image) -> Image.Transpose | None:
    """Return what brings a decoded picture upright; a TIFF file's tag Pillow has followed already."""
    try:
        return _TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    # Metadata is parsed by Python code that raises anything; a viewer shows such a file as stored.
    except Exception:
        return None


def _further_pages(file: BinaryIO, picture: ImageFile) -> int:
    if not isinstance(picture, TiffImageFile):
        # A JPEG file's further pictures are previews and maps of depth or brightness.
        return int(getattr(picture, "n_frames", 1)) - 1
    file.seek(0)
    head = file.read(16)
    directory = ImageFileDirectory_v2(head if head[2] == 43 else head[:8])  # 43: BigTIFF
    seen, pages, offset = {0, directory.next}, 0, picture.tag_v2.next
    while offset not in seen:  # a damaged file may lead in a circle
        seen.add(offset)
        file.seek(offset)
        directory.load(file)
        pages += not directory.get(254, 0) & _NOT_A_PAGE
        offset = directory.next
    return pages

"""The one place where Pillow opens picture files: regular files of known formats, 8 bits, upright."""

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
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from segpipe.raw.pictures.headers import further_tiff_pages, png_pixels
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


class LostBitsError(DataError):
    """A file has more bits a channel than Pillow would read."""


@dataclass(frozen=True)
class OpenedPicture:
    """The first page of a picture file, decoded and upright.

    mode: Pillow's name of the file's pixels. further_pages: how many pages of a TIFF file, or frames
    of an animation, were left out. lossy: whether the file is of a form that changes values.
    """

    picture: Image.Image
    mode: str
    further_pages: int
    lossy: bool


def open_picture(path: Path) -> OpenedPicture:
    """Decode the first page of a picture file and turn it upright by its own EXIF tag.

    Raises DataError when the file is missing, no regular file, of another format, damaged, of more
    than SEGPIPE_MAX_PIXELS pixels (200 million), or when its channels have more than 8 bits where
    Pillow keeps only 8 (it keeps 16 and 32 of a single channel: modes I;16, I and F).
    """
    with opened_file(path) as (file, of_format):
        picture = of_format(file)
        refuse_too_large(path, picture.height, picture.width)
        _refuse_lost_bits(path, file, picture)
        picture.load()
        _refuse_negative(path, picture)
        turn = _turn(picture)
        upright = picture if turn is None else picture.transpose(turn)
        further = (
            further_tiff_pages(file) if of_format is TiffImageFile else _further_frames(picture)
        )
        return OpenedPicture(upright, picture.mode, further, _lossy(file, picture))


def further_pages(path: Path) -> int:
    """Return how many pages or frames follow the first, from the file's headers alone.

    Raises DataError as `open_picture` does, for what the headers show.
    """
    with opened_file(path) as (file, of_format):
        if of_format is TiffImageFile:
            return further_tiff_pages(file)
        return _further_frames(of_format(file))


def stored_sides(path: Path) -> tuple[int, int]:
    """Return height and width of a picture as stored, from the file's header alone.

    Raises DataError as `open_picture` does, for what the header shows.
    """
    with opened_file(path) as (file, of_format):
        picture = of_format(file)
        return picture.height, picture.width


@contextmanager
def opened_file(path: Path) -> Iterator[tuple[BinaryIO, type[ImageFile]]]:
    """Give a picture file and the format of its first bytes; what decoders raise becomes DataError."""
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
                    yield file, of_format
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


def most_pixels(usual: int) -> int:
    """Return the limit that SEGPIPE_MAX_PIXELS sets, else the usual one; DataError for no number."""
    text = os.environ.get(_LARGEST, str(usual))
    try:
        return int(text)
    except ValueError as error:
        raise DataError(f"{_LARGEST} is {text!r}; it must be a whole number of pixels") from error


def refuse_too_large(path: Path, height: int, width: int) -> None:
    """Raise DataError where a picture has more than SEGPIPE_MAX_PIXELS pixels (200 million)."""
    most = most_pixels(_MAX_PIXELS)
    pixels = width * height
    if pixels > most:
        raise DataError(
            f"{path}: has {pixels:,} pixels ({height} x {width}), and the limit of a picture is "
            f"{most:,}; cut it into tiles (GeoTIFFs: source.name rasters), or set the environment "
            f"variable {_LARGEST} to {pixels} where there is memory for it (about "
            f"{8 * pixels / 1e9:.1f} GB a process)"
        )


def _refuse_lost_bits(path: Path, file: BinaryIO, picture: ImageFile) -> None:
    """Ask the file for its bits and channels: Pillow's mode is RGB for 8 and 16 bits, and for 5 channels."""
    samples = 0
    if isinstance(picture, PngImageFile):
        bits, _ = png_pixels(file)
    elif isinstance(picture, TiffImageFile):
        bits = max(picture.tag_v2.get(258, (1,)))  # BitsPerSample
        if 0 in picture.tag_v2.get(338, ()):  # ExtraSamples: of no stated meaning
            samples = picture.tag_v2.get(277, 1)  # SamplesPerPixel
    else:
        return  # JPEG of more bits is refused by Pillow; BMP and WebP have no more
    if bits > 8 and picture.mode in _BYTES:
        raise LostBitsError(
            f"{path}: has {bits} bits a channel, of which only the upper 8 would be read; bring the "
            "values into 0..255 and save it with 8 bits (label numbers: as grey, of 8 or 16 bits)"
        )
    if samples:
        raise DataError(
            f"{path}: has {samples} channels, which are neither grey nor red, green and blue; choose "
            "three, and save them as RGB (label numbers: as grey, of 8 or 16 bits)"
        )


def _lossy(file: BinaryIO, picture: ImageFile) -> bool:
    """Tell whether a file is compressed in a way that changes its values."""
    if not isinstance(picture, WebPImageFile):
        return isinstance(picture, JpegImageFile)
    file.seek(12)
    return b"VP8 " in file.read(1 << 16)  # the chunk of lossy pictures; lossless ones have VP8L


def _refuse_negative(path: Path, picture: ImageFile) -> None:
    """Pillow reads signed bytes as unsigned ones: -1 would be 255."""
    if not isinstance(picture, TiffImageFile) or picture.mode != "L":
        return
    if 2 in picture.tag_v2.get(339, ()) and np.asarray(picture).max() > 127:  # SampleFormat
        raise DataError(f"{path}: holds negative numbers of 8 bits; save its values as 0..255")


def _turn(picture: Image.Image) -> Image.Transpose | None:
    """Return what brings a decoded picture upright; a TIFF file's tag Pillow has followed already."""
    return _TURNS.get(orientation(picture))


def orientation(picture: Image.Image) -> int:
    """Return the EXIF tag of orientation; 1, upright, where there is none that can be read."""
    try:
        return int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    # Metadata is parsed by Python code that raises anything; a viewer shows such a file as stored.
    except Exception:
        return 1


def _further_frames(picture: ImageFile) -> int:
    # A JPEG file's further pictures are previews and maps of depth or brightness.
    return int(getattr(picture, "n_frames", 1)) - 1

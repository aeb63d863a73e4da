"""What the headers of PNG and TIFF files say, where Pillow does not tell or cannot open the file."""

from typing import BinaryIO

from PIL.TiffImagePlugin import ImageFileDirectory_v2

_NOT_A_PAGE = 1 | 4  # NewSubfileType: a copy of reduced resolution, a transparency mask (TIFF 6.0)


def png_pixels(file: BinaryIO) -> tuple[int, int]:
    """Return the bits a channel and the colour type of a PNG file; the position in it is kept."""
    place = file.tell()
    file.seek(24)  # signature, length and name of IHDR, width, height
    bits, colour_type = file.read(2)
    file.seek(place)
    return bits, colour_type


def tiff_tags(file: BinaryIO) -> ImageFileDirectory_v2:
    """Return the tags of a TIFF file's first page."""
    directory = _directory(file)
    file.seek(directory.next)
    directory.load(file)
    return directory


def further_tiff_pages(file: BinaryIO) -> int:
    """Return how many pages of a TIFF file follow the first; thumbnails and masks are no pages."""
    directory = _directory(file)
    seen, pages, offset = {0}, -1, directory.next
    while offset not in seen:  # a damaged file may lead in a circle
        seen.add(offset)
        file.seek(offset)
        directory.load(file)
        # The first directory is the picture, whatever it calls itself.
        pages += pages < 0 or not directory.get(254, 0) & _NOT_A_PAGE
        offset = directory.next
    return pages


def _directory(file: BinaryIO) -> ImageFileDirectory_v2:
    """Return a directory without tags; `next` is where those of the first page stand."""
    file.seek(0)
    head = file.read(16)
    return ImageFileDirectory_v2(head if head[2] == 43 else head[:8])  # 43: BigTIFF

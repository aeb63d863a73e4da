"""Text on pictures, with the scalable font that comes with Pillow (no font file is needed)."""

from functools import lru_cache

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
INK = (33, 37, 41)
SOFT_INK = (96, 104, 112)
PAPER = (255, 255, 255)

_ELLIPSIS = "..."


@lru_cache(maxsize=32)
def font(points: int) -> Font:
    """Return Pillow's built-in font, `points` pixels high."""
    return ImageFont.load_default(size=points)


def width_of(text: str, face: Font) -> int:
    """Return the width of `text` in pixels."""
    return int(face.getlength(text) + 0.999)


def fitted(text: str, face: Font, width: int) -> str:
    """Return `text`, shortened in its middle until it is at most `width` pixels wide.

    The middle goes because names of frames differ at their ends. Returns "" where nothing fits.
    """
    if width_of(text, face) <= width:
        return text
    for kept in range(len(text) - 1, 0, -1):
        head, tail = (kept + 1) // 2, kept // 2
        short = text[:head] + _ELLIPSIS + text[len(text) - tail :]
        if width_of(short, face) <= width:
            return short
    return ""

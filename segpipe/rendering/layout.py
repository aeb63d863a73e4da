"""Text, legends and the arrangement of pictures on white paper.

Shapes: pictures are (H, W, 3) uint8; masks are (H, W) uint8 train ids, VOID where nothing counts.
The font is the scalable one that comes with Pillow, so that no font file is needed.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from segpipe.labels.scheme import VOID, Colour, LabelScheme

Picture = NDArray[np.uint8]
Mask = NDArray[np.uint8]

INK, SOFT_INK = (33, 37, 41), (96, 104, 112)
VOID_DARK: Colour = (38, 38, 42)
VOID_LINE: Colour = (84, 84, 90)

WIDEST = 2400  # pixels of a contact sheet
GAP = 12  # pixels between its tiles, and around them

_PANEL_LEAST, _PANEL_WIDEST, _PANEL_TALLEST = 320, 640, 800  # pixels
_TILE_LEAST = 160  # pixels
_HATCH_PITCH, _HATCH_LINE = 9, 2  # pixels
_PAPER = 255
_OUTLINE = (120, 124, 128)


@dataclass(frozen=True)
class LegendEntry:
    """A colour and its meaning; None is the hatched ground that stands for void."""

    name: str
    colour: Colour | None


HATCHED_VOID = LegendEntry("void, not counted", None)


def middle_cut(text: str, longest: int, length: Callable[[str], int] = len) -> str:
    """Return `text`, shortened in its middle until its `length` is at most `longest`.

    The middle goes because names of frames differ at their ends. Returns "" where nothing fits.
    """
    if length(text) <= longest:
        return text
    for kept in range(len(text) - 1, 0, -1):
        short = f"{text[: (kept + 1) // 2]}...{text[len(text) - kept // 2 :]}"
        if length(short) <= longest:
            return short
    return ""


def text_strip(
    text: str,
    width: int,
    height: int,
    points: int,
    *,
    ink: Colour = INK,
    centred: bool = False,
    right: str = "",
) -> Picture:
    """Return a strip of paper with text in letters of `points` pixels.

    `text` is at the left end or in the middle, cut to the room that `right`, at the other end, leaves.
    """
    strip = Image.new("RGB", (width, height), "white")
    draw, middle = ImageDraw.Draw(strip), height // 2
    if right:
        draw.text((width, middle), right, ink, _font(points), "rm")
    room = width - _width_of(right, points) - points if right else width
    x, anchor = (width // 2, "mm") if centred else (0, "lm")
    draw.text((x, middle), _fitted(text, room, points), ink, _font(points), anchor)
    return np.asarray(strip)


def stacked(pictures: Sequence[Picture], gap: int = 0) -> Picture:
    """Return pictures below each other, `gap` pixels apart; paper fills the right of narrow ones."""
    tops = accumulate((picture.shape[0] + gap for picture in pictures), initial=0)
    return _pasted(pictures, [(top, 0) for top in tops])


def beside(pictures: Sequence[Picture], gap: int = 0) -> Picture:
    """Return pictures beside each other, `gap` pixels apart; paper fills the room below low ones."""
    lefts = accumulate((picture.shape[1] + gap for picture in pictures), initial=0)
    return _pasted(pictures, [(0, left) for left in lefts])


def _pasted(pictures: Sequence[Picture], corners: Sequence[tuple[int, int]]) -> Picture:
    """Return the smallest paper that holds the pictures with their upper left at (top, left)."""
    places = [
        (slice(top, top + picture.shape[0]), slice(left, left + picture.shape[1]))
        for picture, (top, left) in zip(pictures, corners, strict=False)
    ]
    height, width = (max(place[axis].stop for place in places) for axis in (0, 1))
    paper = np.full((height, width, 3), _PAPER, np.uint8)
    for picture, place in zip(pictures, places, strict=True):
        paper[place] = picture
    return paper


def centred(picture: Picture, width: int) -> Picture:
    """Return a picture in the middle of paper that is `width` pixels wide."""
    left = (width - picture.shape[1]) // 2
    return padded(picture, left=left, right=width - picture.shape[1] - left)


def padded(
    picture: Picture, *, top: int = 0, bottom: int = 0, left: int = 0, right: int = 0
) -> Picture:
    """Return a picture with so many pixels of paper around it."""
    sides = ((top, bottom), (left, right), (0, 0))
    return np.pad(picture, sides, constant_values=_PAPER)


def hatched(height: int, width: int) -> Picture:
    """Return the pattern that stands for void, (height, width, 3) uint8."""
    rows_H1, columns_1W = np.ogrid[:height, :width]
    line_HW = (rows_H1 + columns_1W) % _HATCH_PITCH < _HATCH_LINE
    return np.array([VOID_DARK, VOID_LINE], np.uint8).take(line_HW, axis=0)


def scaled(array: Picture | Mask, height: int, width: int, filter: Image.Resampling) -> Picture:
    """Return a picture or mask, (H, W, 3) or (H, W) uint8, in another size."""
    picture = Image.fromarray(np.ascontiguousarray(array))
    return np.asarray(picture.resize((width, height), filter))


def panel_size(height: int, width: int) -> tuple[int, int]:
    """Return the height and width in pixels at which an image of this size is shown."""
    if width < _PANEL_LEAST and height < _PANEL_TALLEST:
        factor = max(1, min(math.ceil(_PANEL_LEAST / width), _PANEL_TALLEST // height))
        return height * factor, width * factor
    shrink = min(1.0, _PANEL_WIDEST / width, _PANEL_TALLEST / height)
    return max(1, round(height * shrink)), max(1, round(width * shrink))


def contact_sheet(tiles: Sequence[tuple[Picture, str]], columns: int) -> Picture:
    """Return the tiles in a grid, row by row, each above its caption: (H, W, 3) uint8.

    tiles: pictures (h, w, 3) uint8 of any sizes, and their captions.
    columns: tiles in a row. The sheet is at most `WIDEST` pixels wide, so with more columns tiles
        are smaller; every tile keeps its proportions.

    Raises ValueError when there is no tile or no column.
    """
    if not tiles or columns < 1:
        raise ValueError(f"{len(tiles)} tiles in {columns} columns; a sheet needs one of each")
    columns = min(columns, len(tiles))
    room = (WIDEST - GAP * (columns + 1)) // columns
    if room < 1:
        raise ValueError(f"{columns} columns do not fit on a sheet of {WIDEST} pixels")
    widest = max(tile_HW3.shape[1] for tile_HW3, _ in tiles)
    cell = min(room, widest * math.ceil(_TILE_LEAST / widest))
    points = min(18, max(12, cell // 28))
    cells = [
        stacked(
            [
                centred(fitting(tile_HW3, cell), cell),
                text_strip(caption, cell, round(points * 1.8), points, centred=True),
            ]
        )
        for tile_HW3, caption in tiles
    ]
    rows = [beside(cells[at : at + columns], GAP) for at in range(0, len(cells), columns)]
    return padded(stacked(rows, GAP), top=GAP, bottom=GAP, left=GAP, right=GAP)


def fitting(tile_HW3: Picture, cell: int) -> Picture:
    """Reduce a tile to `cell` pixels of width, or enlarge a small one by a whole factor."""
    height, width = tile_HW3.shape[:2]
    if width > cell:
        reduced = max(1, round(height * cell / width))
        return scaled(tile_HW3, reduced, cell, Image.Resampling.LANCZOS)
    factor = cell // width
    return scaled(tile_HW3, height * factor, width * factor, Image.Resampling.NEAREST)


def present_classes(scheme: LabelScheme, *masks_HW: Mask) -> list[LegendEntry]:
    """Return an entry for each class that occurs in one of the masks, in the scheme's order."""
    counts = sum(np.bincount(mask_HW.ravel(), minlength=VOID + 1) for mask_HW in masks_HW)
    entries = []
    for train_id in np.flatnonzero(np.asarray(counts)[: scheme.num_classes]):
        red, green, blue = scheme.palette_K3[train_id].tolist()
        entries.append(LegendEntry(scheme.classes[train_id], (red, green, blue)))
    return entries


def void_entry(*masks_HW: Mask, entry: LegendEntry = HATCHED_VOID) -> list[LegendEntry]:
    """Return the entry of void, in a list, where a mask holds void; else an empty list."""
    return [entry] if any((mask_HW == VOID).any() for mask_HW in masks_HW) else []


def legend(entries: Sequence[LegendEntry], width: int, points: int) -> Picture:
    """Return the entries in as many rows as they need on paper of at most `width` pixels.

    points: height of the letters in pixels.
    """
    gap, pitch, indent = round(points * 1.4), round(points * 1.7), points + points // 2
    rows: list[list[Picture]] = [[]]
    for entry in entries:
        name = _fitted(entry.name, width - indent, points)
        label = text_strip(name, _width_of(name, points), pitch, points)
        box = padded(_box(entry, points), top=(pitch - points) // 2, right=indent - points)
        picture = beside([box, label])
        if sum(before.shape[1] + gap for before in rows[-1]) + picture.shape[1] > width:
            rows.append([])
        rows[-1].append(picture)
    blank = np.full((pitch, width, 3), _PAPER, np.uint8)
    return stacked([beside(row, gap) for row in rows if row] or [blank])


def _box(entry: LegendEntry, side: int) -> Picture:
    box = hatched(side, side)
    if entry.colour is not None:
        box[:] = entry.colour
    box[[0, -1]] = box[:, [0, -1]] = _OUTLINE
    return box


def _fitted(text: str, width: int, points: int) -> str:
    return middle_cut(text, width, lambda shown: _width_of(shown, points))


def _width_of(text: str, points: int) -> int:
    return math.ceil(_font(points).getlength(text))


@lru_cache(maxsize=32)
def _font(points: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=points)

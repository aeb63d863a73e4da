"""A strip that says which colour means what."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from segpipe.labels.scheme import VOID, Colour, LabelScheme
from segpipe.rendering.text import INK, PAPER, fitted, font, width_of

_OUTLINE = (120, 124, 128)


@dataclass(frozen=True)
class Entry:
    """A colour and its meaning; `hatch` is a second colour for diagonal lines across the box."""

    name: str
    colour: Colour
    hatch: Colour | None = None


def present_classes(scheme: LabelScheme, *masks_HW: np.typing.NDArray[np.uint8]) -> list[Entry]:
    """Return an entry for each class that occurs in one of the masks, in the scheme's order."""
    counts = sum(np.bincount(mask_HW.ravel(), minlength=VOID + 1) for mask_HW in masks_HW)
    entries = []
    for train_id in np.flatnonzero(np.asarray(counts)[: scheme.num_classes]):
        red, green, blue = scheme.palette_K3[train_id].tolist()
        entries.append(Entry(scheme.classes[train_id], (red, green, blue)))
    return entries


def draw_legend(entries: Sequence[Entry], width: int, points: int) -> Image.Image:
    """Return the entries as a strip `width` pixels wide, in as many rows as they need.

    points: height of the letters in pixels.
    """
    face = font(points)
    box, gap, pitch = points, round(points * 1.4), round(points * 1.7)
    beside = box + points // 2
    placed: list[tuple[int, int, Entry, str]] = []
    x = y = 0
    for entry in entries:
        name = fitted(entry.name, face, width - beside)
        needed = beside + width_of(name, face)
        if x and x + needed > width:
            x, y = 0, y + pitch
        placed.append((x, y, entry, name))
        x += needed + gap
    strip = Image.new("RGB", (width, y + pitch), PAPER)
    draw = ImageDraw.Draw(strip)
    for x, y, entry, name in placed:
        top = y + (pitch - box) // 2
        _draw_box(strip, (x, top), box, entry)
        draw.text((x + beside, y + pitch // 2), name, fill=INK, font=face, anchor="lm")
    return strip


def _draw_box(strip: Image.Image, corner: tuple[int, int], side: int, entry: Entry) -> None:
    box = Image.new("RGB", (side, side), entry.colour)
    draw = ImageDraw.Draw(box)
    if entry.hatch:
        for start in range(0, 2 * side, 5):
            draw.line((start, 0, start - side, side), fill=entry.hatch, width=1)
    draw.rectangle((0, 0, side - 1, side - 1), outline=_OUTLINE)
    strip.paste(box, corner)

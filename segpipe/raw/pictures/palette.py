"""Palette masks hold numbers and colours; where they name different classes, neither is safe."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from segpipe.labels.scheme import Colour, LabelScheme, colour_text, pack_colour


def contradiction(palette: list[Colour], values: Iterable[int], scheme: LabelScheme) -> str | None:
    """Return what is wrong with a palette mask, cause and repair in one sentence; None for nothing.

    palette: colours by value. values: those that occur in the mask. Only a palette that was made
    for the scheme says anything: one that a tool chose may share a colour with it by chance.
    """
    used = {value: palette[value] for value in values if 0 <= value < len(palette)}
    telling = _telling(used, scheme) or _telling(dict(enumerate(palette)), scheme)
    known = {label.colour for label in scheme.raw}
    if not telling or 2 * len(telling & known) < len(telling):
        return None
    by_id = {label.id: label for label in scheme.raw}
    by_colour = {
        label.colour: label
        for label in scheme.raw
        if pack_colour(label.colour) not in scheme.ambiguous_colours
    }
    for value, colour in used.items():
        painted, numbered = by_colour.get(colour), by_id.get(value)
        if painted and (numbered is None or numbered.train_id != painted.train_id):
            meant = numbered.name if numbered else "no class"
            return (
                f"value {value} means {meant}, but its palette paints it like {painted.name} "
                f"({colour_text(pack_colour(colour))}); if the colours are right, save the mask as RGB, "
                "and if the numbers are, as grey"
            )
    return None


def _telling(entries: dict[int, Colour], scheme: LabelScheme) -> set[Colour]:
    """Return the colours that were chosen on purpose.

    Those of a ramp of greys and of PASCAL VOC's palette, which tools write where nobody chose one,
    are left out; so are greys, unless the scheme has nothing else.
    """
    greys = all(_is_grey(label.colour) for label in scheme.raw)
    return {
        colour
        for value, colour in entries.items()
        if colour not in ((value, value, value), _voc_colour(value))
        and (greys or not _is_grey(colour))
    }


def _is_grey(colour: Colour) -> bool:
    return len(set(colour)) == 1


def _voc_colour(value: int) -> Colour:
    """Return a colour of PASCAL VOC's palette (VOClabelcolormap.m of its development kit)."""
    red, green, blue = (
        sum((value >> 3 * place + channel & 1) << 7 - place for place in range(3))
        for channel in range(3)
    )
    return red, green, blue


def palette_of_ids(scheme: LabelScheme) -> NDArray[np.uint8]:
    """Return the colour of each raw id 0..255, (256, 3), for the palette of a label image.

    Numbers that are no id get a grey that no label has, so that the palette contradicts nothing.
    """
    taken = {label.colour for label in scheme.raw}
    palette_256x3 = np.empty((256, 3), np.uint8)
    for value in range(256):
        greys = ((grey, grey, grey) for grey in (value, *range(256)))
        palette_256x3[value] = next((grey for grey in greys if grey not in taken), (value,) * 3)
    for label in scheme.raw:
        if 0 <= label.id <= 255:
            palette_256x3[label.id] = label.colour
    return palette_256x3

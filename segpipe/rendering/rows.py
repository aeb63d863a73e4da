"""Image, truth and prediction of many samples, a row for each, in columns of equal width.

Shapes: H height, W width, 3 colour channels. Images are uint8; masks are uint8 train ids, VOID
where nothing counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from segpipe.labels.scheme import VOID, LabelScheme
from segpipe.rendering.comparison import scaled
from segpipe.rendering.legend import Entry, draw_legend, present_classes
from segpipe.rendering.text import INK, PAPER, SOFT_INK, fitted, font

_WIDEST, _TALLEST = 320, 480  # pixels of a panel
_GAP, _POINTS = 10, 14
_STRIP = round(_POINTS * 1.7)


@dataclass(frozen=True)
class Row:
    """One sample, as small as it is shown: masks by nearest, and grey_HW3 white for sure."""

    caption: str
    image_HW3: NDArray[np.uint8]
    truth_HW: NDArray[np.uint8] | None
    prediction_HW: NDArray[np.uint8]
    grey_HW3: NDArray[np.uint8] | None


def make_row(
    caption: str,
    image_HW3: NDArray[np.uint8],
    truth_HW: NDArray[np.uint8] | None,
    prediction_HW: NDArray[np.uint8],
    probability_HW: NDArray[np.float32] | None = None,
) -> Row:
    """Return a sample as a row; the arrays have the same height and width.

    truth_HW: None where it is withheld. probability_HW: of the class that one logit scores, 0..1;
    None for networks with a logit for each class.
    """
    height, width = prediction_HW.shape
    factor = min(_WIDEST / width, _TALLEST / height)
    shown = max(1, round(height * factor)), max(1, round(width * factor))
    smooth, nearest = Image.Resampling.LANCZOS, Image.Resampling.NEAREST
    grey_HW3 = None
    if probability_HW is not None:
        grey_HW = scaled(np.rint(255 * probability_HW).astype(np.uint8), *shown, smooth)
        grey_HW3 = np.repeat(grey_HW[..., None], 3, axis=2)
    return Row(
        caption,
        scaled(image_HW3, *shown, smooth),
        None if truth_HW is None else scaled(truth_HW, *shown, nearest),
        scaled(prediction_HW, *shown, nearest),
        grey_HW3,
    )


def draw_rows(rows: Sequence[Row], scheme: LabelScheme) -> NDArray[np.uint8]:
    """Return the rows below each other, with the columns' names and a legend: (H, W, 3) uint8.

    Columns that no row fills (truth, probability) are left out. Raises ValueError without rows.
    """
    if not rows:
        raise ValueError("a figure of rows needs a sample")
    filled = [_panels(row, scheme) for row in rows]
    columns = max((list(panels) for panels in filled), key=len)
    cell = max(panel_HW3.shape[1] for panels in filled for panel_HW3 in panels.values())
    width = _GAP + len(columns) * (cell + _GAP)
    legend = draw_legend(_entries(rows, scheme), width - 2 * _GAP, _POINTS)
    heights = [row.prediction_HW.shape[0] for row in rows]
    body = sum(heights) + len(rows) * (_STRIP + _GAP)
    paper = Image.new("RGB", (width, _STRIP + body + legend.height + 2 * _GAP), PAPER)
    draw, face = ImageDraw.Draw(paper), font(_POINTS)
    lefts = {name: _GAP + place * (cell + _GAP) for place, name in enumerate(columns)}
    for name, left in lefts.items():
        middle = (left + cell // 2, (_STRIP + _GAP) // 2)
        draw.text(middle, fitted(name, face, cell), fill=SOFT_INK, font=face, anchor="mm")
    top = _STRIP + _GAP
    for row, panels, height in zip(rows, filled, heights, strict=True):
        for name, panel_HW3 in panels.items():
            indent = (cell - panel_HW3.shape[1]) // 2
            paper.paste(Image.fromarray(panel_HW3), (lefts[name] + indent, top))
        caption = fitted(row.caption, face, width - 2 * _GAP)
        draw.text((_GAP, top + height + _STRIP // 2), caption, fill=INK, font=face, anchor="lm")
        top += height + _STRIP + _GAP
    paper.paste(legend, (_GAP, top))
    return np.asarray(paper)


def _panels(row: Row, scheme: LabelScheme) -> dict[str, NDArray[np.uint8]]:
    """The pictures of a row by the name of their column, in the columns' order."""
    panels = {"image": row.image_HW3}
    if row.truth_HW is not None:
        panels["truth"] = scheme.paint(row.truth_HW)
    panels["prediction"] = scheme.paint(row.prediction_HW)
    if row.grey_HW3 is not None:
        panels[f"probability of {scheme.classes[1]}: black 0, white 1"] = row.grey_HW3
    return panels


def _entries(rows: Sequence[Row], scheme: LabelScheme) -> list[Entry]:
    masks = [mask for row in rows for mask in (row.truth_HW, row.prediction_HW) if mask is not None]
    entries = present_classes(scheme, *masks)
    if any((mask_HW == VOID).any() for mask_HW in masks):
        red, green, blue = scheme.paint(np.full((1, 1), VOID, np.uint8))[0, 0].tolist()
        entries.append(Entry("void", (red, green, blue)))
    return entries

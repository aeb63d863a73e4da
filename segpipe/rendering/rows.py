"""Image, truth and prediction of many samples, a row for each, in columns of equal width.

Shapes: H height, W width, 3 colour channels. Images are uint8; masks are uint8 train ids, VOID
where nothing counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segpipe.labels.scheme import LabelScheme
from segpipe.rendering import layout
from segpipe.rendering.layout import LegendEntry, Mask, Picture

_WIDEST, _TALLEST = 320, 480  # pixels of a panel
_GAP, _POINTS = 10, 14
_STRIP = round(_POINTS * 1.7)


@dataclass(frozen=True)
class Row:
    """One sample, as small as it is shown: masks by nearest, and grey_HW3 white for sure."""

    caption: str
    image_HW3: Picture
    truth_HW: Mask | None
    prediction_HW: Mask
    grey_HW3: Picture | None


def make_row(
    caption: str,
    image_HW3: Picture,
    truth_HW: Mask | None,
    prediction_HW: Mask,
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
        grey_HW = layout.scaled(np.rint(255 * probability_HW).astype(np.uint8), *shown, smooth)
        grey_HW3 = np.repeat(grey_HW[..., None], 3, axis=2)
    return Row(
        caption,
        layout.scaled(image_HW3, *shown, smooth),
        None if truth_HW is None else layout.scaled(truth_HW, *shown, nearest),
        layout.scaled(prediction_HW, *shown, nearest),
        grey_HW3,
    )


def draw_rows(rows: Sequence[Row], scheme: LabelScheme) -> Picture:
    """Return the rows below each other, with the columns' names and a legend: (H, W, 3) uint8.

    Columns that no row fills (truth, probability) are left out. Raises ValueError without rows.
    """
    if not rows:
        raise ValueError("a figure of rows needs a sample")
    filled = [_panels(row, scheme) for row in rows]
    columns = max((list(panels) for panels in filled), key=len)
    cell = max(panels["image"].shape[1] for panels in filled)
    head = layout.beside([_heading(name, cell) for name in columns], _GAP)
    width = head.shape[1]
    blank = np.zeros((1, 0, 3), np.uint8)
    body = []
    for row, panels in zip(rows, filled, strict=True):
        pictures = [layout.centred(panels.get(name, blank), cell) for name in columns]
        caption = layout.text_strip(row.caption, width, _STRIP, _POINTS)
        body.append(layout.stacked([layout.beside(pictures, _GAP), caption]))
    masks = [mask for row in rows for mask in (row.truth_HW, row.prediction_HW) if mask is not None]
    # `LabelScheme.paint` shows void in black.
    entries = layout.present_classes(scheme, *masks)
    entries += layout.void_entry(*masks, entry=LegendEntry("void", (0, 0, 0)))
    body.append(layout.legend(entries, width, _POINTS))
    sheet = layout.stacked([head, layout.stacked(body, _GAP)])
    return layout.padded(sheet, bottom=_GAP, left=_GAP, right=_GAP)


def _heading(name: str, width: int) -> Picture:
    return layout.text_strip(name, width, _STRIP + _GAP, _POINTS, ink=layout.SOFT_INK, centred=True)


def _panels(row: Row, scheme: LabelScheme) -> dict[str, Picture]:
    """Return the pictures of a row by the name of their column, in the columns' order."""
    panels = {"image": row.image_HW3}
    if row.truth_HW is not None:
        panels["truth"] = scheme.paint(row.truth_HW)
    panels["prediction"] = scheme.paint(row.prediction_HW)
    if row.grey_HW3 is not None:
        panels[f"probability of {scheme.classes[1]}: black 0, white 1"] = row.grey_HW3
    return panels

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
    """One sample, as small as it is shown: its pictures by the name of their column, and its masks."""

    caption: str
    panels: dict[str, Picture]
    masks: list[Mask]


def make_row(
    caption: str,
    image_HW3: Picture,
    truth_HW: Mask | None,
    prediction_HW: Mask,
    probability_HW: NDArray[np.float32] | None,
    scheme: LabelScheme,
) -> Row:
    """Return a sample as a row; the arrays have the same height and width.

    truth_HW: None where it is withheld. probability_HW: of the class that one logit scores, 0..1;
    None for networks with a logit for each class. Masks are reduced by nearest.
    """
    height, width = prediction_HW.shape
    factor = min(_WIDEST / width, _TALLEST / height)
    shown = max(1, round(height * factor)), max(1, round(width * factor))
    panels = {"image": layout.scaled(image_HW3, *shown, Image.Resampling.LANCZOS)}
    masks = []
    for name, mask_HW in (("truth", truth_HW), ("prediction", prediction_HW)):
        if mask_HW is not None:
            masks.append(layout.scaled(mask_HW, *shown, Image.Resampling.NEAREST))
            panels[name] = scheme.paint(masks[-1])
    if probability_HW is not None:
        grey_HW = np.rint(255 * probability_HW).astype(np.uint8)
        grey_HW = layout.scaled(grey_HW, *shown, Image.Resampling.LANCZOS)
        name = f"probability of {scheme.classes[1]}: black 0 %, white 100 %"
        panels[name] = np.repeat(grey_HW[..., None], 3, axis=2)
    return Row(caption, panels, masks)


def draw_rows(rows: Sequence[Row], scheme: LabelScheme) -> Picture:
    """Return the rows below each other, with the columns' names and a legend: (H, W, 3) uint8.

    Columns that no row fills (truth, probability) are left out. Raises ValueError without rows.
    """
    if not rows:
        raise ValueError("a figure of rows needs a sample")
    columns = max((list(row.panels) for row in rows), key=len)
    cell = max(row.panels["image"].shape[1] for row in rows)
    width = len(columns) * (cell + _GAP) - _GAP
    head = [
        layout.text_strip(name, cell, _STRIP + _GAP, _POINTS, ink=layout.SOFT_INK, centred=True)
        for name in columns
    ]
    blank = np.zeros((1, 0, 3), np.uint8)
    body = []
    for row in rows:
        panels = [layout.centred(row.panels.get(name, blank), cell) for name in columns]
        caption = layout.text_strip(row.caption, width, _STRIP, _POINTS)
        body.append(layout.stacked([layout.beside(panels, _GAP), caption]))
    masks = [mask_HW for row in rows for mask_HW in row.masks]
    # `LabelScheme.paint` shows void in black.
    entries = layout.present_classes(scheme, *masks)
    entries += layout.void_entry(*masks, entry=LegendEntry("void", (0, 0, 0)))
    body.append(layout.legend(entries, width, _POINTS))
    sheet = layout.stacked([layout.beside(head, _GAP), layout.stacked(body, _GAP)])
    return layout.padded(sheet, bottom=_GAP, left=_GAP, right=_GAP)

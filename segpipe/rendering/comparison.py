"""Image, truth, prediction and errors side by side.

Shapes: H height, W width, 3 colour channels. Images are uint8; masks are uint8 train ids, VOID
where nothing counts.
"""

import math

from PIL import Image

from segpipe.labels.scheme import VOID, LabelScheme
from segpipe.rendering import layout
from segpipe.rendering.layout import LegendEntry, Mask, Picture
from segpipe.rendering.overlay import WRONG, error_panel, overlay


def comparison(
    image_HW3: Picture,
    truth_HW: Mask | None,
    prediction_HW: Mask,
    scheme: LabelScheme,
    title: str,
    *,
    score: float | None = None,
    opacity: float = 0.55,
) -> Picture:
    """Return one picture of image, truth, prediction and errors, with captions and a legend.

    truth_HW: None where there is no ground truth; then truth and errors are left out.
    title: the sample's name.
    score: the sample's mean IoU in 0..1, shown beside the title; None or NaN is not shown.
    opacity: of the class colours over the image, in 0..1.

    Small images are enlarged by a whole factor, large ones reduced to panels of at most 640 x 800
    pixels; masks are never interpolated. Raises ValueError when the sizes differ.
    """
    for mask_HW in (truth_HW, prediction_HW):
        if mask_HW is not None and mask_HW.shape != image_HW3.shape[:2]:
            raise ValueError(f"{title}: a mask of {mask_HW.shape} on an image of {image_HW3.shape}")
    sides = layout.panel_size(*prediction_HW.shape)
    view_HW3 = layout.scaled(image_HW3, *sides, Image.Resampling.LANCZOS)
    shown_HW = layout.scaled(prediction_HW, *sides, Image.Resampling.NEAREST)
    predicted_HW3 = overlay(view_HW3, shown_HW, scheme, opacity)
    if truth_HW is None:
        panels = {"image": view_HW3, "prediction": predicted_HW3}
        return _sheet(panels, title, score, layout.present_classes(scheme, prediction_HW))
    right_HW = layout.scaled(truth_HW, *sides, Image.Resampling.NEAREST)
    panels = {
        "image": view_HW3,
        "truth": overlay(view_HW3, right_HW, scheme, opacity),
        "prediction": predicted_HW3,
        _error_caption(truth_HW, prediction_HW): error_panel(view_HW3, right_HW, shown_HW),
    }
    entries = layout.present_classes(scheme, truth_HW, prediction_HW)
    entries += [LegendEntry("wrong", WRONG), *layout.void_entry(truth_HW)]
    return _sheet(panels, title, score, entries)


def _error_caption(truth_HW: Mask, prediction_HW: Mask) -> str:
    valid_HW = truth_HW != VOID
    valid = int(valid_HW.sum())
    if not valid:
        return "errors: every pixel is void"
    wrong = int(((truth_HW != prediction_HW) & valid_HW).sum())
    return f"errors: {100 * wrong / valid:.1f} % of the pixels"


def _sheet(
    panels: dict[str, Picture], title: str, score: float | None, entries: list[LegendEntry]
) -> Picture:
    """Put the panels, by caption, in a row below title and score and above the legend."""
    width = panels["image"].shape[1]
    points = min(20, max(13, width // 30))
    columns = []
    for caption, panel_HW3 in panels.items():
        strip = layout.text_strip(caption, width, round(1.9 * points), points, ink=layout.SOFT_INK)
        columns.append(layout.stacked([strip, panel_HW3]))
    row = layout.beside(columns, gap=points // 2)
    across = row.shape[1]
    number = "" if score is None or math.isnan(score) else f"mIoU {100 * score:.1f} %"
    head = layout.text_strip(title, across, 2 * points, round(1.3 * points), right=number)
    below = layout.legend(entries, across, points)
    sheet = layout.stacked([layout.stacked([head, row]), below], gap=points)
    top, bottom = round(0.4 * points), points // 2
    return layout.padded(sheet, top=top, bottom=bottom, left=points, right=points)

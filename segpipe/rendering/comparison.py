"""Image, truth, prediction and errors side by side, of one sample and of many on a sheet.

Shapes: H height, W width, 3 colour channels. Images are uint8; masks are uint8 train ids, VOID
where nothing counts.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from segpipe.labels.scheme import VOID, LabelScheme
from segpipe.rendering import layout
from segpipe.rendering.layout import GAP, WIDEST, LegendEntry, Mask, Picture
from segpipe.rendering.overlay import WRONG, error_panel, overlay

_WRONG = LegendEntry("wrong", WRONG)


@dataclass(frozen=True)
class Comparison:
    """A sample as it is shown: panels of the same size by name, and what their colours mean.

    errors: fraction of the valid pixels that are wrong; None without truth or valid pixels.
    """

    name: str
    panels: dict[str, Picture]
    entries: list[LegendEntry]
    score: float | None
    errors: float | None

    @property
    def numbers(self) -> str:
        """Mean IoU and errors in percent, as far as they are there."""
        known = self.score is not None and not math.isnan(self.score)
        texts = [f"mIoU {100 * self.score:.1f} %"] if known and self.score is not None else []
        texts += [] if self.errors is None else [f"{100 * self.errors:.1f} % of the pixels wrong"]
        return ", ".join(texts)


def compared(
    image_HW3: Picture | None,
    truth_HW: Mask | None,
    prediction_HW: Mask,
    scheme: LabelScheme,
    name: str,
    *,
    score: float | None = None,
    opacity: float = 0.55,
) -> Comparison:
    """Return image, truth, prediction and errors of a sample as panels.

    image_HW3: None where only the masks are there; then they are shown by themselves, in full colours,
    and the errors over a grey version of the truth.
    truth_HW: None where there is no ground truth; then truth and errors are left out.
    score: the sample's mean IoU in 0..1, shown beside the name; None or NaN is not shown.
    opacity: of the class colours over the image, in 0..1.

    Small images are enlarged by a whole factor, large ones reduced to panels of at most 640 x 800
    pixels; masks are never interpolated. Raises ValueError when the sizes differ.
    """
    shape = prediction_HW.shape
    for other in (image_HW3, truth_HW):
        if other is not None and other.shape[:2] != shape:
            raise ValueError(f"{name}: a prediction of {shape} beside an array of {other.shape}")
    sides = layout.panel_size(*shape)
    shown_HW = layout.scaled(prediction_HW, *sides, Image.Resampling.NEAREST)
    if image_HW3 is None:
        panels, view_HW3, opacity = {}, layout.hatched(*sides), 1.0
    else:
        view_HW3 = layout.scaled(image_HW3, *sides, Image.Resampling.LANCZOS)
        panels = {"image": view_HW3}
    predicted_HW3 = overlay(view_HW3, shown_HW, scheme, opacity)
    if truth_HW is None:
        panels["prediction"] = predicted_HW3
        return Comparison(
            name, panels, layout.present_classes(scheme, prediction_HW), score, errors=None
        )
    right_HW = layout.scaled(truth_HW, *sides, Image.Resampling.NEAREST)
    panels["truth"] = overlay(view_HW3, right_HW, scheme, opacity)
    panels["prediction"] = predicted_HW3
    ground_HW3 = panels["truth"] if image_HW3 is None else view_HW3
    panels["errors"] = error_panel(ground_HW3, right_HW, shown_HW)
    entries = layout.present_classes(scheme, truth_HW, prediction_HW)
    entries += [_WRONG, *layout.void_entry(truth_HW)]
    return Comparison(name, panels, entries, score, _wrong_fraction(truth_HW, prediction_HW))


def draw_comparison(found: Comparison) -> Picture:
    """Return one sample with its name and scores above, names of the panels, and a legend below."""
    width = found.panels["image"].shape[1]
    points = min(20, max(13, width // 30))
    row_HW3 = _row(found, list(found.panels), width, points)
    across = row_HW3.shape[1]
    head = layout.text_strip(
        found.name, across, 2 * points, round(1.3 * points), right=found.numbers
    )
    names = _column_names(list(found.panels), width, points)
    below = layout.legend(found.entries, across, points)
    sheet = layout.stacked([layout.stacked([head, names, row_HW3]), below], gap=points)
    top, bottom = round(0.4 * points), points // 2
    return layout.padded(sheet, top=top, bottom=bottom, left=points, right=points)


def comparison_sheet(samples: Sequence[Comparison], scheme: LabelScheme, title: str) -> Picture:
    """Return the samples below each other under one title, with one legend: (H, W, 3) uint8.

    Panels without truth leave their columns empty where other samples have truth. The sheet is at
    most `WIDEST` pixels wide. Raises ValueError without samples.
    """
    if not samples:
        raise ValueError("a sheet of comparisons needs a sample")
    columns = max((list(one.panels) for one in samples), key=len)
    widest = max(one.panels["image"].shape[1] for one in samples)
    cell = min(widest, (WIDEST - GAP) // len(columns) - GAP)
    points = min(20, max(13, cell // 28))
    rows = [_row(one, columns, cell, points) for one in samples]
    across = rows[0].shape[1]
    body = [
        layout.stacked(
            [
                row_HW3,
                layout.text_strip(
                    f"{place}. {one.name}", across, 2 * points, points, right=one.numbers
                ),
            ]
        )
        for place, (one, row_HW3) in enumerate(zip(samples, rows, strict=True), start=1)
    ]
    head = layout.text_strip(title, across, 3 * points, round(1.4 * points))
    below = layout.legend(joined_entries(samples, scheme), across, points)
    names = _column_names(columns, cell, points)
    sheet = layout.stacked([layout.stacked([head, names, body[0]]), *body[1:], below], gap=GAP)
    return layout.padded(sheet, bottom=GAP, left=GAP, right=GAP)


def joined_entries(samples: Iterable[Comparison], scheme: LabelScheme) -> list[LegendEntry]:
    """Return the entries of all samples, each once: classes in the scheme's order, wrong, void."""
    found = {entry for one in samples for entry in one.entries}
    classes = layout.present_classes(scheme, np.arange(scheme.num_classes, dtype=np.uint8))
    return [entry for entry in (*classes, _WRONG, layout.HATCHED_VOID) if entry in found]


def _row(found: Comparison, columns: Sequence[str], cell: int, points: int) -> Picture:
    """Return the panels of these columns, each in the middle of `cell` pixels."""
    blank = np.zeros((1, 0, 3), np.uint8)
    panels = [
        layout.fitting(found.panels[name], cell) if name in found.panels else blank
        for name in columns
    ]
    return layout.beside([layout.centred(panel, cell) for panel in panels], gap=points // 2)


def _column_names(columns: Sequence[str], cell: int, points: int) -> Picture:
    strips = [
        layout.text_strip(name, cell, round(1.9 * points), points, ink=layout.SOFT_INK)
        for name in columns
    ]
    return layout.beside(strips, gap=points // 2)


def _wrong_fraction(truth_HW: Mask, prediction_HW: Mask) -> float | None:
    valid_HW = truth_HW != VOID
    valid = int(valid_HW.sum())
    return int(((truth_HW != prediction_HW) & valid_HW).sum()) / valid if valid else None

"""Image, truth, prediction and errors side by side.

Shapes: H height, W width, 3 colour channels. Images are uint8; masks are uint8 train ids, VOID
where nothing counts.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from segpipe.labels.scheme import VOID, Colour, LabelScheme
from segpipe.rendering.legend import Entry, draw_legend, present_classes
from segpipe.rendering.overlay import overlay
from segpipe.rendering.text import INK, PAPER, SOFT_INK, fitted, font, width_of

WRONG: Colour = (255, 64, 32)
VOID_DARK: Colour = (38, 38, 42)
VOID_LINE: Colour = (84, 84, 90)

_NARROWEST, _WIDEST, _TALLEST = 320, 640, 800  # pixels of a panel
_HATCH_PITCH, _HATCH_LINE = 9, 2  # pixels

_Panel = tuple[str, NDArray[np.uint8]]


def comparison(
    image_HW3: NDArray[np.uint8],
    truth_HW: NDArray[np.uint8] | None,
    prediction_HW: NDArray[np.uint8],
    scheme: LabelScheme,
    title: str,
    *,
    score: float | None = None,
    opacity: float = 0.55,
    columns: int | None = None,
) -> NDArray[np.uint8]:
    """Return one picture of image, truth, prediction and errors, with captions and a legend.

    truth_HW: None where there is no ground truth; then truth and errors are left out.
    title: the sample's name.
    score: the sample's mean IoU in 0..1, shown beside the title; None or NaN is not shown.
    opacity: of the class colours over the image, in 0..1.
    columns: panels in a row; all of them where it is None.

    Small images are enlarged by a whole factor, large ones reduced to panels of at most 640 x 800
    pixels; masks are never interpolated. Raises ValueError when the sizes differ.
    """
    for mask_HW in (truth_HW, prediction_HW):
        if mask_HW is not None and mask_HW.shape != image_HW3.shape[:2]:
            raise ValueError(f"{title}: a mask of {mask_HW.shape} on an image of {image_HW3.shape}")
    height, width = panel_size(*prediction_HW.shape)
    view_HW3 = scaled(image_HW3, height, width, Image.Resampling.LANCZOS)
    guess_HW = scaled(prediction_HW, height, width, Image.Resampling.NEAREST)
    predicted = ("prediction", overlay(view_HW3, guess_HW, scheme, opacity))
    if truth_HW is None:
        panels = [("image", view_HW3), predicted]
        entries = present_classes(scheme, prediction_HW)
    else:
        answer_HW = scaled(truth_HW, height, width, Image.Resampling.NEAREST)
        panels = [
            ("image", view_HW3),
            ("truth", overlay(view_HW3, answer_HW, scheme, opacity)),
            predicted,
            (_error_caption(truth_HW, prediction_HW), error_panel(view_HW3, answer_HW, guess_HW)),
        ]
        entries = present_classes(scheme, truth_HW, prediction_HW)
        entries.append(Entry("wrong", WRONG))
        if (truth_HW == VOID).any():
            entries.append(Entry("void, not counted", VOID_DARK, VOID_LINE))
    return _assembled(panels, title, score, entries, columns or len(panels))


def error_panel(
    image_HW3: NDArray[np.uint8], truth_HW: NDArray[np.uint8], prediction_HW: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Return the image in grey, wrong valid pixels in `WRONG`, void hatched: (H, W, 3) uint8."""
    luma_HW = image_HW3 @ np.array([0.299, 0.587, 0.114], np.float32)
    grey_HW = np.rint(40 + 0.6 * luma_HW).astype(np.uint8)
    panel_HW3 = np.repeat(grey_HW[..., None], 3, axis=2)
    void_HW = truth_HW == VOID
    rows_H1, columns_1W = np.ogrid[: truth_HW.shape[0], : truth_HW.shape[1]]
    line_HW = (rows_H1 + columns_1W) % _HATCH_PITCH < _HATCH_LINE
    panel_HW3[void_HW] = VOID_DARK
    panel_HW3[void_HW & line_HW] = VOID_LINE
    panel_HW3[(truth_HW != prediction_HW) & ~void_HW] = WRONG
    return panel_HW3


def panel_size(height: int, width: int) -> tuple[int, int]:
    """Return the height and width in pixels at which an image of this size is shown."""
    if width < _NARROWEST and height < _TALLEST:
        factor = max(1, min(math.ceil(_NARROWEST / width), _TALLEST // height))
        return height * factor, width * factor
    shrink = min(1.0, _WIDEST / width, _TALLEST / height)
    return max(1, round(height * shrink)), max(1, round(width * shrink))


def scaled(
    array: NDArray[np.uint8], height: int, width: int, filter: Image.Resampling
) -> NDArray[np.uint8]:
    """Return a picture or mask of (H, W) or (H, W, 3) uint8 in another size."""
    if array.shape[:2] == (height, width):
        return array
    resized = Image.fromarray(np.ascontiguousarray(array)).resize((width, height), filter)
    return np.asarray(resized)


def _error_caption(truth_HW: NDArray[np.uint8], prediction_HW: NDArray[np.uint8]) -> str:
    valid_HW = truth_HW != VOID
    valid = int(valid_HW.sum())
    if not valid:
        return "errors: every pixel is void"
    wrong = int(((truth_HW != prediction_HW) & valid_HW).sum())
    return f"errors: {100 * wrong / valid:.1f} % of the pixels"


def _assembled(
    panels: list[_Panel], title: str, score: float | None, entries: list[Entry], columns: int
) -> NDArray[np.uint8]:
    """Put the panels on paper, `columns` in a row, below the title and above the legend."""
    height, width = panels[0][1].shape[:2]
    columns = max(1, min(columns, len(panels)))
    rows = math.ceil(len(panels) / columns)
    points = min(20, max(13, width // 30))
    margin, gap = points, max(6, points // 2)
    head, caption = round(points * 2.4), round(points * 1.9)
    paper_width = 2 * margin + columns * width + (columns - 1) * gap
    legend = draw_legend(entries, paper_width - 2 * margin, points)
    body = rows * (caption + height) + (rows - 1) * gap
    paper_height = head + body + margin + legend.height + margin // 2
    paper = Image.new("RGB", (paper_width, paper_height), PAPER)
    draw = ImageDraw.Draw(paper)
    _draw_head(draw, title, score, (margin, paper_width - margin), head, round(points * 1.3))
    face = font(points)
    for index, (name, panel_HW3) in enumerate(panels):
        x = margin + index % columns * (width + gap)
        y = head + index // columns * (caption + height + gap)
        text = fitted(name, face, width)
        draw.text((x, y + caption // 2), text, fill=SOFT_INK, font=face, anchor="lm")
        paper.paste(Image.fromarray(panel_HW3), (x, y + caption))
    paper.paste(legend, (margin, head + body + margin))
    return np.asarray(paper)


def _draw_head(
    draw: ImageDraw.ImageDraw,
    title: str,
    score: float | None,
    ends: tuple[int, int],
    height: int,
    points: int,
) -> None:
    """Write the title at the left end and the score at the right one."""
    face = font(points)
    left, right = ends
    middle = round(height * 0.58)
    if score is not None and not math.isnan(score):
        text = f"mIoU {100 * score:.1f} %"
        draw.text((right, middle), text, fill=INK, font=face, anchor="rm")
        right -= width_of(text, face) + points
    draw.text((left, middle), fitted(title, face, right - left), fill=INK, font=face, anchor="lm")

"""Samples of a data set on one sheet, with their masks; and copies beside their originals.

Shapes: H, W, C of the images; h, w of the masks. Masks are uint8 train ids, VOID where nothing
counts, and may be coarser than their images by a whole ratio.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segpipe.labels.scheme import VOID, LabelScheme
from segpipe.rendering.comparison import VOID_DARK, VOID_LINE, error_panel, panel_size
from segpipe.rendering.contact_sheet import WIDEST, contact_sheet
from segpipe.rendering.legend import Entry, draw_legend, present_classes
from segpipe.rendering.overlay import overlay
from segpipe.rendering.text import PAPER

Picture = NDArray[np.uint8]
Mask = NDArray[np.uint8]

_SEAM = 4  # pixels between image and mask
_WIDEST_VIEW = 480  # pixels, of what is drawn again and again
_MARGIN = 12
_POINTS = 16  # of the legend


def sample_sheet(
    samples: Sequence[tuple[str, Picture, Mask]], scheme: LabelScheme, columns: int = 3
) -> Picture:
    """Return the samples in a grid, each image beside its mask, above a legend: (H, W, 3) uint8.

    samples: caption, image (H, W, 3) uint8 and mask. columns: samples in a row.

    Masks are enlarged and reduced by nearest. Void is hatched. Raises ValueError when there is no
    sample or no column, or a mask does not fit its image.
    """
    if not samples or columns < 1:
        raise ValueError(f"{len(samples)} samples in {columns} columns; a sheet needs one of each")
    room = (WIDEST - _MARGIN) // min(columns, len(samples)) - _MARGIN
    tiles = [
        (_side_by_side(caption, image_HW3, [mask_hw], scheme, (room - _SEAM) // 2), caption)
        for caption, image_HW3, mask_hw in samples
    ]
    sheet_HW3 = contact_sheet(tiles, columns)
    return _above_legend(sheet_HW3, _entries(scheme, [mask_hw for _, _, mask_hw in samples]))


def copies_sheet(
    pairs: Sequence[tuple[str, Picture, Mask, Picture, Mask]], scheme: LabelScheme
) -> Picture:
    """Return before and after augmentation, a row a pair: image and mask, changed image and mask.

    pairs: caption, image and mask, then the image and mask of the copy. As `sample_sheet`.
    """
    samples = []
    for caption, image_HW3, mask_hw, changed_HW3, changed_hw in pairs:
        samples.append((f"{caption}: before", image_HW3, mask_hw))
        samples.append((f"{caption}: after", changed_HW3, changed_hw))
    return sample_sheet(samples, scheme, columns=2)


def predictions_sheet(
    samples: Sequence[tuple[str, Picture, Mask, Mask]], scheme: LabelScheme
) -> Picture:
    """Return a row a sample, image, truth and prediction, above a legend: (H, W, 3) uint8.

    samples: caption, image, true mask and predicted one. As `sample_sheet`, but no image is shown
    wider than 480 pixels: such sheets are drawn many times in a training.
    """
    tiles = [
        (_side_by_side(caption, image_HW3, masks, scheme, _WIDEST_VIEW), caption)
        for caption, image_HW3, *masks in samples
    ]
    masks = [mask_hw for _, _, *both in samples for mask_hw in both]
    return _above_legend(contact_sheet(tiles, 1), _entries(scheme, masks))


def _side_by_side(
    caption: str, image_HW3: Picture, masks: Sequence[Mask], scheme: LabelScheme, room: int
) -> Picture:
    """Return image and painted masks beside each other, each at most `room` pixels wide."""
    height, width = image_HW3.shape[:2]
    tall, wide = panel_size(height, width)
    if wide > room:
        tall, wide = max(1, round(tall * room / wide)), room
    smooth = Image.Resampling.LANCZOS if wide < width else Image.Resampling.NEAREST
    panels = [_resized(image_HW3, tall, wide, smooth)]
    # Every pixel void: the panel of errors is the hatched ground on which the classes are painted.
    void_HW = np.full((tall, wide), VOID, np.uint8)
    ground_HW3 = error_panel(np.zeros((tall, wide, 3), np.uint8), void_HW, void_HW)
    seam = np.full((tall, _SEAM, 3), PAPER, np.uint8)
    for mask_hw in masks:
        if mask_hw.ndim != 2 or height % mask_hw.shape[0] or width % mask_hw.shape[1]:
            raise ValueError(
                f"{caption}: a mask of {mask_hw.shape} on an image of {image_HW3.shape}"
            )
        labels_HW = _resized(mask_hw, tall, wide, Image.Resampling.NEAREST)
        panels += [seam, overlay(ground_HW3, labels_HW, scheme, 1.0)]
    return np.hstack(panels)


def _entries(scheme: LabelScheme, masks: Sequence[Mask]) -> list[Entry]:
    entries = present_classes(scheme, *masks)
    if any((mask_hw == VOID).any() for mask_hw in masks):
        entries.append(Entry("void, not counted", VOID_DARK, VOID_LINE))
    return entries


def _resized(array: Picture, height: int, width: int, filter: Image.Resampling) -> Picture:
    picture = Image.fromarray(np.ascontiguousarray(array))
    return np.asarray(picture.resize((width, height), filter))


def _above_legend(sheet_HW3: Picture, entries: Sequence[Entry]) -> Picture:
    width = sheet_HW3.shape[1]
    strip = np.asarray(draw_legend(entries, width - 2 * _MARGIN, _POINTS))
    below = np.full((strip.shape[0] + _MARGIN, width, 3), PAPER, np.uint8)
    below[: strip.shape[0], _MARGIN : _MARGIN + strip.shape[1]] = strip
    return np.vstack([sheet_HW3, below])

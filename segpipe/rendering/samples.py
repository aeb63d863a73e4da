"""Samples of a data set on one sheet, with their masks; and copies beside their originals.

Shapes: H, W, C of the images; h, w of the masks. Masks are uint8 train ids, VOID where nothing
counts, and may be coarser than their images by a whole ratio.
"""

from collections.abc import Sequence

from PIL import Image

from segpipe.labels.scheme import LabelScheme
from segpipe.rendering import layout
from segpipe.rendering.layout import GAP, WIDEST, Mask, Picture
from segpipe.rendering.overlay import overlay

_SEAM = 4  # pixels between image and mask
_WIDEST_VIEW = 480  # pixels, of what is drawn again and again
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
    room = (WIDEST - GAP) // min(columns, len(samples)) - GAP
    return _sheet(samples, scheme, columns, (room - _SEAM) // 2)


def copies_sheet(
    pairs: Sequence[tuple[str, Picture, Mask, Picture, Mask]], scheme: LabelScheme
) -> Picture:
    """Return before and after augmentation, a row a pair: image and mask, changed image and mask.

    pairs: caption, image and mask, then the image and mask of the copy; they follow the rules of
    `sample_sheet`.
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

    samples: caption, image, true mask and predicted one; they follow the rules of `sample_sheet`,
    but no image is shown wider than 480 pixels: such sheets are drawn many times in a training.
    """
    return _sheet(samples, scheme, 1, _WIDEST_VIEW)


def _sheet(
    samples: Sequence[tuple[str, Picture, *tuple[Mask, ...]]],
    scheme: LabelScheme,
    columns: int,
    room: int,
) -> Picture:
    """Return the samples above a legend, each image and mask at most `room` pixels wide."""
    tiles = [
        (_side_by_side(caption, image_HW3, masks, scheme, room), caption)
        for caption, image_HW3, *masks in samples
    ]
    masks = [mask_hw for _, _, *each in samples for mask_hw in each]
    entries = layout.present_classes(scheme, *masks) + layout.void_entry(*masks)
    sheet_HW3 = layout.contact_sheet(tiles, columns)
    strip = layout.legend(entries, sheet_HW3.shape[1] - 2 * GAP, _POINTS)
    return layout.stacked([sheet_HW3, layout.padded(strip, left=GAP, bottom=GAP)])


def _side_by_side(
    caption: str, image_HW3: Picture, masks: Sequence[Mask], scheme: LabelScheme, room: int
) -> Picture:
    """Return image and painted masks beside each other, each at most `room` pixels wide."""
    height, width = image_HW3.shape[:2]
    tall, wide = layout.panel_size(height, width)
    if wide > room:
        tall, wide = max(1, round(tall * room / wide)), room
    smooth = Image.Resampling.LANCZOS if wide < width else Image.Resampling.NEAREST
    panels = [layout.scaled(image_HW3, tall, wide, smooth)]
    for mask_hw in masks:
        if mask_hw.ndim != 2 or height % mask_hw.shape[0] or width % mask_hw.shape[1]:
            raise ValueError(
                f"{caption}: a mask of {mask_hw.shape} on an image of {image_HW3.shape}"
            )
        labels_HW = layout.scaled(mask_hw, tall, wide, Image.Resampling.NEAREST)
        panels.append(overlay(layout.hatched(tall, wide), labels_HW, scheme, opacity=1))
    return layout.beside(panels, _SEAM)

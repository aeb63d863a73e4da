"""Pictures of predictions: labels, colours, overlay, truth against prediction, and all on one sheet."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segpipe.console import progress
from segpipe.inference.predictor import Predictor
from segpipe.rendering.comparison import comparison
from segpipe.rendering.contact_sheet import contact_sheet
from segpipe.rendering.overlay import overlay
from segpipe.rendering.png import write_png
from segpipe.sample import Sample
from segpipe.storage.decode import read_image, read_mask

LABELS, COLOURS, OVERLAYS, COMPARISONS = "labels", "colours", "overlays", "comparisons"
SHEET = "contact_sheet.png"
_SHEET_COLUMNS = 2


def draw_samples(
    predictor: Predictor,
    samples: Sequence[Sample],
    ious: Mapping[str, float | None],
    raw: Path,
    opacity: float,
    target: Path,
) -> None:
    """Write the pictures of `samples`, in their order, below the existing folder `target`.

    ious: mean IoU by sample name, as evaluation found it; missing or None where it has none.
    """
    tiles = []
    for place, sample in enumerate(progress(samples, "render", "image", len(samples)), start=1):
        image_HW3 = read_image(raw / sample.image)
        prediction_HW = predictor.predict(image_HW3)
        truth_HW = read_mask(raw / sample.mask, predictor.scheme)[0] if sample.mask else None
        sheet_HW3 = _draw_one(
            predictor,
            sample,
            place,
            (image_HW3, truth_HW, prediction_HW),
            ious.get(sample.name),
            opacity,
            target,
        )
        tiles.append((sheet_HW3, f"{place}. {sample.name}"))
    write_png(target / SHEET, contact_sheet(tiles, _SHEET_COLUMNS))


def _draw_one(
    predictor: Predictor,
    sample: Sample,
    place: int,
    arrays: tuple[NDArray[np.uint8], NDArray[np.uint8] | None, NDArray[np.uint8]],
    iou: float | None,
    opacity: float,
    target: Path,
) -> NDArray[np.uint8]:
    """Write the four pictures of one sample; return the comparison.

    Comparisons are numbered, so that a folder view shows them in the order that was asked for.
    """
    image_HW3, truth_HW, prediction_HW = arrays
    scheme, file = predictor.scheme, f"{sample.name.replace('/', '__')}.png"
    compared = comparison(
        image_HW3, truth_HW, prediction_HW, scheme, sample.name, score=iou, opacity=opacity
    )
    write_png(target / LABELS / file, scheme.decode(prediction_HW))
    write_png(target / COLOURS / file, scheme.paint(prediction_HW))
    write_png(target / OVERLAYS / file, overlay(image_HW3, prediction_HW, scheme, opacity))
    write_png(target / COMPARISONS / f"{place:03d}_{file}", compared)
    return compared

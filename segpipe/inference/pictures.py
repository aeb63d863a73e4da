"""Pictures of predictions: labels, colours, overlay, truth against prediction, and all on one sheet.

Shapes: H and W of an image, h and w of its truth, which may be coarser.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segpipe.inference.files import predict_raster
from segpipe.inference.geotiff import write_labels
from segpipe.inference.predictor import Predictor
from segpipe.inference.targets import OVERLAYS, flat_names
from segpipe.labels.scheme import VOID
from segpipe.raw.input_spec import at_image_size, picture_of
from segpipe.raw.pictures.palette import palette_of_ids
from segpipe.raw.sample import Sample
from segpipe.rendering.comparison import comparison
from segpipe.rendering.layout import contact_sheet
from segpipe.rendering.overlay import overlay
from segpipe.rendering.png import write_png
from segpipe.rendering.rows import draw_rows, make_row
from segpipe.runtime.console import progress
from segpipe.runtime.errors import file_named

LABELS, COLOURS, COMPARISONS = "labels", "colours", "comparisons"
TRUTH = "truth"
SHEET, ROWS = "contact_sheet.png", "rows.png"
_SHEET_COLUMNS = 2
_LONGEST = 240  # bytes of a file's name without its suffix and the number before it


@dataclass(frozen=True)
class Drawing:
    """What pictures are made with, and the existing folder `target` below which they are written.

    raw: the folder of the samples' files. opacity: of the prediction over the image, 0..1.
    ious: mean IoU by sample name, as evaluation found it; missing or None where it has none.
    """

    predictor: Predictor
    raw: Path
    target: Path
    opacity: float
    ious: Mapping[str, float | None]


def draw_samples(samples: Sequence[Sample], drawing: Drawing) -> None:
    """Write the pictures of `samples`, as `Reader.drawn` gives them, in their order.

    Of rasters and tiles labels/NAME.tif is the whole and lines up with it. Of a tile the pictures
    show the whole too; of other rasters, which may be huge, they show the windows of `samples`.
    truth/NAME.png is the truth of what the pictures show, in its colours. NAME is the sample's (the
    file's below images/, of whole rasters and tiles), with "__" for each slash; see `flat_names`.
    """
    tiles, rows, predictor = [], [], drawing.predictor
    files = predictor.input.files
    file_names = flat_names((sample.name for sample in samples), _LONGEST)
    whole_targets = _whole_targets(samples, drawing.target)
    if predictor.reader.streamed:
        for image, target in whole_targets.items():
            predict_raster(predictor, drawing.raw / image, target)
    for place, sample in enumerate(progress(samples, "render", "image", len(samples)), start=1):
        found = predictor.reader.read(sample, drawing.raw, predictor.scheme)
        with file_named(drawing.raw / sample.image):
            logits_Khw = predictor.logits(found.frames_THWC)
        labels_hw, chance_hw = predictor.train_ids(logits_Khw), predictor.probability(logits_Khw)
        labels_hw[~found.seen_hw] = VOID
        if not predictor.reader.streamed:
            _write_whole(drawing, sample, whole_targets[sample.image], labels_hw)
        image_HW3 = picture_of(found.frames_THWC[-1], files)
        prediction_HW = at_image_size(labels_hw, files)
        truth_HW = at_image_size(found.truth.mask_hw, files) if found.truth else None
        file = f"{file_names[sample.name]}.png"
        sheet_HW3 = _draw_one(drawing, sample, file, place, image_HW3, truth_HW, prediction_HW)
        caption, iou = f"{place}. {sample.name}", drawing.ious.get(sample.name)
        tiles.append((sheet_HW3, caption))
        chance_HW = None if chance_hw is None else at_image_size(chance_hw, files)
        caption += "" if iou is None else f", mIoU {100 * iou:.1f} %"
        row = make_row(caption, image_HW3, truth_HW, prediction_HW, chance_HW, predictor.scheme)
        rows.append(row)
    write_png(drawing.target / SHEET, contact_sheet(tiles, _SHEET_COLUMNS))
    write_png(drawing.target / ROWS, draw_rows(rows, predictor.scheme))


def _whole_targets(samples: Sequence[Sample], target: Path) -> dict[str, Path]:
    """Return the GeoTIFF for the labels of each whole image."""
    parts = {sample.image: Path(sample.image.removeprefix("images/")) for sample in samples}
    stems = {image: part.with_suffix("").as_posix() for image, part in parts.items()}
    names = flat_names(stems.values(), _LONGEST)
    return {image: target / LABELS / f"{names[stem]}.tif" for image, stem in stems.items()}


def _write_whole(
    drawing: Drawing, sample: Sample, target: Path, labels_hw: NDArray[np.uint8]
) -> None:
    """Write the labels of a whole image where it lies on the earth."""
    predictor = drawing.predictor
    grid, ratio = (
        predictor.reader.grid(drawing.raw / sample.image),
        predictor.input.files.truth_ratio,
    )
    if grid is not None:
        write_labels(target, grid, ratio, labels_hw, predictor.scheme)


def _draw_one(
    drawing: Drawing,
    sample: Sample,
    file: str,
    place: int,
    image_HW3: NDArray[np.uint8],
    truth_HW: NDArray[np.uint8] | None,
    prediction_HW: NDArray[np.uint8],
) -> NDArray[np.uint8]:
    """Write the pictures of one sample; return the comparison.

    The truth by itself is written for rasters, whose pictures are parts or made of several bands:
    it is nowhere else to be looked at. Comparisons are numbered, so that a folder view shows them
    in the order that was asked for.
    """
    scheme, target, opacity = drawing.predictor.scheme, drawing.target, drawing.opacity
    iou = drawing.ious.get(sample.name)
    compared = comparison(
        image_HW3, truth_HW, prediction_HW, scheme, sample.name, score=iou, opacity=opacity
    )
    write_png(
        target / LABELS / file,
        scheme.decode(prediction_HW),
        palette_256x3=palette_of_ids(scheme),
    )
    write_png(target / COLOURS / file, scheme.paint(prediction_HW))
    write_png(target / OVERLAYS / file, overlay(image_HW3, prediction_HW, scheme, opacity))
    if truth_HW is not None and sample.window is not None:
        write_png(target / TRUTH / file, scheme.paint(truth_HW))
    write_png(target / COMPARISONS / f"{place:03d}_{file}", compared)
    return compared

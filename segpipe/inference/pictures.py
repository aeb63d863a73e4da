"""Pictures of predictions: labels, colours, overlay, truth against prediction, and all on one sheet.

Shapes: H and W of an image, h and w of its truth, which may be coarser.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segpipe.inference.predictor import Predictor
from segpipe.inference.rasters import predict_raster, predict_tile, write_tile
from segpipe.labels.scheme import VOID
from segpipe.raw.esd.tile import tile_grid
from segpipe.raw.input_spec import at_image_size, picture_of
from segpipe.raw.read import RawSample, read_raw
from segpipe.raw.sample import Sample, Window
from segpipe.rendering.comparison import comparison
from segpipe.rendering.layout import contact_sheet
from segpipe.rendering.overlay import overlay
from segpipe.rendering.png import write_png
from segpipe.rendering.rows import draw_rows, make_row
from segpipe.runtime.console import progress

LABELS, COLOURS, OVERLAYS, COMPARISONS = "labels", "colours", "overlays", "comparisons"
TRUTH = "truth"
SHEET, ROWS = "contact_sheet.png", "rows.png"
_SHEET_COLUMNS = 2


@dataclass(frozen=True)
class _Predicted:
    """Train ids, and the probability of train id 1 where the network has one logit a pixel."""

    labels_hw: NDArray[np.uint8]
    probability_hw: NDArray[np.float32] | None = None


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


# Predicts a sample from what its files hold.
_Predict = Callable[[Sample, RawSample], _Predicted]


def draw_samples(samples: Sequence[Sample], drawing: Drawing) -> None:
    """Write the pictures of `samples`, in their order."""
    predictor = drawing.predictor

    def predict(_: Sample, found: RawSample) -> _Predicted:
        logits_Khw = predictor.logits(found.frames_THWC)
        labels_hw = predictor.train_ids(logits_Khw)
        labels_hw[~found.seen_hw] = VOID
        return _Predicted(labels_hw, predictor.probability(logits_Khw))

    _draw(samples, drawing, predict)


def draw_rasters(samples: Sequence[Sample], drawing: Drawing) -> None:
    """Write the predictions of the rasters or tiles that `samples` are parts of.

    labels/NAME.tif is the whole raster and lines up with it. Of a tile the pictures show the whole,
    put together again; of other rasters, which may be huge, they show the windows of `samples`.
    truth/NAME.png is the truth of what the pictures show, in its colours.
    """
    predictor, raw, target = drawing.predictor, drawing.raw, drawing.target
    images = list(dict.fromkeys(sample.image for sample in samples))
    if predictor.reading.kind == "raster":
        for image in images:
            predict_raster(predictor, raw / image, _raster_target(target, image))
        draw_samples(samples, drawing)
        return

    def predict(tile: Sample, found: RawSample) -> _Predicted:
        labels_hw = predict_tile(predictor, found.frames_THWC[-1])
        write_tile(predictor, raw / tile.image, labels_hw, _raster_target(target, tile.image))
        return _Predicted(labels_hw)

    whole = [_whole_tile(image, samples, raw) for image in images]
    _draw(whole, replace(drawing, ious={}), predict)


def _draw(samples: Sequence[Sample], drawing: Drawing, predict: _Predict) -> None:
    tiles, rows, predictor = [], [], drawing.predictor
    reading = predictor.reading
    for place, sample in enumerate(progress(samples, "render", "image", len(samples)), start=1):
        found = read_raw(sample, drawing.raw, predictor.scheme, reading)
        image_HW3 = picture_of(found.frames_THWC[-1], reading)
        predicted = predict(sample, found)
        prediction_HW = at_image_size(predicted.labels_hw, reading)
        truth_HW = at_image_size(found.truth.mask_hw, reading) if found.truth else None
        sheet_HW3 = _draw_one(drawing, sample, place, image_HW3, truth_HW, prediction_HW)
        caption, iou = f"{place}. {sample.name}", drawing.ious.get(sample.name)
        tiles.append((sheet_HW3, caption))
        chance_hw = predicted.probability_hw
        chance_HW = None if chance_hw is None else at_image_size(chance_hw, reading)
        caption += "" if iou is None else f", mIoU {100 * iou:.1f} %"
        row = make_row(caption, image_HW3, truth_HW, prediction_HW, chance_HW, predictor.scheme)
        rows.append(row)
    write_png(drawing.target / SHEET, contact_sheet(tiles, _SHEET_COLUMNS))
    write_png(drawing.target / ROWS, draw_rows(rows, predictor.scheme))


def _raster_target(target: Path, image: str) -> Path:
    name = image.removeprefix("images/").replace("/", "__")
    return (target / LABELS / name).with_suffix(".tif")


def _whole_tile(image: str, samples: Sequence[Sample], raw: Path) -> Sample:
    grid = tile_grid(raw / image)
    mask = next(sample.mask for sample in samples if sample.image == image)
    window = Window(0, 0, grid.height, grid.width)
    return Sample(Path(image).name, image, image, mask, window=window)


def _draw_one(
    drawing: Drawing,
    sample: Sample,
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
    iou, file = drawing.ious.get(sample.name), f"{sample.name.replace('/', '__')}.png"
    compared = comparison(
        image_HW3, truth_HW, prediction_HW, scheme, sample.name, score=iou, opacity=opacity
    )
    write_png(target / LABELS / file, scheme.decode(prediction_HW))
    write_png(target / COLOURS / file, scheme.paint(prediction_HW))
    write_png(target / OVERLAYS / file, overlay(image_HW3, prediction_HW, scheme, opacity))
    if truth_HW is not None and drawing.predictor.reading.kind != "picture":
        write_png(target / TRUTH / file, scheme.paint(truth_HW))
    write_png(target / COMPARISONS / f"{place:03d}_{file}", compared)
    return compared

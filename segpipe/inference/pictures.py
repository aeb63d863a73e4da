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
from segpipe.inference.targets import COMPARISONS, OVERLAYS, flat_names
from segpipe.labels.scheme import VOID
from segpipe.raw.input_spec import at_image_size, picture_of
from segpipe.raw.pictures.palette import palette_of_ids
from segpipe.raw.sample import Sample
from segpipe.rendering.comparison import (
    Comparison,
    compared,
    comparison_sheet,
    draw_comparison,
    joined_entries,
)
from segpipe.rendering.layout import LegendEntry
from segpipe.rendering.overlay import overlay
from segpipe.rendering.png import write_png
from segpipe.rendering.report.examples import Example
from segpipe.rendering.rows import draw_rows, make_row
from segpipe.runtime.console import progress
from segpipe.runtime.errors import file_named

LABELS, COLOURS = "labels", "colours"
TRUTH = "truth"
SHEET, ROWS = "contact_sheet.png", "rows.png"
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


@dataclass(frozen=True)
class Drawn:
    """What was drawn of a sample. frames: of a clip, the earlier ones, in order."""

    comparison: Comparison
    frames: Sequence[NDArray[np.uint8]]


def draw_samples(samples: Sequence[Sample], drawing: Drawing, title: str) -> dict[Sample, Drawn]:
    """Write the pictures of `samples`, as `Reader.drawn` gives them, in their order; return them.

    Of rasters and tiles labels/NAME.tif is the whole and lines up with it. Of a tile the pictures
    show the whole too; of other rasters, which may be huge, they show the windows of `samples`.
    truth/NAME.png is the truth of what the pictures show, in its colours. NAME is the sample's (the
    file's below images/, of whole rasters and tiles), with "__" for each slash; see `flat_names`.
    title: of the sheet that shows them all.
    """
    drawn: dict[Sample, Drawn] = {}
    rows, predictor = [], drawing.predictor
    file_names = flat_names((sample.name for sample in samples), _LONGEST)
    whole_targets = _whole_targets(samples, drawing.target)
    if predictor.reader.streamed:
        for image, target in whole_targets.items():
            predict_raster(predictor, drawing.raw / image, target)
    for place, sample in enumerate(progress(samples, "render", "image", len(samples)), start=1):
        found = predict_sample(sample, drawing.raw, drawing.predictor)
        if not predictor.reader.streamed:
            _write_whole(drawing, sample, whole_targets[sample.image], found.labels_hw)
        file = f"{file_names[sample.name]}.png"
        one = _draw_one(drawing, sample, found, file, place)
        drawn[sample] = Drawn(one, found.pictures_THW3[:-1])
        caption = ", ".join(text for text in (f"{place}. {sample.name}", one.numbers) if text)
        rows.append(
            make_row(
                caption,
                found.pictures_THW3[-1],
                found.truth_HW,
                found.prediction_HW,
                found.chance_HW,
                predictor.scheme,
            )
        )
    shown = [each.comparison for each in drawn.values()]
    sheet_HW3 = comparison_sheet(shown, predictor.scheme, title)
    write_png(drawing.target / SHEET, sheet_HW3)
    write_png(drawing.target / ROWS, draw_rows(rows, predictor.scheme))
    return drawn


def draw_examples(
    samples: Mapping[str, Sequence[Sample]], drawing: Drawing, drawn: Mapping[Sample, Drawn]
) -> tuple[list[Example], list[LegendEntry]]:
    """Return the samples, by what they stand for, as a report shows them, and the legend of all.

    drawn: those that need no second prediction.
    """
    examples, shown = [], []
    for kind, chosen in samples.items():
        for sample in chosen:
            one = drawn.get(sample) or predicted_and_compared(sample, drawing)
            examples.append(Example(kind, sample.name, one.comparison.panels, one.frames))
            shown.append(one.comparison)
    return examples, joined_entries(shown, drawing.predictor.scheme)


@dataclass(frozen=True)
class PredictedSample:
    """A sample and its prediction at the image's size. labels_hw: at the truth's own resolution.

    pictures_THW3: its frames, the annotated one last. chance_HW: of the class of one logit. unknown:
    the values of the mask that the model's scheme does not know, with their pixels.
    """

    pictures_THW3: list[NDArray[np.uint8]]
    truth_HW: NDArray[np.uint8] | None
    labels_hw: NDArray[np.uint8]
    prediction_HW: NDArray[np.uint8]
    chance_HW: NDArray[np.float32] | None
    unknown: dict[int, int]


def predict_sample(sample: Sample, raw: Path, predictor: Predictor) -> PredictedSample:
    """Read and predict a sample below the folder `raw`; DataError where one of them fails."""
    files = predictor.input.files
    found = predictor.reader.read(sample, raw, predictor.scheme)
    with file_named(raw / sample.image):
        logits_Khw = predictor.logits(found.frames_THWC)
    labels_hw, chance_hw = predictor.train_ids(logits_Khw), predictor.probability(logits_Khw)
    labels_hw[~found.seen_hw] = VOID
    return PredictedSample(
        pictures_THW3=[picture_of(frame_HWC, files) for frame_HWC in found.frames_THWC],
        truth_HW=at_image_size(found.truth.mask_hw, files) if found.truth else None,
        labels_hw=labels_hw,
        prediction_HW=at_image_size(labels_hw, files),
        chance_HW=None if chance_hw is None else at_image_size(chance_hw, files),
        unknown=found.truth.unknown if found.truth else {},
    )


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


def predicted_and_compared(sample: Sample, drawing: Drawing) -> Drawn:
    """Predict a sample and compare it with its truth; nothing is written."""
    found = predict_sample(sample, drawing.raw, drawing.predictor)
    return Drawn(_compared(drawing, sample, found), found.pictures_THW3[:-1])


def _compared(drawing: Drawing, sample: Sample, found: PredictedSample) -> Comparison:
    return compared(
        found.pictures_THW3[-1],
        found.truth_HW,
        found.prediction_HW,
        drawing.predictor.scheme,
        sample.name,
        score=drawing.ious.get(sample.name),
        opacity=drawing.opacity,
    )


def _draw_one(
    drawing: Drawing, sample: Sample, found: PredictedSample, file: str, place: int
) -> Comparison:
    """Write the pictures of one sample; return the comparison.

    The truth by itself is written for rasters, whose pictures are parts or made of several bands:
    it is nowhere else to be looked at. Comparisons are numbered, so that a folder view shows them
    in the order that was asked for.
    """
    scheme, target = drawing.predictor.scheme, drawing.target
    labels_HW, image_HW3 = found.prediction_HW, found.pictures_THW3[-1]
    one = _compared(drawing, sample, found)
    write_png(
        target / LABELS / file, scheme.decode(labels_HW), palette_256x3=palette_of_ids(scheme)
    )
    write_png(target / COLOURS / file, scheme.paint(labels_HW))
    write_png(target / OVERLAYS / file, overlay(image_HW3, labels_HW, scheme, drawing.opacity))
    if found.truth_HW is not None and sample.window is not None:
        write_png(target / TRUTH / file, scheme.paint(found.truth_HW))
    write_png(target / COMPARISONS / f"{place:03d}_{file}", draw_comparison(one))
    return one

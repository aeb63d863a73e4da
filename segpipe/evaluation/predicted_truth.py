"""Pictures of `segpipe predict` beside their truth: what is compared, the sheets, and the scores.

Shapes: H and W of a picture and its masks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segpipe.evaluation.label_folders import paired_truth
from segpipe.evaluation.label_pair import PairContext
from segpipe.evaluation.report import label_report
from segpipe.evaluation.score import (
    count_pairs,
    holds_train_ids,
    refuse_other_files,
    refuse_void_truth,
    with_no_answer,
)
from segpipe.inference.predictor import Predictor
from segpipe.inference.targets import COMPARISONS, SCORES, SOFTWARE
from segpipe.raw.input_spec import picture_of
from segpipe.raw.pictures.files import read_mask
from segpipe.raw.pictures.opener import stored_sides
from segpipe.raw.sample import Sample
from segpipe.rendering.comparison import Comparison, compared, draw_comparison
from segpipe.rendering.png import write_png
from segpipe.results.evaluation import Evaluation
from segpipe.results.evaluation_tables import ImageRow
from segpipe.runtime.atomic import atomic_dir
from segpipe.runtime.console import progress
from segpipe.runtime.errors import DataError
from segpipe.runtime.findings import about, refuse


@dataclass(frozen=True)
class TruthPairs:
    """Predictions and their truth, as the folders of `context` hold them.

    samples: `image` is the prediction, `mask` the truth. pictures: what was predicted, by `image`.
    """

    predictor: Predictor
    context: PairContext
    samples: Sequence[Sample]
    pictures: Mapping[str, Path]

    @staticmethod
    def of(predictor: Predictor, names: Mapping[Path, str], out: Path, truth: Path) -> "TruthPairs":
        """Return the pairs of pictures, whose labels will be OUT/NAME.png, and masks below `truth`.

        Raises DataError for truth without picture, pictures without truth (of a model of clips they are
        the earlier frames, and a warning names them) and sizes that differ; ParameterError where
        OUT/scores holds other files.
        """
        refuse_other_files(out / SCORES)
        scheme = predictor.scheme
        samples = paired_truth(
            [*names.values()],
            truth,
            train_ids=holds_train_ids(scheme),
            all_have_truth=predictor.frames == 1,
        )
        context = PairContext(
            predictions=out,
            truth=truth,
            scheme=scheme,
            written=with_no_answer(scheme),
            train_ids=False,
            boundaries=(),
        )
        pictures = {f"{name}.png": path for path, name in names.items()}
        found = TruthPairs(predictor, context, samples, pictures)
        _refuse_other_sizes(found)
        return found


def _refuse_other_sizes(pairs: TruthPairs) -> None:
    """Raise DataError for truth that cannot have the size of its picture, before anything is predicted."""
    lines = []
    for sample in pairs.samples:
        paths = pairs.pictures[sample.image], pairs.context.truth / str(sample.mask)
        try:
            (height, width), (true_height, true_width) = map(stored_sides, paths)
        except DataError:
            continue  # who reads the file names the fault
        # A picture that lies on its side is turned when it is read.
        if sorted((height, width)) != sorted((true_height, true_width)):
            sizes = f"has {true_height} x {true_width} pixels, {paths[0]} {height} x {width}"
            lines.append(f"{paths[1]}: {sizes}")
    refuse(
        about(
            lines,
            "wrong_size",
            "{n} label images do not have the size of their picture",
            "give the masks that belong to these pictures; nothing is resized here",
        )
    )


def compare_with_truth(pairs: TruthPairs, opacity: float) -> Evaluation:
    """Score predictions that were written, and write OUT/scores and OUT/comparisons/NAME.png.

    Each comparison shows picture, truth, prediction and errors with the mIoU of the image; opacity: of
    the classes' colours, 0..1. Raises DataError as `score` does.
    """
    predictor, out = pairs.predictor, pairs.context.predictions
    counts, _ = count_pairs(pairs.samples, pairs.context, None)
    split = pairs.context.truth.resolve().name
    report = label_report(counts, predictor.scheme, split, predictor)
    refuse_void_truth(report, pairs.context.truth)
    with atomic_dir(out / SCORES) as partial_folder:
        report.write(partial_folder)
    rows = [row for row in report.tables[ImageRow] if isinstance(row, ImageRow)]
    scores = {row.name: row.miou for row in rows}
    for sample in progress(pairs.samples, "compare", "image", len(pairs.samples)):
        found = _compared(pairs, sample, scores[sample.name], opacity)
        write_png(out / COMPARISONS / sample.image, draw_comparison(found), SOFTWARE)
    return report.evaluation


def _compared(pairs: TruthPairs, sample: Sample, score: float | None, opacity: float) -> Comparison:
    context, predictor = pairs.context, pairs.predictor
    image_HWC, _ = predictor.reader.read_image(pairs.pictures[sample.image])
    return compared(
        picture_of(image_HWC, predictor.input.files),
        read_mask(context.truth / str(sample.mask), context.scheme)[0],
        read_mask(context.predictions / sample.image, context.written)[0],
        context.scheme,
        sample.name,
        score=score,
        opacity=opacity,
    )

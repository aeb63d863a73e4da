"""What the evaluate stage writes beside metrics/evaluation.json: the headline scores, and tables."""

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, PlainSerializer

from segpipe.results.evaluation import ClassScores, Evaluated, Evaluation
from segpipe.results.records import REPORT, ClassName, Score


def _numbers(cell: Any) -> Any:
    return cell.split() if isinstance(cell, str) else cell


# Whole numbers of all classes, in the order of train ids, with spaces between them in the file.
ByClass = Annotated[
    list[int],
    BeforeValidator(_numbers),
    PlainSerializer(lambda numbers: " ".join(map(str, numbers)), return_type=str),
]


class HeadlineScores(Evaluated):
    """scores.json: the mIoU and its 95 % interval, whose ends are not set where there is none.

    DVC's tables (`dvc exp show`, `dvc metrics diff`) have a column or a line for each number of a file that
    dvc.yaml lists under metrics. So these are few and their names short: with parameters they fit into
    140 characters.
    """

    file: ClassVar[str] = "scores.json"

    miou: Score
    miou_low: Score = None
    miou_high: Score = None


def headline_scores(evaluation: Evaluation) -> HeadlineScores:
    """Return the few scores that DVC's tables show."""
    bounds = evaluation.miou_interval
    interval = {} if bounds is None else {"miou_low": bounds.low, "miou_high": bounds.high}
    return HeadlineScores(miou=evaluation.miou, **interval)


class _OfClass(Evaluated):
    class_name: ClassName


class ClassRow(ClassScores, _OfClass):
    """A row of classes.csv. share: of the class in the valid pixels, 0..1."""

    # pydantic takes the fields of the last base first: the class's name is the first column.
    file: ClassVar[str] = "classes.csv"

    share: float


class ImageRow(Evaluated):
    """A row of images.csv, the worst image first; means over the classes of that image.

    The foreground's scores are there only where the network has one logit; boundary_iou and boundary_f, at
    the smallest width, and temporal_miou, as in TemporalScores, where they were asked for.
    """

    file: ClassVar[str] = "images.csv"

    name: str
    miou: Score
    pixel_accuracy: Score
    pixels: int
    foreground_iou: Score = None
    foreground_dice: Score = None
    mean_accuracy: Score = None
    mean_dice: Score = None
    boundary_iou: Score = None
    boundary_f: Score = None
    temporal_miou: Score = None


class ImageCountsRow(Evaluated):
    """A row of image_counts.csv, a sample in the order of the split: the valid pixels by class.

    They tell what other images would change, and whether one run is better than another.
    truth, predicted, hits: in the truth, in the prediction, and in both. image: its file.
    """

    file: ClassVar[str] = "image_counts.csv"

    name: str
    group: str
    image: str
    truth: ByClass
    predicted: ByClass
    hits: ByClass


class GroupRow(Evaluated):
    """A row of groups.csv: the scores of all pixels of a group (city, drive, scene, tile), as in ImageRow."""

    file: ClassVar[str] = "groups.csv"

    group: str
    images: int
    miou: Score
    pixel_accuracy: Score
    pixels: int
    mean_accuracy: Score = None
    mean_dice: Score = None
    boundary_iou: Score = None
    boundary_f: Score = None
    temporal_miou: Score = None


class ConfusionCell(Evaluated):
    """A row of confusion.csv: pixels of the class `actual` that are predicted as `predicted`.

    share: of all valid pixels of the class `actual`; None where it has none.
    """

    file: ClassVar[str] = "confusion.csv"

    actual: str
    predicted: str
    count: int
    share: Score


class PrecisionRecallPoint(_OfClass):
    """A row of precision_recall.csv: a threshold of one logit, or a class of several logits.

    threshold: None for several logits, of which the largest wins.
    """

    file: ClassVar[str] = "precision_recall.csv"

    threshold: float | None
    precision: Score
    recall: Score


class BoundaryRow(_OfClass):
    """A row of boundaries.csv: a class at a width, in percent of the image's diagonal."""

    file: ClassVar[str] = "boundaries.csv"

    percent: float
    boundary_iou: Score
    boundary_f: Score


class ReliabilityBin(Evaluated):
    """A row of reliability.csv: the pixels whose largest probability is above low, up to high.

    confidence: their mean probability. accuracy: the share whose most probable class is true.
    """

    file: ClassVar[str] = "reliability.csv"

    low: float
    high: float
    pixels: int
    confidence: Score
    accuracy: Score


# All files that an evaluation of label images has.
RESULT_FILES = frozenset(
    {
        REPORT.name,
        Evaluation.file,
        BoundaryRow.file,
        ClassRow.file,
        ConfusionCell.file,
        GroupRow.file,
        ImageCountsRow.file,
        ImageRow.file,
        PrecisionRecallPoint.file,
        ReliabilityBin.file,
    }
)


def class_rows(evaluation: Evaluation) -> list[ClassRow]:
    """Return the rows of classes.csv, which are all scores by class with their share of the pixels."""
    total = max(sum(scores.pixels for scores in evaluation.classes.values()), 1)
    return [
        ClassRow(
            class_name=name, share=scores.pixels / total, **scores.model_dump(exclude_unset=True)
        )
        for name, scores in evaluation.classes.items()
    ]

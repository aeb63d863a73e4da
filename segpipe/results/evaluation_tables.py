"""What the evaluate stage writes beside metrics/evaluation.json: the headline scores, and tables."""

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, PlainSerializer

from segpipe.results.evaluation import ClassScores, Evaluated, Evaluation
from segpipe.results.records import REPORT, ClassName, Score, Shown


def _numbers(cell: Any) -> Any:
    return cell.split() if isinstance(cell, str) else cell


# Whole numbers of all classes, in the order of train ids, with spaces between them in the file.
ByClass = Annotated[
    list[int],
    BeforeValidator(_numbers),
    PlainSerializer(lambda numbers: " ".join(map(str, numbers)), return_type=str),
]


def _scores(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    return [None if one == "-" else one for one in cell.split()]


def _scores_text(scores: list[Score]) -> str:
    return " ".join("-" if score is None else f"{score:.6g}" for score in scores)


# Scores of all classes, likewise; `-` where one has no meaning.
ScoresByClass = Annotated[
    list[Score], BeforeValidator(_scores), PlainSerializer(_scores_text, return_type=str)
]

# The fields of an image's row of counts over time, in the order of `class_counts`.
TEMPORAL_COUNTS = ("temporal_earlier", "temporal_predicted", "temporal_hits")


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
    the smallest width, temporal_miou, as in TemporalScores, and those of probabilities where they were
    asked for; those of categories and instances where the split has them.
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
    category_iou: Score = None
    instance_iou: Score = None
    category_instance_iou: Score = None
    boundary_iou: Score = None
    boundary_f: Score = None
    temporal_miou: Score = None
    calibration_error: Score = None
    mean_auroc: Score = None
    mean_average_precision: Score = None


class ImageCountsRow(Evaluated):
    """A row of image_counts.csv, a sample in the order of the split: the valid pixels by class.

    They tell what other images would change, and whether one run is better than another.
    truth, predicted, hits: in the truth, in the prediction, and in both. image: its file. temporal_...: of
    the pixels that are compared with the frame before, in the labels moved from it, in the prediction,
    and in both; None for an image that is not compared.
    """

    file: ClassVar[str] = "image_counts.csv"

    name: str
    group: str
    image: str
    truth: ByClass
    predicted: ByClass
    hits: ByClass
    temporal_earlier: ByClass | None = None
    temporal_predicted: ByClass | None = None
    temporal_hits: ByClass | None = None


class GroupRow(Evaluated):
    """A row of groups.csv: the scores of all pixels of a group (city, drive, scene, tile), as in ImageRow.

    class_iou: of each class, in the order of train ids.
    """

    file: ClassVar[str] = "groups.csv"

    group: str
    images: int
    miou: Annotated[Score, Shown("mIoU")]
    pixel_accuracy: Annotated[Score, Shown("pixel accuracy")]
    pixels: int
    mean_accuracy: Annotated[Score, Shown("mean accuracy")] = None
    mean_dice: Annotated[Score, Shown("mean Dice")] = None
    category_iou: Annotated[Score, Shown("category IoU")] = None
    instance_iou: Annotated[Score, Shown("class iIoU")] = None
    category_instance_iou: Annotated[Score, Shown("category iIoU")] = None
    boundary_iou: Annotated[Score, Shown("Boundary IoU")] = None
    boundary_f: Annotated[Score, Shown("boundary F")] = None
    temporal_miou: Annotated[Score, Shown("temporal mIoU")] = None
    calibration_error: Annotated[Score, Shown("calibration error")] = None
    mean_auroc: Annotated[Score, Shown("mean AUROC")] = None
    mean_average_precision: Annotated[Score, Shown("mean average precision")] = None
    class_iou: ScoresByClass | None = None


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

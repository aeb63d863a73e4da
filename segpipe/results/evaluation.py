"""What the evaluate stage writes: metrics/evaluation.json and the tables beside it.

A new score is a field here, marked as `Shown`: then `segpipe show`, `segpipe compare`, classes.csv
and MLflow have it. Fields that earlier versions did not write are None by default.
"""

from typing import Annotated, ClassVar

from pydantic import AliasChoices, BaseModel, Field

from segpipe.results.records import Interval, Record, Score, Shown

# `class`, as the files call it, is no name for an argument in Python.
ClassName = Annotated[
    str,
    Field(validation_alias=AliasChoices("class", "class_name"), serialization_alias="class"),
]


class ClassScores(BaseModel):
    """The scores of a class; accuracy is the recall. pixels: valid ones that truly belong to it."""

    iou: Annotated[Score, Shown("IoU")]
    dice: Annotated[Score, Shown("Dice")] = None
    accuracy: Annotated[Score, Shown("accuracy")] = None
    precision: Annotated[Score, Shown("precision")] = None
    pixels: int = Field(ge=0)


class ForegroundByImage(BaseModel):
    """Means over the `images` that hold the class in truth or prediction.

    The others have no score there (0/0); they are counted, and left out of the means.
    """

    iou: Annotated[Score, Shown("IoU by image")]
    iou_interval: Interval | None
    dice: Annotated[Score, Shown("Dice by image")]
    dice_interval: Interval | None
    images: int | None = None
    images_without_the_class: int | None = None


class Foreground(BaseModel):
    """The scores of the class that one logit scores, train id 1.

    best_threshold: the one with the largest IoU on the evaluated split itself; it is used nowhere.
    """

    class_name: ClassName = ""
    iou: Annotated[Score, Shown("foreground IoU")] = None
    iou_interval: Interval | None = None
    dice: Annotated[Score, Shown("foreground Dice")] = None
    dice_interval: Interval | None = None
    by_image: ForegroundByImage
    average_precision: Annotated[Score, Shown("average precision")]
    best_threshold: float | None = None
    best_iou: Annotated[Score, Shown("best-threshold IoU")] = None
    best_dice: Annotated[Score, Shown("best-threshold Dice")] = None


class EvaluationProtocol(BaseModel):
    """How the scores were measured; what it does not say is None.

    edges: `mirrored: ` and why, where the network is shown more than the image; else `none`. interval:
    how the 95 % intervals were found, or `none: ` and why there is none.
    """

    split: str
    images: int
    images_without_truth: int | None = None
    pixels: int | None = None
    void_pixels: int | None = None
    resolution: str
    left_out: dict[str, int] | None = None
    image_sizes: dict[str, int] | None = None
    label_scheme: str | None = None
    class_count: int | None = None
    ignored_ids: str | None = None
    counting: str | None = None
    network_input: str | None = None
    edges: str | None = None
    precision: str | None = None
    threshold: float | None = None
    threshold_choice: str | None = None
    views: str | None = None
    interval: str | None = None
    data: str | None = None

    @property
    def no_interval(self) -> str | None:
        """Why the scores of the split have no interval; None where they have, or nothing is said."""
        kind, _, reason = (self.interval or "").partition(": ")
        return reason if kind == "none" and reason else None


class _Evaluated(Record):
    stage: ClassVar[str] = "evaluate"


class Evaluation(_Evaluated):
    """evaluation.json: the scores of a split and their protocol.

    foreground: only where the network has one logit. classes: by name, in the order of train ids.
    """

    file: ClassVar[str] = "evaluation.json"

    miou: Annotated[Score, Shown("mIoU")]
    miou_interval: Interval | None
    pixel_accuracy: Annotated[Score, Shown("pixel accuracy")]
    pixel_accuracy_interval: Interval | None
    mean_accuracy: Annotated[Score, Shown("mean accuracy")] = None
    mean_dice: Annotated[Score, Shown("mean Dice")] = None
    frequency_weighted_iou: Annotated[Score, Shown("weighted IoU")] = None
    foreground: Foreground | None = None
    classes: dict[str, ClassScores] = Field(min_length=1)
    protocol: EvaluationProtocol


class _OfClass(_Evaluated):
    class_name: ClassName


class ClassRow(ClassScores, _OfClass):
    """A row of classes.csv. share: of the class in the valid pixels, 0..1."""

    # pydantic takes the fields of the last base first: the class's name is the first column.
    file: ClassVar[str] = "classes.csv"

    share: float


class ImageRow(_Evaluated):
    """A row of images.csv, the worst image first; means over the classes of that image.

    The foreground's scores are there only where the network has one logit.
    """

    file: ClassVar[str] = "images.csv"

    name: str
    miou: Score
    pixel_accuracy: Score
    pixels: int
    foreground_iou: Score = None
    foreground_dice: Score = None


class ConfusionCell(_Evaluated):
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


def class_rows(evaluation: Evaluation) -> list[ClassRow]:
    """Return the rows of classes.csv, which are all scores by class with their share of the pixels."""
    total = max(sum(scores.pixels for scores in evaluation.classes.values()), 1)
    return [
        ClassRow(
            class_name=name, share=scores.pixels / total, **scores.model_dump(exclude_unset=True)
        )
        for name, scores in evaluation.classes.items()
    ]

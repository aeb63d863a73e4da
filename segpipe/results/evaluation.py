"""metrics/evaluation.json; the tables beside it are those of `evaluation_tables`.

A new score is a field here, marked as `Shown`: then `segpipe show`, `segpipe compare`, classes.csv
and MLflow have it. Fields that earlier versions did not write are None by default.
"""

from typing import Annotated, ClassVar

from pydantic import BaseModel, Field

from segpipe.results.records import ClassName, Interval, Record, Score, Shown


class ClassScores(BaseModel):
    """The scores of a class; accuracy is the recall. pixels: valid ones that truly belong to it.

    iou_by_image: the mean over the images that hold it. auroc, average_precision: against all others.
    calibration_error: of its own probability, on the images that ProbabilityScores has it of.
    instance_iou: where each object has the same weight (iIoU of Cityscapes). temporal_iou: of the
    labels against those of the frame before, as in TemporalScores.
    """

    iou: Annotated[Score, Shown("IoU")]
    dice: Annotated[Score, Shown("Dice")] = None
    accuracy: Annotated[Score, Shown("accuracy")] = None
    precision: Annotated[Score, Shown("precision")] = None
    iou_by_image: Annotated[Score, Shown("image-IoU")] = None
    instance_iou: Annotated[Score, Shown("iIoU")] = None
    auroc: Annotated[Score, Shown("AUROC")] = None
    average_precision: Annotated[Score, Shown("AP")] = None
    calibration_error: Annotated[Score, Shown("ECE")] = None
    temporal_iou: Annotated[Score, Shown("temporal-IoU")] = None
    pixels: int = Field(ge=0)


class CategoryScores(BaseModel):
    """The scores of a category, as in ClassScores; a class taken for another one of it is right."""

    iou: Annotated[Score, Shown("IoU")]
    instance_iou: Annotated[Score, Shown("iIoU")] = None
    pixels: int = Field(ge=0)


class ImageMeanScores(BaseModel):
    """Means over images, of which each has the same weight; a class counts where it is in the truth.

    miou: over images, of the mean over the classes of each (mIoU^I). class_miou: over classes, of
    the mean over the images that hold it (mIoU^C). worst: of the worst 5 or 25 % of the images, or
    of the images of each class. Wang et al., NeurIPS 2023.
    """

    images: int
    miou: Annotated[Score, Shown("mIoU by image")]
    miou_interval: Interval | None
    miou_worst_5: Annotated[Score, Shown("mIoU of the worst 5 % of images")]
    miou_worst_25: Annotated[Score, Shown("mIoU of the worst 25 % of images")]
    class_miou: Annotated[Score, Shown("mIoU by class of images")]
    class_miou_interval: Interval | None
    class_miou_worst_5: Annotated[Score, Shown("by class of images, worst 5 %")]
    class_miou_worst_25: Annotated[Score, Shown("by class of images, worst 25 %")]


class BoundaryScores(BaseModel):
    """Means over classes of Boundary IoU and boundary F.

    percent: how far an outline may be off, in percent of the image's diagonal.
    """

    percent: float
    iou: Annotated[Score, Shown("Boundary IoU")]
    iou_interval: Interval | None
    f: Annotated[Score, Shown("boundary F")]
    f_interval: Interval | None

    @property
    def variant(self) -> str:
        """What tells it from the scores of another width."""
        return f"within {self.percent:g} % of the diagonal"


class ProbabilityScores(BaseModel):
    """What the probabilities are worth. Of each class against all others: the area under the ROC curve
    and average precision, means over classes and weighted by the truth's pixels.

    auroc_bound, average_precision_bound: how far one of a class, and so their means, may be off, since
    probabilities are counted in thousandths.
    calibration_error: expected, of the largest probability, and over all classes, on images that the
    temperature was not fitted on. uncalibrated_error: that of the same images without temperature.
    """

    mean_auroc: Annotated[Score, Shown("mean AUROC")]
    weighted_auroc: Annotated[Score, Shown("weighted AUROC")]
    auroc_bound: Score
    mean_average_precision: Annotated[Score, Shown("mean average precision")]
    weighted_average_precision: Annotated[Score, Shown("weighted average precision")]
    average_precision_bound: Score = None
    calibration_error: Annotated[Score, Shown("calibration error")]
    classwise_calibration_error: Annotated[Score, Shown("classwise calibration error")]
    uncalibrated_error: Annotated[Score, Shown("calibration error without temperature")] = None


class TemporalScores(BaseModel):
    """How well the predicted labels of images agree with those of the frame before each, moved to it by
    optical flow; the truth plays no part. protocol.temporal says more.

    consistency: the mean over classes of the IoU of both, of all compared pixels (Liu et al., "Efficient
    semantic video segmentation with per-frame inference", ECCV 2020). compared: the share of the pixels
    that the flow finds in both frames; the others are left out.
    """

    consistency: Annotated[Score, Shown("temporal consistency")]
    consistency_interval: Interval | None
    compared: Annotated[Score, Shown("pixels compared over time")]


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
    how the 95 % intervals were found, or `none: ` and why there is none. instances: likewise of iIoU.
    temporal: which frames TemporalScores are of, how they were compared, and what was left out. processes:
    how many predicted; None for label images, whose scores do not depend on it.
    temperature, calibration: of the probabilities, and what their calibration was measured on.
    """

    split: str
    images: int
    images_without_truth: int | None = None
    pixels: int | None = None
    void_pixels: int | None = None
    resolution: str
    left_out: dict[str, int] | None = None
    image_sizes: dict[str, int] | None = None
    groups: int | None = None
    label_scheme: str | None = None
    class_count: int | None = None
    ignored_ids: str | None = None
    counting: str | None = None
    network_input: str | None = None
    edges: str | None = None
    precision: str | None = None
    processes: int | None = None
    threshold: float | None = None
    threshold_choice: str | None = None
    views: str | None = None
    interval: str | None = None
    instances: str | None = None
    temporal: str | None = None
    temperature: float | None = None
    calibration: str | None = None
    data: str | None = None

    @property
    def summary(self) -> str:
        """On what and how the scores were measured, in one line below a table."""
        void = f"{self.void_pixels or 0:,} void (ids {self.ignored_ids or 'none'})"
        mirrored = (self.edges or "none") != "none"
        found = [
            f"{self.images} images of split {self.split}",
            "" if self.pixels is None else f"{self.pixels:,} pixels and {void}",
            f"{self.class_count} classes of {self.label_scheme}" if self.class_count else "",
            self.resolution,
            f"network input {self.network_input}" if self.network_input else "",
            self.views,
            "edges mirrored" if mirrored else "",
            "" if self.threshold is None else f"threshold {self.threshold:g}",
            self.precision,
            f"{self.processes} process{'' if self.processes == 1 else 'es'}"
            if self.processes
            else "",
        ]
        return "; ".join(one for one in found if one)

    @property
    def of_labels_alone(self) -> bool:
        """Whether label images were scored (`segpipe score`), of whose model nothing is known."""
        return self.label_scheme is not None and self.network_input is None

    @property
    def no_interval(self) -> str | None:
        """Why the scores of the split have no interval; None where they have, or nothing is said."""
        kind, _, reason = (self.interval or "").partition(": ")
        return reason if kind == "none" and reason else None


class Evaluated(Record):
    """What the evaluate stage writes."""

    stage: ClassVar[str] = "evaluate"


class Evaluation(Evaluated):
    """evaluation.json: the scores of a split and their protocol.

    foreground: only where the network has one logit. classes: by name, in the order of train ids.
    categories, category_iou: where the label scheme has categories. instance_iou: the mean over the
    classes (iIoU of Cityscapes), category_instance_iou: over categories; protocol.instances says more.
    """

    file: ClassVar[str] = "evaluation.json"

    miou: Annotated[Score, Shown("mIoU")]
    miou_interval: Interval | None
    pixel_accuracy: Annotated[Score, Shown("pixel accuracy")]
    pixel_accuracy_interval: Interval | None
    mean_accuracy: Annotated[Score, Shown("mean accuracy")] = None
    mean_precision: Annotated[Score, Shown("mean precision")] = None
    mean_dice: Annotated[Score, Shown("mean Dice")] = None
    frequency_weighted_iou: Annotated[Score, Shown("weighted IoU")] = None
    frequency_weighted_dice: Annotated[Score, Shown("weighted Dice")] = None
    frequency_weighted_precision: Annotated[Score, Shown("weighted precision")] = None
    category_iou: Annotated[Score, Shown("category IoU")] = None
    category_iou_interval: Interval | None = None
    instance_iou: Annotated[Score, Shown("class iIoU")] = None
    instance_iou_interval: Interval | None = None
    category_instance_iou: Annotated[Score, Shown("category iIoU")] = None
    category_instance_iou_interval: Interval | None = None
    by_image: ImageMeanScores | None = None
    boundaries: list[BoundaryScores] = Field(default_factory=list)
    probabilities: ProbabilityScores | None = None
    temporal: TemporalScores | None = None
    foreground: Foreground | None = None
    classes: dict[str, ClassScores] = Field(min_length=1)
    categories: dict[str, CategoryScores] = Field(default_factory=dict)
    protocol: EvaluationProtocol

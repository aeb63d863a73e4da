"""What the train stage writes into metrics/: what it reached and cost, its history, its MLflow run."""

from typing import Annotated, ClassVar

from segpipe.results.records import ClassName, Record, Score, Shown

Epochs = int | float  # whole numbers stay whole


class _Trained(Record):
    stage: ClassVar[str] = "train"


class TrainingSummary(_Trained):
    """training.json: the scores of the best validation and what the training cost.

    Without `limit` and `overfit` all samples were used. images_per_second: median over the history.
    wait_share: of the seconds, those without data. device_hours: hours times processes.
    accumulation: at the end of the training. pruned: a sweep ended it before its time; None otherwise.
    mlflow_run: the id of its run, where it was tracked.
    """

    file: ClassVar[str] = "training.json"

    best_epoch: Epochs | None = None
    best_step: int | None = None
    epochs: Epochs | None = None
    steps: int | None = None
    val_miou: Score = None
    val_pixel_accuracy: Score = None
    val_loss: float | None = None
    train_loss: float | None = None
    threshold: float | None = None
    pruned: bool | None = None
    train_samples: int | None = None
    val_samples: int | None = None
    limit: int | None = None
    overfit: int | None = None
    images_per_second: Annotated[float, Shown("images/s", decimals=2)]
    seconds: Annotated[float, Shown("training, s", decimals=1)]
    wait_share: float
    device_hours: float | None = None
    peak_memory_mb: Annotated[float, Shown("peak memory, MB", decimals=0)]
    parameters: int | None = None
    processes: int
    accumulation: int | None = None
    precision: str
    device: str
    mlflow_run: str | None = None


class TrainingHeadline(_Trained):
    """training_scores.json: what DVC's tables show of a training, below short names.

    val_loss: of the kept weights. images_s: images/s, as in TrainingSummary. hours: by the clock.
    """

    file: ClassVar[str] = "training_scores.json"

    val_loss: float | None
    images_s: float
    hours: float


def training_headline(summary: TrainingSummary) -> TrainingHeadline:
    """Return the few numbers that DVC's tables show."""
    return TrainingHeadline(
        val_loss=summary.val_loss,
        images_s=summary.images_per_second,
        hours=round(summary.seconds / 3600, 5),
    )


class HistoryRow(_Trained):
    """A row of history.csv: a validation or the end of an epoch; None without a validation.

    val_weighted_f1: of the classes, weighted by their true pixels (the accuracy weighted so is the
    pixel accuracy). partial_val_*: of a validation of `partial_val_samples` samples alone, with
    `train.partial_validation`; it chooses nothing. train_miou, train_pixel_accuracy: with
    `train.scores`, of the augmented batches since the row before, each predicted before the step that
    learns from it.
    """

    file: ClassVar[str] = "history.csv"

    epoch: Epochs
    step: int
    lr: float
    train_loss: float
    val_loss: float | None
    val_miou: Score
    val_pixel_accuracy: Score
    val_weighted_f1: Score = None
    partial_val_loss: float | None = None
    partial_val_miou: Score = None
    partial_val_samples: int | None = None
    train_miou: Score = None
    train_pixel_accuracy: Score = None
    images_per_second: float
    wait_seconds: float
    peak_memory_mb: float
    seconds: float


class ClassHistoryRow(_Trained):
    """A row of class_history.csv: the IoU of a class at a validation."""

    file: ClassVar[str] = "class_history.csv"

    epoch: Epochs
    step: int
    class_name: ClassName
    iou: Score


class PlannedRate(_Trained):
    """A row of learning_rate.csv: the learning rate that a step (from 1) will have."""

    file: ClassVar[str] = "learning_rate.csv"

    step: int
    epoch: float
    lr: float


class TrainedRun(_Trained):
    """mlflow.json: the id of the training's MLflow run; None where nothing is tracked."""

    file: ClassVar[str] = "mlflow.json"

    run_id: str | None

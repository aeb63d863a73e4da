"""The options of each learning rate schedule, and what can steer a training."""

from typing import Annotated, Literal

from pydantic import Field

from segpipe.params.length import Length, PositiveLength
from segpipe.params.section import Positive, Section

# What is measured at each validation and can steer a training; of a loss less is better.
Metric = Literal["val_miou", "val_pixel_accuracy", "val_loss", "train_loss"]
ScheduleName = Literal[
    "constant", "halving", "poly", "cosine", "one_cycle", "plateau", "warmup_sqrt"
]
SCHEDULES_WITH_OPTIONS = frozenset({"halving", "poly", "one_cycle", "plateau", "warmup_sqrt"})
Improvement = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_BelowOne = Annotated[float, Field(gt=0, lt=1)]
_AboveOne = Annotated[float, Field(gt=1, allow_inf_nan=False)]


class HalvingParams(Section):
    """Halving: after which length the learning rate is halved, again and again."""

    every: PositiveLength = Length(10)
    """a length; after each the learning rate is halved"""


class PolyParams(Section):
    """Polynomial decay: its power."""

    power: Positive = 0.9
    """above 0"""


class OneCycleParams(Section):
    """One cycle: where its peak lies, and what the peak is divided by at the start and the end."""

    peak: _BelowOne = 0.3
    """0..1, without the ends; fraction of the length after which lr is reached"""
    start_divisor: _AboveOne = 25.0
    """above 1; it starts at lr divided by this"""
    final_divisor: _AboveOne = 10_000.0
    """above 1; it ends at the start divided by this"""


class PlateauParams(Section):
    """Plateau: by what the rate is multiplied after more than `patience` validations without gain."""

    metric: Metric = "val_loss"
    """val_loss | val_miou | val_pixel_accuracy | train_loss; seen at each validation"""
    factor: _BelowOne = 0.1
    """0..1, without the ends; what the learning rate is multiplied by"""
    patience: Annotated[int, Field(ge=0)] = 5
    """0 or more; validations without gain that are let pass"""
    threshold: Improvement = 0.0001
    """0 or more; fraction of the best value by which a value must be better to be a gain"""


class WarmupSqrtParams(Section):
    """Quadratic warm-up and square-root decay: the lowest rate, and how slowly the rate falls."""

    minimum: Positive = 0.0001
    """above 0; lowest learning rate"""
    decay: Positive = 500_000_000.0
    """above 0; larger is slower"""

"""How the network is trained: the section `train` of params.yaml."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from segpipe.params.length import AnyLength, Length, PositiveLength
from segpipe.params.schedule import (
    HalvingParams,
    Improvement,
    Metric,
    OneCycleParams,
    PlateauParams,
    PolyParams,
    ScheduleName,
    WarmupSqrtParams,
)
from segpipe.params.section import (
    Count,
    Fraction,
    Pixels,
    Positive,
    Range,
    Section,
    Seed,
)

_Momentum = Annotated[float, Field(ge=0, lt=1)]


def _probability_or_auto(value: object) -> object:
    """One message for both forms, where pydantic would have one for each."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value != "auto" and not (number and 0 < float(str(value)) < 1):
        raise ValueError(f"is {value!r}; it can be a number between 0 and 1, or auto")
    return value


Threshold = Annotated[float | Literal["auto"], BeforeValidator(_probability_or_auto)]


class AugmentParams(Section):
    """How a training sample is varied each time it is seen."""

    crop_height: Pixels | None = None
    crop_width: Pixels | None = None
    scale: Range = (0.75, 1.5)
    flip: Fraction = 0.5
    flip_vertical: Fraction = 0.0
    gamma: Range = (0.8, 1.25)
    saturation: Range = (0.8, 1.25)


# Training samples as they are, whole.
NO_AUGMENTATION = AugmentParams(
    scale=(1.0, 1.0), flip=0.0, flip_vertical=0.0, gamma=(1.0, 1.0), saturation=(1.0, 1.0)
)


class ClassCentroidsParams(Section):
    """Which samples are picked for a class, and where in the images its centroids are looked for.

    share: of the samples of an epoch. cell: side of the squares into which the images are divided,
    in pixels; a class has one centroid in each square that shows it.
    """

    share: Fraction = 0.5
    cell: Pixels = 64


class SGDParams(Section):
    """Stochastic gradient descent: momentum, and whether it is Nesterov's."""

    momentum: _Momentum = 0.9
    nesterov: bool = True

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> "SGDParams":
        if self.nesterov and not self.momentum:
            raise ValueError(
                "nesterov needs a momentum above 0; set nesterov to false, or momentum to 0.9"
            )
        return self


class RMSpropParams(Section):
    """RMSprop: how slowly the mean of the squared gradients forgets, and momentum."""

    alpha: _Momentum = 0.99
    momentum: _Momentum = 0.0


class EarlyStoppingParams(Section):
    """When training ends before its length: after `patience` validations in a row without gain.

    metric: null for never. threshold: by how much a value must be better than the best to be a gain.
    """

    metric: Metric | None = None
    patience: Count = 5
    threshold: Improvement = 0.0


class TrainParams(Section):
    """How the network is trained; of alternatives only the named one's options are used.

    backbone_lr: factor of the learning rate of the network's backbone. ema: decay of the moving
    average of the weights, 0 for none. threshold: probability above which a pixel of one logit is
    of the class; auto takes the best one on the validation split. sharding: fsdp2 leaves each of
    several processes its part of weights, gradients and optimizer state. limit: so many samples of each
    split are used. overfit: so many are learnt by heart. profile: so many steps are profiled.
    """

    length: PositiveLength = Length(20)
    batch_size: Count = 8
    accumulation: Count = 1
    auto_accumulate: bool = False
    sampler: Literal["uniform", "class_centroids"] = "uniform"
    class_centroids: ClassCentroidsParams = ClassCentroidsParams()
    optimizer: Literal["adamw", "adam", "sgd", "rmsprop"] = "adamw"
    sgd: SGDParams = SGDParams()
    rmsprop: RMSpropParams = RMSpropParams()
    lr: Positive = 0.002
    backbone_lr: Annotated[float, Field(gt=0, le=100)] = 1.0
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01
    schedule: ScheduleName = "poly"
    warmup: AnyLength = Length(1)
    halving: HalvingParams = HalvingParams()
    poly: PolyParams = PolyParams()
    one_cycle: OneCycleParams = OneCycleParams()
    plateau: PlateauParams = PlateauParams()
    warmup_sqrt: WarmupSqrtParams = WarmupSqrtParams()
    clip: Positive | None = 1.0
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    compile: bool = False
    sharding: Literal["none", "fsdp2"] = "none"
    validate_every: PositiveLength = Length(1)
    early_stopping: EarlyStoppingParams = EarlyStoppingParams()
    threshold: Threshold = 0.5
    seed: Seed = 0
    limit: Count | None = None
    overfit: Count | None = None
    profile: Annotated[int, Field(ge=0, le=1000)] = 0
    augment: AugmentParams = AugmentParams()

    @model_validator(mode="after")
    def _lengths_fit(self) -> "TrainParams":
        if self.batch_size % self.accumulation:
            fitting = [n for n in range(1, self.batch_size + 1) if self.batch_size % n == 0]
            raise ValueError(
                f"batch_size ({self.batch_size}) cannot be split into {self.accumulation} equal "
                f"parts; accumulation can be {', '.join(map(str, fitting))}"
            )
        # Where the units differ, the number of samples decides, which the engine knows.
        alike = self.warmup.unit == self.length.unit
        if alike and self.warmup.amount >= self.length.amount:
            raise ValueError(f"warmup ({self.warmup}) must be below length ({self.length})")
        return self

    @model_validator(mode="after")
    def _shards_are_not_compiled(self) -> "TrainParams":
        if self.sharding == "fsdp2" and self.compile:
            raise ValueError(
                "compile and sharding exclude each other: a compiled network would gather its shards in "
                "ways that are not tested; set compile to false, or sharding to none"
            )
        return self

    @model_validator(mode="after")
    def _few_samples_make_a_batch(self) -> "TrainParams":
        if self.limit is not None and self.overfit is not None:
            raise ValueError(
                "limit and overfit exclude each other: overfit chooses its samples from all; set one "
                "of them to null"
            )
        for name, samples in (("limit", self.limit), ("overfit", self.overfit)):
            if samples is not None and samples < self.batch_size:
                raise ValueError(
                    f"{name} is {samples}, which is less than one batch (batch_size {self.batch_size}); "
                    f"set batch_size to {samples} or less, or {name} to {self.batch_size} or more"
                )
        return self

    @property
    def augmentation(self) -> AugmentParams:
        """What is done to the training samples: nothing where they are learnt by heart."""
        return self.augment if self.overfit is None else NO_AUGMENTATION

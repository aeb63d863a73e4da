"""How the network is trained: the section `train` of params.yaml."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from segpipe.params.augment import NO_AUGMENTATION, AugmentParams
from segpipe.params.length import AnyLength, Length, OptionalLength, PositiveLength
from segpipe.params.optimizer import RMSpropParams, SGDParams
from segpipe.params.schedule import (
    SCHEDULES_WITH_OPTIONS,
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
    Fraction,
    Pixels,
    Positive,
    PositiveInt,
    Section,
    Seed,
    Since,
)
from segpipe.runtime.errors import excerpt


def _probability_or_auto(value: object) -> object:
    """One message for both forms, where pydantic would have one for each."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value != "auto" and not (number and 0 < float(str(value)) < 1):
        raise ValueError(f"is {excerpt(value)}; it can be a number between 0 and 1, or auto")
    return value


Threshold = Annotated[float | Literal["auto"], BeforeValidator(_probability_or_auto)]


class ClassCentroidsParams(Section):
    """Which samples are chosen for a class, and where in the images its centroids are looked for."""

    share: Fraction = 0.5
    """0..1; fraction of the samples of an epoch that are chosen for a class, each class as often; the
    others as uniform"""
    cell: Pixels = 64
    """pixels, 8..65536; a class has one centroid in each square of this side that shows it; about
    half the crop suits"""


class EarlyStoppingParams(Section):
    """When training ends before its length: after `patience` validations in a row without gain."""

    metric: Metric | None = None
    """null (never) | val_miou | val_pixel_accuracy | val_loss | train_loss"""
    patience: PositiveInt = 5
    """validations, 1 or more"""
    threshold: Improvement = 0.0
    """0 or more; by how much a value must be better than the best to be a gain"""

    def unused(self) -> frozenset[str]:
        """Return the options of early stopping where it is off."""
        return frozenset() if self.metric else frozenset({"patience", "threshold"})


class PartialValidationParams(Section):
    """Validations of a part of the validation split, between the whole ones; they choose nothing."""

    every: OptionalLength = None
    """a length, above 0, such as 50 steps; where a whole validation is due, that is made; null: none"""
    samples: PositiveInt = 64
    """1 or more; as many of the validation split, evenly spaced and always the same"""


class TrainParams(Section):
    """How the network is trained; of alternatives only the named one's options are used."""

    length: PositiveLength = Length(20)
    """a length, above 0: a number of epochs, or text such as 2.5 epochs, 1250 steps, 100000
    samples"""
    batch_size: PositiveInt = 8
    """samples of one optimizer step, of all processes together"""
    accumulation: PositiveInt = 1
    """micro-batches that a step is cut into; must divide batch_size"""
    lanes: Annotated[int, Field(ge=0, le=4096), Since("0.2.0")] = 0
    """0 (off), or a power of two that divides batch_size: equal parts, computed one by one, that each
    batch is always cut into, so that the result has the same bits on any number of processes that
    divides it; batch norm sees one part at a time; slower; not with accumulation or sharding"""
    sampler: Literal["uniform", "class_centroids"] = "uniform"
    """uniform | class_centroids (rare classes come up more often); only the options of the named
    one are used"""
    class_centroids: ClassCentroidsParams = ClassCentroidsParams()
    """when sampler is class_centroids"""
    normalisation: Annotated[Literal["auto", "data", "imagenet"], Since("0.2.0")] = "auto"
    """auto (as the images of the first weights where these state it, else data) | data (mean and std
    of the training split) | imagenet (those that are usual for photographs); of the images"""
    optimizer: Literal["adamw", "muon", "adam", "sgd", "rmsprop"] = "adamw"
    """adamw | muon (orthogonal steps; learns faster from scratch, at an lr of about 0.01; not with
    sharding) | adam | sgd | rmsprop; only the options of the named one are used"""
    sgd: SGDParams = SGDParams()
    """when optimizer is sgd"""
    rmsprop: RMSpropParams = RMSpropParams()
    """when optimizer is rmsprop"""
    lr: Positive = 0.002
    """highest learning rate, above 0"""
    backbone_lr: Annotated[float, Field(gt=0, le=100)] = 1.0
    """above 0 up to 100; factor of the learning rate for the backbone, where the network has one"""
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01
    """0 or more; not for biases and norms"""
    schedule: ScheduleName = "poly"
    """constant | halving | poly | cosine | one_cycle | plateau | warmup_sqrt; only the options of
    the named one are used"""
    warmup: AnyLength = Length(1)
    """a length, 0 to below length; linear rise of the learning rate, before any schedule but
    one_cycle"""
    halving: HalvingParams = HalvingParams()
    """when schedule is halving"""
    poly: PolyParams = PolyParams()
    """when schedule is poly"""
    one_cycle: OneCycleParams = OneCycleParams()
    """when schedule is one_cycle, which has a rise of its own in place of the warm-up"""
    plateau: PlateauParams = PlateauParams()
    """when schedule is plateau"""
    warmup_sqrt: WarmupSqrtParams = WarmupSqrtParams()
    """when schedule is warmup_sqrt: max(lr * s^2 / warmup^2, minimum), then max(lr - sqrt((s -
    warmup) / decay), minimum)"""
    clip: Positive | None = 1.0
    """largest norm of the gradient, above 0; null: no limit"""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """0 to below 1; decay of a moving average of the weights, which is then validated and kept; 0:
    none"""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto (bf16 where the hardware has units for it) | fp32 | bf16"""
    compile: bool = False
    """torch.compile: slower to start, faster after"""
    sharding: Literal["none", "fsdp2"] = "none"
    """none | fsdp2: each process keeps its part of weights, gradients and optimizer state, for
    networks of some hundred million weights; not with compile"""
    validate_every: PositiveLength = Length(1)
    """a length, above 0; the end is always validated"""
    partial_validation: Annotated[PartialValidationParams, Since("0.2.0")] = (
        PartialValidationParams()
    )
    """beside validate_every, of few samples along the way: `partial_val_*` in the history and in MLflow;
    the kept weights, early stopping, plateau and sweeps look at whole validations alone"""
    scores: Annotated[bool, Since("0.2.0")] = False
    """true: the history has mIoU and pixel accuracy of the training as well, on the augmented batches
    as the network saw them; small networks take some percent longer"""
    early_stopping: EarlyStoppingParams = EarlyStoppingParams()
    """end before the length, after so many validations in a row without gain"""
    threshold: Threshold = 0.5
    """for a loss with one logit (bce): probability above which a pixel is of the class, between 0
    and 1; auto: the best on the validation split"""
    seed: Seed = 0
    """of first weights, order, augmentation, dropout"""
    limit: PositiveInt | None = None
    """samples, batch_size or more; trains and validates on so many, evenly spread, for a quick try;
    null: all"""
    overfit: PositiveInt | None = None
    """samples, batch_size or more; learns so many by heart, validated on the very same, to find
    mistakes in data and model; null: no"""
    profile: Annotated[int, Field(ge=0, le=1000)] = 0
    """steps, 0..1000; the time that so many take is taken apart, in .segpipe/profile; the result is
    the same; 0: none"""
    augment: AugmentParams = AugmentParams()
    """drawn anew each time a sample is seen"""

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
    def _lanes_divide_the_batch(self) -> "TrainParams":
        if not self.lanes:
            return self
        fitting = [2**n for n in range(13) if self.batch_size % 2**n == 0]
        if self.lanes not in fitting:
            raise ValueError(
                f"lanes is {self.lanes}; it can be 0, or a power of two that divides batch_size "
                f"({self.batch_size}): {', '.join(map(str, fitting))}"
            )
        if self.accumulation > 1:
            raise ValueError(
                f"lanes and accumulation exclude each other: lanes cut each batch into {self.lanes} parts "
                "already, of which a process computes one at a time; set accumulation to 1"
            )
        if self.sharding != "none":
            raise ValueError(
                "lanes and sharding exclude each other: the gradients of sharded weights are added by "
                "torch in its own order; set sharding to none, or lanes to 0"
            )
        return self

    @model_validator(mode="after")
    def _muon_has_whole_kernels(self) -> "TrainParams":
        if self.sharding == "fsdp2" and self.optimizer == "muon":
            raise ValueError(
                "sharding and muon exclude each other: a step of muon needs whole kernels, and each process "
                "would have a part of them; set optimizer to adamw, or sharding to none"
            )
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

    def unused(self) -> frozenset[str]:
        """Return the options of the samplers, optimizers and schedules that are not named.

        Without partial validations those of these. Where samples are learnt by heart nothing is augmented.
        """
        alternatives = {"class_centroids", "sgd", "rmsprop", "augment", "partial_validation"}
        alternatives |= SCHEDULES_WITH_OPTIONS
        used: set[str] = {self.sampler, self.optimizer, self.schedule}
        used |= set() if self.overfit is not None else {"augment"}
        used |= {"partial_validation"} if self.partial_validation.every else set()
        return frozenset(alternatives - used)

    @property
    def augmentation(self) -> AugmentParams:
        """What is done to the training samples: nothing where they are learnt by heart."""
        return self.augment if self.overfit is None else NO_AUGMENTATION

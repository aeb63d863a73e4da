"""All parameters of the pipeline, section by section, as typed and bounded fields.

Library functions take their own section or plain values, never the whole of `Params`.
Units: lengths in pixels (height before width), probabilities and shares in 0..1, time in seconds.
"""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from segpipe.params.section import Count, Fraction, Pixels, Positive, Range, Section, Seed


class SyntheticParams(Section):
    """How many procedural street scenes there are, and how large."""

    train: Count = 128
    val: Count = 32
    test: Annotated[int, Field(ge=0)] = 16
    height: Pixels = 256
    width: Pixels = 512
    frames: Annotated[int, Field(ge=1, le=20)] = 1
    seed: Seed = 0


class SourceParams(Section):
    """Where the raw images and masks come from."""

    name: Literal["synthetic", "cityscapes", "folder"] = "synthetic"
    path: Annotated[str, Field(min_length=1)] = "data/synthetic.yaml"
    synthetic: SyntheticParams = SyntheticParams()


class LabelParams(Section):
    """What the values of a mask mean."""

    scheme: Annotated[str, Field(min_length=1)] = "cityscapes19"
    map: dict[int, str] = Field(default_factory=dict)


class SplitParams(Section):
    """Which samples train, which validate, which test."""

    by: Literal["folder", "lists", "ratio"] = "folder"
    val: Fraction = 0.2
    test: Fraction = 0.0
    group: str | None = None
    seed: Seed = 0

    @field_validator("group")
    @classmethod
    def _group_is_a_pattern(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                groups = re.compile(pattern).groups
            except re.error as error:
                raise ValueError(f"is no regular expression: {error}") from error
            if groups != 1:
                raise ValueError(f"needs exactly one (group) in parentheses, not {groups}")
        return pattern

    @model_validator(mode="after")
    def _something_left_to_train_on(self) -> "SplitParams":
        if self.by == "ratio" and not 0 < self.val < 1 - self.test:
            raise ValueError(
                f"val ({self.val}) must be above 0, and val + test ({self.val + self.test:g}) below 1"
            )
        return self


class PrepareParams(Section):
    """What is made of the raw files before training."""

    height: Pixels = 256
    width: Pixels = 512
    fit: Literal["stretch", "pad", "crop"] = "stretch"
    copies: Annotated[int, Field(ge=0, le=100)] = 0
    gamma: Range = (0.5, 1.5)
    saturation: Range = (0.5, 1.5)
    seed: Seed = 0
    split: SplitParams = SplitParams()


class UNetParams(Section):
    """U-Net: channels of the first level, levels below it, and what stands between the convolutions."""

    width: Annotated[int, Field(ge=4, le=256)] = 16
    depth: Annotated[int, Field(ge=1, le=6)] = 4
    norm: Literal["batch", "group", "none"] = "batch"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    padding: Literal["same", "valid"] = "same"


class MiniUNetParams(Section):
    """Mini U-Net: channels of the first level (the original has 64)."""

    width: Annotated[int, Field(ge=4, le=256)] = 64


class ModelParams(Section):
    """Which network, and the options of each; only the options of the named one are used."""

    name: Literal["unet", "mini_unet"] = "unet"
    unet: UNetParams = UNetParams()
    mini_unet: MiniUNetParams = MiniUNetParams()


class LossParams(Section):
    """What training minimises."""

    name: Literal["cross_entropy"] = "cross_entropy"


class AugmentParams(Section):
    """How a training sample is varied each time it is seen."""

    crop_height: Pixels | None = None
    crop_width: Pixels | None = None
    scale: Range = (0.75, 1.5)
    flip: Fraction = 0.5
    gamma: Range = (0.8, 1.25)
    saturation: Range = (0.8, 1.25)


class TrainParams(Section):
    """How the network is trained."""

    epochs: Count = 20
    batch_size: Count = 8
    accumulation: Count = 1
    optimizer: Literal["adamw", "adam"] = "adamw"
    lr: Positive = 0.002
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01
    schedule: Literal["poly", "cosine"] = "poly"
    poly_power: Positive = 0.9
    warmup_epochs: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    clip: Positive | None = 1.0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    compile: bool = False
    validate_every: Count = 1
    seed: Seed = 0
    augment: AugmentParams = AugmentParams()

    @model_validator(mode="after")
    def _lengths_fit(self) -> "TrainParams":
        if self.batch_size % self.accumulation:
            fitting = [n for n in range(1, self.batch_size + 1) if self.batch_size % n == 0]
            raise ValueError(
                f"batch_size ({self.batch_size}) cannot be split into {self.accumulation} equal "
                f"parts; accumulation can be {', '.join(map(str, fitting))}"
            )
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs ({self.warmup_epochs:g}) must be below epochs ({self.epochs})"
            )
        return self


class EvaluateParams(Section):
    """On what the finished model is scored."""

    split: Literal["val", "test"] = "val"
    bootstrap: Annotated[int, Field(ge=0, le=100_000)] = 1000
    seed: Seed = 0


class RenderParams(Section):
    """Which predictions are drawn, and how."""

    images: Count = 8
    order: Literal["worst", "name"] = "worst"
    opacity: Fraction = 0.55


class TrackingParams(Section):
    """What MLflow is told."""

    enabled: bool = True
    experiment: Annotated[str, Field(min_length=1)] = "segpipe"
    unreachable: Literal["error", "local"] = "error"


class Params(Section):
    """The whole of params.yaml."""

    source: SourceParams = SourceParams()
    labels: LabelParams = LabelParams()
    prepare: PrepareParams = PrepareParams()
    model: ModelParams = ModelParams()
    loss: LossParams = LossParams()
    train: TrainParams = TrainParams()
    evaluate: EvaluateParams = EvaluateParams()
    render: RenderParams = RenderParams()
    tracking: TrackingParams = TrackingParams()

    @model_validator(mode="after")
    def _sections_fit_together(self) -> "Params":
        if self.source.name != "folder" and self.prepare.split.by != "folder":
            raise ValueError(
                f"prepare.split.by is {self.prepare.split.by!r}, but the {self.source.name} source "
                "comes with its own splits; set prepare.split.by to folder"
            )
        if (
            self.source.name == "synthetic"
            and self.evaluate.split == "test"
            and not self.source.synthetic.test
        ):
            raise ValueError("evaluate.split is test, but source.synthetic.test is 0")
        return self

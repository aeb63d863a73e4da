"""All parameters of the pipeline, section by section, as typed and bounded fields.

Library functions take their own section or plain values, never the whole of `Params`.
Units: lengths in pixels (height before width), probabilities and shares in 0..1, time in seconds.
"""

import difflib
import re
from typing import Annotated, Literal, cast, get_args

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from segpipe.params.section import (
    Count,
    Degrees,
    Fraction,
    Pixels,
    Positive,
    Range,
    Section,
    Seed,
    Spread,
    Steps,
    Zoom,
    pair,
    strictly_ascending,
)

Sentinel2Band = Literal[
    "B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12"
]
LandsatBand = Literal["B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9", "B10", "B11"]

# Sources whose images are georeferenced rasters, read by windows and with any number of bands.
RASTER_SOURCES = frozenset({"rasters", "esd", "synthetic_esd"})
# Sources that hold the frames before each annotated one.
CLIP_SOURCES = frozenset({"synthetic", "cityscapes"})
# The annotated frame of a Cityscapes snippet has so many before it.
_FRAMES_BEFORE = 19


class SyntheticParams(Section):
    """How many procedural street scenes there are, and how large."""

    train: Count = 128
    val: Count = 32
    test: Annotated[int, Field(ge=0)] = 16
    height: Pixels = 256
    width: Pixels = 512
    seed: Seed = 0


class SyntheticEsdParams(Section):
    """How many procedural satellite tiles there are, and how large."""

    tiles: Annotated[int, Field(ge=2, le=1000)] = 8
    truth: Annotated[int, Field(ge=1, le=16)] = 4
    seed: Seed = 0


class CityscapesParams(Section):
    """Which parts of Cityscapes are used beside the finely annotated ones."""

    coarse_per_fine: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 0.0
    seed: Seed = 0


class ClipParams(Section):
    """How many frames a sample has, and how far they lie apart; the last is the annotated one."""

    frames: Annotated[int, Field(ge=1, le=_FRAMES_BEFORE + 1)] = 1
    stride: Annotated[int, Field(ge=1, le=_FRAMES_BEFORE)] = 1

    @model_validator(mode="after")
    def _lies_in_the_snippet(self) -> "ClipParams":
        before = (self.frames - 1) * self.stride
        if before > _FRAMES_BEFORE:
            raise ValueError(
                f"{self.frames} frames with stride {self.stride} begin {before} frames before the "
                f"annotated one, and a snippet has {_FRAMES_BEFORE}; with this stride frames can be "
                f"up to {_FRAMES_BEFORE // self.stride + 1}"
            )
        return self


class SourceParams(Section):
    """Where the raw images and masks come from."""

    name: Literal["synthetic", "cityscapes", "folder", "rasters", "esd", "synthetic_esd"] = (
        "synthetic"
    )
    path: Annotated[str, Field(min_length=1)] = "data/synthetic.yaml"
    clip: ClipParams = ClipParams()
    synthetic: SyntheticParams = SyntheticParams()
    cityscapes: CityscapesParams = CityscapesParams()
    synthetic_esd: SyntheticEsdParams = SyntheticEsdParams()

    @model_validator(mode="after")
    def _clips_where_there_are_frames(self) -> "SourceParams":
        if self.clip.frames > 1 and self.name not in CLIP_SOURCES:
            raise ValueError(
                f"clip.frames is {self.clip.frames}, but the {self.name} source has single images; "
                f"set clip.frames to 1, or name to {' or '.join(sorted(CLIP_SOURCES))}"
            )
        if self.name == "cityscapes" and self.clip.frames > 1 and self.cityscapes.coarse_per_fine:
            raise ValueError(
                f"clip.frames is {self.clip.frames} and cityscapes.coarse_per_fine is "
                f"{self.cityscapes.coarse_per_fine:g}, but the coarse scenes have no sequences; set "
                "clip.frames to 1 or cityscapes.coarse_per_fine to 0.0"
            )
        return self


class LabelParams(Section):
    """What the values of a mask mean, and which images are left out for what they hold."""

    scheme: Annotated[str, Field(min_length=1)] = "cityscapes19"
    map: dict[int, str] = Field(default_factory=dict)
    exclude_images_with: list[str] = Field(default_factory=list)


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


class CopyParams(Section):
    """Offline augmentation: changed copies of the training images, and of their masks.

    brightness, colour: how far the factor lies from 1, either way. rotation: how far in degrees,
    either way. noise: standard deviation in steps of 1/255. blur: radius in pixels.
    """

    count: Annotated[int, Field(ge=0, le=100)] = 0
    apply: Literal["all", "one"] = "all"
    gamma: Range = (0.5, 1.5)
    saturation: Range = (0.5, 1.5)
    brightness: Spread = (0.0, 0.0)
    colour: Spread = (0.0, 0.0)
    flip: Fraction = 0.0
    zoom: Zoom = (1.0, 1.0)
    rotation: Degrees = (0.0, 0.0)
    noise: Steps = (0.0, 0.0)
    blur: Steps = (0.0, 0.0)
    seed: Seed = 0

    @model_validator(mode="after")
    def _copies_differ(self) -> "CopyParams":
        factors = (self.gamma, self.saturation, self.zoom)
        others = (self.brightness, self.colour, self.rotation, self.noise, self.blur)
        changed = any(ends != (1.0, 1.0) for ends in factors) or any(map(any, others))
        if self.count and not changed and not self.flip:
            raise ValueError(
                f"count is {self.count}, but every change is off, so the copies would be the images "
                "themselves; give one of them a range, or set count to 0"
            )
        return self


class RasterParams(Section):
    """How windows are cut from large rasters, and how their bands are scaled to 0..1.

    bands: numbers from 1; null takes all. overlap: pixels that neighbouring windows share.
    quantiles: of each band over the training rasters, which become 0 and 1.
    """

    bands: list[Count] | None = None
    overlap: Annotated[int, Field(ge=0)] = 0
    quantiles: Annotated[
        tuple[Fraction, Fraction], BeforeValidator(pair), AfterValidator(strictly_ascending)
    ] = (0.01, 0.99)


class EsdParams(Section):
    """Which satellites and bands of the ESD tiles are used; null takes all bands, [] none."""

    viirs: bool = True
    viirs_maximum: bool = True
    sentinel1: list[Literal["VH", "VV"]] | None = None
    sentinel2: list[Sentinel2Band] | None = None
    landsat: list[LandsatBand] | None = None

    @model_validator(mode="after")
    def _something_to_see(self) -> "EsdParams":
        rest = (self.sentinel1, self.sentinel2, self.landsat)
        if not (self.viirs or self.viirs_maximum) and all(bands == [] for bands in rest):
            raise ValueError("no band of any satellite is chosen; null takes all of a satellite")
        return self


class PrepareParams(Section):
    """What is made of the raw files before training."""

    height: Pixels = 256
    width: Pixels = 512
    fit: Literal["stretch", "pad", "crop"] = "stretch"
    copies: CopyParams = CopyParams()
    split: SplitParams = SplitParams()
    rasters: RasterParams = RasterParams()
    esd: EsdParams = EsdParams()


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


class RegSegParams(Section):
    """RegSeg: channels of its stem, and how far the last seven blocks look.

    dilation: of one half of their 3x3 convolutions, in cells of 16 pixels.
    """

    width: Annotated[int, Field(ge=8, le=128, multiple_of=4)] = 32
    dilation: Annotated[int, Field(ge=1, le=64)] = 14


class PSPNetParams(Section):
    """PSPNet: its ResNet, whether its middle is scored in training too, and dropout before scores."""

    backbone: Literal["resnet18", "resnet34", "resnet50", "resnet101"] = "resnet18"
    auxiliary: bool = True
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1


class ResNetLSTMParams(Section):
    """ResNet-LSTM: whether it remembers, whether a pyramid scores, and the grid of its memory.

    The LSTM's weights grow with the square of grid_height x grid_width x classes.
    """

    lstm: bool = True
    psp: bool = False
    grid_height: Annotated[int, Field(ge=1, le=32)] = 7
    grid_width: Annotated[int, Field(ge=1, le=32)] = 14


class TruthCNNParams(Section):
    """The small network for a truth 50 times coarser: channels of its first level."""

    width: Annotated[int, Field(ge=4, le=256)] = 64


class FCNParams(Section):
    """FCN: its ResNet, and whether its middle is scored in training too."""

    backbone: Literal["resnet50", "resnet101"] = "resnet50"
    auxiliary: bool = True


class DeepLabV3Params(Section):
    """DeepLabV3: its backbone, and whether the backbone's middle is scored in training too."""

    backbone: Literal["resnet50", "resnet101", "mobilenet_v3_large"] = "resnet50"
    auxiliary: bool = True


class SmpParams(Section):
    """A decoder and an encoder of segmentation_models.pytorch."""

    decoder: Literal[
        "unet",
        "unetplusplus",
        "manet",
        "linknet",
        "fpn",
        "pspnet",
        "deeplabv3",
        "deeplabv3plus",
        "pan",
        "upernet",
        "segformer",
        "dpt",
    ] = "unet"
    encoder: Annotated[str, Field(min_length=1)] = "resnet34"


class ModelParams(Section):
    """Which network, and the options of each; only the options of the named one are used."""

    name: Literal[
        "unet",
        "mini_unet",
        "regseg",
        "pspnet",
        "resnet_lstm",
        "truth_cnn",
        "fcn",
        "deeplabv3",
        "lraspp",
        "smp",
    ] = "unet"
    unet: UNetParams = UNetParams()
    mini_unet: MiniUNetParams = MiniUNetParams()
    regseg: RegSegParams = RegSegParams()
    pspnet: PSPNetParams = PSPNetParams()
    resnet_lstm: ResNetLSTMParams = ResNetLSTMParams()
    truth_cnn: TruthCNNParams = TruthCNNParams()
    fcn: FCNParams = FCNParams()
    deeplabv3: DeepLabV3Params = DeepLabV3Params()
    smp: SmpParams = SmpParams()


# The losses that can stand alone or in a sum.
LossName = Literal["cross_entropy", "bce", "dice", "lovasz", "focal", "ohem", "boundary"]


class CrossEntropyParams(Section):
    """Cross-entropy: the share of the truth that is spread evenly over all classes."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0


class DiceParams(Section):
    """Soft Dice: pixels added above and below the fraction, which keep it defined."""

    smooth: Annotated[float, Field(ge=1e-6, allow_inf_nan=False)] = 1.0


class FocalParams(Section):
    """Focal loss: how much less the pixels count that are right already."""

    gamma: Annotated[float, Field(ge=0, le=10)] = 2.0


class OhemParams(Section):
    """Hard pixels of each image: those below a probability, and at least a share or a number."""

    threshold: Fraction = 0.7
    share: Fraction = 0.0625
    min_kept: Count = 256


class BoundaryParams(Section):
    """Weight near class borders: how far it reaches (standard deviation), how much it adds."""

    distance: Annotated[float, Field(gt=0, le=32)] = 5.0
    strength: Annotated[float, Field(ge=0, le=1000)] = 10.0


class LossParams(Section):
    """What training minimises; only the options of the named loss are used.

    sum: losses by name and their weights, when name is sum. given: weights of classes by name, when
    class_weights is given. auxiliary: weight of the losses of auxiliary heads.
    """

    name: Literal[LossName, "sum"] = "cross_entropy"
    sum: dict[str, Positive] = Field(default_factory=lambda: {"cross_entropy": 1.0, "dice": 1.0})
    class_weights: Literal["none", "inverse", "median", "enet", "effective", "given"] = "none"
    given: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(
        default_factory=dict
    )
    auxiliary: Fraction = 0.4
    cross_entropy: CrossEntropyParams = CrossEntropyParams()
    dice: DiceParams = DiceParams()
    focal: FocalParams = FocalParams()
    ohem: OhemParams = OhemParams()
    boundary: BoundaryParams = BoundaryParams()

    @field_validator("sum")
    @classmethod
    def _sum_of_losses(cls, weights: dict[str, float]) -> dict[str, float]:
        known = get_args(LossName)
        faults = [_unknown_loss(name, known) for name in weights if name not in known]
        if faults:
            raise ValueError(f"{'; '.join(faults)}. The losses are {', '.join(known)}")
        if "bce" in weights and "cross_entropy" in weights:
            raise ValueError(
                "bce has one logit for the class, cross_entropy one for each of two or more; "
                "take one of the two out (all others go with either)"
            )
        return weights

    @model_validator(mode="after")
    def _named_has_its_values(self) -> "LossParams":
        faults = []
        if self.name == "sum" and not self.sum:
            faults.append(
                "name is sum, but sum is empty; add losses with their weights, such as "
                "{cross_entropy: 1.0, dice: 1.0}"
            )
        if self.class_weights == "given" and not any(self.given.values()):
            faults.append(
                "class_weights is given, but given holds no weight above 0; add one for each class, "
                "such as {road: 1.0, pole: 5.0}"
            )
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def terms(self) -> dict[LossName, float]:
        """The losses that are added up, and their weights; one of weight 1 unless name is sum."""
        if self.name == "sum":
            return cast(dict[LossName, float], self.sum)
        return {self.name: 1.0}


def _unknown_loss(name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"{name} is no loss" + (f"; did you mean {near[0]}?" if near else "")


class AugmentParams(Section):
    """How a training sample is varied each time it is seen."""

    crop_height: Pixels | None = None
    crop_width: Pixels | None = None
    scale: Range = (0.75, 1.5)
    flip: Fraction = 0.5
    flip_vertical: Fraction = 0.0
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
        if self.source.name in CLIP_SOURCES and self.prepare.split.by != "folder":
            raise ValueError(
                f"prepare.split.by is {self.prepare.split.by!r}, but the {self.source.name} source "
                "comes with its own splits; set prepare.split.by to folder"
            )
        if self.source.name in ("esd", "synthetic_esd") and self.prepare.split.by == "folder":
            raise ValueError(
                f"prepare.split.by is 'folder', but the tiles of the {self.source.name} source lie "
                "in no split; set prepare.split.by to ratio (or to lists, with train.txt and val.txt)"
            )
        if (
            self.source.name == "synthetic"
            and self.evaluate.split == "test"
            and not self.source.synthetic.test
        ):
            raise ValueError("evaluate.split is test, but source.synthetic.test is 0")
        return self

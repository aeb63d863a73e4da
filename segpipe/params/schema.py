"""All parameters of the pipeline, section by section, as typed and bounded fields.

The larger sections have files of their own beside this one. Library functions take their own
section or plain values, never the whole of `Params`.
Units: lengths in pixels (height before width), probabilities and fractions in 0..1, time in seconds.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from segpipe.params.checkpoint import CheckpointParams
from segpipe.params.loss import LossParams
from segpipe.params.model import ModelParams
from segpipe.params.prepare import PrepareParams
from segpipe.params.section import (
    Fraction,
    PositiveInt,
    Section,
    Since,
)
from segpipe.params.source import CLIP_SOURCES, SourceParams
from segpipe.params.train import TrainParams


class LabelParams(Section):
    """What the values of a mask mean, and which images are left out for what they hold."""

    scheme: Annotated[str, Field(min_length=1)] = "cityscapes19"
    """a built-in one (docs/data-format.md), or a CSV, YAML or labelmap.txt file in the folder of the
    data"""
    map: dict[int, str] = Field(default_factory=dict)
    """further mask values and what they mean, such as {255: void, 40: road}"""
    exclude_images_with: list[str] = Field(default_factory=list)
    """names of labels; images that hold one of them are left out"""


class EvaluateParams(Section):
    """On what the finished model is scored."""

    split: Literal["val", "test"] = "val"
    """val | test"""
    boundaries: Annotated[list[Annotated[float, Field(gt=0, le=10)]], Field(max_length=4)] = Field(
        default_factory=lambda: [0.75, 2.0]
    )
    """above 0, to 10; up to four widths of Boundary IoU and boundary F, in percent of the image's
    diagonal (0.75 and 2 are usual); []: neither"""
    probabilities: bool = True
    """AUROC, average precision and calibration of each class; takes longer than scores of labels"""
    temporal: Annotated[Literal["none", "dis"], Since("0.2.0")] = "none"
    """none | dis (of clips: how well the labels agree with those of the frame before, moved by the
    optical flow DIS; each image is predicted twice; needs pip install 'segpipe[video]')"""
    windows: Literal["whole", "slide"] = "whole"
    """whole (a picture is resized as in training) | slide (windows of the training size at the
    picture's own resolution; neighbours share half); rasters and tiles: whole"""
    scales: Annotated[
        list[Annotated[float, Field(ge=0.1, le=4)]], Field(min_length=1, max_length=8)
    ] = Field(default_factory=lambda: [1.0])
    """0.1..4; up to eight sizes at which a picture is seen, times that of `windows`; the mean of their
    probabilities counts; rasters and tiles: [1.0]"""
    flip: bool = False
    """true: each view is seen mirrored left to right as well"""


class RenderParams(Section):
    """Which predictions are drawn, and how."""

    images: PositiveInt = 8
    """1 or more"""
    order: Literal["worst", "name"] = "worst"
    """worst (lowest mIoU first) | name"""
    opacity: Fraction = 0.55
    """of the overlay's colours"""


class TrackingParams(Section):
    """What is recorded in MLflow."""

    enabled: bool = True
    """false: nothing is recorded in MLflow"""
    experiment: Annotated[str, Field(min_length=1)] = "segpipe"
    """MLflow's name for the group of runs"""
    unreachable: Literal["error", "local"] = "error"
    """error | local (warn, and use mlflow.db here) when MLFLOW_TRACKING_URI does not answer"""
    validation_pictures: Annotated[int, Field(ge=0, le=64)] = 4
    """0..64; samples of the validation split that are drawn at each validation, into .segpipe/kept and
    MLflow; 0: none"""
    system_seconds: Annotated[int, Field(ge=0, le=3600)] = 10
    """0..3600; between two samples of processor, memory, disk, network and GPUs; 0: none"""


class Params(Section):
    """The whole of params.yaml."""

    source: SourceParams = SourceParams()
    labels: LabelParams = LabelParams()
    prepare: PrepareParams = PrepareParams()
    model: ModelParams = ModelParams()
    loss: LossParams = LossParams()
    train: TrainParams = TrainParams()
    checkpoint: CheckpointParams = CheckpointParams()
    """the state from which a run goes on; also written at each epoch's end and each validation"""
    evaluate: EvaluateParams = EvaluateParams()
    render: RenderParams = RenderParams()
    tracking: TrackingParams = TrackingParams()

    def unused(self) -> frozenset[str]:
        """Return how rasters and tiles are prepared where the source has none."""
        idle = set() if self.source.name == "rasters" else {"prepare.rasters"}
        idle |= set() if self.source.name in ("esd", "synthetic_esd") else {"prepare.esd"}
        return frozenset(idle)

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
        if self.evaluate.temporal != "none" and self.source.clip.frames == 1:
            raise ValueError(
                f"evaluate.temporal is {self.evaluate.temporal}, which compares each image with the frame "
                "before it, but source.clip.frames is 1; set it to 2 or more (sources "
                f"{' and '.join(sorted(CLIP_SOURCES))}), or evaluate.temporal to none"
            )
        return self

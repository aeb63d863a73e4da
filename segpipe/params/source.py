"""Where the raw images come from: the section `source` of params.yaml."""

from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from segpipe.params.section import (
    Pixels,
    PositiveInt,
    Section,
    Seed,
    Since,
)

SourceName = Literal["synthetic", "cityscapes", "folder", "rasters", "esd", "synthetic_esd"]

# Sources that hold the frames before each annotated one.
CLIP_SOURCES = frozenset({"synthetic", "cityscapes"})


# The annotated frame of a Cityscapes snippet has so many before it.
_FRAMES_BEFORE = 19


class SyntheticParams(Section):
    """How many procedural street scenes there are, and how large."""

    train: PositiveInt = 128
    """annotated scenes, 1 or more"""
    val: PositiveInt = 32
    """1 or more"""
    test: Annotated[int, Field(ge=0)] = 16
    """0 or more"""
    height: Pixels = 128
    """pixels, 8..65536"""
    width: Pixels = 256
    """pixels, 8..65536"""
    seed: Seed = 0
    """0 or more; other scenes"""


class SyntheticEsdParams(Section):
    """How many procedural satellite tiles there are, and how large."""

    tiles: Annotated[int, Field(ge=2, le=1000)] = 8
    """2..1000"""
    truth: Annotated[int, Field(ge=1, le=16)] = 4
    """1..16; truth pixels a side, of 50 image pixels each"""
    seed: Seed = 0
    """0 or more; other tiles"""


class CityscapesParams(Section):
    """Which parts of Cityscapes are used beside the finely annotated ones."""

    coarse_per_fine: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 0.0
    """0..10; coarsely annotated scenes of train_extra for each one of train"""
    seed: Seed = 0
    """of their choice"""


class FolderParams(Section):
    """A folder of images and masks has no option of its own; source.path names it."""


class RasterSourceParams(Section):
    """A folder of rasters has no option of its own; prepare.rasters says how they are cut."""


class EsdSourceParams(Section):
    """A folder of ESD tiles has no option of its own; prepare.esd chooses their bands."""


class ClipParams(Section):
    """How many frames a sample has, and how far they lie apart; the last is the annotated one."""

    frames: Annotated[int, Field(ge=1, le=_FRAMES_BEFORE + 1)] = 1
    """1..20; a sample is so many frames, the last one annotated"""
    stride: Annotated[int, Field(ge=1, le=_FRAMES_BEFORE)] = 1
    """1..19; from each frame of a clip to the next"""

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

    name: SourceName = "synthetic"
    """synthetic | cityscapes | folder | rasters | synthetic_esd | esd (docs/data-format.md)"""
    path: Annotated[str, Field(min_length=1)] = "data/synthetic.yaml"
    """what is read and watched for changes: the folder of the data, or the file that describes a
    synthetic world"""
    clip: ClipParams = ClipParams()
    """when name is synthetic or cityscapes"""
    synthetic: SyntheticParams = SyntheticParams()
    """procedural street scenes, when name is synthetic"""
    cityscapes: CityscapesParams = CityscapesParams()
    """when name is cityscapes"""
    synthetic_esd: SyntheticEsdParams = SyntheticEsdParams()
    """procedural satellite tiles, when name is synthetic_esd"""
    folder: Annotated[FolderParams, Since("0.2.0")] = FolderParams()
    """no options of its own"""
    rasters: Annotated[RasterSourceParams, Since("0.2.0")] = RasterSourceParams()
    """no options of its own; prepare.rasters"""
    esd: Annotated[EsdSourceParams, Since("0.2.0")] = EsdSourceParams()
    """no options of its own; prepare.esd"""

    def unused(self) -> frozenset[str]:
        """Return the sections of the other sources."""
        return frozenset(get_args(SourceName)) - {self.name}

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

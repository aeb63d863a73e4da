"""What is made of the raw files before training: the section `prepare` of params.yaml."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from segpipe.params.section import (
    Degrees,
    Fraction,
    FractionRange,
    Pixels,
    PositiveInt,
    Range,
    Section,
    Seed,
    Steps,
    Zoom,
    pair,
    strictly_ascending,
)

Sentinel2Band = Literal[
    "B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12"
]


LandsatBand = Literal["B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9", "B10", "B11"]


class SplitParams(Section):
    """Which samples train, which validate, which test."""

    by: Literal["folder", "lists", "ratio"] = "folder"
    """folder (train/, val/, test/) | lists (train.txt, ...) | ratio"""
    val: Fraction = 0.2
    """fraction, when by is ratio"""
    test: Fraction = 0.0
    """fraction, when by is ratio"""
    group: str | None = None
    """pattern with one (group), such as '^([^_]+)_'; a group is never split"""
    seed: Seed = 0
    """of the ratio"""

    @field_validator("group")
    @classmethod
    def _group_is_a_pattern(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                groups = re.compile(pattern).groups
            except re.error as error:
                raise ValueError(f"is not a regular expression: {error}") from error
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

    def unused(self) -> frozenset[str]:
        """Return the options of the split by ratio where another one is chosen."""
        return frozenset() if self.by == "ratio" else frozenset({"val", "test", "seed"})


class CopyParams(Section):
    """Offline augmentation: changed copies of the training images, and of their masks."""

    count: Annotated[int, Field(ge=0, le=100)] = 0
    """0..100 for each image"""
    apply: Literal["all", "one"] = "all"
    """all (changes on each copy) | one (change a copy, in turn)"""
    gamma: Range = (0.5, 1.5)
    """drawn uniformly, as all below; above 1 darkens; [1.0, 1.0]: off"""
    saturation: Range = (0.5, 1.5)
    """factor, above 0; [1.0, 1.0]: off"""
    brightness: FractionRange = (0.0, 0.0)
    """0..1; how far the factor lies from 1, either way"""
    colour: FractionRange = (0.0, 0.0)
    """0..1; the same for the strength of the colours"""
    flip: Fraction = 0.0
    """probability of left for right"""
    zoom: Zoom = (1.0, 1.0)
    """factor, 0.1..10; what extends beyond the image is cut off"""
    rotation: Degrees = (0.0, 0.0)
    """degrees, 0..180, either way; what turns in from outside is void"""
    noise: Steps = (0.0, 0.0)
    """Gaussian; standard deviation in steps of 1/255, 0..255"""
    blur: Steps = (0.0, 0.0)
    """Gaussian; radius in pixels, 0..255"""
    seed: Seed = 0
    """of the copies"""

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

    def unused(self) -> frozenset[str]:
        """Return all options where no copies are made."""
        return frozenset() if self.count else frozenset(set(type(self).model_fields) - {"count"})


class RasterParams(Section):
    """How windows are cut from large rasters, and how their bands are scaled to 0..1."""

    bands: list[PositiveInt] | None = None
    """numbers from 1, such as [3, 2, 1]; null: all"""
    overlap: Annotated[int, Field(ge=0)] = 0
    """pixels that neighbouring windows share, 0 or more"""
    quantiles: Annotated[
        tuple[Fraction, Fraction], BeforeValidator(pair), AfterValidator(strictly_ascending)
    ] = (0.01, 0.99)
    """of each band over the training rasters; they become 0 and 1"""


class EsdParams(Section):
    """Which satellites and bands of the ESD tiles are used; null takes all bands, [] none."""

    viirs: bool = True
    """the 9 dates of the night light"""
    viirs_maximum: bool = True
    """its largest value over the dates"""
    sentinel1: list[Literal["VH", "VV"]] | None = None
    """bands, such as [VV]; null: all, []: none"""
    sentinel2: list[Sentinel2Band] | None = None
    """such as [B04, B03, B02]"""
    landsat: list[LandsatBand] | None = None
    """such as [B4, B3, B2]"""

    @model_validator(mode="after")
    def _something_to_see(self) -> "EsdParams":
        rest = (self.sentinel1, self.sentinel2, self.landsat)
        if not (self.viirs or self.viirs_maximum) and all(bands == [] for bands in rest):
            raise ValueError("no band of any satellite is chosen; null takes all of a satellite")
        return self


class PrepareParams(Section):
    """What is made of the raw files before training."""

    height: Pixels = 256
    """pixels, 8..65536; what the network sees"""
    width: Pixels = 512
    """pixels, 8..65536"""
    fit: Literal["stretch", "pad", "crop"] = "stretch"
    """for images of other proportions: stretch | pad (with void) | crop"""
    copies: CopyParams = CopyParams()
    """offline augmentation: changed copies of the training images"""
    split: SplitParams = SplitParams()
    rasters: RasterParams = RasterParams()
    """when source.name is rasters; height and width are those of the windows then"""
    esd: EsdParams = EsdParams()
    """when source.name is esd or synthetic_esd; height and width as for rasters"""

"""data/report/report.json: what the prepare stage and `segpipe check` found in the data."""

from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel

from segpipe.results.records import Record

DATA_REPORT = Path("data/report")


class DataFinding(BaseModel):
    """Something that is wrong or odd. items: the files or values concerned."""

    kind: str
    severity: str
    text: str
    repair: str
    items: list[str]


class SplitSummary(BaseModel):
    """A split. pixels: labelled ones, at the masks' own resolution, void among them."""

    samples: int
    masks: int
    groups: int
    pixels: int
    void_share: float | None
    mean_brightness: float | None


class ClassInSplit(BaseModel):
    """A class in a split. share: of the pixels that are not void. images: those that show the class."""

    share: float | None
    images: int


class ClassSummary(BaseModel):
    """A class by split, and the weights that would balance it, by kind."""

    name: str
    splits: dict[str, ClassInSplit]
    weights: dict[str, float]


class DataReport(Record):
    """report.json. image_sizes, image_modes, mask_modes: files by what they are, the most frequent first.

    left_out: samples. excluded: images left out, by the label for which they were.
    """

    file: ClassVar[str] = "report.json"
    stage: ClassVar[str] = "prepare"

    errors: int
    warnings: int
    scheme: str
    findings: list[DataFinding]
    splits: dict[str, SplitSummary]
    classes: list[ClassSummary]
    image_sizes: dict[str, int]
    image_modes: dict[str, int]
    mask_modes: dict[str, int]
    left_out: int
    excluded: dict[str, int]
    forecast: dict[str, Any] | None = None

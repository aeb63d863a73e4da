"""Labels of films and cameras: a film of overlays, and where asked a label image of each frame."""

import contextlib
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from itertools import count, islice, takewhile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.inference.film import FilmReader, FilmWriter, Frame
from segpipe.inference.output import Maps, Output
from segpipe.inference.pipeline import finished_ahead, threads
from segpipe.inference.predictor import Predictor
from segpipe.inference.targets import SOFTWARE
from segpipe.raw.pictures.palette import palette_of_ids
from segpipe.rendering.overlay import overlay
from segpipe.rendering.png import png_bytes
from segpipe.runtime.atomic import atomic_dir, atomic_file, disk_errors_explained
from segpipe.runtime.console import progress
from segpipe.runtime.errors import DataError
from segpipe.runtime.process_exit import Terminated
from segpipe.runtime.workers import begun_ahead, closing

_DECODED = 8  # frames that wait for the network


@dataclass(frozen=True)
class FilmTarget:
    """overlays: the film to be written. labels: the folder of label images, None for none."""

    overlays: Path
    labels: Path | None


@dataclass(frozen=True)
class _Key:
    """Which frame of which film; its text names it in messages."""

    film: str
    number: int
    seconds: Fraction

    def __str__(self) -> str:
        return f"{self.film}, frame {self.number}"


def predict_film(
    predictors: Sequence[Predictor],
    film: FilmReader,
    target: FilmTarget,
    opacity: float,
    stride: int,
    seconds: float | None = None,
    live: bool = False,
) -> int:
    """Write the overlays of a film, with as many frames as can be read of it; return how many are labelled.

    The film has the size and the times of the one that is read. A model of clips is shown the frames
    that are `stride` apart before each; the first frames, which lack them, stay as they are and get no
    label image. seconds: where to stop; None for the end. live: whether a Ctrl-C is such an end.
    Files appear whole at the end or not at all, and memory holds some frames of each step.

    Raises DataError where no frame can be read, or one cannot be predicted.
    """
    predictor = predictors[0]
    history = (predictor.frames - 1) * stride
    frames = film.frames()
    if seconds is not None:
        frames = takewhile(lambda frame: frame.seconds < seconds, frames)
    labelled = 0
    with contextlib.ExitStack() as stack:
        stack.enter_context(disk_errors_explained(target.overlays))
        folder = target.labels and stack.enter_context(atomic_dir(target.labels))
        partial = stack.enter_context(atomic_file(target.overlays))
        with FilmWriter(partial, film, SOFTWARE) as writer:
            window: deque[NDArray[np.uint8]] = deque(maxlen=history + 1)
            for frame in islice(frames, history):
                window.append(frame.picture_HW3)
                writer.add(frame.picture_HW3, frame.seconds)
            total = max(film.total - history, 0) or None
            made = _labelled(predictors, film.name, frames, window, stride, opacity, bool(folder))
            try:
                with contextlib.closing(made):
                    for key, overlay_HW3, content in progress(
                        made, f"predict {film.name}", "frame", total
                    ):
                        writer.add(overlay_HW3, key.seconds)
                        if folder:
                            (folder / f"{key.number:06d}.png").write_bytes(content)
                        labelled += 1
            except KeyboardInterrupt as told:
                if not (live and labelled) or isinstance(told, Terminated):
                    raise
        if not labelled:
            raise DataError(
                f"{film.name}: has {len(window)} frames, and the model takes clips of "
                f"{predictor.frames}, each {stride} after the one before"
            )
    return labelled


def _labelled(
    predictors: Sequence[Predictor],
    name: str,
    frames: Iterator[Frame],
    window: deque[NDArray[np.uint8]],
    stride: int,
    opacity: float,
    with_labels: bool,
) -> Generator[tuple[_Key, NDArray[np.uint8], bytes], None, None]:
    """Yield each of `frames` with its overlay and the content of its label image (b"" if not wanted).

    window: the frames before, to which each is added, so that the oldest goes.
    """
    scheme, palette = predictors[0].scheme, palette_of_ids(predictors[0].scheme)

    def next_clip(_: int) -> tuple[_Key, NDArray[Any]] | None:
        frame = next(frames, None)
        if frame is None:
            return None
        window.append(frame.picture_HW3)
        return _Key(name, frame.number, frame.seconds), np.stack([*window][::stride])

    def finish(key: _Key, image_HW3: NDArray[Any], maps: Maps) -> tuple[NDArray[np.uint8], bytes]:
        painted_HW3 = overlay(image_HW3, maps.labels_hw, scheme, opacity)
        if not with_labels:
            return painted_HW3, b""
        return painted_HW3, png_bytes(scheme.decode(maps.labels_hw), str(key), SOFTWARE, palette)

    devices = len(predictors)
    with (
        closing(ThreadPoolExecutor(1, "read film")) as reading,
        closing(ThreadPoolExecutor(threads(devices), "predict")) as pool,
    ):
        begun = begun_ahead(reading, next_clip, count(), _DECODED * devices)
        # After the last one comes None without end, which is dropped with the pool.
        clips = iter(lambda: next(begun)[1].result(), None)
        results = finished_ahead(pool, predictors, clips, Output(opacity), finish)
        with contextlib.closing(results):
            for key, made in results:
                yield key, *made()

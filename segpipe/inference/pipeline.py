"""Pictures and tiles of a folder: decoded, predicted, encoded and written, all at the same time.

Threads decode and encode; the calling thread runs the network and writes, so that an interruption
finds it wherever it waits.
"""

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.inference.output import Maps, Output, output_files, read_maps
from segpipe.inference.predictor import Predictor
from segpipe.runtime.errors import DataError, file_named
from segpipe.runtime.workers import begun_ahead, closing

_BATCH = 8  # pictures that go through the network together
_PIXELS = 1 << 24  # of all pictures of a batch
_DECODED, _ENCODED = 8, 4  # pictures that wait for the network, and for the disk
_THREADS = 8


@dataclass(frozen=True)
class Finished:
    """What is to be written for a picture or tile.

    labels_hw: train ids. contents: of each file, by its path below the output folder. left_out: what
    of the input was not read, in words; None for nothing.
    """

    labels_hw: NDArray[np.uint8]
    contents: Mapping[Path, bytes]
    left_out: str | None


@dataclass(frozen=True)
class _Predicted:
    image_HWC: NDArray[Any]
    maps: Maps


# A file, and what became of it: an exception where that failed.
_Decoded = tuple[Path, "NDArray[Any] | BaseException"]
_Result = tuple[Path, "_Predicted | BaseException"]


def predict_ahead(
    predictor: Predictor,
    names: Mapping[Path, str],
    output: Output,
    earlier: Mapping[Path, Sequence[Path]],
) -> Generator[tuple[Path, Callable[[], Finished]], None, None]:
    """Yield each file of `names`, in their order, with a call that returns what is to be written for it.

    The call raises what has happened to the file: DataError, OSError or UnicodeError where it cannot
    be read or predicted. earlier: the frames before each picture, where the model takes clips.
    Memory holds some pictures of each step, whatever their number.
    """
    reader = predictor.reader
    read_image = reader.read_image
    if earlier:
        read_image = lru_cache(predictor.frames + _THREADS)(read_image)

    def decode(path: Path) -> NDArray[Any]:
        return _read_frames([*earlier.get(path, ()), path], read_image)

    def encode(result: _Result) -> Finished:
        path, predicted = result
        if isinstance(predicted, BaseException):
            raise predicted
        contents = output_files(predictor, predicted.image_HWC, predicted.maps, names[path], output)
        return Finished(predicted.maps.labels_hw, contents, reader.left_out(path))

    with closing(ThreadPoolExecutor(min(os.cpu_count() or 1, _THREADS), "predict")) as pool:
        frames = begun_ahead(pool, decode, names, _DECODED)
        decoded = ((path, _outcome(made)) for path, made in frames)
        results = _predict_batches(predictor, decoded, output)
        for (path, _), made in begun_ahead(pool, encode, results, _ENCODED):
            yield path, made.result


def _outcome(made: "Future[NDArray[Any]]") -> NDArray[Any] | BaseException:
    error = made.exception()
    return made.result() if error is None else error


def _predict_batches(
    predictor: Predictor, decoded: Iterable[_Decoded], output: Output
) -> Iterator[_Result]:
    """Yield what the network makes of each file, in their order."""
    batch: list[_Decoded] = []
    pixels = 0
    for path, frames_THWC in decoded:
        batch.append((path, frames_THWC))
        if not isinstance(frames_THWC, BaseException):
            pixels += frames_THWC[..., 0].size
        if len(batch) == _BATCH or pixels >= _PIXELS:
            yield from _predict_batch(predictor, batch, output)
            batch, pixels = [], 0
    yield from _predict_batch(predictor, batch, output)


def _predict_batch(
    predictor: Predictor, batch: Sequence[_Decoded], output: Output
) -> Iterator[_Result]:
    clips = {path: frames for path, frames in batch if not isinstance(frames, BaseException)}
    try:
        all_strips = dict(zip(clips, predictor.score_strips(list(clips.values())), strict=True))
    except DataError:  # of one of them; one by one it is found which
        all_strips = {}
    for path, frames_THWC in batch:
        if isinstance(frames_THWC, BaseException):
            yield path, frames_THWC
            continue
        try:
            with file_named(path):
                strips = all_strips.pop(path, None) or predictor.score_strips([frames_THWC])[0]
                maps = read_maps(predictor, strips, output)
        except DataError as error:
            yield path, error
            continue
        yield path, _Predicted(frames_THWC[-1], maps)


def _read_frames(
    paths: Sequence[Path], read_image: Callable[[Path], tuple[NDArray[Any], NDArray[np.bool_]]]
) -> NDArray[Any]:
    """Return the frames of a clip, or of one picture or tile, as frames_THWC."""
    frames = [read_image(path)[0] for path in paths]
    for path, frame in zip(paths, frames, strict=True):
        if frame.shape != frames[-1].shape:
            height, width = frames[-1].shape[:2]
            raise DataError(
                f"{paths[-1]}: has {height} x {width} pixels, and {path}, a frame before it, has "
                f"{frame.shape[0]} x {frame.shape[1]}"
            )
    return np.stack(frames) if len(frames) > 1 else frames[0][None]

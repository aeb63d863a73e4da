"""Pictures and tiles of a folder: decoded, predicted, encoded and written, all at the same time.

Threads decode and encode; the calling thread writes and, on one device, runs the network, so that an
interruption finds it wherever it waits. Of several devices each has a thread (`segpipe.inference.devices`).
"""

import contextlib
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.inference.class_maps import ClassMapSink
from segpipe.inference.devices import device_named, on_devices
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
    predictors: Sequence[Predictor],
    names: Mapping[Path, str],
    out: Path,
    output: Output,
    earlier: Mapping[Path, Sequence[Path]],
) -> Generator[tuple[Path, Callable[[], Finished]], None, None]:
    """Yield each file of `names`, in their order, with a call that returns what is to be written for it.

    The call raises what has happened to the file: DataError, OSError or UnicodeError where it cannot
    be read or predicted. The predictors, of one bundle on a device each, take batches in turns. Maps by
    class, which `output` may ask for, are written below `out` at once. earlier: the frames before
    each picture, where the model takes clips. Memory holds some pictures of each step, whatever their
    number.
    """
    reader, devices = predictors[0].reader, len(predictors)
    read_image = reader.read_image
    threads = min(os.cpu_count() or 1, _THREADS * devices)
    if earlier:
        read_image = lru_cache(predictors[0].frames + threads)(read_image)

    def decode(path: Path) -> NDArray[Any]:
        return _read_frames([*earlier.get(path, ()), path], read_image)

    def predict(predictor: Predictor, batch: Sequence[_Decoded]) -> Iterator[_Result]:
        sink = ClassMapSink(out, names, output, predictor, pool)
        return _predict_batch(predictor, batch, output, sink)

    def encode(result: _Result) -> Finished:
        path, predicted = result
        if isinstance(predicted, BaseException):
            raise predicted
        content = predicted.image_HWC, predicted.maps
        contents = output_files(predictors[0], *content, names[path], output)
        return Finished(predicted.maps.labels_hw, contents, reader.left_out(path))

    with closing(ThreadPoolExecutor(threads, "predict")) as pool:
        frames = begun_ahead(pool, decode, names, _DECODED * devices)
        batches = _batches((path, _outcome(made)) for path, made in frames)
        with contextlib.closing(on_devices(predictors, predict, batches)) as results:
            for (path, _), made in begun_ahead(pool, encode, results, _ENCODED * devices):
                yield path, made.result


def _outcome(made: "Future[NDArray[Any]]") -> NDArray[Any] | BaseException:
    error = made.exception()
    return made.result() if error is None else error


def _batches(decoded: Iterable[_Decoded]) -> Iterator[list[_Decoded]]:
    """Yield the files that go through the network together, whatever the number of devices."""
    batch: list[_Decoded] = []
    pixels = 0
    for path, frames_THWC in decoded:
        batch.append((path, frames_THWC))
        if not isinstance(frames_THWC, BaseException):
            pixels += frames_THWC[..., 0].size
        if len(batch) == _BATCH or pixels >= _PIXELS:
            yield batch
            batch, pixels = [], 0
    if batch:
        yield batch


def _predict_batch(
    predictor: Predictor,
    batch: Sequence[_Decoded],
    output: Output,
    sink: ClassMapSink,
) -> Iterator[_Result]:
    """Yield what the network makes of each file, in their order."""
    clips = {path: frames for path, frames in batch if not isinstance(frames, BaseException)}
    try:
        with device_named(predictor.device):
            all_strips = dict(zip(clips, predictor.score_strips(list(clips.values())), strict=True))
    except DataError:  # of one of them; one by one it is found which
        all_strips = {}
    for path, frames_THWC in batch:
        if isinstance(frames_THWC, BaseException):
            yield path, frames_THWC
            continue
        try:
            with file_named(path), device_named(predictor.device):
                strips = all_strips.pop(path, None) or predictor.score_strips([frames_THWC])[0]
                with sink.of(path, frames_THWC.shape[1:3]) as add:
                    maps = read_maps(predictor, strips, output, add)
        except (DataError, OSError) as error:
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

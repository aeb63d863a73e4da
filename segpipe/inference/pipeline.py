"""Pictures and tiles of a folder: decoded, predicted, encoded and written, all at the same time.

Threads decode and encode; the calling thread writes and, on one device, runs the network, so that an
interruption finds it wherever it waits. Of several devices each has a thread (`segpipe.inference.devices`).
"""

import contextlib
import os
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from segpipe.inference.class_maps import AddStrip, ClassMapSink
from segpipe.inference.devices import device_named, on_devices
from segpipe.inference.output import Maps, Output, output_files, read_maps
from segpipe.inference.predictor import Predictor
from segpipe.runtime.errors import DataError, file_named
from segpipe.runtime.workers import begun_ahead, closing

_BATCH = 8  # pictures that go through the network together
_PIXELS = 1 << 24  # of all pictures of a batch
_DECODED, _ENCODED = 8, 4  # pictures that wait for the network, and for the disk
_THREADS = 8
Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")


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


def predict_ahead(
    predictors: Sequence[Predictor],
    names: Mapping[Path, str],
    out: Path,
    output: Output,
    earlier: Mapping[Path, Sequence[Path]],
) -> Generator[tuple[Path, Callable[[], Finished]], None, None]:
    """Yield each file of `names`, in their order, with a call that returns what is to be written for it.

    The call raises what has happened to the file: DataError, OSError or UnicodeError where it cannot
    be read or predicted. Maps by class, which `output` may ask for, are written below `out` at once.
    earlier: the frames before each picture, where the model takes clips. Memory holds some pictures of
    each step, whatever their number.
    """
    reader, devices = predictors[0].reader, len(predictors)

    def finish(path: Path, image_HWC: NDArray[Any], maps: Maps) -> Finished:
        contents = output_files(predictors[0], image_HWC, maps, names[path], output)
        return Finished(maps.labels_hw, contents, reader.left_out(path))

    with closing(ThreadPoolExecutor(threads(devices), "predict")) as pool:
        decoded = decoded_ahead(pool, predictors, names, earlier)
        sink = ClassMapSink(out, names, output, predictors[0], pool)
        results = finished_ahead(pool, predictors, decoded, output, finish, sink.of)
        with contextlib.closing(results):
            yield from results


def threads(devices: int) -> int:
    """Return how many threads decode and encode for so many devices."""
    return min(os.cpu_count() or 1, _THREADS * devices)


def decoded_ahead(
    pool: ThreadPoolExecutor,
    predictors: Sequence[Predictor],
    paths: Iterable[Path],
    earlier: Mapping[Path, Sequence[Path]],
) -> Iterator[tuple[Path, NDArray[Any] | BaseException]]:
    """Yield each file with its frames_THWC, or what has happened to it; the next are read meanwhile."""
    read_image, devices = predictors[0].reader.read_image, len(predictors)
    if earlier:
        read_image = lru_cache(predictors[0].frames + threads(devices))(read_image)

    def decode(path: Path) -> NDArray[Any]:
        return _read_frames([*earlier.get(path, ()), path], read_image)

    for path, made in begun_ahead(pool, decode, paths, _DECODED * devices):
        yield path, made.exception() or made.result()


def finished_ahead(
    pool: ThreadPoolExecutor,
    predictors: Sequence[Predictor],
    decoded: Iterable[tuple[Key, NDArray[Any] | BaseException]],
    output: Output,
    finish: Callable[[Key, NDArray[Any], Maps], Result],
    sink: Callable[[Key, tuple[int, int]], AbstractContextManager[AddStrip | None]] | None = None,
) -> Generator[tuple[Key, Callable[[], Result]], None, None]:
    """Yield each image's key, in their order, with a call that returns what `finish` made of it in `pool`.

    decoded: keys, whose text names the image in messages, and frames_THWC, or an exception, which the
    call raises. finish: takes the key, the last frame and what `output` asks for. sink: as
    `ClassMapSink.of`. The predictors, of one bundle on a device each, take batches in turns.
    """

    def predict(
        predictor: Predictor, batch: Sequence[tuple[Key, NDArray[Any] | BaseException]]
    ) -> Iterator[tuple[Key, _Predicted | BaseException]]:
        return _predict_batch(predictor, batch, output, sink or _no_sink)

    def encode(result: tuple[Key, _Predicted | BaseException]) -> Result:
        key, predicted = result
        if isinstance(predicted, BaseException):
            raise predicted
        return finish(key, predicted.image_HWC, predicted.maps)

    with contextlib.closing(on_devices(predictors, predict, _batches(decoded))) as results:
        for (key, _), made in begun_ahead(pool, encode, results, _ENCODED * len(predictors)):
            yield key, made.result


def _no_sink(_key: object, _size: tuple[int, int]) -> AbstractContextManager[None]:
    return contextlib.nullcontext()


def _batches(
    decoded: Iterable[tuple[Key, NDArray[Any] | BaseException]],
) -> Iterator[list[tuple[Key, NDArray[Any] | BaseException]]]:
    """Yield the images that go through the network together, whatever the number of devices."""
    batch: list[tuple[Key, NDArray[Any] | BaseException]] = []
    pixels = 0
    for key, frames_THWC in decoded:
        batch.append((key, frames_THWC))
        if not isinstance(frames_THWC, BaseException):
            pixels += frames_THWC[..., 0].size
        if len(batch) == _BATCH or pixels >= _PIXELS:
            yield batch
            batch, pixels = [], 0
    if batch:
        yield batch


def _predict_batch(
    predictor: Predictor,
    batch: Sequence[tuple[Key, NDArray[Any] | BaseException]],
    output: Output,
    sink: Callable[[Key, tuple[int, int]], AbstractContextManager[AddStrip | None]],
) -> Iterator[tuple[Key, _Predicted | BaseException]]:
    """Yield what the network makes of each image, in their order."""
    clips = {key: frames for key, frames in batch if not isinstance(frames, BaseException)}
    try:
        with device_named(predictor.device):
            all_strips = dict(zip(clips, predictor.score_strips(list(clips.values())), strict=True))
    except DataError:  # of one of them; one by one it is found which
        all_strips = {}
    for key, frames_THWC in batch:
        if isinstance(frames_THWC, BaseException):
            yield key, frames_THWC
            continue
        try:
            with file_named(key), device_named(predictor.device):
                strips = all_strips.pop(key, None) or predictor.score_strips([frames_THWC])[0]
                with sink(key, frames_THWC.shape[1:3]) as add:
                    maps = read_maps(predictor, strips, output, add)
        except (DataError, OSError) as error:
            yield key, error
            continue
        yield key, _Predicted(frames_THWC[-1], maps)


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

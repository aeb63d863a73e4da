"""Prediction of files at their full size: every image, raster or tile of a folder."""

import errno
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.inference.geotiff import label_writer, write_labels
from segpipe.inference.predictor import Predictor
from segpipe.inference.targets import OVERLAYS, SOFTWARE
from segpipe.labels.scheme import VOID
from segpipe.raw.input_spec import at_image_size, picture_of
from segpipe.raw.rasters.read import coarse_valid
from segpipe.rendering.overlay import overlay
from segpipe.rendering.png import write_png
from segpipe.runtime.console import progress, say
from segpipe.runtime.errors import DataError, file_named


@dataclass
class Predicted:
    """written: how many inputs have all their files. skipped: a line for each that could not be read
    or written. left_out: a line for each of which a part is not read.
    """

    written: int = 0
    skipped: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def predict_files(
    predictor: Predictor,
    names: Mapping[Path, str],
    out: Path,
    opacity: float,
    overlap: int | None = None,
    earlier: Mapping[Path, Sequence[Path]] | None = None,
) -> Predicted:
    """Write the labels of each file of `names` below the folder `out`.

    Of what lies on the earth: out/NAME.tif, on the truth's grid. Of what fits in memory: out/NAME.png
    (raw ids, size of the image) and out/overlays/NAME.png, whose colours have `opacity`. overlap: as
    `predict_raster` takes it. earlier: the frames before each picture, where the model takes clips.

    A file that cannot be read, or whose labels cannot be written, does not end the others. Raises
    SegpipeError or OSError when the disk is full. Whatever ends the work early, how much is finished
    is said.
    """
    reader, done = predictor.reader, Predicted()
    read_image = lru_cache(predictor.frames)(reader.read_image) if earlier else reader.read_image
    out.mkdir(parents=True, exist_ok=True)
    try:
        # A streamed file shows the progress over its windows.
        total = len(names)
        for path in names if reader.streamed else progress(names, "predict", reader.unit, total):
            try:
                if reader.streamed:
                    predict_raster(predictor, path, out / f"{names[path]}.tif", overlap)
                else:
                    frames_THWC = _read_frames([*(earlier or {}).get(path, ()), path], read_image)
                    _predict_whole(predictor, path, frames_THWC, out, names[path], opacity)
                left = reader.left_out(path)
            except DataError as error:
                done.skipped.append(str(error))
                continue
            except (OSError, UnicodeError) as error:
                if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise
                done.skipped.append(f"{path}: {error}")
                continue
            done.written += 1
            done.left_out += [f"{path}: {left}"] if left else []
    except BaseException:
        say(f"ended early: the labels of {done.written} of {len(names)} are finished, in {out}/")
        raise
    return done


def predict_raster(
    predictor: Predictor, path: Path, target: Path, overlap: int | None = None
) -> None:
    """Write the labels of a raster to the GeoTIFF `target`, which lines up with it.

    The windows have the training's size and share `overlap` image pixels (None: a quarter of the
    shorter side), of which each keeps the half that is nearer to it: at its edge a network sees
    half of what it needs. With overlap 0 the labels are those that evaluation scores. A raster
    that is smaller than a window is one window. Pixels without data become void. Memory grows with
    the window, not with the raster.

    Raises DataError when the raster cannot be read or holds no whole number of truth pixels, or the
    network's scores are not finite.
    """
    spec, reader, ratio = predictor.input, predictor.reader, predictor.input.files.truth_ratio
    grid = reader.grid(path)
    assert grid is not None
    wanted = min(spec.height, spec.width) // 4 if overlap is None else overlap
    with file_named(path):
        parts = reader.parts(grid.height, grid.width, spec, wanted // ratio * ratio)
    with label_writer(target, grid, ratio, predictor.scheme) as writer:
        for part in progress(parts, f"predict {path.name}", "window"):
            image_HWC, valid_HW = reader.read_image(path, part)
            with file_named(path):
                labels_hw = predictor.predict(image_HWC[None])
            labels_hw[~coarse_valid(valid_HW, ratio)] = VOID
            own_hw = labels_hw[part.skip_top // ratio :, part.skip_left // ratio :]
            writer.write(part.owned(), predictor.scheme.decode(own_hw))


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


def _predict_whole(
    predictor: Predictor,
    path: Path,
    frames_THWC: NDArray[Any],
    out: Path,
    name: str,
    opacity: float,
) -> None:
    """Write the files of a picture or tile; DataError names it."""
    files, scheme = predictor.input.files, predictor.scheme
    with file_named(path):
        labels_hw = predictor.predict(frames_THWC)
    grid = predictor.reader.grid(path)
    if grid is not None:
        write_labels(out / f"{name}.tif", grid, files.truth_ratio, labels_hw, scheme)
    labels_HW = at_image_size(labels_hw, files)
    write_png(out / f"{name}.png", scheme.decode(labels_HW), SOFTWARE)
    painted = overlay(picture_of(frames_THWC[-1], files), labels_HW, scheme, opacity)
    write_png(out / OVERLAYS / f"{name}.png", painted, SOFTWARE)

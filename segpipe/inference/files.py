"""Prediction of files at their full size: every image, raster or tile of a folder."""

import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from segpipe.inference.devices import device_named, on_devices
from segpipe.inference.geotiff import label_writer, map_writer, write_labels
from segpipe.inference.output import Output, read_window
from segpipe.inference.pipeline import Finished, predict_ahead
from segpipe.inference.predictor import Predictor
from segpipe.inference.targets import OPACITY, class_folders, map_folders
from segpipe.labels.scheme import VOID
from segpipe.raw.rasters.read import coarse_valid
from segpipe.rendering.png import write_bytes
from segpipe.runtime.atomic import DISK_FULL
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
    predictors: Sequence[Predictor],
    names: Mapping[Path, str],
    out: Path,
    output: Output,
    overlap: int | None = None,
    earlier: Mapping[Path, Sequence[Path]] | None = None,
) -> Predicted:
    """Write the labels of each file of `names` below the folder `out`.

    Of what lies on the earth: out/NAME.tif, on the truth's grid. Of what fits in memory: out/NAME.png
    (raw ids, size of the image). What else `output` asks for: out/FOLDER/NAME.png, of rasters
    out/FOLDER/NAME.tif. overlap: as
    `predict_raster` takes it. earlier: the frames before each picture, where the model takes clips.
    predictors: of one bundle, on a device each; the files are the same on any number of equal devices.

    A file that cannot be read, or whose labels cannot be written, does not end the others. Raises
    SegpipeError or OSError when the disk is full. Whatever ends the work early, how much is finished
    is said.
    """
    reader, done = predictors[0].reader, Predicted()
    out.mkdir(parents=True, exist_ok=True)
    try:
        if reader.streamed:
            with closing(_predict_rasters(predictors, names, out, output, overlap)) as rasters:
                for path, error in rasters:
                    with _skipping(path, done):
                        if error:
                            raise error
                        _count(done, path, reader.left_out(path))
            return done
        made = predict_ahead(predictors, names, out, output, earlier or {})
        # As for each file alone (`raw.pictures.opener`), which threads would undo for one another.
        with warnings.catch_warnings(), closing(made):
            warnings.filterwarnings("ignore", module=r"PIL\.")
            for path, finish in progress(made, "predict", reader.unit, len(names)):
                with _skipping(path, done):
                    finished = finish()
                    _write(predictors[0], path, out, names[path], finished)
                    _count(done, path, finished.left_out)
    except BaseException:
        say(f"ended early: the labels of {done.written} of {len(names)} are finished, in {out}/")
        raise
    return done


def _predict_rasters(
    predictors: Sequence[Predictor],
    names: Mapping[Path, str],
    out: Path,
    output: Output,
    overlap: int | None,
) -> Generator[tuple[Path, Exception | None], None, None]:
    """Yield each raster when its labels are written, or could not be, with the error then.

    On one device each shows the progress over its windows, on several it is that over the files.
    """
    several = len(predictors) > 1
    by_class = class_folders(predictors[0].scheme.classes, output.class_ids)
    folders = map_folders(
        probabilities=output.probabilities,
        uncertainty=output.uncertainty,
        submission=True,  # without overlays, as there are none of rasters
        comparisons=False,
        class_maps=by_class,
    )

    def predict(predictor: Predictor, path: Path) -> Iterator[tuple[Path, Exception | None]]:
        name = f"{names[path]}.tif"
        maps = {folder: out / folder / name for folder in folders}
        try:
            predict_raster(
                predictor, path, out / name, overlap, shown=not several, output=output, maps=maps
            )
        except (DataError, OSError, UnicodeError) as error:
            yield path, error
        else:
            yield path, None

    with closing(on_devices(predictors, predict, names)) as done:
        shown = progress(done, "predict", predictors[0].reader.unit, len(names))
        yield from shown if several else done


@contextmanager
def _skipping(path: Path, done: Predicted) -> Iterator[None]:
    """Note a file that cannot be read or written, and go on; a full disk ends the work."""
    try:
        yield
    except DataError as error:
        done.skipped.append(str(error))
    except (OSError, UnicodeError) as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise
        done.skipped.append(f"{path}: {error}")


def _count(done: Predicted, path: Path, left_out: str | None) -> None:
    done.written += 1
    done.left_out += [f"{path}: {left_out}"] if left_out else []


def _write(predictor: Predictor, path: Path, out: Path, name: str, finished: Finished) -> None:
    grid, ratio = predictor.reader.grid(path), predictor.input.files.truth_ratio
    if grid is not None:
        write_labels(out / f"{name}.tif", grid, ratio, finished.labels_hw, predictor.scheme)
    for place, content in finished.contents.items():
        write_bytes(out / place, content)


def predict_raster(
    predictor: Predictor,
    path: Path,
    target: Path,
    overlap: int | None = None,
    shown: bool = True,
    output: Output | None = None,
    maps: Mapping[str, Path] | None = None,
) -> None:
    """Write the labels of a raster to the GeoTIFF `target`, which lines up with it.

    The windows have the training's size and share `overlap` image pixels (None: a quarter of the
    shorter side), of which each keeps the half that is nearer to it: at its edge a network sees
    half of what it needs. With overlap 0 the labels are those that evaluation scores. A raster
    that is smaller than a window is one window. Pixels without data become void. Memory grows with
    the window, not with the raster. shown: whether there is a bar of progress. output: which maps are
    made, None for none; maps: the GeoTIFF of each, by its folder, on the grid of the labels. What has
    no data is 0 there and hidden by the file's mask.

    Raises DataError when the raster cannot be read or holds no whole number of truth pixels, or the
    network's scores are not finite.
    """
    spec, reader, ratio = predictor.input, predictor.reader, predictor.input.files.truth_ratio
    grid = reader.grid(path)
    assert grid is not None
    wanted = min(spec.height, spec.width) // 4 if overlap is None else overlap
    output = output or Output(OPACITY)
    with file_named(path):
        parts = reader.parts(grid.height, grid.width, spec, wanted // ratio * ratio)
    with ExitStack() as stack:
        writers = {
            folder: stack.enter_context(map_writer(place, grid, ratio, output.bits))
            for folder, place in (maps or {}).items()
        }
        writer = stack.enter_context(label_writer(target, grid, ratio, predictor.scheme))
        for part in progress(parts, f"predict {path.name}", "window") if shown else parts:
            image_HWC, valid_HW = reader.read_image(path, part)
            with file_named(path), device_named(predictor.device):
                found = read_window(predictor, image_HWC, output)
            valid_hw = coarse_valid(valid_HW, ratio)
            found.labels_hw[~valid_hw] = VOID
            own = np.s_[part.skip_top // ratio :, part.skip_left // ratio :]
            writer.write(part.owned(), predictor.scheme.decode(found.labels_hw[own]))
            for folder, map_hw in found.others_hw.items():
                map_hw[~valid_hw] = 0
                writers[folder].write(part.owned(), map_hw[own], valid_hw[own])

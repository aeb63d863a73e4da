"""Prediction of files at their full size: every image, raster or tile of a folder."""

from collections.abc import Sequence
from pathlib import Path

from segpipe.inference.geotiff import label_writer, write_labels
from segpipe.inference.predictor import Predictor
from segpipe.labels.scheme import VOID
from segpipe.raw.input_spec import at_image_size, picture_of
from segpipe.raw.rasters.read import coarse_valid
from segpipe.rendering.overlay import overlay
from segpipe.rendering.png import write_png
from segpipe.runtime.console import progress
from segpipe.runtime.errors import DataError, file_named

OVERLAYS = "overlays"


def predict_files(
    predictor: Predictor,
    paths: Sequence[Path],
    target: Path,
    opacity: float,
    overlap: int | None = None,
) -> list[str]:
    """Write the labels of each file of `paths` below the folder `target`.

    Of what lies on the earth: target/<base name>.tif, on the truth's grid. Of what fits in memory:
    target/<base name>.png (raw ids, size of the image) and target/overlays/<base name>.png, whose
    colours have `opacity`. overlap: as `predict_raster` takes it.

    Returns a line for each file that could not be read; the others are done all the same.
    """
    streamed, unit = predictor.reader.streamed, predictor.reader.unit
    unreadable = []
    # A streamed file shows the progress over its windows.
    for path in paths if streamed else progress(paths, "predict", unit):
        try:
            if streamed:
                predict_raster(predictor, path, target / f"{_name(path)}.tif", overlap)
            else:
                _predict_whole(predictor, path, target, opacity)
        except DataError as error:
            unreadable.append(str(error))
    return unreadable


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


def _predict_whole(predictor: Predictor, path: Path, target: Path, opacity: float) -> None:
    """Write the files of a picture or tile; DataError names it."""
    files, scheme, reader = predictor.input.files, predictor.scheme, predictor.reader
    image_HWC, _ = reader.read_image(path)
    with file_named(path):
        labels_hw = predictor.predict(image_HWC[None])
    grid, name = reader.grid(path), _name(path)
    if grid is not None:
        write_labels(target / f"{name}.tif", grid, files.truth_ratio, labels_hw, scheme)
    labels_HW = at_image_size(labels_hw, files)
    write_png(target / f"{name}.png", scheme.decode(labels_HW))
    painted = overlay(picture_of(image_HWC, files), labels_HW, scheme, opacity)
    write_png(target / OVERLAYS / f"{name}.png", painted)


def _name(path: Path) -> str:
    return path.name if path.is_dir() else path.stem

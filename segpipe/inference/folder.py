"""Prediction of every image, raster or tile of a folder."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from segpipe.inference.predictor import Predictor
from segpipe.inference.rasters import predict_raster, predict_tile, write_tile
from segpipe.raw.esd.tile import read_tile
from segpipe.raw.input_spec import Kind, at_image_size, picture_of
from segpipe.raw.pictures import read_image
from segpipe.rendering.overlay import overlay
from segpipe.rendering.png import write_png
from segpipe.runtime.console import progress
from segpipe.runtime.errors import DataError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
RASTER_SUFFIXES = frozenset({".tif", ".tiff"})
OVERLAYS = "overlays"
_TILE = re.compile(r"Tile(\d+)")


def find_inputs(path: Path, kind: Kind) -> list[Path]:
    """Return what is to be predicted at `path`: one, or all that the folder holds, sorted by name.

    kind: pictures and rasters are files, ESD tiles are folders. Raises DataError when there is
    none, or two would get the same name.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder")
    match kind:
        case "picture":
            found = _files(path, SUFFIXES, "image")
        case "raster":
            found = _files(path, RASTER_SUFFIXES, "GeoTIFF")
        case "esd":
            found = _tiles(path)
    stems = [item.stem for item in found]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise DataError(
            f"{path}: {len(twice)} base names stand twice, so their predictions would overwrite "
            f"each other: {', '.join(twice[:10])}"
        )
    return found


def _files(path: Path, suffixes: frozenset[str], what: str) -> list[Path]:
    if path.is_file():
        return [path]
    found = sorted(
        item
        for item in path.iterdir()
        if item.suffix.lower() in suffixes and not item.name.startswith(".")
    )
    if not found:
        raise DataError(f"{path}: holds no {what} ({', '.join(sorted(suffixes))})")
    return found


def _tiles(path: Path) -> list[Path]:
    """The folder itself where it holds GeoTIFFs; else the folders Tile1, Tile2, ... in it."""
    if any(path.glob("*.tif")):
        return [path]
    found = [
        (int(number[1]), item)
        for item in path.glob("Tile*")
        if item.is_dir() and (number := _TILE.fullmatch(item.name))
    ]
    if not found:
        raise DataError(f"{path}: is no ESD tile, nor a folder of tiles (Tile1, Tile2, ...)")
    return [item for _, item in sorted(found)]


def predict_folder(
    predictor: Predictor, images: Sequence[Path], target: Path, opacity: float
) -> list[str]:
    """Write target/<base name>.png (raw ids, size of the image) and target/overlays/ for each image.

    Returns a line for each image that could not be read; the others are done all the same.
    """

    def predict(path: Path) -> None:
        image_HW3 = read_image(path)
        mask_HW = predictor.predict(image_HW3[None])
        write_png(target / f"{path.stem}.png", predictor.scheme.decode(mask_HW))
        painted = overlay(image_HW3, mask_HW, predictor.scheme, opacity)
        write_png(target / OVERLAYS / f"{path.stem}.png", painted)

    return _all_readable(images, predict, "image")


def predict_tiles(
    predictor: Predictor, tiles: Sequence[Path], target: Path, opacity: float
) -> list[str]:
    """Write target/<tile>.tif (on the truth's grid), and as large as the tile's images
    target/<tile>.png (raw ids) and target/overlays/<tile>.png, for each ESD tile.

    Returns a line for each tile that could not be read; the others are done all the same.
    """
    reading, scheme = predictor.reading, predictor.scheme
    assert reading.esd is not None
    bands = reading.esd

    def predict(tile: Path) -> None:
        """Write the files of one tile; DataError names it."""
        image_HWC = read_tile(tile, bands)
        try:
            labels_hw = predict_tile(predictor, image_HWC)
        except DataError as error:
            raise DataError(f"{tile}: {error}") from error
        write_tile(predictor, tile, labels_hw, target / f"{tile.name}.tif")
        labels_HW = at_image_size(labels_hw, reading)
        write_png(target / f"{tile.name}.png", scheme.decode(labels_HW))
        painted = overlay(picture_of(image_HWC, reading), labels_HW, scheme, opacity)
        write_png(target / OVERLAYS / f"{tile.name}.png", painted)

    return _all_readable(tiles, predict, "tile")


def predict_rasters(
    predictor: Predictor, rasters: Sequence[Path], target: Path, overlap: int | None
) -> list[str]:
    """Write target/<base name>.tif for each raster; overlap: as `predict_raster` takes it.

    Returns a line for each raster that could not be read; the others are done all the same.
    """

    def predict(path: Path) -> None:
        predict_raster(predictor, path, target / f"{path.stem}.tif", overlap)

    return _all_readable(rasters, predict, "raster")


def _all_readable(paths: Sequence[Path], predict: Callable[[Path], None], unit: str) -> list[str]:
    unreadable = []
    # Rasters show their windows.
    for path in paths if unit == "raster" else progress(paths, "predict", unit):
        try:
            predict(path)
        except DataError as error:
            unreadable.append(str(error))
    return unreadable

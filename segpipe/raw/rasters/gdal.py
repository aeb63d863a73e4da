"""GDAL, through rasterio: the one place where raster files are opened."""

import contextlib
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from segpipe.runtime.errors import DataError, ParameterError

# GDAL keeps decoded blocks, by default up to 5 % of the machine's memory: without this bound,
# reading a large raster window by window would in time hold all of it. rasterio.Env takes bytes
# here, unlike the environment variable of that name, where 64 means megabytes
# (https://github.com/rasterio/rasterio/issues/2336).
CACHE_BYTES = 64 * 2**20
# A file can name another one in its metadata, also at a URL; no URL has this ending. A mask is written
# into its GeoTIFF, not beside it.
_ENVIRONMENT = {
    "GDAL_CACHEMAX": CACHE_BYTES,
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none",
    "GDAL_TIFF_INTERNAL_MASK": True,
}
# What GDAL reads beside a raster, appended to its name: metadata, mask, overviews.
_BESIDE = (".aux.xml", ".msk", ".MSK", ".ovr", ".OVR")
# The first bytes of a TIFF and of a BigTIFF, in either byte order.
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_NAMES = {"GTiff": "GeoTIFF", "PNG": "PNG file"}
# warnings.catch_warnings changes what all threads see.
_OPENING = threading.Lock()


def require_rasterio() -> Any:
    """Return the module rasterio; ParameterError names the extra to install where it is missing."""
    try:
        import rasterio  # type: ignore[import-untyped]
    except ImportError as error:
        raise ParameterError(
            "the sources rasters, esd and synthetic_esd, and pictures of more than 8 bits or of other "
            "channels than grey and RGB, are read with rasterio, which is not installed; run: "
            "pip install 'segpipe[geo]'"
        ) from error
    return rasterio


@contextlib.contextmanager
def opened(path: Path, driver: Literal["GTiff", "PNG"] = "GTiff") -> Iterator[Any]:
    """Open a GeoTIFF, or a PNG file, for reading (a rasterio dataset), with a bounded cache of blocks.

    Only GeoTIFFs, with a mask and overviews beside it that are TIFFs: a VRT of such a name could read
    any other file or URL. Raises DataError when the file is missing, is none, or is cut off, also for
    what fails while the block reads.
    """
    rasterio = require_rasterio()
    _refuse_disguised(path)
    with rasterio.Env(**_ENVIRONMENT):
        try:
            with _without_georeference_allowed(rasterio):
                dataset = rasterio.open(path, driver=driver)
            with dataset:
                _refuse_named_overviews(path, dataset)
                yield dataset
        except rasterio.errors.RasterioIOError as error:
            raise DataError(
                f"{path}: cannot be read as a {_NAMES[driver]} ({_cause(error)}); it may be cut off "
                "or damaged: get it again"
            ) from error


@contextlib.contextmanager
def created(path: Path, **profile: Any) -> Iterator[Any]:
    """Open a new GeoTIFF for writing (a rasterio dataset); `profile` as rasterio.open takes it.

    It is read again when the block ends well. Raises DataError when GDAL could not write all of it,
    for instance because the disk is full.
    """
    rasterio = require_rasterio()
    with rasterio.Env(**_ENVIRONMENT):
        try:
            with _without_georeference_allowed(rasterio):
                dataset = rasterio.open(path, "w", driver="GTiff", **profile)
            with dataset:
                yield dataset
        except rasterio.errors.RasterioIOError as error:
            raise DataError(
                f"{path}: cannot be written ({_cause(error)}); is the disk full?"
            ) from error
    _refuse_unwritten(path)


def _refuse_disguised(path: Path) -> None:
    """Raise DataError unless a raster and what GDAL reads beside it are regular files.

    It would wait for ever for what comes out of a named pipe. A mask and overviews must be TIFFs,
    for they are opened as whatever they are.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file")
    for suffix in ("", *_BESIDE):
        part = path.with_name(path.name + suffix)
        if part.exists() and not part.is_file():
            raise DataError(f"{part}: is not a regular file; replace it by one, or remove it")
        if suffix.lower() in (".msk", ".ovr") and part.exists():
            with part.open("rb") as file:
                if file.read(4) not in _TIFF:
                    raise DataError(
                        f"{part}: is not a TIFF, as masks and overviews must be; remove it"
                    )


def _refuse_named_overviews(path: Path, dataset: Any) -> None:
    """Raise DataError when the metadata name a file of overviews: it would be opened as anything."""
    named = dataset.tags(ns="OVERVIEWS").get("OVERVIEW_FILE")
    if named is not None:
        raise DataError(
            f"{path}: takes its overviews from another file ({named}), which is not followed; remove "
            "them (gdaladdo -clean FILE) or write the raster anew (gdal_translate)"
        )


def _refuse_unwritten(path: Path) -> None:
    """Raise DataError when a block of a new file is missing or damaged.

    GDAL writes the blocks that it holds when the file is closed, and what fails then is not raised.
    """
    try:
        with opened(path) as dataset:
            for (row, column), window in dataset.block_windows(1):
                if dataset.get_tag_item(f"BLOCK_OFFSET_{column}_{row}", "TIFF", bidx=1) is None:
                    raise DataError(f"block {row}, {column} is missing")
                dataset.read(1, window=window)
    except DataError as error:
        raise DataError(f"{path}: cannot be written ({error}); is the disk full?") from error


@contextlib.contextmanager
def _without_georeference_allowed(rasterio: Any) -> Iterator[None]:
    """Rasters without georeference are welcome; rasterio warns of each as it opens."""
    with _OPENING, warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        yield


def _cause(error: Exception) -> str:
    """GDAL's own words stand in the cause; rasterio's only say that there is one."""
    inner = error.__cause__ or error
    return " ".join(str(getattr(inner, "errmsg", inner)).split()).rstrip(".")

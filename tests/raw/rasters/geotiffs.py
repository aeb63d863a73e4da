"""Small GeoTIFFs and ESD tiles, written with rasterio itself."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

UTM = "EPSG:32736"
METRES = rasterio.Affine(10, 0, 500_000, 0, -10, 8_500_000)


def write_tif(
    path: Path,
    values: NDArray[Any],
    crs: str | None = UTM,
    transform: rasterio.Affine | None = METRES,
    **profile: Any,
) -> Path:
    """Write (H, W) or (C, H, W) values."""
    values_CHW = values[None] if values.ndim == 2 else values
    path.parent.mkdir(parents=True, exist_ok=True)
    profile |= {"crs": crs, "transform": transform, "dtype": values.dtype.name}
    count, height, width = values_CHW.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver="GTiff", height=height, width=width, count=count, **profile
        ) as file:
            file.write(values_CHW)
    return path


def coarser(ratio: int) -> rasterio.Affine:
    """The transform of a truth raster on the grid of `METRES`."""
    return rasterio.Affine(10 * ratio, 0, METRES.c, 0, -10 * ratio, METRES.f)


ESD_FILES = {
    **{f"DNB_VNP46A1_A2020{day}.tif": np.uint16 for day in range(221, 230)},
    **{
        f"S1A_IW_GRDH_202008{day}_{band}.tif": np.float32
        for day in ("04", "16", "28", "30")
        for band in ("VH", "VV")
    },
    **{
        f"L2A_202008{day}_B{band}.tif": np.uint16
        for day in ("11", "16", "26", "31")
        for band in ["01", "02", "03", "04", "05", "06", "07", "08", "8A", "09", "11", "12"]
    },
    **{
        f"LC08_L1TP_2020-{date}_B{band}.tif": np.float32
        for date in ("07-29", "08-14", "08-30")
        for band in range(1, 12)
    },
}


def make_esd_tile(folder: Path, truth: int = 2, ratio: int = 10, seed: int = 0) -> Path:
    """A tile of random values in the file naming of the published ones."""
    random = np.random.default_rng(seed)
    side = truth * ratio
    for name, dtype in ESD_FILES.items():
        write_tif(folder / name, random.uniform(1, 5000, (side, side)).astype(dtype))
    labels = random.integers(1, 5, (truth, truth)).astype(np.uint8)
    write_tif(folder / "groundTruth.tif", labels, transform=coarser(ratio))
    return folder

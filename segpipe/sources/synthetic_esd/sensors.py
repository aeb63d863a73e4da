"""What each satellite sees of a terrain: values in the units and kinds of the published files.

The spectra are rough means of what is usual for dry grassland, bare soil and roofs of metal and
clay; the tiles are made to be learnt from, not to be measured.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from segpipe.sources.synthetic_esd.land import Land
from segpipe.sources.synthetic_esd.terrain import RATIO, Draw, Field, Terrain, blend, smooth

# The name of a band and its pixels, (H, W).
Band = tuple[str, NDArray[np.uint16] | NDArray[np.float32]]
# Reflectances of vegetation, soil and roofs, and the image pixels along a pixel of the instrument.
_SPECTRA = {
    "B01": (0.03, 0.10, 0.15, 6), "B02": (0.04, 0.12, 0.18, 1), "B03": (0.08, 0.16, 0.20, 1),
    "B04": (0.05, 0.21, 0.23, 1), "B05": (0.12, 0.24, 0.25, 2), "B06": (0.28, 0.26, 0.26, 2),
    "B07": (0.35, 0.28, 0.27, 2), "B08": (0.38, 0.30, 0.28, 1), "B8A": (0.40, 0.31, 0.29, 2),
    "B09": (0.38, 0.30, 0.28, 6), "B11": (0.20, 0.36, 0.33, 2), "B12": (0.10, 0.32, 0.31, 2),
}  # fmt: skip
# The bands of Landsat 8 that lie where one of Sentinel-2 lies, in pixels of 30 m.
_SAME_LIGHT = {
    "B1": "B01", "B2": "B02", "B3": "B03", "B4": "B04", "B5": "B8A", "B6": "B11", "B7": "B12",
}  # fmt: skip
_CLOUD = 0.75


def viirs(land: Land, terrain: Terrain, draw: Draw, passed: float) -> Iterator[Band]:
    """Yield one night: light spread over the neighbourhood, dimmed by clouds, coarse as the truth."""
    side = len(terrain.light_tt)
    # Light is spread by a Gaussian; none comes from outside of the tile.
    apart_tt = np.subtract.outer(np.arange(side), np.arange(side))
    kernel_tt = np.exp(-(apart_tt**2) / (2 * land.light.spread**2))
    kernel_tt /= np.exp(-(np.arange(-64, 65) ** 2) / (2 * land.light.spread**2)).sum()
    dim = draw.uniform(0.25, 0.6) if draw.random() < land.weather.cloudy else 1.0
    night_tt = kernel_tt @ terrain.light_tt @ kernel_tt.T * dim
    night_tt = night_tt + draw.normal(0, land.light.noise, night_tt.shape) + draw.uniform(0, 0.5)
    # Between the middles of the cells the light is blended; at the edge it is that of the last cell.
    weights_HT = blend(side * RATIO, RATIO, 0.5)
    yield "DNB", _whole(100 * (weights_HT @ np.pad(night_tt, 1, mode="edge") @ weights_HT.T))


def sentinel1(land: Land, terrain: Terrain, draw: Draw, passed: float) -> Iterator[Band]:
    """Yield both polarisations of one pass: backscatter with speckle; buildings are corners."""
    wet_HW = np.exp(0.5 * draw.normal() * (terrain.moisture_HW - 0.5) + 0.1 * draw.normal())
    houses_HW = terrain.roofs_HW * terrain.tone_HW
    mean = {
        "VH": 0.015 + 0.03 * terrain.vegetation_HW * wet_HW + 0.05 * houses_HW,
        "VV": 0.06 + 0.06 * terrain.vegetation_HW * wet_HW + 0.35 * houses_HW,
    }
    side = len(houses_HW)
    bare = int(draw.integers(1, side // 10)) if draw.random() < land.sensors.border else 0
    for band, mean_HW in mean.items():
        looks = land.sensors.looks
        seen_HW = mean_HW * draw.gamma(looks, 1 / looks, mean_HW.shape)
        seen_HW[:, :bare] = 0
        yield band, seen_HW.astype(np.float32)


def sentinel2(land: Land, terrain: Terrain, draw: Draw, passed: float) -> Iterator[Band]:
    """Yield the bands of one date as reflectance times 10,000; `passed` is the share of the season."""
    cloud_HW = _clouds(land, len(terrain.roofs_HW), draw)
    for band in _SPECTRA:
        seen_HW = _reflectance(land, terrain, cloud_HW, band, passed, draw)
        yield band, _whole(10_000 * coarse(seen_HW, _SPECTRA[band][3]))


def landsat(land: Land, terrain: Terrain, draw: Draw, passed: float) -> Iterator[Band]:
    """Yield the bands of one date: reflectances, cirrus (B9), and temperatures in kelvin."""
    cloud_HW = _clouds(land, len(terrain.roofs_HW), draw)
    for band, same in _SAME_LIGHT.items():
        seen_HW = _reflectance(land, terrain, cloud_HW, same, passed, draw)
        yield band, coarse(seen_HW, 3).astype(np.float32)
    # The panchromatic band has twice the resolution of the others.
    visible = ("B02", "B03", "B04")
    seen = [_reflectance(land, terrain, cloud_HW, band, passed, draw) for band in visible]
    yield "B8", coarse(np.mean(seen, axis=0), 2).astype(np.float32)
    thin_HW = 0.004 + 0.05 * cloud_HW + draw.normal(0, 0.001, cloud_HW.shape)
    yield "B9", coarse(thin_HW, 3).astype(np.float32)
    warm_HW = 306 - 9 * terrain.vegetation_HW + 4 * terrain.roofs_HW - 30 * cloud_HW
    for band, shift in (("B10", 0.0), ("B11", -1.5)):
        noisy_HW = warm_HW + shift + draw.normal(0, 0.3, warm_HW.shape)
        yield band, coarse(noisy_HW, 10).astype(np.float32)


def _reflectance(
    land: Land, terrain: Terrain, cloud_HW: Field, band: str, passed: float, draw: Draw
) -> Field:
    green, soil, roof, _ = _SPECTRA[band]
    alive_HW = terrain.vegetation_HW * (1 - land.weather.season * passed)
    earth = soil * (1.15 - 0.4 * terrain.moisture_HW)
    ground_HW = green * alive_HW + earth * (1 - alive_HW)
    clear_HW = ground_HW * (1 - terrain.roofs_HW) + roof * terrain.tone_HW * terrain.roofs_HW
    seen_HW = clear_HW * (1 - cloud_HW) + _CLOUD * cloud_HW
    return np.asarray(seen_HW + draw.normal(0, land.sensors.noise, seen_HW.shape))


def _clouds(land: Land, side: int, draw: Draw) -> Field:
    """Return how much of the light of each pixel comes from clouds, 0 on a clear date."""
    if draw.random() >= land.weather.cloudy or land.weather.cover == 0:
        return np.zeros((side, side))
    cover = min(0.95, land.weather.cover * draw.uniform(0.5, 1.5))
    height_HW = smooth(draw, side, 35) + 0.4 * smooth(draw, side, 8)
    return np.asarray(((height_HW - np.quantile(height_HW, 1 - cover)) * 2).clip(0, 1))


def coarse(values_HW: Field, block: int) -> Field:
    """Return the means over squares of `block` pixels, each repeated over its square.

    So an instrument of coarser pixels looks when it is brought to the grid of a finer one.
    """
    height, width = values_HW.shape
    starts_y, starts_x = np.arange(0, height, block), np.arange(0, width, block)
    sums = np.add.reduceat(np.add.reduceat(values_HW, starts_y, axis=0), starts_x, axis=1)
    rows, columns = np.diff([*starts_y, height]), np.diff([*starts_x, width])
    return np.asarray((sums / np.outer(rows, columns)).repeat(rows, axis=0).repeat(columns, axis=1))


def _whole(values: Field) -> NDArray[np.uint16]:
    return values.round().clip(0, 65535).astype(np.uint16)

"""Terrain: what there is on the ground of one tile, before any satellite looks at it.

t truth pixels along a side, H = W = 50 t image pixels.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from segpipe.runtime.randomness import generator
from segpipe.sources.synthetic_esd.land import Land
from segpipe.sources.synthetic_esd.noise import Draw, Field, smooth

# Image pixels along a side of a truth pixel, as in the published tiles: 500 m and 10 m.
RATIO = 50
# The kinds of truth: raw ids of settled or not, by lit or not.
_SETTLED_DARK, _EMPTY_DARK, _SETTLED_LIT, _EMPTY_LIT = 1, 2, 3, 4


@dataclass(frozen=True)
class Terrain:
    """truth_tt: raw ids 1..4. light_tt: brightness at night. The rest by image pixel, in 0..1 but
    for tone: vegetation, moisture, roofs (share of the pixel) and their tone (about 1).
    """

    truth_tt: NDArray[np.uint8]
    light_tt: Field
    vegetation_HW: Field
    moisture_HW: Field
    roofs_HW: Field
    tone_HW: Field


def compose(land: Land, seed: int, tile: int, truth: int) -> Terrain:
    """Return the terrain of a tile of truth x truth truth pixels; it depends on the arguments alone."""
    draw = generator(seed, "esd terrain", tile)
    settled_tt = _below(land.shares.settled, draw, truth, land.shares.patch)
    lit_tt = np.where(
        settled_tt,
        _below(land.shares.lit_if_settled, draw, truth, land.shares.patch),
        _below(land.shares.lit_if_empty, draw, truth, land.shares.patch),
    )
    dark_tt = np.where(settled_tt, _SETTLED_DARK, _EMPTY_DARK)
    bright_tt = np.where(settled_tt, _SETTLED_LIT, _EMPTY_LIT)
    side = RATIO * truth
    roofs_HW, tone_HW = _build(land, settled_tt, lit_tt, draw)
    return Terrain(
        truth_tt=np.where(lit_tt, bright_tt, dark_tt).astype(np.uint8),
        light_tt=_light(land, settled_tt, lit_tt, draw),
        vegetation_HW=_vegetation(side, draw),
        moisture_HW=_squashed(smooth(draw, side, 60)),
        roofs_HW=roofs_HW,
        tone_HW=tone_HW,
    )


def _below(share: float, draw: Draw, side: int, patch: float) -> NDArray[np.bool_]:
    """Return patches that cover `share` of all pixels, in the mean over many tiles."""
    chosen: NDArray[np.bool_] = smooth(draw, side, patch) < NormalDist().inv_cdf(share)
    return chosen


def _light(
    land: Land, settled_tt: NDArray[np.bool_], lit_tt: NDArray[np.bool_], draw: Draw
) -> Field:
    """Return the light that leaves each truth pixel, 1 for the background alone."""
    mean_tt = np.where(settled_tt, land.light.settled, land.light.empty)
    varied_tt = mean_tt * np.exp(land.light.variation * draw.normal(size=mean_tt.shape))
    light: Field = 1 + np.where(lit_tt, varied_tt, 0)
    return light


def _vegetation(side: int, draw: Draw) -> Field:
    """Return hills and plots: bush that changes smoothly, fields with straight edges in it."""
    bush_HW = _squashed(smooth(draw, side, 45) + 0.5 * smooth(draw, side, 9))
    rows = np.cumsum(draw.random(side) < 0.08)
    columns = np.cumsum(draw.random(side) < 0.08)
    plots = draw.uniform(0.1, 0.9, (rows[-1] + 1, columns[-1] + 1))
    farmed_HW = smooth(draw, side, 70) > 0.4
    vegetation: Field = np.where(farmed_HW, plots[rows][:, columns], bush_HW)
    return vegetation


def _build(
    land: Land, settled_tt: NDArray[np.bool_], lit_tt: NDArray[np.bool_], draw: Draw
) -> tuple[Field, Field]:
    """Return the share of roof and the tone of the roofs by image pixel."""
    side = RATIO * len(settled_tt)
    roofs_HW, tone_HW = np.zeros((side, side)), np.ones((side, side))
    mean_tt = np.where(settled_tt, land.buildings.settled, land.buildings.empty)
    count_tt = draw.poisson(mean_tt * np.where(lit_tt, land.buildings.lit, 1))
    for (row, column), count in np.ndenumerate(count_tt):
        centre = draw.uniform(15, 35, 2)
        # Houses stand together, and inside of the truth pixel that they belong to.
        corners = (centre + draw.normal(0, 9, (count, 2))).clip(1, RATIO - 13).astype(int)
        sides = (1 + draw.poisson(land.buildings.side - 1, (count, 2))).clip(1, 12)
        tones = draw.uniform(0.6, 1.5, count)
        for (y, x), (height, width), tone in zip(corners, sides, tones, strict=True):
            top, left = row * RATIO + y, column * RATIO + x
            roofs_HW[top : top + height, left : left + width] = 0.85
            tone_HW[top : top + height, left : left + width] = tone
    return roofs_HW, tone_HW


def _squashed(values: Field) -> Field:
    """Bring values of any size to 0..1."""
    squashed: Field = 1 / (1 + np.exp(-1.5 * values))
    return squashed

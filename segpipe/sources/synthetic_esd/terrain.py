"""Terrain: what there is on the ground of one tile, before any satellite looks at it.

t truth pixels along a side, H = W = 50 t image pixels.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from segpipe.runtime.randomness import generator
from segpipe.sources.synthetic_esd.land import Land

Draw = np.random.Generator
Field = NDArray[np.float64]
# Image pixels along a side of a truth pixel, as in the published tiles: 500 m and 10 m.
RATIO = 50


@dataclass(frozen=True)
class Terrain:
    """What there is on the ground of a tile.

    truth_tt: raw ids: 1 settled, 2 empty, without electricity; 3 and 4 the same with it. light_tt:
    light that leaves at night, 1 for the background alone. The rest by image pixel, in 0..1 but for
    tone: vegetation, moisture, roofs (fraction of the pixel) and their tone (about 1).
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
    shares, light, side = land.shares, land.light, RATIO * truth
    settled_tt = _below(shares.settled, draw, truth, shares.patch)
    lit_if_settled_tt = _below(shares.lit_if_settled, draw, truth, shares.patch)
    lit_if_empty_tt = _below(shares.lit_if_empty, draw, truth, shares.patch)
    lit_tt = np.where(settled_tt, lit_if_settled_tt, lit_if_empty_tt)
    roofs_HW, tone_HW = _build(land, settled_tt, lit_tt, draw)
    mean_tt = np.where(settled_tt, light.settled, light.empty)
    varied_tt = mean_tt * np.exp(light.variation * draw.normal(size=mean_tt.shape))
    return Terrain(
        truth_tt=(np.where(settled_tt, 1, 2) + 2 * lit_tt).astype(np.uint8),
        light_tt=1 + np.where(lit_tt, varied_tt, 0),
        vegetation_HW=_vegetation(side, draw),
        moisture_HW=_squashed(smooth(draw, side, 60)),
        roofs_HW=roofs_HW,
        tone_HW=tone_HW,
    )


def _below(share: float, draw: Draw, side: int, patch: float) -> NDArray[np.bool_]:
    """Return patches that cover `share` of all pixels, in the mean over many tiles."""
    return np.asarray(smooth(draw, side, patch) < NormalDist().inv_cdf(share))


def _vegetation(side: int, draw: Draw) -> Field:
    """Return hills and plots: bush that changes smoothly, fields with straight edges in it."""
    bush_HW = _squashed(smooth(draw, side, 45) + 0.5 * smooth(draw, side, 9))
    rows = np.cumsum(draw.random(side) < 0.08)
    columns = np.cumsum(draw.random(side) < 0.08)
    plots = draw.uniform(0.1, 0.9, (rows[-1] + 1, columns[-1] + 1))
    farmed_HW = smooth(draw, side, 70) > 0.4
    return np.asarray(np.where(farmed_HW, plots[rows][:, columns], bush_HW))


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
    return np.asarray(1 / (1 + np.exp(-1.5 * values)))


def smooth(draw: Draw, side: int, cell: float) -> Field:
    """Return a field (side, side) of mean 0 and variance 1 that changes over about `cell` pixels.

    Value noise: normal values on a lattice, blended smoothly between its knots. The blend is
    divided by the length of its weights, so that the variance is 1 at every pixel.
    """
    weights_SN = blend(side, cell, draw.uniform())
    weights_SN = weights_SN / np.linalg.norm(weights_SN, axis=1, keepdims=True)
    knots = weights_SN.shape[1]
    return np.asarray(weights_SN @ draw.normal(size=(knots, knots)) @ weights_SN.T)


def blend(side: int, cell: float, phase: float) -> Field:
    """Return the weights of the knots, `cell` pixels apart, at each pixel of a side: (side, knots).

    The weights of a pixel add up to 1. phase: where the pixels begin between the first two knots.
    """
    place_S = np.arange(side) / cell + phase
    left_S = np.floor(place_S).astype(np.int64)
    fraction_S = place_S - left_S
    fraction_S = fraction_S * fraction_S * (3 - 2 * fraction_S)
    weights_SN = np.zeros((side, int(left_S[-1]) + 2))
    weights_SN[np.arange(side), left_S] = 1 - fraction_S
    weights_SN[np.arange(side), left_S + 1] = fraction_S
    return weights_SN

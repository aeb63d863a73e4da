"""Random fields: values that change smoothly from place to place."""

import numpy as np
from numpy.typing import NDArray

Draw = np.random.Generator
Field = NDArray[np.float64]


def smooth(draw: Draw, side: int, cell: float) -> Field:
    """Return a field (side, side) of mean 0 and variance 1 that changes over about `cell` pixels.

    Value noise: normal values on a lattice, blended smoothly between its knots. The blend is
    divided by the length of its weights, so that the variance is 1 at every pixel.
    """
    weights_SN = blend(side, cell, draw.uniform())
    weights_SN = weights_SN / np.linalg.norm(weights_SN, axis=1, keepdims=True)
    knots = weights_SN.shape[1]
    field: Field = weights_SN @ draw.normal(size=(knots, knots)) @ weights_SN.T
    return field


def blend(side: int, cell: float, phase: float) -> Field:
    """Return the weights of the knots, `cell` pixels apart, at each pixel of a side: (side, knots).

    The weights of a pixel add up to 1. phase: where the pixels begin between the first two knots.
    """
    place_S = np.arange(side) / cell + phase
    left_S = np.floor(place_S).astype(np.int64)
    share_S = place_S - left_S
    share_S = share_S * share_S * (3 - 2 * share_S)
    weights_SN = np.zeros((side, int(left_S[-1]) + 2))
    weights_SN[np.arange(side), left_S] = 1 - share_S
    weights_SN[np.arange(side), left_S + 1] = share_S
    return weights_SN


def coarse(values_HW: Field, block: int) -> Field:
    """Return the means over squares of `block` pixels, each repeated over its square.

    So an instrument of coarser pixels looks when it is brought to the grid of a finer one.
    """
    height, width = values_HW.shape
    starts_y, starts_x = np.arange(0, height, block), np.arange(0, width, block)
    sums = np.add.reduceat(np.add.reduceat(values_HW, starts_y, axis=0), starts_x, axis=1)
    rows, columns = np.diff([*starts_y, height]), np.diff([*starts_x, width])
    means: Field = (sums / np.outer(rows, columns)).repeat(rows, axis=0).repeat(columns, axis=1)
    return means

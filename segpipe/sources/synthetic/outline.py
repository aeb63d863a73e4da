"""Outlines: the polygon an annotator would draw around a thing, in whole pixels.

A polygon names the pixels on its edge as belonging to the thing, as the official painters do
(`ImageDraw.polygon`); a pixel belongs to a thing when its centre does.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.sources.synthetic.mesh import DETAIL
from segpipe.sources.synthetic.scene import Floats, Thing
from segpipe.sources.synthetic.view import Ints, View

Polygon = list[tuple[int, int]]


def outlines(view: View) -> list[Polygon]:
    """Return the polygon of each thing of the view, empty where it lies outside of the picture."""
    drawn = []
    for index, one in enumerate(view.things):
        if one.loop_L3 is not None:
            drawn.append(clipped(view.project(one.loop_L3), view.height, view.width))
        else:
            drawn.append(_silhouette(view, index, one))
    return drawn


def clipped(loop_L2: Floats, height: int, width: int) -> Polygon:
    """Cut a polygon at the border of the picture (Sutherland and Hodgman, 1974)."""
    points = [(x - 0.5, y - 0.5) for x, y in loop_L2.tolist()]
    for axis, sign, limit in (
        (0, 1, 0.0),
        (0, -1, 1.0 - width),
        (1, 1, 0.0),
        (1, -1, 1.0 - height),
    ):
        kept: list[tuple[float, float]] = []
        for k, there in enumerate(points):
            here = points[k - 1]
            a, b = sign * here[axis] - limit, sign * there[axis] - limit
            if (a < 0) != (b < 0):
                t = a / (a - b)
                kept.append(
                    (here[0] + t * (there[0] - here[0]), here[1] + t * (there[1] - here[1]))
                )
            if b >= 0:
                kept.append(there)
        points = kept
    whole = [(round(x), round(y)) for x, y in points]
    return whole if len(whole) > 2 else []


def _silhouette(view: View, index: int, one: Thing) -> Polygon:
    """Find the upper and lower edge of all faces of a thing in each column of pixels.

    Exact for things without overhangs: whatever is between the highest and the lowest face of a
    column belongs to the thing, as in an annotator's polygon around spokes or railings.
    """
    start, end = view.faces_T1[index], view.faces_T1[index + 1]
    first, last = view.first_F1[start], view.first_F1[end]
    corners = view.corners_P2[first:last]
    following = _following(view.first_F1[start : end + 1] - first)
    whole = np.repeat(one.flags_F & DETAIL == 0, one.sizes_F)
    a, b = corners[whole], corners[following][whole]
    left = max(0, int(np.ceil(a[:, 0].min() - 0.5)))
    right = min(view.width - 1, int(np.ceil(a[:, 0].max() - 0.5)) - 1)
    low, high = a[:, 1].max(), a[:, 1].min()
    if right < left or low < 0 or high > view.height or low - high < 1.0:
        return []
    columns = np.arange(left, right + 1)
    top, bottom = _envelope(a, b, columns + 0.5)
    inside = bottom > top
    inside &= (bottom > 0.5) & (top < view.height - 0.5)
    if not inside.any():
        return []
    run = _longest_run(inside)
    columns, top, bottom = columns[run], top[run], bottom[run]
    top = np.clip(np.ceil(top - 0.5), 0, view.height - 1)
    bottom = np.clip(np.ceil(bottom - 0.5) - 1, top, view.height - 1)
    upper, lower = _corners(columns, top), _corners(columns, bottom)
    return upper + lower[::-1] if len(columns) > 1 else [*upper, *lower, *lower]


def _following(first_F1: Ints) -> Ints:
    """Return for each corner the index of the next one of its face."""
    following = np.arange(1, int(first_F1[-1]) + 1)
    following[first_F1[1:] - 1] = first_F1[:-1]
    return following


def _envelope(
    a_E2: Floats, b_E2: Floats, columns_C: NDArray[np.floating[Any]]
) -> tuple[Floats, Floats]:
    """Return the highest and lowest edge at each column; none there is +inf above -inf."""
    (ax, ay), (bx, by) = a_E2.T, b_E2.T
    crosses = ((ax[:, None] <= columns_C) & (columns_C < bx[:, None])) | (
        (bx[:, None] <= columns_C) & (columns_C < ax[:, None])
    )
    edge, column = np.nonzero(crosses)
    share = (columns_C[column] - ax[edge]) / (bx[edge] - ax[edge])
    y = ay[edge] + share * (by[edge] - ay[edge])
    top = np.full(len(columns_C), np.inf)
    bottom = np.full(len(columns_C), -np.inf)
    np.minimum.at(top, column, y)
    np.maximum.at(bottom, column, y)
    return top, bottom


def _longest_run(inside: NDArray[np.bool_]) -> slice:
    """Return where the longest unbroken run is: one polygon cannot name two islands."""
    change = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(np.int8), [0]])))
    starts, ends = change[::2], change[1::2]
    longest = int(np.argmax(ends - starts))
    return slice(int(starts[longest]), int(ends[longest]))


def _corners(columns: Ints, rows: Floats) -> Polygon:
    """Leave out the points between which the edge is straight."""
    turn = np.ones(len(columns), bool)
    dx, dy = np.diff(columns), np.diff(rows)
    turn[1:-1] = dx[1:] * dy[:-1] != dx[:-1] * dy[1:]
    return list(zip(columns[turn].tolist(), rows[turn].astype(int).tolist(), strict=True))

"""Polygons become pixels.

There are two rules, since tools differ along the edges:

- by centres: a pixel belongs to a polygon where its centre, (column + 0.5, row + 0.5), lies inside.
  This is the rule of COCO, computed by pycocotools (`frPyObjects`) to a fifth of a pixel, and that of
  CVAT's own export of masks (Datumaro calls pycocotools). It is the rule where a tool has none of
  its own: neighbours that share an edge neither overlap nor leave a gap.
- with edges: Pillow's `ImageDraw.polygon`, which paints the pixels that an edge runs through as well.
  Labelme's labelme2voc.py and the official tools of Cityscapes draw so.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pycocotools import mask as coco_masks

from segpipe.importing.run_lengths import Mask, coco_mask
from segpipe.runtime.errors import DataError

_CORNERS = 72  # of the polygon that an ellipse becomes
MOST_POINTS = 1_000_000


def checked_points(points: Any, height: int, width: int) -> NDArray[np.float64]:
    """Return the points (x, y) of a shape, (N, 2).

    Raises DataError where they are no pairs of finite numbers, more than a million, or lie farther
    outside of the image than its own size: the work of drawing grows with the length of the edges.
    """
    if len(points) > MOST_POINTS:
        raise DataError(f"a shape has {len(points):,} points; at most {MOST_POINTS:,} are read")
    array_N2 = np.array([(float(x), float(y)) for x, y in points], np.float64).reshape(-1, 2)
    size_2 = np.array([width, height])
    if not np.isfinite(array_N2).all():
        raise DataError("a shape has a point that is not finite")
    if ((array_N2 < -size_2) | (array_N2 > 2 * size_2)).any():
        raise DataError("a shape lies farther outside of the image than the image is large")
    return array_N2


def by_centres(rings: Sequence[NDArray[np.float64]], height: int, width: int) -> Mask:
    """Return the pixels, (H, W), whose centres lie inside at least one of `rings`."""
    flat = [ring_N2.ravel().tolist() for ring_N2 in rings]
    runs = coco_masks.merge(coco_masks.frPyObjects(flat, height, width))
    return coco_mask(runs, height, width)


def with_edges(ring_N2: NDArray[np.float64], height: int, width: int, *, outline: bool) -> Mask:
    """Return the pixels, (H, W), that Pillow paints for a polygon; outline: its edges once more."""
    picture = Image.new("L", (width, height))
    corners = [(x, y) for x, y in ring_N2.tolist()]
    ImageDraw.Draw(picture).polygon(corners, fill=1, outline=1 if outline else None)
    return np.asarray(picture).astype(bool)


def rectangle(
    left: float,
    top: float,
    right: float,
    bottom: float,
    degrees: float = 0.0,
    about: tuple[float, float] | None = None,
) -> list[tuple[float, float]]:
    """Return the corners of a rectangle that is turned clockwise on the screen.

    about: the point that stays where it is; None for the centre.
    """
    x, y = about or ((left + right) / 2, (top + bottom) / 2)
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return _turned(corners, x, y, degrees)


def ellipse(
    x: float, y: float, radius_x: float, radius_y: float, degrees: float = 0.0
) -> list[tuple[float, float]]:
    """Return 72 points of an ellipse that is turned about its centre, clockwise on the screen."""
    angles = [2 * math.pi * corner / _CORNERS for corner in range(_CORNERS)]
    points = [(x + radius_x * math.cos(one), y + radius_y * math.sin(one)) for one in angles]
    return _turned(points, x, y, degrees)


def _turned(
    points: list[tuple[float, float]], x: float, y: float, degrees: float
) -> list[tuple[float, float]]:
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [
        (x + (px - x) * cosine - (py - y) * sine, y + (px - x) * sine + (py - y) * cosine)
        for px, py in points
    ]

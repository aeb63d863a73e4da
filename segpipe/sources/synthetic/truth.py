"""Truth: what is where, as the files of gtFine.

A polygon is what an annotator would draw around a thing, in whole pixels: it names the pixels on
its edge as belonging to the thing, and a pixel belongs to a thing when its centre does. Polygons
are drawn in order, one over the other, as cityscapesscripts' json2labelImg and json2instanceImg
do, so those programs make the same pictures from our polygon files.
"""

import io
import json
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from segpipe.labels.load import load_scheme
from segpipe.labels.scheme import RawLabel
from segpipe.sources.synthetic.mesh import Mesh
from segpipe.sources.synthetic.scene import Floats, View

Polygon = list[tuple[int, int]]
# From here on Cityscapes tells the objects of a class apart.
_FIRST_WITH_INSTANCES = 24


@dataclass(frozen=True)
class Truth:
    """The objects that are seen at least in part, in the painter's order, O of them.

    index_HW: which object each pixel shows. thing_O: index of the object's thing in the view, or
    -1 for what the camera adds (sky, bonnet, margin).
    """

    labels: tuple[str, ...]
    polygons: tuple[Polygon, ...]
    thing_O: tuple[int, ...]
    index_HW: NDArray[np.int64]

    def label_ids(self) -> NDArray[np.uint8]:
        """Return the raw label ids, (H, W)."""
        ids = [_raw_labels()[label].id for label in self.labels]
        return np.take(np.array(ids, np.uint8), self.index_HW)

    def instance_ids(self) -> NDArray[np.uint16]:
        """Return the label id, or 1000 times it plus a running number where objects are counted."""
        counted: Counter[str] = Counter()
        values = []
        for label in self.labels:
            number = _raw_labels()[label].id
            counts = number >= _FIRST_WITH_INSTANCES
            values.append(number * 1000 + counted[label] if counts else number)
            counted[label] += 1
        return np.take(np.array(values, np.uint16), self.index_HW)

    def files(self) -> dict[str, bytes]:
        """Return the four files of gtFine by the end of their name."""
        colours = [(*_raw_labels()[label].colour, 255) for label in self.labels]
        (height, width), named = self.index_HW.shape, zip(self.labels, self.polygons, strict=True)
        objects = [{"label": label, "polygon": polygon} for label, polygon in named]
        content = {"imgHeight": height, "imgWidth": width, "objects": objects}
        return {
            "gtFine_color.png": png(np.take(np.array(colours, np.uint8), self.index_HW, 0)),
            "gtFine_instanceIds.png": png(self.instance_ids()),
            "gtFine_labelIds.png": png(self.label_ids()),
            "gtFine_polygons.json": json.dumps(content, separators=(",", ":")).encode(),
        }


def annotate(view: View) -> Truth:
    """Annotate a view; objects that others hide entirely are left out."""
    height, width = view.height, view.width
    right, low, margin = width - 1, height - 1, round(view.scene.border * width)
    objects = [("sky", [(0, 0), (right, 0), (right, low), (0, low)], -1)]
    objects += [(one.label, _outline(view, k), k) for k, one in enumerate(view.things)]
    if view.scene.hood_L2 is not None:
        hood_L2 = view.scene.hood_L2 * np.array([width, height])
        objects.append(("ego vehicle", clipped(hood_L2, height, width), -1))
    if margin:
        left, x, y = margin - 1, width - margin, height - margin
        frame = [(0, 0), (left, 0), (left, y), (x, y), (x, 0), (right, 0), (right, low), (0, low)]
        objects.append(("rectification border", frame, -1))
    drawn = Image.new("I", (width, height), 0)
    drawer = ImageDraw.Draw(drawn)
    for index, (_, polygon, _) in enumerate(objects):
        if polygon:
            drawer.polygon(polygon, fill=index)
    index_HW = np.asarray(drawn)
    seen = np.flatnonzero(np.bincount(index_HW.ravel()))
    labels, polygons, things = zip(*(objects[k] for k in seen.tolist()), strict=True)
    return Truth(labels, polygons, things, np.searchsorted(seen, index_HW))


def _outline(view: View, index: int) -> Polygon:
    """Return the polygon of a thing of the view, empty where it lies outside of the picture.

    It is the upper and lower edge of all faces in each column of pixels: exact for things without
    overhangs, and whatever is between the highest and the lowest face of a column belongs to the
    thing, as in an annotator's polygon around spokes or railings.
    """
    loop_L3 = view.things[index].loop_L3
    if loop_L3 is not None:
        return clipped(view.project(loop_L3), view.height, view.width)
    faces = slice(view.faces_T1[index], view.faces_T1[index + 1])
    first_F1 = view.first_F1[faces.start : faces.stop + 1]
    corners = view.corners_P2[first_F1[0] : first_F1[-1]]
    following = np.arange(1, len(corners) + 1)
    following[first_F1[1:] - first_F1[0] - 1] = first_F1[:-1] - first_F1[0]
    outer = np.repeat(view.faces_F["flags"][faces] & Mesh.DETAIL == 0, view.faces_F["size"][faces])
    a, b = corners[outer], corners[following][outer]
    (left, high), (right, low) = a.min(0).tolist(), a.max(0).tolist()
    first, last = max(0, int(np.ceil(left - 0.5))), min(view.width, int(np.ceil(right - 0.5)))
    if last <= first or low < 0 or high > view.height or low - high < 1.0:
        return []
    columns = np.arange(first, last)
    top, bottom = _envelope(a, b, columns + 0.5)
    inside = (bottom > top) & (bottom > 0.5) & (top < view.height - 0.5)
    if not inside.any():
        return []
    # The longest unbroken run: one polygon cannot name two islands.
    change = np.flatnonzero(np.diff(inside, prepend=False, append=False))
    longest = int(np.argmax(change[1::2] - change[::2]))
    run = slice(change[2 * longest], change[2 * longest + 1])
    top = np.clip(np.ceil(top[run] - 0.5), 0, view.height - 1)
    bottom = np.clip(np.ceil(bottom[run] - 0.5) - 1, top, view.height - 1)
    upper, lower = _corners(columns[run], top), _corners(columns[run], bottom)
    return upper + lower[::-1] if len(top) > 1 else [*upper, *lower, *lower]


def _envelope(
    a_E2: Floats, b_E2: Floats, columns_C: NDArray[np.floating[Any]]
) -> tuple[Floats, Floats]:
    """Return the highest and lowest edge at each column; none there is +inf above -inf."""
    (ax, ay), (bx, by) = a_E2.T, b_E2.T
    edge, column = np.nonzero((ax[:, None] <= columns_C) != (bx[:, None] <= columns_C))
    fraction = (columns_C[column] - ax[edge]) / (bx[edge] - ax[edge])
    y = ay[edge] + fraction * (by[edge] - ay[edge])
    top, bottom = np.full(len(columns_C), np.inf), np.full(len(columns_C), -np.inf)
    np.minimum.at(top, column, y)
    np.maximum.at(bottom, column, y)
    return top, bottom


def _corners(columns: NDArray[np.int64], rows: Floats) -> Polygon:
    """Leave out the points between which the edge is straight."""
    turn = np.ones(len(columns), bool)
    turn[1:-1] = np.diff(rows, 2) != 0
    return list(zip(columns[turn].tolist(), rows[turn].astype(int).tolist(), strict=True))


def clipped(loop_L2: Floats, height: int, width: int) -> Polygon:
    """Cut a polygon at the border of the picture (Sutherland and Hodgman, 1974)."""
    points = [(x - 0.5, y - 0.5) for x, y in loop_L2.tolist()]
    borders = ((0, 1, 0.0), (0, -1, 1.0 - width), (1, 1, 0.0), (1, -1, 1.0 - height))
    for axis, sign, limit in borders:
        kept: list[tuple[float, float]] = []
        for (u, v), (x, y) in zip(points[-1:] + points[:-1], points, strict=True):
            a, b = sign * (u, v)[axis] - limit, sign * (x, y)[axis] - limit
            if (a < 0) != (b < 0):
                kept.append((u + a / (a - b) * (x - u), v + a / (a - b) * (y - v)))
            if b >= 0:
                kept.append((x, y))
        points = kept
    return [(round(x), round(y)) for x, y in points] if len(points) > 2 else []


def png(array: NDArray[Any]) -> bytes:
    """Encode (H, W) uint8 or uint16, (H, W, 3) or (H, W, 4) uint8 as a PNG."""
    buffer = io.BytesIO()
    # Level 1: noise does not shrink anyway, and a higher level costs more time than the drawing.
    Image.fromarray(array).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


@cache
def _raw_labels() -> dict[str, RawLabel]:
    return {label.name: label for label in load_scheme("cityscapes19", {}, Path()).raw}

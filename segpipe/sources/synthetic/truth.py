"""Truth: what is where, as the files of gtFine.

Polygons are drawn in order, one over the other, as cityscapesscripts' json2labelImg and
json2instanceImg do, so those programs make the same pictures from our polygon files.
"""

import io
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from segpipe.labels.load import load_scheme
from segpipe.sources.synthetic.outline import Polygon, clipped, outlines
from segpipe.sources.synthetic.view import View

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
    index_HW: NDArray[np.int32]

    def label_ids(self) -> NDArray[np.uint8]:
        """Return the raw label ids, (H, W)."""
        ids = np.array([_ids()[label] for label in self.labels], np.uint8)
        painted: NDArray[np.uint8] = ids[self.index_HW]
        return painted

    def files(self) -> dict[str, bytes]:
        """Return the four files of gtFine by the end of their name."""
        return {
            "gtFine_color.png": png(self._colours()),
            "gtFine_instanceIds.png": png(self._instance_ids()),
            "gtFine_labelIds.png": png(self.label_ids()),
            "gtFine_polygons.json": self._polygon_file(),
        }

    def _instance_ids(self) -> NDArray[np.uint16]:
        """Return the label id, or 1000 times it plus a running number where objects are counted."""
        counted: dict[str, int] = {}
        values = []
        for label in self.labels:
            value = _ids()[label]
            if value >= _FIRST_WITH_INSTANCES:
                number = counted.get(label, 0)
                counted[label] = number + 1
                value = value * 1000 + number
            values.append(value)
        painted: NDArray[np.uint16] = np.array(values, np.uint16)[self.index_HW]
        return painted

    def _colours(self) -> NDArray[np.uint8]:
        table = np.array([(*_colour_table()[label], 255) for label in self.labels], np.uint8)
        painted: NDArray[np.uint8] = table[self.index_HW]
        return painted

    def _polygon_file(self) -> bytes:
        height, width = self.index_HW.shape
        objects = [
            {"label": label, "polygon": polygon}
            for label, polygon in zip(self.labels, self.polygons, strict=True)
        ]
        content = {"imgHeight": height, "imgWidth": width, "objects": objects}
        return json.dumps(content, separators=(",", ":")).encode()


def annotate(view: View) -> Truth:
    """Annotate a view; objects that others hide entirely are left out."""
    labels = ["sky", *(one.label for one in view.things)]
    polygons: list[Polygon] = [_frame(view.height, view.width), *outlines(view)]
    owners = [-1, *range(len(view.things))]
    for label, polygon in _camera_parts(view):
        labels.append(label)
        polygons.append(polygon)
        owners.append(-1)
    drawn = Image.new("I", (view.width, view.height), 0)
    drawer = ImageDraw.Draw(drawn)
    for index, polygon in enumerate(polygons):
        if polygon:
            drawer.polygon(polygon, fill=index)
    index_HW = np.asarray(drawn)
    seen = np.flatnonzero(np.bincount(index_HW.ravel(), minlength=len(labels))).tolist()
    renumbered = np.zeros(len(labels), np.int32)
    renumbered[seen] = np.arange(len(seen))
    return Truth(
        tuple(labels[k] for k in seen),
        tuple(polygons[k] for k in seen),
        tuple(owners[k] for k in seen),
        renumbered[index_HW],
    )


def png(array: NDArray[Any]) -> bytes:
    """Encode (H, W) uint8 or uint16, (H, W, 3) or (H, W, 4) uint8 as a PNG."""
    buffer = io.BytesIO()
    # Level 1: noise does not shrink anyway, and a higher level costs more time than the drawing.
    Image.fromarray(array).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def _camera_parts(view: View) -> list[tuple[str, Polygon]]:
    parts = []
    height, width = view.height, view.width
    if view.scene.hood is not None:
        outline = view.scene.hood.outline_L2 * np.array([width, height])
        parts.append(("ego vehicle", clipped(outline, height, width)))
    margin = round(view.scene.border * width)
    if margin:
        right, low = width - 1, height - 1
        inner_x, inner_y = right - margin, low - margin
        frame = [(0, 0), (margin - 1, 0), (margin - 1, inner_y + 1), (inner_x + 1, inner_y + 1),
                 (inner_x + 1, 0), (right, 0), (right, low), (0, low)]  # fmt: skip
        parts.append(("rectification border", frame))
    return parts


def _frame(height: int, width: int) -> Polygon:
    return [(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)]


@cache
def _ids() -> dict[str, int]:
    return {label.name: label.id for label in load_scheme("cityscapes19", {}, Path()).raw}


@cache
def _colour_table() -> dict[str, tuple[int, int, int]]:
    return {label.name: label.colour for label in load_scheme("cityscapes19", {}, Path()).raw}

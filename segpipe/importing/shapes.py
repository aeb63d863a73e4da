"""A mask from shapes: each is painted over those before it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segpipe.importing.contents import Draw
from segpipe.importing.polygons import by_centres, checked_points, with_edges
from segpipe.importing.run_lengths import Mask
from segpipe.runtime.errors import DataError

# How a shape's pixels, (H, W), are made for an image of such a height and width; None: it has no area.
Pixels = Callable[[int, int], Mask | None]


@dataclass(frozen=True)
class Shape:
    """value: the id of its class. called: its name in messages."""

    value: int
    pixels: Pixels
    called: str


def no_area(_height: int, _width: int) -> None:
    """Return that a shape, such as a point or a line, has no pixels."""


def polygon(
    rings: Sequence[Any],
    rule: Literal["centres", "edges", "edges and outline"] = "centres",
    holes: Sequence[Any] = (),
) -> Pixels:
    """Return what makes the pixels of a polygon of several rings, less those of its holes.

    rings, holes: lists of points (x, y) in pixels. rule: which pixels of the edge belong to it, as
    `polygons` says. Rings of less than three points have no area.
    """

    def pixels(height: int, width: int) -> Mask | None:
        def covered(lists: Sequence[Any]) -> Mask | None:
            checked = [checked_points(points, height, width) for points in lists]
            areas = [ring_N2 for ring_N2 in checked if len(ring_N2) > 2]
            if not areas:
                return None
            if rule == "centres":
                return by_centres(areas, height, width)
            outline = rule == "edges and outline"
            painted = [with_edges(ring, height, width, outline=outline) for ring in areas]
            return np.asarray(np.logical_or.reduce(painted))

        outer_HW, inner_HW = covered(rings), covered(holes)
        return outer_HW if outer_HW is None or inner_HW is None else outer_HW & ~inner_HW

    return pixels


def pasted(part: Mask, left: int, top: int) -> Pixels:
    """Return what makes the pixels of a mask of a part of the image; what lies outside is cut off."""

    def pixels(height: int, width: int) -> Mask:
        whole_HW = np.zeros((height, width), bool)
        rows, columns = part.shape
        inside = part[max(0, -top) : height - top, max(0, -left) : width - left]
        y, x = max(0, top), max(0, left)
        if min(top + rows, left + columns) > 0 and y < height and x < width:
            whole_HW[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
        return whole_HW

    return pixels


def drawn(
    shapes: Sequence[Shape],
    background: int,
    passed_over: list[str],
    place: str,
    size: tuple[int, int] | None = None,
) -> Draw:
    """Return what draws `shapes`, in their order, over `background`.

    Those that cover no area, as a polygon of two points, are added to `passed_over`. size: height and
    width of the image as the export tells them; an image of another size is refused.
    """

    def draw(height: int, width: int) -> NDArray[Any]:
        if size is not None and size != (height, width):
            raise DataError(
                f"is {height} x {width}, but was annotated as {size[0]} x {size[1]}; is it the same "
                "image?"
            )
        mask_HW = np.full((height, width), background, np.int64)
        for shape in shapes:
            covered_HW = shape.pixels(height, width)
            if covered_HW is None:
                passed_over.append(f"{place}: {shape.called} covers no area")
            else:
                mask_HW[covered_HW] = shape.value
        return mask_HW

    return draw

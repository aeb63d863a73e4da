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


@dataclass(frozen=True)
class Region:
    """The pixels of a shape: a mask, (h, w), whose upper left corner lies at row `top`, column `left`.

    It may reach beyond the image.
    """

    mask: Mask
    top: int = 0
    left: int = 0

    def paint(self, mask_HW: NDArray[Any], value: int) -> None:
        """Set the region's pixels in an image's mask to `value`."""
        rows, columns = self.mask.shape
        top, left = max(0, self.top), max(0, self.left)
        bottom = max(top, min(mask_HW.shape[0], self.top + rows))
        right = max(left, min(mask_HW.shape[1], self.left + columns))
        own = self.mask[top - self.top : bottom - self.top, left - self.left : right - self.left]
        mask_HW[top:bottom, left:right][own] = value


# How a shape's pixels are made for an image of such a height and width; None: it has no area.
Pixels = Callable[[int, int], Region | None]


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

    def pixels(height: int, width: int) -> Region | None:
        outer, inner = (
            [
                ring_N2
                for points in lists
                if len(ring_N2 := checked_points(points, height, width)) > 2
            ]
            for lists in (rings, holes)
        )
        if not outer:
            return None
        # Only the rectangle around it is kept: an image may have thousands of shapes.
        lowest_2 = np.floor(np.min([ring_N2.min(0) for ring_N2 in outer], axis=0)).astype(int) - 1
        highest_2 = np.ceil(np.max([ring_N2.max(0) for ring_N2 in outer], axis=0)).astype(int) + 2
        if rule != "centres":
            lowest_2, highest_2 = (
                np.clip(one, 0, (width, height)) for one in (lowest_2, highest_2)
            )
        (left, top), (right, bottom) = lowest_2.tolist(), highest_2.tolist()

        def covered(lists: list[NDArray[np.float64]]) -> Mask:
            if rule == "centres":
                return by_centres(
                    [one_N2 - lowest_2 for one_N2 in lists], bottom - top, right - left
                )
            # Pillow works with single precision: moved, a polygon may differ by a pixel.
            outline = rule == "edges and outline"
            painted = [with_edges(one_N2, height, width, outline=outline) for one_N2 in lists]
            cut = [mask_HW[top:bottom, left:right] for mask_HW in painted]
            return np.asarray(np.logical_or.reduce(cut))

        mask = covered(outer)
        if inner:
            mask &= ~covered(inner)
        return Region(mask, top, left)

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
            region = shape.pixels(height, width)
            if region is None:
                passed_over.append(f"{place}: {shape.called} covers no area")
            else:
                region.paint(mask_HW, shape.value)
        return mask_HW

    return draw

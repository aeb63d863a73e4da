"""Mesh: the faces of one object in metres, gathered one by one.

Axes: x to the right, y up, z away from the viewer. The corners of a face run counter-clockwise as
seen from outside, so that its hidden back can be told from its front. Colours are 0..255.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import TypeVar

import numpy as np

Draw = np.random.Generator
Point = tuple[float, float, float]
Pair = tuple[float, float]
Quad = tuple[Point, Point, Point, Point]
Rectangle = tuple[float, float, float, float]  # x0, x1, z0, z1
Colour = tuple[float, float, float]
Item = TypeVar("Item")

# One face: how many corners it has, its colour, the strength of its texture (0..100), its flags.
FACE = np.dtype([("size", "i8"), ("colour", "f8", 3), ("grain", "f8"), ("flags", "i8")])


class Mesh:
    """Faces in the order in which they are painted; a later face covers an earlier one.

    Their texture is as strong as `grain` says, unless they are smooth. Flags add up.
    """

    BOTH_SIDES = 1  # seen from behind too
    DETAIL = 2  # lies within the outline of the other faces, so the outline need not look at it
    UNSEEN = 4  # counts for the outline only: the gaps of a fence, which annotators fill
    SMOOTH = 8  # has no texture
    GLOWS = 16  # a light of its own, whatever the sun does; smooth too

    def __init__(self, grain: float = 6.0) -> None:
        """Begin without faces."""
        self.grain = grain
        self.points: list[Point] = []
        self.faces: list[tuple[int, Colour, float, int]] = []

    def face(self, corners: Sequence[Point], colour: Colour, flags: int = 0) -> None:
        """Add a flat face."""
        self.points.extend(corners)
        grain = 0.0 if flags & (self.SMOOTH | self.GLOWS) else self.grain
        self.faces.append((len(corners), colour, grain, flags))

    def drawing(self, outline: Sequence[Pair], colour: Colour, flags: int = 0) -> None:
        """Add a polygon of (x, y) that stands upright at z = 0 and is seen from both sides."""
        self.face([(x, y, 0.0) for x, y in outline], colour, flags | self.BOTH_SIDES)

    def spot(self, centre: Pair, radii: Pair, colour: Colour, flags: int = 0) -> None:
        """Add an upright ellipse at z = 0, seen from both sides."""
        outline = [(centre[0] + c * radii[0], centre[1] + s * radii[1]) for c, s in circle(10)]
        self.drawing(outline, colour, flags)

    def stroke(
        self, a: Pair, b: Pair, thick: float, colour: Colour, end: float = 1.0, flags: int = 0
    ) -> None:
        """Add an upright bar from a to b at z = 0; at b it is `end` times as thick as at a."""
        dx, dy = b[0] - a[0], b[1] - a[1]
        half = thick / 2 / math.hypot(dx, dy)
        nx, ny, mx, my = -dy * half, dx * half, -dy * half * end, dx * half * end
        outline = [(a[0] + nx, a[1] + ny), (a[0] - nx, a[1] - ny)]
        self.drawing([*outline, (b[0] - mx, b[1] - my), (b[0] + mx, b[1] + my)], colour, flags)

    def box(
        self, foot: Rectangle, up: Pair, colour: Colour, head: Rectangle | None = None
    ) -> dict[str, list[Quad]]:
        """Add a box whose top may differ from its foot.

        Returns its front, rear, left and right side, both `ends` and both `flanks`, to be decorated
        by `panels`.
        """
        (x0, x1, z0, z1), (u0, u1, w0, w1), (low, high) = foot, head or foot, up
        front: Quad = ((x1, low, z1), (x0, low, z1), (u0, high, w1), (u1, high, w1))
        left: Quad = ((x0, low, z1), (x0, low, z0), (u0, high, w0), (u0, high, w1))
        right: Quad = ((x1, low, z0), (x1, low, z1), (u1, high, w1), (u1, high, w0))
        top: Quad = ((u0, high, w0), (u1, high, w0), (u1, high, w1), (u0, high, w1))
        rear: Quad = ((x0, low, z0), (x1, low, z0), (u1, high, w0), (u0, high, w0))
        for quad in (front, left, right, top, rear):
            self.face(quad, colour)
        single = {"front": [front], "rear": [rear], "left": [left], "right": [right]}
        return single | {"ends": [front, rear], "flanks": [left, right]}

    def panels(
        self, quads: Sequence[Quad], across: Pair, up: Pair, colour: Colour, flags: int = 0
    ) -> None:
        """Paint the part of each quad between the given fractions of its width and its height."""
        (left, right), (low, high) = across, up
        corners = ((left, low), (right, low), (right, high), (left, high))
        for quad in quads:
            self.face([_at(quad, u, v) for u, v in corners], colour, flags | self.DETAIL)


def _at(quad: Quad, u: float, v: float) -> Point:
    (ax, ay, az), (bx, by, bz), (cx, cy, cz), (dx, dy, dz) = quad
    a, b, c, d = (1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v
    x, y = a * ax + b * bx + c * cx + d * dx, a * ay + b * by + c * cy + d * dy
    return x, y, a * az + b * bz + c * cz + d * dz


@cache
def circle(corners: int) -> list[Pair]:
    """Return the corners of a regular polygon on the unit circle."""
    angles = [2 * math.pi * k / corners for k in range(corners)]
    return [(math.cos(angle), math.sin(angle)) for angle in angles]


def tinted(colour: Colour, factor: float) -> Colour:
    """Return a brighter or darker colour."""
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)


def pick(items: Sequence[Item], draw: Draw) -> Item:
    """Draw one of the items, each with the same probability."""
    return items[int(draw.integers(len(items)))]


def ordered(a: float, b: float) -> Pair:
    """Return two numbers in ascending order."""
    return (a, b) if a < b else (b, a)


def cut(near: float, far: float, length: float) -> list[Pair]:
    """Cut a span along the street into equal pieces of about `length` metres."""
    count = max(1, round((far - near) / length))
    step = (far - near) / count
    return [(near + k * step, near + (k + 1) * step) for k in range(count)]

"""Mesh: the faces of one thing in metres, gathered one by one.

Axes: x to the right, y up, z away from the viewer. The corners of a face run counter-clockwise as
seen from outside, so that its hidden back can be told from its front. Colours are 0..255.
"""

import math
from collections.abc import Sequence
from functools import cache

Point = tuple[float, float, float]
Quad = tuple[Point, Point, Point, Point]
Colour = tuple[float, float, float]

# What is special about a face; the numbers add up.
BOTH_SIDES = 1  # seen from behind too
GLOWS = 2  # a light of its own, whatever the sun does
DETAIL = 4  # lies within the outline of the other faces, so the outline need not look at it
UNSEEN = 8  # counts for the outline only: the gaps of a fence, which annotators fill


class Mesh:
    """Faces in the order they are painted; a later face covers an earlier one."""

    def __init__(self) -> None:
        """Begin without faces."""
        self.points: list[Point] = []
        self.sizes: list[int] = []
        self.colours: list[Colour] = []
        self.grains: list[float] = []
        self.flags: list[int] = []

    def face(
        self, corners: Sequence[Point], colour: Colour, flags: int = 0, grain: float = 6.0
    ) -> None:
        """Add a flat face; `grain` is the strength of its texture, 0 (smooth) to 100."""
        self.points.extend(corners)
        self.sizes.append(len(corners))
        self.colours.append(colour)
        self.grains.append(grain)
        self.flags.append(flags)

    def disc(self, centre: Point, across: Point, up: Point, colour: Colour, flags: int = 0) -> None:
        """Add a disc whose half axes are the vectors `across` and `up`."""
        self.face(_round(centre, across, up, 10), colour, flags)

    def ring(self, centre: Point, across: Point, up: Point, inner: float, colour: Colour) -> None:
        """Add a ring that can be seen through; `inner` is the share of the radius left open."""
        outside = _round(centre, across, up, 14)
        inside = _round(centre, scaled(across, inner), scaled(up, inner), 14)
        # The way in and the way out share one seam, which the even-odd rule leaves invisible.
        loop = [*outside, outside[0], inside[0], *reversed(inside)]
        self.face(loop, colour, BOTH_SIDES)

    def box(
        self,
        across: tuple[float, float],
        up: tuple[float, float],
        along: tuple[float, float],
        colour: Colour,
        grain: float = 6.0,
    ) -> dict[str, Quad]:
        """Add a box and return its sides, as `prism` does."""
        foot = (across[0], across[1], along[0], along[1])
        return self.prism(foot, foot, up, colour, grain)

    def prism(
        self,
        foot: tuple[float, float, float, float],
        head: tuple[float, float, float, float],
        up: tuple[float, float],
        colour: Colour,
        grain: float = 6.0,
    ) -> dict[str, Quad]:
        """Add a box whose top may be smaller than its foot, each given as (x0, x1, z0, z1).

        Returns the sides by name (rear, front, left, right, top), to be decorated with `panel`.
        """
        sides = _sides(foot, head, up)
        for quad in sides.values():
            self.face(quad, colour, 0, grain)
        return sides


def panel(quad: Quad, left: float, right: float, low: float, high: float) -> Quad:
    """Return the part of `quad` between the given shares of its width and height."""
    return (
        _within(quad, left, low),
        _within(quad, right, low),
        _within(quad, right, high),
        _within(quad, left, high),
    )


def tinted(colour: Colour, factor: float) -> Colour:
    """Return a brighter or darker colour."""
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)


def scaled(vector: Point, factor: float) -> Point:
    """Return a longer or shorter vector."""
    return (vector[0] * factor, vector[1] * factor, vector[2] * factor)


def flat(outline: Sequence[tuple[float, float]], z: float = 0.0) -> list[Point]:
    """Stand a drawing of (x, y) upright at the depth `z`."""
    return [(x, y, z) for x, y in outline]


def pieces_of(near: float, far: float, length: float) -> list[tuple[float, float]]:
    """Cut a span along the street into equal pieces of about `length` metres."""
    count = max(1, round((far - near) / length))
    step = (far - near) / count
    return [(near + k * step, near + (k + 1) * step) for k in range(count)]


def _within(quad: Quad, u: float, v: float) -> Point:
    (ax, ay, az), (bx, by, bz), (cx, cy, cz), (dx, dy, dz) = quad
    a, b, c, d = (1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v
    return (
        a * ax + b * bx + c * cx + d * dx,
        a * ay + b * by + c * cy + d * dy,
        a * az + b * bz + c * cz + d * dz,
    )


def _round(centre: Point, across: Point, up: Point, corners: int) -> list[Point]:
    (x, y, z), (ax, ay, az), (ux, uy, uz) = centre, across, up
    return [
        (x + c * ax + s * ux, y + c * ay + s * uy, z + c * az + s * uz) for c, s in _circle(corners)
    ]


@cache
def _circle(corners: int) -> list[tuple[float, float]]:
    angles = [2 * math.pi * k / corners for k in range(corners)]
    return [(math.cos(angle), math.sin(angle)) for angle in angles]


def _sides(
    foot: tuple[float, float, float, float],
    head: tuple[float, float, float, float],
    up: tuple[float, float],
) -> dict[str, Quad]:
    x0, x1, z0, z1 = foot
    u0, u1, w0, w1 = head
    low, high = up
    return {
        "front": ((x1, low, z1), (x0, low, z1), (u0, high, w1), (u1, high, w1)),
        "left": ((x0, low, z1), (x0, low, z0), (u0, high, w0), (u0, high, w1)),
        "right": ((x1, low, z0), (x1, low, z1), (u1, high, w1), (u1, high, w0)),
        "top": ((u0, high, w0), (u1, high, w0), (u1, high, w1), (u0, high, w1)),
        "rear": ((x0, low, z0), (x1, low, z0), (u1, high, w0), (u0, high, w0)),
    }

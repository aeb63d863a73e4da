"""Vehicles with bodywork: cars of several shapes, trucks, buses, trams.

They are built with the rear at z = 0 and the nose at z = length, then turned.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from segpipe.sources.synthetic.mesh import Colour, Draw, Mesh, Pair, Quad, circle, pick, tinted
from segpipe.sources.synthetic.scene import Thing

_GLASS = (38, 44, 52)
_DARK = (46, 46, 48)
_TYRE = (26, 26, 27)
_PAINTS = (
    (30, 31, 34), (58, 60, 64), (120, 122, 126), (176, 178, 181), (222, 222, 220), (34, 46, 84),
    (70, 92, 128), (128, 28, 32), (92, 24, 28), (44, 70, 56), (150, 132, 104), (196, 168, 60),
)  # fmt: skip
_LIVERIES = (
    (196, 60, 44), (226, 224, 216), (52, 92, 150), (232, 196, 60), (70, 130, 84), (120, 124, 130),
)  # fmt: skip
# Length, width, height, height of the belt line; fractions of the length where the cabin begins and
# ends at the belt line, and at the roof.
_SHAPES = (
    (4.1, 1.76, 1.48, 0.92, (0.02, 0.74), (0.10, 0.54)),  # hatchback
    (4.6, 1.82, 1.45, 0.92, (0.13, 0.76), (0.26, 0.58)),  # saloon
    (4.7, 1.82, 1.50, 0.94, (0.01, 0.76), (0.07, 0.58)),  # estate
    (4.5, 1.88, 1.72, 1.06, (0.01, 0.78), (0.08, 0.60)),  # off-roader
    (4.9, 1.95, 1.98, 1.10, (0.00, 0.86), (0.02, 0.70)),  # van
)
# Buses and trams: label, length, half the width, floor, roof, by how much the roof is shorter at
# each end, number of windows.
_BUS = ("bus", (10.5, 13.0), 1.27, 0.32, 3.05, 0.0, 7)
_TRAM = ("train", (18.0, 28.0), 1.2, 0.18, 3.4, 0.5, 12)


@dataclass(frozen=True)
class Place:
    """Where a vehicle is: its middle, where its nose points (radians, 0 is away), how it moves."""

    x: float
    z: float
    heading: float = 0.0
    velocity: Pair = (0.0, 0.0)

    def stand(self, label: str, mesh: Mesh, length: float) -> Thing:
        """Stand a finished vehicle in the street."""
        c, s = math.cos(self.heading), math.sin(self.heading)
        at = (self.x - s * length / 2, self.z - c * length / 2)
        return Thing(label, mesh, at, self.heading, shadow=0, velocity=self.velocity)


def car(place: Place, lamps: bool, draw: Draw) -> Thing:
    """A car: body, cabin with glass all round, lights, plates, wheels."""
    mesh = Mesh(grain=4)
    length, width, height, belt, foot, roof = pick(_SHAPES, draw)
    paint, half = tinted(pick(_PAINTS, draw), draw.uniform(0.85, 1.15)), width / 2
    axles = (0.19 * length, 0.80 * length)
    _tyres(mesh, half, 0.32, axles)
    sill, whole = (-half, half, 0.05, length - 0.05), (-half, half, 0.0, length)
    bonnet = (0.06 - half, half - 0.06, 0.05, length - 0.14)
    low = mesh.box(sill, (0.2, 0.62), paint, whole)
    high = mesh.box(whole, (0.62, belt), tinted(paint, 1.06), bonnet)
    mesh.panels(low["ends"], (0.02, 0.98), (0, 0.35), _DARK)
    mesh.panels(low["ends"], (0.36, 0.64), (0.5, 0.78), (226, 224, 214))
    mesh.panels(high["front"], (0.25, 0.75), (0.2, 0.75), _DARK)
    _lights(mesh, high["front"], (0.03, 0.22), (0.25, 0.85), lamps, front=True)
    _lights(mesh, high["rear"], (0.02, 0.2), (0.25, 0.9), lamps, front=False)
    floor = (0.07 - half, half - 0.07, foot[0] * length + 0.03, foot[1] * length)
    ceiling = (0.22 - half, half - 0.22, roof[0] * length + 0.06, roof[1] * length)
    cabin = mesh.box(floor, (belt, height), paint, ceiling)
    mesh.panels(cabin["ends"], (0.07, 0.93), (0.1, 0.88), _GLASS)
    mesh.panels(cabin["ends"], (0.07, 0.93), (0.57, 0.88), tinted(_GLASS, 1.5))
    for window in ((0.08, 0.46), (0.5, 0.92)):
        mesh.panels(cabin["flanks"], window, (0.1, 0.88), tinted(_GLASS, 1.15))
    _wheels(mesh, half, 0.32, axles)
    return place.stand("car", mesh, length)


def truck(place: Place, lamps: bool, draw: Draw) -> Thing:
    """A lorry: a cargo box behind a cab."""
    mesh = Mesh(grain=4)
    length, height, half = draw.uniform(6.5, 10.5), draw.uniform(2.9, 3.7), 1.22
    paint, cargo = pick(_LIVERIES, draw), tinted(pick(_LIVERIES, draw), draw.uniform(0.8, 1.05))
    axles = (0.16 * length, 0.3 * length, 0.84 * length)
    _tyres(mesh, half, 0.5, axles)
    mesh.box((0.1 - half, half - 0.1, 0.1, length - 0.2), (0.45, 0.95), _DARK)
    # The farther part is painted first: which one that is depends on where the truck goes.
    for name in ("cab", "box") if math.cos(place.heading) > 0 else ("box", "cab"):
        if name == "box":
            box = mesh.box((-half, half, 0, length - 2.3), (0.95, height), cargo)
            mesh.panels(box["rear"], (0.49, 0.51), (0, 1), tinted(cargo, 0.6))
            mesh.panels(box["flanks"], (0.15, 0.85), (0.35, 0.7), tinted(cargo, 0.7))
        else:
            foot, head = (-half, half, length - 2, length), (-half, half, length - 2, length - 0.25)
            cab = mesh.box(foot, (0.55, height * 0.86), paint, head)
            mesh.panels(cab["front"], (0.07, 0.93), (0.5, 0.88), _GLASS)
            mesh.panels(cab["flanks"], (0.25, 0.8), (0.5, 0.85), _GLASS)
            mesh.panels(cab["front"], (0.2, 0.8), (0.1, 0.35), tinted(paint, 0.5))
            _lights(mesh, cab["front"], (0.04, 0.2), (0.1, 0.17), lamps, front=True)
    bumper = mesh.box((-half, half, -0.05, 0.05), (0.5, 0.8), _DARK)
    _lights(mesh, bumper["rear"], (0.03, 0.16), (0.3, 0.9), lamps, front=False)
    _wheels(mesh, half, 0.5, axles)
    return place.stand("truck", mesh, length)


def bus(place: Place, lamps: bool, draw: Draw, *, rails: bool = False) -> Thing:
    """A city bus, or a tram, which the data set calls `train`; at night lit from inside."""
    label, lengths, half, low, high, taper, windows = _TRAM if rails else _BUS
    mesh, length = Mesh(grain=4), draw.uniform(*lengths)
    axles = () if rails else (0.26 * length, 0.78 * length)
    _tyres(mesh, half, 0.48, axles)
    foot, head = (-half, half, 0.0, length), (-half, half, taper, length - taper)
    body = mesh.box(foot, (low, high), pick(_LIVERIES, draw), head)
    flanks = body["flanks"]
    glass: Colour = (196, 180, 130) if lamps else _GLASS
    for left in [0.02 + k * 0.96 / windows for k in range(windows)]:
        across = (left, left + 0.88 / windows)
        mesh.panels(flanks, across, (0.42, 0.83), glass, Mesh.GLOWS if lamps else 0)
    for door in (0.12, 0.55):
        mesh.panels(flanks, (door, door + 0.1), (0.06, 0.83), (58, 62, 68))
    mesh.panels(body["ends"], (0.05, 0.95), (0.35, 0.79), _GLASS)
    mesh.panels(body["front"], (0.15, 0.85), (0.84, 0.95), (30, 28, 24))
    mesh.panels(body["front"], (0.22, 0.57), (0.87, 0.92), (255, 170, 40), Mesh.GLOWS)
    mesh.panels(flanks + body["ends"], (0, 1), (0, 0.08), _DARK)
    _lights(mesh, body["front"], (0.05, 0.2), (0.11, 0.18), lamps, front=True)
    _lights(mesh, body["rear"], (0.04, 0.15), (0.14, 0.27), lamps, front=False)
    _wheels(mesh, half, 0.48, axles)
    return place.stand(label, mesh, length)


def _lights(
    mesh: Mesh, end: list[Quad], across: Pair, up: Pair, lamps: bool, *, front: bool
) -> None:
    """Add a pair of head or tail lights to an end, at the given fractions of its sides."""
    lit, dark = ((255, 250, 225), (206, 208, 206)) if front else ((255, 52, 40), (158, 30, 30))
    for sides in (across, (1 - across[1], 1 - across[0])):
        mesh.panels(end, sides, up, lit if lamps else dark, Mesh.GLOWS if lamps else 0)


def _tyres(mesh: Mesh, half: float, radius: float, axles: Sequence[float]) -> None:
    """Add tyres as they are seen below the ends; painted before the body, which hides their tops."""
    for x, z in [(side * (half - 0.12), z) for side in (-1, 1) for z in axles]:
        mesh.box((x - 0.12, x + 0.12, z - radius * 0.6, z + radius * 0.6), (0, radius), _TYRE)


def _wheels(mesh: Mesh, half: float, radius: float, axles: Sequence[float]) -> None:
    """Add wheels as they are seen from the side; painted after the body, which has no arches."""
    for side, z in [(side, z) for side in (-1, 1) for z in axles]:
        for r, colour in ((radius, _TYRE), (radius * 0.62, (132, 134, 137))):
            x = side * (half + 0.01)
            mesh.face([(x, radius + s * r, z + side * c * r) for c, s in circle(10)], colour)

"""Bicycles and motorcycles, parked or ridden, from the side and along the street."""

import math

import numpy as np

from segpipe.sources.synthetic.mesh import BOTH_SIDES, DETAIL, GLOWS, Colour, Mesh, tinted
from segpipe.sources.synthetic.people import rider_from_behind, rider_from_the_side
from segpipe.sources.synthetic.scene import Thing, thing

Draw = np.random.Generator
_PAINTS = (
    (30, 30, 34),
    (150, 34, 36),
    (44, 72, 120),
    (196, 196, 192),
    (60, 96, 74),
    (180, 130, 40),
)
_TYRE = (28, 28, 29)


def parked_bicycle(x: float, z: float, heading: float, draw: Draw) -> Thing:
    """A bicycle on its stand; with a heading of 0 it points along the street."""
    return thing("bicycle", _bicycle(_paint(draw)), at=(x, z), heading=heading, tall=1.0)


def parked_motorcycle(x: float, z: float, heading: float, draw: Draw) -> Thing:
    """A motorcycle or scooter on its stand."""
    return thing("motorcycle", _motorcycle(_paint(draw)), at=(x, z), heading=heading, tall=1.0)


def cyclist(
    x: float, z: float, velocity: tuple[float, float], lamps: bool, draw: Draw
) -> list[Thing]:
    """A bicycle and its rider, annotated apart; `velocity` tells from which side they are seen."""
    return _ridden("bicycle", x, z, velocity, lamps, draw)


def motorcyclist(
    x: float, z: float, velocity: tuple[float, float], lamps: bool, draw: Draw
) -> list[Thing]:
    """A motorcycle and its rider."""
    return _ridden("motorcycle", x, z, velocity, lamps, draw)


def _ridden(
    label: str, x: float, z: float, velocity: tuple[float, float], lamps: bool, draw: Draw
) -> list[Thing]:
    paint, seat = _paint(draw), 0.98 if label == "bicycle" else 0.86
    if abs(velocity[0]) > abs(velocity[1]):
        side = _bicycle(paint) if label == "bicycle" else _motorcycle(paint)
        machine = thing(
            label, side, (x, z), math.copysign(math.pi / 2, velocity[0]), velocity=velocity, depth=z
        )
        return [machine, rider_from_the_side(x, z - 0.01, seat, velocity, draw)]
    end = (
        _bicycle_end(paint)
        if label == "bicycle"
        else _motorcycle_end(paint, lamps, velocity[1] > 0)
    )
    machine = thing(label, end, (x, z), velocity=velocity, depth=z)
    rider = rider_from_behind(x, z - 0.01, seat, velocity, draw)
    # Seen from the front the machine covers the rider's legs, from behind it is the other way.
    return [machine, rider] if velocity[1] > 0 else [rider, machine]


def _paint(draw: Draw) -> Colour:
    return _PAINTS[int(draw.integers(len(_PAINTS)))]


def _bar(
    mesh: Mesh, a: tuple[float, float], b: tuple[float, float], thick: float, colour: Colour
) -> None:
    """Add a bar in the plane of the machine, between two places (z, y)."""
    dz, dy = b[0] - a[0], b[1] - a[1]
    length = math.hypot(dz, dy)
    nz, ny = -dy / length * thick / 2, dz / length * thick / 2
    corners = [
        (0.0, a[1] + ny, a[0] + nz),
        (0.0, a[1] - ny, a[0] - nz),
        (0.0, b[1] - ny, b[0] - nz),
        (0.0, b[1] + ny, b[0] + nz),
    ]
    mesh.face(corners, colour, BOTH_SIDES, 0)


def _bicycle(paint: Colour) -> Mesh:
    mesh = Mesh()
    radius, back, front = 0.34, -0.52, 0.52
    for hub in (back, front):
        mesh.ring((0, radius, hub), (0, 0, radius), (0, radius, 0), 0.82, _TYRE)
        for k in range(4):
            angle = k * math.pi / 4 + 0.3
            dz, dy = radius * 0.85 * math.cos(angle), radius * 0.85 * math.sin(angle)
            _bar(mesh, (hub - dz, radius - dy), (hub + dz, radius + dy), 0.012, (140, 140, 142))
    crank, seat, head = (-0.05, 0.3), (-0.2, 0.78), (0.36, 0.82)
    frame = (
        ((back, radius), crank),
        (crank, seat),
        (seat, head),
        (crank, head),
        ((back, radius), seat),
        (head, (front, radius)),
    )
    for a, b in frame:
        _bar(mesh, a, b, 0.05, paint)
    _bar(mesh, seat, (-0.23, 0.95), 0.035, (60, 60, 62))
    _bar(mesh, (-0.36, 0.97), (-0.1, 0.97), 0.07, (24, 24, 24))
    _bar(mesh, head, (0.34, 1.04), 0.035, (60, 60, 62))
    _bar(mesh, (0.24, 1.06), (0.42, 1.04), 0.05, (30, 30, 30))
    # A little thickness keeps it visible from its ends.
    mesh.box((-0.03, 0.03), (0.1, 0.6), (-0.84, -0.8), _TYRE, 0)
    mesh.box((-0.24, 0.24), (1.0, 1.05), (0.33, 0.37), (40, 40, 42), 0)
    return mesh


def _bicycle_end(paint: Colour) -> Mesh:
    mesh = Mesh()
    _slab(mesh, 0.035, 0.0, 0.7, _TYRE)
    _slab(mesh, 0.05, 0.45, 0.95, paint)
    _slab(mesh, 0.3, 1.0, 1.06, (44, 44, 46))
    _slab(mesh, 0.1, 0.9, 0.98, (24, 24, 24))
    return mesh


def _motorcycle(paint: Colour) -> Mesh:
    mesh = Mesh()
    radius, back, front = 0.32, -0.68, 0.7
    for hub in (back, front):
        mesh.disc((0, radius, hub), (0, 0, radius), (0, radius, 0), _TYRE, BOTH_SIDES)
        mesh.disc(
            (0, radius, hub),
            (0, 0, radius * 0.5),
            (0, radius * 0.5, 0),
            (120, 120, 124),
            BOTH_SIDES | DETAIL,
        )
    body = [
        (-0.9, 0.72),
        (-0.5, 0.5),
        (-0.3, 0.22),
        (0.3, 0.22),
        (0.42, 0.55),
        (0.5, 0.98),
        (0.2, 1.02),
        (-0.1, 0.8),
        (-0.85, 0.82),
    ]
    mesh.face([(0.0, y, z) for z, y in body], tinted(paint, 0.95), BOTH_SIDES, 6)
    engine = [(-0.3, 0.22), (0.3, 0.22), (0.32, 0.52), (-0.28, 0.52)]
    mesh.face([(0.0, y, z) for z, y in engine], (62, 62, 66), BOTH_SIDES, 12)
    _bar(mesh, (-0.75, 0.84), (-0.1, 0.82), 0.1, (26, 26, 27))
    _bar(mesh, (0.46, 0.95), (front, radius), 0.07, (150, 150, 152))
    _bar(mesh, (0.36, 1.12), (0.5, 0.95), 0.05, (40, 40, 42))
    mesh.box((-0.09, 0.09), (0.1, 0.85), (-0.9, -0.82), tinted(paint, 0.6))
    mesh.box((-0.32, 0.32), (1.02, 1.08), (0.38, 0.42), (40, 40, 42), 0)
    return mesh


def _motorcycle_end(paint: Colour, lamps: bool, away: bool) -> Mesh:
    mesh = Mesh()
    _slab(mesh, 0.08, 0.0, 0.62, _TYRE)
    _slab(mesh, 0.2, 0.42, 0.95, tinted(paint, 0.9))
    _slab(mesh, 0.38, 1.02, 1.08, (44, 44, 46))
    colour: Colour = (200, 40, 34) if away else (240, 238, 220)
    mesh.disc(
        (0, 0.78, 0),
        (0.08, 0, 0),
        (0, 0.08, 0),
        colour,
        BOTH_SIDES | DETAIL | (GLOWS if lamps else 0),
    )
    return mesh


def _slab(mesh: Mesh, half: float, low: float, high: float, colour: Colour) -> None:
    mesh.face(
        [(-half, low, 0.0), (half, low, 0.0), (half, high, 0.0), (-half, high, 0.0)],
        colour,
        BOTH_SIDES,
        4,
    )

"""Bodywork: what all vehicles have, from wheels to lights.

Vehicles are built with the rear at z = 0 and the nose at z = length, then turned by `heading`.
"""

import math
from dataclasses import dataclass

from segpipe.sources.synthetic.mesh import DETAIL, GLOWS, Colour, Mesh, Quad, panel
from segpipe.sources.synthetic.scene import Thing, thing

GLASS = (38, 44, 52)
_TYRE = (26, 26, 27)


@dataclass(frozen=True)
class Place:
    """Where a vehicle is: its middle, where its nose points (radians, 0 is away), how it moves."""

    x: float
    z: float
    heading: float = 0.0
    velocity: tuple[float, float] = (0.0, 0.0)


def placed(label: str, mesh: Mesh, length: float, height: float, place: Place) -> Thing:
    """Stand a finished vehicle, built along z, in the street."""
    c, s = math.cos(place.heading), math.sin(place.heading)
    at = (place.x - s * length / 2, place.z - c * length / 2)
    return thing(label, mesh, at, place.heading, tall=height, velocity=place.velocity)


def wheels(mesh: Mesh, half: float, length: float, radius: float, axles: tuple[float, ...]) -> None:
    """Tyres as they are seen under the ends; painted before the body, which hides their tops."""
    for axle in axles:
        z = axle * length
        for side in (-1, 1):
            inner, outer = sorted((side * (half - 0.24), side * half))
            mesh.box((inner, outer), (0, radius), (z - radius * 0.6, z + radius * 0.6), _TYRE, 0)


def hubs(mesh: Mesh, half: float, length: float, radius: float, axles: tuple[float, ...]) -> None:
    """Wheels as they are seen from the side; painted after the body, which has no arches."""
    for axle in axles:
        for side in (-1, 1):
            centre = (side * (half + 0.01), radius, axle * length)
            for size, colour in ((1.0, _TYRE), (0.62, (132, 134, 137)), (0.2, (70, 70, 72))):
                reach = radius * size
                mesh.disc(centre, (0, 0, side * reach), (0, reach, 0), colour)


def lights(
    mesh: Mesh,
    end: Quad,
    across: tuple[float, float],
    up: tuple[float, float],
    lamps: bool,
    front: bool,
) -> None:
    """Add a pair of head or tail lights to an end, at the given shares of its sides."""
    if front:
        colour: Colour = (255, 250, 225) if lamps else (206, 208, 206)
    else:
        colour = (255, 52, 40) if lamps else (158, 30, 30)
    flags = DETAIL | GLOWS if lamps else DETAIL
    mesh.face(panel(end, across[0], across[1], *up), colour, flags, 0)
    mesh.face(panel(end, 1 - across[1], 1 - across[0], *up), colour, flags, 0)

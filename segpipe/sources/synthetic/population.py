"""Population: who and what moves or stands in the street, in Poisson numbers."""

import math

import numpy as np

from segpipe.sources.synthetic.bodywork import Place
from segpipe.sources.synthetic.cars import car
from segpipe.sources.synthetic.greenery import tree
from segpipe.sources.synthetic.heavy_vehicles import bus, tram, truck
from segpipe.sources.synthetic.people import person
from segpipe.sources.synthetic.scene import Thing
from segpipe.sources.synthetic.signals import direction_sign, sign, traffic_light
from segpipe.sources.synthetic.street import City, Side, Street
from segpipe.sources.synthetic.street_furniture import clutter, lamp
from segpipe.sources.synthetic.two_wheelers import (
    cyclist,
    motorcyclist,
    parked_bicycle,
    parked_motorcycle,
)
from segpipe.sources.synthetic.world import Density

Draw = np.random.Generator
_DEEP = 95.0  # metres up to which the street is peopled


class Kerbside:
    """Which stretches of which lanes are taken, so that vehicles do not stand in one another."""

    def __init__(self) -> None:
        """Begin with nothing taken."""
        self._taken: list[tuple[float, float, float]] = []

    def take(self, x: float, near: float, far: float) -> bool:
        """Take a stretch of the lane around `x`; False where it overlaps one that is taken."""
        for other, low, high in self._taken:
            if abs(other - x) < 2.0 and near < high + 1.0 and low < far + 1.0:
                return False
        self._taken.append((x, near, far))
        return True


def furnish(
    street: Street, city: City, density: Density, lamps: bool, signals: bool, draw: Draw
) -> list[Thing]:
    """Place what stands along the kerbs: lamps, trees, signs, clutter, parked bicycles."""
    things: list[Thing] = []
    autumn = draw.random() < city.autumn
    gap = draw.uniform(14, 24)
    start = draw.uniform(4, 14)
    for k in range(int(draw.poisson(density.lamps))):
        side = street.sides[k % 2]
        z = start + gap * (k // 2) + (k % 2) * gap / 2
        if _free(street, z):
            things.append(lamp(side.kerb + side.sign * 0.5, z, side.sign, lamps, draw))
    for _ in range(
        int(draw.poisson(density.trees * (1.5 if street.district == "boulevard" else 0.6)))
    ):
        side, z = _spot(street, draw, 6.0)
        if _free(street, z) and abs(side.line - side.kerb) > 2.2:
            things.append(tree(side.kerb + side.sign * draw.uniform(0.8, 1.4), z, autumn, draw))
    for _ in range(int(draw.poisson(density.signs))):
        side, z = _spot(street, draw, 5.0)
        x = side.kerb + side.sign * draw.uniform(0.3, 0.7)
        things += (
            direction_sign(x + side.sign, z, draw) if draw.random() < 0.12 else sign(x, z, draw)
        )
    for _ in range(int(draw.poisson(density.clutter))):
        side, z = _spot(street, draw, 8.0)
        things.append(clutter(side.kerb + side.sign * draw.uniform(0.8, 1.4), z, draw))
    for _ in range(int(draw.poisson(density.bicycles))):
        side, z = _spot(street, draw, 4.5)
        x = side.line - side.sign * draw.uniform(0.5, 0.9)
        park = parked_motorcycle if draw.random() < 0.15 else parked_bicycle
        things.append(park(x, z, draw.uniform(0.15, 1.2) * side.sign, draw))
    if street.junction is not None and signals:
        things += _signals(street, street.junction[0] - 5.2, draw)
    return things


def fill_road(street: Street, density: Density, lamps: bool, draw: Draw) -> list[Thing]:
    """Vehicles in the lanes, on the track, across the junction and at the kerb."""
    kerbside = Kerbside()
    things: list[Thing] = []
    heavy = 2.0 if street.district == "industrial" else 0.7
    if street.track is not None:
        for _ in range(int(draw.poisson(density.trams))):
            z, x = draw.uniform(22, 55), sum(street.track) / 2
            if kerbside.take(x, z - 14, z + 14):
                away = draw.random() < 0.5
                speed = draw.uniform(0, 8) * (1 if away else -1)
                things.append(
                    tram(Place(x, z, 0.0 if away else math.pi, (0.0, speed)), lamps, draw)
                )
    for build, mean, length in (
        (bus, density.buses, 12.5),
        (truck, density.trucks * heavy, 10.0),
        (car, density.moving_cars, 4.8),
    ):
        for _ in range(int(draw.poisson(mean))):
            place = _in_lane(street, kerbside, length, draw)
            if place is not None:
                things.append(build(place, lamps, draw))
    if street.junction is not None and draw.random() < 0.35:
        build = car if draw.random() < 0.8 else truck
        things.append(build(_across(street, street.junction, draw), lamps, draw))
    for _ in range(int(draw.poisson(density.parked_cars))):
        place = _parked(street, kerbside, draw)
        if place is not None:
            things.append(car(place, False, draw))
    things += _two_wheelers(street, kerbside, density, lamps, draw)
    return [one for one in things if one.depth > 2.6]


def walk_about(street: Street, density: Density, draw: Draw) -> list[Thing]:
    """People on the pavements, alone and in groups, and some who cross."""
    things: list[Thing] = []
    busy = {"industrial": 0.4, "residential": 0.7}.get(street.district, 1.3)
    for _ in range(int(draw.poisson(density.people * busy))):
        side, z = _spot(street, draw, 5.0)
        low, high = side.walk
        walk = draw.uniform(0.6, 1.5) * draw.choice((-1, 1)) if draw.random() < 0.3 else 0.0
        x = draw.uniform(low + 0.2, high - 0.2)
        things.append(person(x, z, float(walk), draw))
        if draw.random() < 0.25:
            things.append(
                person(x + draw.uniform(0.45, 0.7), z + draw.uniform(-0.3, 0.3), float(walk), draw)
            )
    if street.junction is not None and density.people:
        for _ in range(int(draw.integers(0, 4))):
            x = draw.uniform(street.left.kerb, street.right.kerb)
            z = street.junction[0] - draw.uniform(0.8, 3.4)
            things.append(person(x, z, float(draw.choice((-1.3, 1.3))), draw))
    return things


def _spot(street: Street, draw: Draw, near: float) -> tuple[Side, float]:
    """Draw a side and a distance; nearer places come oftener, as a picture shows them larger."""
    side = street.sides[int(draw.integers(2))]
    return side, near + (_DEEP - near) * float(draw.random()) ** 1.6


def _free(street: Street, z: float) -> bool:
    return street.junction is None or not street.junction[0] - 1 < z < street.junction[1] + 1


def _signals(street: Street, z: float, draw: Draw) -> list[Thing]:
    phase = int(draw.integers(3))
    reach = -3.2 if draw.random() < 0.5 else 0.0
    right = traffic_light(street.right.kerb + 0.5, z, reach, phase, draw)
    left = traffic_light(street.left.kerb - 0.5, z, 0.0, phase, draw)
    far = street.junction[1] + 1.5 if street.junction is not None else z
    return [*right, *left, *traffic_light(street.right.kerb + 0.6, far, 0.0, phase, draw)]


def _in_lane(street: Street, kerbside: Kerbside, length: float, draw: Draw) -> Place | None:
    for _ in range(6):
        away = draw.random() < 0.5
        lanes = street.own_lanes if away else street.oncoming_lanes
        x = lanes[int(draw.integers(len(lanes)))]
        z = length + 3 + (_DEEP - length) * float(draw.random()) ** 1.4
        if kerbside.take(x, z - length / 2 - 1, z + length / 2 + 1):
            speed = draw.uniform(0, 12) * (1 if away else -1)
            shift = draw.uniform(-0.25, 0.25)
            return Place(x + shift, z, 0.0 if away else math.pi, (0.0, float(speed)))
    return None


def _across(street: Street, junction: tuple[float, float], draw: Draw) -> Place:
    near, far = junction
    to_right = draw.random() < 0.5
    z = near + (far - near) * (0.3 if to_right else 0.7)
    x = draw.uniform(-11, 11)
    heading = math.pi / 2 if to_right else -math.pi / 2
    return Place(float(x), z, heading, (6.0 if to_right else -6.0, 0.0))


def _parked(street: Street, kerbside: Kerbside, draw: Draw) -> Place | None:
    bays = [side for side in street.sides if side.parking]
    if not bays:
        return None
    for _ in range(6):
        side = bays[int(draw.integers(len(bays)))]
        z = (
            5.0
            + 5.6 * int((_DEEP - 5) / 5.6 * float(draw.random()) ** 1.3)
            + draw.uniform(-0.3, 0.3)
        )
        x = side.kerb - side.sign * (side.parking / 2 + 0.05)
        if (
            not _free(street, z + 4)
            or not _free(street, z - 3)
            or not kerbside.take(x, z - 2.4, z + 2.0)
        ):
            continue
        heading = 0.0 if side.sign > 0 else math.pi
        return Place(x, z, heading + draw.normal(0, 0.03))
    return None


def _two_wheelers(
    street: Street, kerbside: Kerbside, density: Density, lamps: bool, draw: Draw
) -> list[Thing]:
    things: list[Thing] = []
    for ride, mean, pace in (
        (cyclist, density.cyclists, 5.0),
        (motorcyclist, density.motorcyclists, 10.0),
    ):
        for _ in range(int(draw.poisson(mean))):
            z = 6 + 50 * float(draw.random()) ** 1.4
            if draw.random() < 0.3:
                x, velocity = (
                    draw.uniform(street.left.kerb, street.right.kerb),
                    (pace * float(draw.choice((-1, 1))), 0.0),
                )
                z = street.junction[0] + draw.uniform(1, 6) if street.junction is not None else z
            else:
                away = draw.random() < 0.6
                lanes = street.own_lanes if away else street.oncoming_lanes
                x = max(lanes) + 1.1 if away else min(lanes) - 1.1
                velocity = (0.0, pace if away else -pace)
            if kerbside.take(x, z - 1, z + 1):
                things += ride(float(x), z, velocity, lamps, draw)
    return things

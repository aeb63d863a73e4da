"""Compose: draw a whole scene from its key; no scene knows of another."""

import math
from collections.abc import Iterator

import numpy as np

from segpipe.runtime.randomness import generator
from segpipe.sources.synthetic.figures import parked, person, ridden
from segpipe.sources.synthetic.mesh import Draw, Pair, pick
from segpipe.sources.synthetic.plots import plots
from segpipe.sources.synthetic.roadside import clutter, lamp, sign, skyline, traffic_light, tree
from segpipe.sources.synthetic.scene import Camera, Floats, Light, Scene, Thing
from segpipe.sources.synthetic.street import City, Side, Street, ground
from segpipe.sources.synthetic.vehicles import Place, bus, car, truck
from segpipe.sources.synthetic.world import Density, Districts, Weather, World

_DEEP = 95.0  # metres up to which the street is peopled


def compose(world: World, seed: int, split: str, city: str, index: int) -> Scene:
    """Return scene number `index` of a split; it depends on these arguments alone."""
    key = (seed, "scene", split, index)
    town = City(generator(seed, "city", city))
    plan, chances = generator(*key, "plan"), world.chances
    district, weather = _weighted(world.districts, plan), _weighted(world.weather, plan)
    junction, track = plan.random() < chances.junction, plan.random() < chances.tram_track
    light = Light(weather, world.sensor, town.tint, generator(*key, "light"))
    street = Street(town, district, plan, lamps=light.lamps, junction=junction, track=track)
    signals = plan.random() < chances.traffic_lights
    things = [skyline(generator(*key, "skyline")), *ground(street, generator(*key, "ground"))]
    for side in street.sides:
        things += plots(street, side, generator(*key, "plots", side.sign))
    things += _furniture(street, world.density, signals, generator(*key, "furniture"))
    traffic = _traffic(street, world.density, generator(*key, "traffic"))
    # What is very near would fill the picture.
    things += [one for one in traffic if one.depth > 2.6]
    things += _people(street, world.density, generator(*key, "people"))
    lens = generator(*key, "camera")
    return Scene(
        things=tuple(things),
        camera=Camera(lens.random() < chances.bend, lens),
        light=light,
        hood_L2=_hood(lens) if lens.random() < chances.hood else None,
        border=lens.uniform(0.004, 0.009) if lens.random() < chances.border else 0.0,
        key=key,
    )


def _weighted(weights: Weather | Districts, draw: Draw) -> str:
    named = weights.model_dump()
    values = np.array(list(named.values()), float)
    return str(draw.choice(list(named), p=values / values.sum()))


def _hood(draw: Draw) -> Floats:
    """Draw a bonnet: a flat arch along the lower edge of the picture."""
    high, power, lean = draw.uniform(0.05, 0.12), draw.uniform(2.0, 4.0), draw.uniform(-0.02, 0.02)
    u = np.linspace(0, 1, 15)
    arch = 0.25 + 0.75 * (1 - np.abs(2 * u - 1) ** power)
    edge = np.stack([u, 1 - high * arch - lean * np.cos(np.pi * u)], 1)
    return np.concatenate([[(0.0, 1.0)], edge, [(1.0, 1.0)]])


def _spots(
    street: Street, mean: float, near: float, behind: Pair, draw: Draw
) -> Iterator[tuple[Side, float, float]]:
    """Draw sides and places (x, z), so many metres behind the kerb, in the mean so many.

    Nearer places come oftener, as a picture shows them larger.
    """
    for _ in range(draw.poisson(mean)):
        side, z = pick(street.sides, draw), near + (_DEEP - near) * draw.random() ** 1.6
        yield side, side.kerb + side.sign * draw.uniform(*behind), z


def _furniture(street: Street, density: Density, signals: bool, draw: Draw) -> Iterator[Thing]:
    """Yield what stands along the kerbs: lamps, trees, signs, clutter, parked bicycles."""
    autumn = draw.random() < street.city.autumn
    gap, start = draw.uniform(14, 24), draw.uniform(4, 14)
    for k in range(draw.poisson(density.lamps)):
        side, z = street.sides[k % 2], start + gap * k / 2
        if street.is_free(z, z):
            yield lamp(side.kerb + side.sign * 0.5, z, side.sign, street.lamps, draw)
    many = density.trees * (1.5 if street.district == "boulevard" else 0.6)
    for side, x, z in _spots(street, many, 6.0, (0.8, 1.4), draw):
        if street.is_free(z, z) and abs(side.line - side.kerb) > 2.2:
            yield tree(x, z, autumn, draw)
    for side, x, z in _spots(street, density.signs, 5.0, (0.3, 0.7), draw):
        yield from sign(x, z, side.sign, draw)
    for _, x, z in _spots(street, density.clutter, 8.0, (0.8, 1.4), draw):
        yield clutter(x, z, draw)
    for side, _, z in _spots(street, density.bicycles, 4.5, (0.0, 0.0), draw):
        label = "motorcycle" if draw.random() < 0.15 else "bicycle"
        x, heading = side.line - side.sign * draw.uniform(0.5, 0.9), draw.uniform(0.15, 1.2)
        yield parked(label, x, z, heading * side.sign, draw)
    if street.junction is not None and signals:
        (near, far), (left, right) = street.junction, street.kerbs
        phase, reach = int(draw.integers(3)), pick((-3.2, 0.0), draw)
        yield from traffic_light(right + 0.5, near - 5.2, reach, phase, draw)
        yield from traffic_light(left - 0.5, near - 5.2, 0.0, phase, draw)
        yield from traffic_light(right + 0.6, far + 1.5, 0.0, phase, draw)


class _Lanes:
    """Which stretches of which lanes are taken, so that vehicles do not stand in one another."""

    def __init__(self, street: Street, draw: Draw) -> None:
        self.street, self.draw = street, draw
        self.taken: list[tuple[float, float, float]] = []

    def take(self, x: float, near: float, far: float) -> bool:
        """Take a stretch of the lane around `x`; False where it overlaps one that is taken."""
        for other, low, high in self.taken:
            if abs(other - x) < 2.0 and near < high + 1.0 and low < far + 1.0:
                return False
        self.taken.append((x, near, far))
        return True

    def driving(self, mean: float, length: float, track: Pair | None = None) -> Iterator[Place]:
        """Yield places on the way along the street, in the mean so many unless all is full."""
        draw, street = self.draw, self.street
        for _ in range(draw.poisson(mean)):
            away = draw.random() < 0.5
            lanes = street.own_lanes if away else street.oncoming_lanes
            for _ in range(6):
                x = pick(lanes, draw) if track is None else sum(track) / 2
                z = length + 3 + (_DEEP - length) * draw.random() ** 1.4
                if self.take(x, z - length / 2 - 1, z + length / 2 + 1):
                    x, speed = x + draw.uniform(-0.2, 0.2), draw.uniform(0, 12)
                    heading, speed = (0.0, speed) if away else (math.pi, -speed)
                    yield Place(x, z, heading, (0.0, speed))
                    break

    def parked(self, mean: float) -> Iterator[Place]:
        """Yield places at the kerb, where there are bays."""
        draw, bays = self.draw, [side for side in self.street.sides if side.parking]
        for _ in range(draw.poisson(mean) if bays else 0):
            for _ in range(6):
                side = pick(bays, draw)
                z = 5.0 + 5.6 * int(16 * draw.random() ** 1.3) + draw.uniform(-0.3, 0.3)
                x = side.kerb - side.sign * (side.parking / 2 + 0.05)
                if self.street.is_free(z - 3, z + 4) and self.take(x, z - 2.4, z + 2.0):
                    yield Place(x, z, (0.0 if side.sign > 0 else math.pi) + draw.normal(0, 0.03))
                    break


def _traffic(street: Street, density: Density, draw: Draw) -> Iterator[Thing]:
    """Yield vehicles on the track, in the lanes, across the junction and at the kerb."""
    lanes = _Lanes(street, draw)
    if street.track is not None:
        for place in lanes.driving(density.trams, 28.0, street.track):
            yield bus(place, street.lamps, draw, rails=True)
    heavy = 2.0 if street.district == "industrial" else 0.7
    for build, mean, length in (
        (bus, density.buses, 12.5),
        (truck, density.trucks * heavy, 10.0),
        (car, density.moving_cars, 4.8),
    ):
        for place in lanes.driving(mean, length):
            yield build(place, street.lamps, draw)
    if street.junction is not None and draw.random() < 0.35:
        (near, far), way = street.junction, pick((-1, 1), draw)
        z = near + (far - near) * (0.5 - 0.2 * way)
        place = Place(draw.uniform(-11, 11), z, way * math.pi / 2, (way * 6.0, 0.0))
        yield (car if draw.random() < 0.8 else truck)(place, street.lamps, draw)
    for place in lanes.parked(density.parked_cars):
        yield car(place, False, draw)
    riders = (("bicycle", density.cyclists, 5.0), ("motorcycle", density.motorcyclists, 10.0))
    for label, mean, pace in riders:
        for _ in range(draw.poisson(mean)):
            x, z = draw.uniform(*street.kerbs), 6 + 50 * draw.random() ** 1.4
            velocity = (pace * pick((-1, 1), draw), 0.0)
            if draw.random() < 0.7:  # along the outer edge of the lanes, not across
                away = draw.random() < 0.6
                x = max(street.own_lanes) + 1.1 if away else min(street.oncoming_lanes) - 1.1
                velocity = (0.0, pace if away else -pace)
            elif street.junction is not None:
                z = street.junction[0] + draw.uniform(1, 6)
            if lanes.take(x, z - 1, z + 1):
                yield from ridden(label, x, z, velocity, draw)


def _people(street: Street, density: Density, draw: Draw) -> Iterator[Thing]:
    """Yield people on the pavements, alone and in groups, and some who cross."""
    busy = {"industrial": 0.4, "residential": 0.7}.get(street.district, 1.3)
    for side, _, z in _spots(street, density.people * busy, 5.0, (0.0, 0.0), draw):
        walk = draw.uniform(0.6, 1.5) * pick((-1, 1), draw) if draw.random() < 0.3 else 0.0
        x = draw.uniform(side.walk[0] + 0.2, side.walk[1] - 0.2)
        yield person(x, z, walk, draw)
        if draw.random() < 0.25:
            x, z = x + draw.uniform(0.45, 0.7), z + draw.uniform(-0.3, 0.3)
            yield person(x, z, walk, draw)
    if street.junction is not None and density.people:
        for _ in range(draw.integers(0, 4)):
            x, z = draw.uniform(*street.kerbs), street.junction[0] - draw.uniform(0.8, 3.4)
            yield person(x, z, pick((-1.3, 1.3), draw), draw)

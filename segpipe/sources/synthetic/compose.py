"""Compose: draw a whole scene from its key; no scene knows of another."""

import math

import numpy as np

from segpipe.runtime.randomness import generator
from segpipe.sources.synthetic.ground import lay_ground
from segpipe.sources.synthetic.light import light_of
from segpipe.sources.synthetic.plots import build_plots, close_street, skyline
from segpipe.sources.synthetic.population import fill_road, furnish, walk_about
from segpipe.sources.synthetic.scene import Camera, Hood, Scene
from segpipe.sources.synthetic.street import found_city, plan_street
from segpipe.sources.synthetic.world import Districts, Weather, World

Draw = np.random.Generator
_HOODS = ((34, 36, 40), (70, 72, 76), (150, 152, 154), (60, 20, 22), (30, 40, 62))


def compose(world: World, seed: int, split: str, city: str, index: int) -> Scene:
    """Return scene number `index` of a split; it depends on these arguments alone."""
    key = (seed, "scene", split, index)
    town = found_city(generator(seed, "city", city))
    plan = generator(*key, "plan")
    district = _pick(world.districts, plan)
    weather = _pick(world.weather, plan)
    chances = world.chances
    junction = bool(plan.random() < chances.junction)
    track = bool(plan.random() < chances.tram_track)
    street = plan_street(district, junction, track, plan)
    light = light_of(weather, world.sensor, town.tint, generator(*key, "light"))
    signals = bool(plan.random() < chances.traffic_lights)
    things = [skyline(generator(*key, "skyline"))]
    things += lay_ground(street, town, generator(*key, "ground"))
    things += close_street(town, light.lamps, generator(*key, "end"))
    for side in street.sides:
        things += build_plots(street, side, town, light.lamps, generator(*key, "plots", side.sign))
    things += furnish(
        street, town, world.density, light.lamps, signals, generator(*key, "furniture")
    )
    things += fill_road(street, world.density, light.lamps, generator(*key, "traffic"))
    things += walk_about(street, world.density, generator(*key, "people"))
    lens = generator(*key, "camera")
    camera = _camera(bool(lens.random() < chances.bend), lens)
    hood = _hood(lens) if lens.random() < chances.hood else None
    border = lens.uniform(0.004, 0.009) if lens.random() < chances.border else 0.0
    return Scene(tuple(things), camera, light, hood, border, key)


def _pick(weights: Weather | Districts, draw: Draw) -> str:
    named = weights.model_dump()
    shares = np.array(list(named.values()), float)
    return list(named)[int(draw.choice(len(named), p=shares / shares.sum()))]


def _camera(bends: bool, draw: Draw) -> Camera:
    """Draw a camera. Streets only climb: the painter could not hide what lies behind a crest."""
    return Camera(
        focal=draw.uniform(0.72, 1.0),
        centre=draw.uniform(0.4, 0.6),
        horizon=draw.uniform(0.38, 0.5),
        height=draw.uniform(1.2, 1.75),
        bend=draw.normal(0, 0.0014) if bends else 0.0,
        slope=min(abs(draw.normal(0, 0.0003)), 0.0007) if bends else 0.0,
        speed=draw.uniform(0.5, 13.0),
    )


def _hood(draw: Draw) -> Hood:
    """Draw a bonnet: a flat arch along the lower edge of the picture."""
    high, power = draw.uniform(0.05, 0.12), draw.uniform(2.0, 4.0)
    lean = draw.uniform(-0.02, 0.02)
    edge = []
    for k in range(15):
        u = k / 14
        arch = 1 - abs(2 * u - 1) ** power
        edge.append((u, 1 - high * (0.25 + 0.75 * arch) - lean * math.cos(math.pi * u)))
    colour = _HOODS[int(draw.integers(len(_HOODS)))]
    return Hood(np.array([(0.0, 1.0), *edge, (1.0, 1.0)]), colour)

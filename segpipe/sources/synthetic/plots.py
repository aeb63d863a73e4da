"""Plots: what lines the street behind the pavements, side by side from near to far."""

import numpy as np

from segpipe.sources.synthetic.barriers import fence, wall
from segpipe.sources.synthetic.buildings import Front, hall, house, office, town_house
from segpipe.sources.synthetic.greenery import bush, hedge, tree, treeline
from segpipe.sources.synthetic.ground import KERB, strip
from segpipe.sources.synthetic.mesh import Colour
from segpipe.sources.synthetic.scene import Thing
from segpipe.sources.synthetic.street import BEGIN, END, City, Side, Street, plaster_of

Draw = np.random.Generator
_KINDS = {
    "old_town": {"town_house": 0.84, "office": 0.08, "wall": 0.08},
    "boulevard": {"town_house": 0.58, "office": 0.27, "park": 0.15},
    "residential": {"house": 0.62, "park": 0.16, "town_house": 0.1, "wall": 0.12},
    "industrial": {"hall": 0.38, "wall": 0.26, "yard": 0.28, "office": 0.08},
}
_GRASS = ((98, 118, 62), (112, 124, 70), (124, 116, 76), (84, 106, 56))


def build_plots(street: Street, side: Side, city: City, lamps: bool, draw: Draw) -> list[Thing]:
    """Fill one side of the street; a junction leaves its gap."""
    things: list[Thing] = []
    kinds = _KINDS[street.district]
    names, weights = list(kinds), np.array(list(kinds.values()))
    floors = int(draw.integers(3, 6))
    z = BEGIN
    while z < END - 20:
        kind = names[int(draw.choice(len(names), p=weights / weights.sum()))]
        length = draw.uniform(9, 19) if kind != "park" else draw.uniform(14, 30)
        end = z + length
        if street.junction is not None:
            near, far = street.junction[0] - 2.2, street.junction[1] + 2.2
            if z < far and end > near:
                if near - z < 5:
                    z = far
                    continue
                end = near
        things += _plot(kind, side, (z, end), floors, city, lamps, draw)
        z = end + (draw.uniform(0, 1.5) if kind == "house" or draw.random() < 0.08 else 0.0)
    return things


def skyline(draw: Draw) -> Thing:
    """The trees and hills far behind everything."""
    return treeline(-420, 420, 300, -60, draw.uniform(8, 22), draw)


def close_street(city: City, lamps: bool, draw: Draw) -> list[Thing]:
    """Return the houses that often stand across the far end of the street."""
    things: list[Thing] = []
    if draw.random() < 0.55:
        x = draw.uniform(-60, -30)
        while x < 40:
            width = draw.uniform(12, 24)
            front = Front(1, x, END, END + 12, width)
            things.append(
                town_house(front, plaster_of(city, draw), int(draw.integers(2, 6)), lamps, draw)
            )
            x += width
    return things


def _plot(
    kind: str,
    side: Side,
    span: tuple[float, float],
    floors: int,
    city: City,
    lamps: bool,
    draw: Draw,
) -> list[Thing]:
    near, far = span
    plaster = plaster_of(city, draw)
    match kind:
        case "town_house":
            front = Front(side.sign, side.line, near, far, 12)
            return [
                town_house(front, plaster, max(2, floors + int(draw.integers(-1, 2))), lamps, draw)
            ]
        case "office":
            front = Front(side.sign, side.line + side.sign * draw.uniform(0, 2), near, far, 14)
            return [office(front, plaster, floors + int(draw.integers(0, 3)), lamps, draw)]
        case "hall":
            front = Front(side.sign, side.line + side.sign * draw.uniform(0.5, 5), near, far, 20)
            return [hall(front, plaster, draw)]
        case "house":
            return _garden(side, near, far, plaster, lamps, draw)
        case "wall":
            return _walled(side, near, far, plaster, draw)
        case "yard":
            return _yard(side, near, far, plaster, draw)
        case _:
            return _park(side, near, far, city, draw)


def _grass(side: Side, near: float, far: float, reach: float, draw: Draw) -> Thing:
    x0, x1 = sorted((side.line, side.line + side.sign * reach))
    colour: Colour = _GRASS[int(draw.integers(len(_GRASS)))]
    return strip("terrain", x0, x1, (near, far), colour, KERB)


def _garden(
    side: Side, near: float, far: float, plaster: Colour, lamps: bool, draw: Draw
) -> list[Thing]:
    """A house behind a garden, with a hedge, a fence, a low wall or nothing at the pavement."""
    back = draw.uniform(3.5, 7)
    front = Front(
        side.sign, side.line + side.sign * back, near + 1.5, far - 1.0, draw.uniform(8, 11)
    )
    things = [_grass(side, near, far, 40, draw), house(front, plaster, lamps, draw)]
    edge = draw.random()
    x0, x1 = sorted((side.line, side.line + side.sign * 0.7))
    if edge < 0.34:
        things += hedge(x0, x1, near, far, draw.uniform(0.9, 1.9), draw)
    elif edge < 0.7:
        things += fence(side.line, near, far, draw.uniform(0.9, 1.6), draw)
    elif edge < 0.88:
        things += wall(side.line, side.sign, near, far, draw.uniform(0.7, 1.4), draw)
    for _ in range(int(draw.integers(0, 4))):
        x = side.line + side.sign * draw.uniform(1, back)
        z = draw.uniform(near, far)
        things.append(tree(x, z, False, draw) if draw.random() < 0.4 else bush(x, z, draw))
    return [one for one in things if one.ground or _in_front(one)]


def _walled(side: Side, near: float, far: float, plaster: Colour, draw: Draw) -> list[Thing]:
    """A wall with trees or a hall behind."""
    things = wall(side.line, side.sign, near, far, draw.uniform(1.7, 3.4), draw)
    if draw.random() < 0.5:
        front = Front(side.sign, side.line + side.sign * draw.uniform(4, 9), near, far, 15)
        return [hall(front, plaster, draw), *things]
    return [*things, *_trees(side, near, far, 3, 9, False, draw)]


def _yard(side: Side, near: float, far: float, plaster: Colour, draw: Draw) -> list[Thing]:
    """A yard behind a fence, a hall at its back."""
    x0, x1 = sorted((side.line, side.line + side.sign * 40))
    things = [strip("terrain", x0, x1, (near, far), (124, 116, 96), 0.0)]
    front = Front(side.sign, side.line + side.sign * draw.uniform(9, 16), near, far, 18)
    things.append(hall(front, plaster, draw))
    things += fence(side.line, near, far, draw.uniform(1.6, 2.4), draw)
    return things


def _park(side: Side, near: float, far: float, city: City, draw: Draw) -> list[Thing]:
    """Grass and trees, sometimes behind a fence or a hedge."""
    things = [_grass(side, near, far, 60, draw)]
    autumn = draw.random() < city.autumn
    things += _trees(side, near, far, int(draw.integers(4, 9)), 22, autumn, draw)
    things += [
        bush(side.line + side.sign * draw.uniform(1, 12), draw.uniform(near, far), draw)
        for _ in range(int(draw.integers(0, 5)))
    ]
    edge = draw.random()
    if edge < 0.35:
        things += fence(side.line, near, far, draw.uniform(0.9, 1.8), draw)
    elif edge < 0.55:
        x0, x1 = sorted((side.line, side.line + side.sign * 0.7))
        things += hedge(x0, x1, near, far, draw.uniform(0.8, 1.5), draw)
    return [one for one in things if one.ground or _in_front(one)]


def _trees(
    side: Side, near: float, far: float, count: int, reach: float, autumn: bool, draw: Draw
) -> list[Thing]:
    return [
        tree(
            side.line + side.sign * draw.uniform(2.5, reach), draw.uniform(near, far), autumn, draw
        )
        for _ in range(count)
    ]


def _in_front(one: Thing) -> bool:
    """Whether a thing is far enough ahead not to fill the picture."""
    return one.label == "building" or one.depth > 3.0

"""Plots: what lines the street behind the pavements, side by side from near to far."""

from collections.abc import Iterator

import numpy as np

from segpipe.sources.synthetic.buildings import hall, house, office, town_house
from segpipe.sources.synthetic.mesh import Colour, Draw, ordered, pick, tinted
from segpipe.sources.synthetic.roadside import fence, hedge, tree, wall
from segpipe.sources.synthetic.scene import Thing
from segpipe.sources.synthetic.street import BEGIN, END, KERB, Lot, Side, Street, Strip, paved

# What stands in a district, and how often.
_KINDS = {
    "old_town": {"town_house": 0.84, "office": 0.08, "wall": 0.08},
    "boulevard": {"town_house": 0.58, "office": 0.27, "park": 0.15},
    "residential": {"house": 0.62, "park": 0.16, "town_house": 0.1, "wall": 0.12},
    "industrial": {"hall": 0.38, "wall": 0.26, "yard": 0.28, "office": 0.08},
}
_GRASS = ((98, 118, 62), (112, 124, 70), (124, 116, 76), (84, 106, 56))


def plots(street: Street, side: Side, draw: Draw) -> Iterator[Thing]:
    """Fill one side of the street; a junction leaves its gap."""
    kinds, floors, z = _KINDS[street.district], int(draw.integers(3, 6)), BEGIN
    while z < END - 20:
        kind = str(draw.choice(list(kinds), p=list(kinds.values())))
        end = z + (draw.uniform(14, 30) if kind == "park" else draw.uniform(9, 19))
        if street.junction is not None:
            near, far = street.junction[0] - 2.2, street.junction[1] + 2.2
            if z < far and end > near:
                if near - z < 5:
                    z = far
                    continue
                end = near
        for one in _plot(kind, Lot(side.sign, side.line, z, end), floors, street, draw):
            # What is very near would fill the picture.
            if one.depth > 3 or one.label in ("building", "terrain", "wall"):
                yield one
        z = end + (draw.uniform(0, 1.5) if kind == "house" or draw.random() < 0.08 else 0.0)


def _plot(kind: str, lot: Lot, floors: int, street: Street, draw: Draw) -> Iterator[Thing]:
    plaster, lamps = tinted(pick(street.city.plasters, draw), draw.uniform(0.85, 1.1)), street.lamps
    match kind:
        case "town_house":
            floors = max(2, floors + int(draw.integers(-1, 2)))
            yield town_house(lot, plaster, floors, lamps, draw)
        case "office":
            behind, floors = lot.behind(draw.uniform(0, 2)), floors + int(draw.integers(0, 3))
            yield office(behind, plaster, floors, lamps, draw)
        case "hall":
            yield hall(lot.behind(draw.uniform(0.5, 5)), plaster, draw)
        case "house":
            back = draw.uniform(3.5, 7)
            yield _surface(lot, pick(_GRASS, draw))
            yield house(lot.behind(back), plaster, lamps, draw)
            yield from _border(lot, (0.34, 0.36, 0.18), draw)
            yield from _trees(lot, 1.5, back, False, draw)
        case "wall":
            yield from wall(lot, draw.uniform(1.7, 3.4), draw)
            if draw.random() < 0.5:
                yield hall(lot.behind(draw.uniform(4, 9)), plaster, draw)
            else:
                yield from _trees(lot, 3.0, 9, False, draw)
        case "yard":
            yield _surface(lot, (124, 116, 96))
            yield hall(lot.behind(draw.uniform(9, 16)), plaster, draw)
            yield from fence(lot, draw.uniform(1.6, 2.4), draw)
        case "park":
            yield _surface(lot, pick(_GRASS, draw))
            yield from _trees(lot, 8.0, 22, draw.random() < street.city.autumn, draw)
            yield from _border(lot, (0.2, 0.35, 0.0), draw)


def _surface(lot: Lot, colour: Colour) -> Thing:
    across = ordered(lot.line, lot.back(60))
    return paved("terrain", [Strip(colour, across, (lot.near, lot.far), (KERB, KERB))])


def _border(lot: Lot, weights: tuple[float, float, float], draw: Draw) -> Iterator[Thing]:
    """Yield a hedge, a fence, a low wall, with these probabilities, or nothing at the pavement."""
    kind = int(np.searchsorted(np.cumsum(weights), draw.random(), side="right"))
    for build in (hedge, fence, wall)[kind : kind + 1]:
        yield from build(lot, draw.uniform(0.8, 1.7), draw)


def _trees(lot: Lot, mean: float, reach: float, autumn: bool, draw: Draw) -> Iterator[Thing]:
    for _ in range(draw.poisson(mean)):
        x, z = lot.back(draw.uniform(reach * 0.2, reach)), draw.uniform(lot.near, lot.far)
        yield tree(x, z, autumn, draw)

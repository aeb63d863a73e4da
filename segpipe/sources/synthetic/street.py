"""Street: the plan of a road and its pavements, and what they are paved with.

The camera drives in a right-hand lane along x = 0; z runs along the street.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from segpipe.sources.synthetic.mesh import Colour, Draw, Mesh, Pair, ordered, tinted
from segpipe.sources.synthetic.scene import Thing

LANE = 3.2
_TRACK = 3.0
# The street begins behind the camera, because earlier frames of a sequence were taken there.
BEGIN, END = -24.0, 150.0
KERB = 0.12  # metres that a pavement lies above the road
# Where long strips are cut, because a street may bend and each face is flat; denser when near.
_CUTS = (0.0, 2.0, 4.0, 6.0, 9.0, 13.0, 18.0, 24.0, 32.0, 42.0, 55.0, 72.0, 95.0, 120.0, 150.0)
_LONG = (BEGIN, END)
_WHITE = (208, 208, 204)
_PLASTERS = (
    (206, 190, 160), (186, 112, 88), (152, 150, 146), (224, 214, 196), (126, 118, 110),
    (196, 166, 118), (170, 132, 100), (216, 196, 190), (150, 88, 70), (180, 186, 188),
    (232, 222, 170), (110, 108, 112),
)  # fmt: skip
# By district: the width of the pavement, and the probabilities of parking bays and of a verge.
_SIDES = {
    "old_town": ((1.6, 3.4), 0.5, 0.0),
    "boulevard": ((3.0, 6.0), 0.75, 0.3),
    "residential": ((1.8, 3.2), 0.75, 0.5),
    "industrial": ((1.5, 2.8), 0.5, 0.4),
}


class City:
    """What the streets of a city share.

    plasters, asphalt, paving: colours. autumn: fraction of the trees that have turned. tint: the
    white balance.
    """

    def __init__(self, draw: Draw) -> None:
        """Draw what is peculiar to a city."""
        self.plasters = tuple(_PLASTERS[k] for k in draw.permutation(len(_PLASTERS))[:6].tolist())
        grey, paving, warm = draw.uniform(78, 112), draw.uniform(112, 152), draw.uniform(-6, 12)
        self.asphalt = (grey + 1, grey + 1, grey + 4)
        self.paving = (paving + warm, paving + warm * 0.5, paving - warm * 0.3)
        self.tint = 1 + draw.normal(0, 0.035, 3)
        self.autumn = draw.uniform(0, 0.5)


class Side:
    """One side of the road, outwards from the kerb; `sign` is -1 left, 1 right; widths in metres.

    kerb: its x. parking: between lanes and kerb. verge: grass between kerb and pavement. line: x
    where the pavement ends and the plots begin. walk: from where to where the pavement goes.
    """

    def __init__(self, sign: int, edge: float, district: str, draw: Draw) -> None:
        """Draw the side of a road whose outermost lane ends at `edge`."""
        widths, bays, green = _SIDES[district]
        self.sign = sign
        self.parking = 2.2 if draw.random() < bays else 0.0
        self.verge = draw.uniform(1.0, 2.5) if draw.random() < green else 0.0
        self.kerb: float = edge + sign * (self.parking + 0.3)
        self.line = self.kerb + sign * (self.verge + draw.uniform(*widths))
        self.walk = ordered(self.kerb + sign * self.verge, self.line)


class Street:
    """The plan of a street.

    own_lanes, oncoming_lanes: x of the middle of each lane. track: x of the tram track from where to
    where, or None. junction: z from where to where, or None. lamps: whether it is dark enough for
    windows, street lamps and headlights to be lit. kerbs: x of the left and of the right one.
    """

    def __init__(
        self, city: City, district: str, draw: Draw, *, lamps: bool, junction: bool, track: bool
    ) -> None:
        """Draw the plan of a street; `track` asks for trams where it is wide enough."""
        self.city, self.district, self.lamps = city, district, lamps
        wide = district == "boulevard"
        own = 2 if (wide or draw.random() < 0.15) and draw.random() < 0.75 else 1
        right = LANE * (1.5 if own == 2 and draw.random() < 0.5 else 0.5)
        left = right - own * LANE
        self.track = (left - _TRACK, left) if track and wide else None
        middle = left - (_TRACK if self.track else 0.0)
        oncoming = own if wide else 1
        self.own_lanes = [right - LANE * (k + 0.5) for k in range(own)]
        self.oncoming_lanes = [middle - LANE * (k + 0.5) for k in range(oncoming)]
        start, wide_junction = draw.uniform(14, 60), draw.uniform(8, 12)
        self.junction = (start, start + wide_junction) if junction else None
        edge = middle - oncoming * LANE
        self.sides = (Side(-1, edge, district, draw), Side(1, right, district, draw))
        self.kerbs = (self.sides[0].kerb, self.sides[1].kerb)

    def is_free(self, near: float, far: float) -> bool:
        """Whether a stretch along the kerb does not touch the junction."""
        return self.junction is None or far < self.junction[0] - 1 or near > self.junction[1] + 1


@dataclass(frozen=True)
class Lot:
    """A piece of land along the street, from `near` to `far`; x of its street side is `line`.

    side: -1 left of the street, 1 right of it.
    """

    side: int
    line: float
    near: float
    far: float

    def back(self, metres: float) -> float:
        """Return the x that lies so far behind the line."""
        return self.line + self.side * metres

    def behind(self, metres: float) -> "Lot":
        """Return the part of the lot that begins so far behind the line."""
        return replace(self, line=self.back(metres))


class Strip(NamedTuple):
    """A strip of ground: from where to where across and along the street, height of both edges."""

    colour: Colour
    across: Pair
    along: Pair
    high: Pair = (0.0, 0.0)


def paved(label: str, strips: Sequence[Strip]) -> Thing:
    """Return a piece of ground with the outline of the first strip; the others lie on top of it."""
    mesh, edges = Mesh(grain=4), []
    for colour, across, (near, far), high in strips:
        stops = [near, *(z for z in _CUTS if near < z < far), far]
        left, right = ([(x, y, z) for z in stops] for x, y in zip(across, high, strict=True))
        edges.append([*left, *reversed(right)])
        for k in range(len(stops) - 1):
            corners = left[k], right[k], right[k + 1], left[k + 1]
            mesh.face(corners, colour, Mesh.BOTH_SIDES)
    return Thing(label, mesh, loop_L3=np.array(edges[0]))


def ground(street: Street, draw: Draw) -> Iterator[Thing]:
    """Yield the ground from below upwards; everything else is painted over it."""
    paving, asphalt = street.city.paving, street.city.asphalt
    green = street.district in ("residential", "industrial")
    base: Colour = (104, 116, 66) if green else tinted(paving, 0.94)
    yield paved("terrain" if green else "sidewalk", [Strip(base, (-400, 400), (BEGIN, 300))])
    for side in street.sides:
        yield from _pavement(side, tinted(paving, draw.uniform(0.93, 1.07)), draw)
    if street.junction is not None:
        near, far = street.junction
        yield paved("sidewalk", [Strip(tinted(paving, 0.96), (-90, 90), (near - 2.2, far + 2.2))])
        yield paved("road", [Strip(tinted(asphalt, 0.97), (-90, 90), (near, far))])
    yield paved("road", _road(street, draw))
    if street.track is not None:
        strips, middle = [Strip((112, 108, 102), street.track, _LONG)], sum(street.track) / 2
        for x in (middle - 0.72, middle + 0.72):
            strips.append(Strip((58, 56, 56), (x - 0.06, x + 0.06), _LONG))
        yield paved("rail track", strips)
    for side in street.sides:
        if side.parking and draw.random() < 0.45:
            # Bays paved unlike the lanes: label `parking`, which is void.
            across = ordered(side.kerb, side.kerb - side.sign * side.parking)
            end = END if street.junction is None else street.junction[0] - 5
            strips = [Strip(tinted(paving, 0.82), across, (BEGIN, end))]
            strips += [Strip(_WHITE, across, (z, z + 0.1)) for z in np.arange(0, end, 5.5).tolist()]
            yield paved("parking", strips)


def _pavement(side: Side, slab: Colour, draw: Draw) -> Iterator[Thing]:
    """Yield pavement, kerb and verge of one side."""
    inner, rim, grass = side.kerb, side.kerb + side.sign * 0.18, side.kerb + side.sign * side.verge
    # The kerb's upright face is pavement as well, so the outline starts at the foot of it.
    high = (0.0, KERB) if side.sign > 0 else (KERB, 0.0)
    strips = [
        Strip(slab, ordered(inner, side.line), _LONG, high),
        Strip(tinted(slab, 0.78), (inner, inner), _LONG, (0.0, KERB)),
        Strip(tinted(slab, 1.12), ordered(inner, rim), _LONG, (KERB, KERB)),
    ]
    yield paved("sidewalk", strips)
    if side.verge:
        green: Colour = (92 + draw.uniform(-14, 22), 112, 58)
        yield paved("terrain", [Strip(green, ordered(rim, grass), _LONG, (KERB, KERB))])


def _road(street: Street, draw: Draw) -> list[Strip]:
    """The carriageway with repairs, lines, a crossing."""
    asphalt = tinted(street.city.asphalt, draw.uniform(0.9, 1.12))
    (left, right), lanes = street.kerbs, [*street.own_lanes, *street.oncoming_lanes]
    strips = [Strip(asphalt, street.kerbs, _LONG)]
    for _ in range(draw.integers(1, 6)):
        x, z = draw.uniform(left, right - 2), draw.uniform(4, 40)
        across = (x, min(x + draw.uniform(0.5, 2.5), right))
        tone = tinted(asphalt, draw.choice((0.8, 0.88, 1.12)))
        strips.append(Strip(tone, across, (z, z + draw.uniform(1, 8))))
    paint = tinted(_WHITE, draw.uniform(0.7, 1.0))
    borders = sorted({round(x + side * LANE / 2, 3) for x in lanes for side in (-1, 1)})
    marked = street.district != "residential" or draw.random() < 0.4
    middle = round(min(street.own_lanes) - LANE / 2, 3) if draw.random() < 0.3 else None
    near, far = street.junction or (END, END)
    for x in borders if marked else []:
        at_edge = x in (borders[0], borders[-1])
        if at_edge and draw.random() > 0.6:
            continue
        step = 3.0 if at_edge or x == middle else 9.0  # dashed where it may be crossed
        for z in np.arange(BEGIN, 110, step).tolist():
            if z + 3.0 < near - 4 or z > far + 1:
                strips.append(Strip(paint, (x - 0.07, x + 0.07), (z, z + 3.0)))
    if street.junction is None:
        if draw.random() > 0.2:
            return strips
        near = draw.uniform(10, 35)
    # The line at which to stop, and often a zebra crossing behind it.
    own = min(street.own_lanes) - LANE / 2 + 0.1, max(street.own_lanes) + LANE / 2
    strips.append(Strip(paint, own, (near - 4.9, near - 4.5)))
    zebra = np.arange(left + 0.4, right - 0.6, 1.0).tolist() if draw.random() < 0.75 else []
    strips += [Strip(paint, (x, x + 0.5), (near - 3.6, near - 0.6)) for x in zebra]
    return strips

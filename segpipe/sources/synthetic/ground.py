"""Ground: carriageway with its markings, parking bays, verges, pavements, side roads."""

import numpy as np

from segpipe.sources.synthetic.mesh import BOTH_SIDES, DETAIL, Colour, Mesh, Point, tinted
from segpipe.sources.synthetic.scene import Thing, lane_loop, thing
from segpipe.sources.synthetic.street import BEGIN, END, LANE, City, Side, Street

Draw = np.random.Generator
KERB = 0.12  # metres that a pavement lies above the road
_STOPS = (
    -24.0,
    0.0,
    2.0,
    4.0,
    6.0,
    9.0,
    13.0,
    18.0,
    24.0,
    32.0,
    42.0,
    55.0,
    72.0,
    95.0,
    120.0,
    150.0,
)
_WHITE = (208, 208, 204)


def lay_ground(street: Street, city: City, draw: Draw) -> list[Thing]:
    """Return the ground from below upwards; everything else is painted over it."""
    green = street.district in ("residential", "industrial")
    base: Colour = (104, 116, 66) if green else tinted(city.paving, 0.94)
    label = "terrain" if green else "sidewalk"
    things = [strip(label, -400, 400, (BEGIN, 300.0), base)]
    for side in street.sides:
        things += _beside(side, city, draw)
    if street.junction is not None:
        things += _side_road(street, street.junction, city)
    things.append(_road(street, city, draw))
    if street.track is not None:
        things.append(_track(street.track))
    for side in street.sides:
        if side.parking and draw.random() < 0.45:
            things.append(_bays(side, street, city))
    return things


def strip(
    label: str, x0: float, x1: float, span: tuple[float, float], colour: Colour, high: float = 0.0
) -> Thing:
    """Return a strip of ground from x0 to x1 (ascending) along `span`, `high` metres up."""
    mesh = Mesh()
    left, right = _pave(mesh, x0, x1, span, colour, high)
    return thing(label, mesh, ground=True, loop_L3=lane_loop(left, right))


def _pave(
    mesh: Mesh, x0: float, x1: float, span: tuple[float, float], colour: Colour, high: float = 0.0
) -> tuple[list[Point], list[Point]]:
    stops = [span[0], *(z for z in _STOPS if span[0] < z < span[1]), span[1]]
    left: list[Point] = [(x0, high, z) for z in stops]
    right: list[Point] = [(x1, high, z) for z in stops]
    for k in range(len(stops) - 1):
        mesh.face([left[k], right[k], right[k + 1], left[k + 1]], colour, BOTH_SIDES, 4)
    return left, right


def _beside(side: Side, city: City, draw: Draw) -> list[Thing]:
    """Kerb, verge and pavement of one side."""
    things = []
    inner, outer = side.kerb, side.line
    slab = tinted(city.paving, draw.uniform(0.93, 1.07))
    grass = side.kerb + side.sign * side.verge
    mesh = Mesh()
    low, high = sorted((inner, outer))
    left, right = _pave(mesh, low, high, (BEGIN, END), slab, KERB)
    # The kerb's upright face is pavement as well, so the outline starts at the foot of it.
    edge = left if side.sign > 0 else right
    foot = [(x, 0.0, z) for x, _, z in edge]
    for k in range(len(foot) - 1):
        mesh.face([foot[k], foot[k + 1], edge[k + 1], edge[k]], tinted(slab, 0.78), BOTH_SIDES, 4)
    top_left, top_right = (foot, right) if side.sign > 0 else (left, foot)
    rim = sorted((inner, inner + side.sign * 0.18))
    _pave(mesh, rim[0], rim[1], (BEGIN, END), tinted(slab, 1.12), KERB)
    things.append(thing("sidewalk", mesh, ground=True, loop_L3=lane_loop(top_left, top_right)))
    if side.verge:
        x0, x1 = sorted((inner + side.sign * 0.18, grass))
        green: Colour = (92 + draw.uniform(-14, 22), 112, 58)
        things.append(strip("terrain", x0, x1, (BEGIN, END), green, KERB))
    return things


def _side_road(street: Street, junction: tuple[float, float], city: City) -> list[Thing]:
    near, far = junction
    tone = tinted(city.asphalt, 0.97)
    return [
        strip("sidewalk", -90, 90, (near - 2.2, far + 2.2), tinted(city.paving, 0.96)),
        strip("road", -90, 90, (near, far), tone),
    ]


def _road(street: Street, city: City, draw: Draw) -> Thing:
    mesh = Mesh()
    asphalt = tinted(city.asphalt, draw.uniform(0.9, 1.12))
    x0, x1 = street.left.kerb, street.right.kerb
    left, right = _pave(mesh, x0, x1, (BEGIN, END), asphalt)
    _wear(mesh, street, asphalt, draw)
    paint = tinted(_WHITE, draw.uniform(0.7, 1.0))
    lanes = [*street.own_lanes, *street.oncoming_lanes]
    borders = sorted({round(x + LANE / 2, 3) for x in lanes} | {round(min(lanes) - LANE / 2, 3)})
    middle = round(min(street.own_lanes) - LANE / 2, 3)
    marked = street.district != "residential" or draw.random() < 0.4
    solid = draw.random() < 0.3
    for x in borders if marked else []:
        at_edge = x in (borders[0], borders[-1])
        if not at_edge:
            _line(mesh, x, street, paint, dashed=not (solid and x == middle))
        elif draw.random() < 0.6:
            _line(mesh, x, street, paint, dashed=False)
    if street.junction is not None:
        _crossing(mesh, street, street.junction, paint, draw)
    elif draw.random() < 0.2:
        z = draw.uniform(10, 35)
        _crossing(mesh, street, (z, z), paint, draw)
    return thing("road", mesh, ground=True, loop_L3=lane_loop(left, right))


def _wear(mesh: Mesh, street: Street, asphalt: Colour, draw: Draw) -> None:
    """Repairs, wheel tracks and manhole covers."""
    for x in (*street.own_lanes, *street.oncoming_lanes):
        for shift in (-0.75, 0.75):
            _pave_detail(
                mesh, x + shift - 0.25, x + shift + 0.25, (BEGIN, 70.0), tinted(asphalt, 0.95)
            )
    for _ in range(int(draw.integers(1, 6))):
        x, z = draw.uniform(street.left.kerb, street.right.kerb - 2), draw.uniform(4, 40)
        tone = tinted(asphalt, draw.choice((0.8, 0.88, 1.12)))
        _pave_detail(
            mesh,
            x,
            min(x + draw.uniform(0.5, 2.5), street.right.kerb),
            (z, z + draw.uniform(1, 8)),
            tone,
        )
    for _ in range(int(draw.integers(0, 4))):
        x, z = draw.uniform(-2, 2), draw.uniform(4, 25)
        mesh.disc((x, 0, z), (0.35, 0, 0), (0, 0, 0.35), tinted(asphalt, 0.62), BOTH_SIDES | DETAIL)


def _pave_detail(
    mesh: Mesh, x0: float, x1: float, span: tuple[float, float], colour: Colour
) -> None:
    count = len(mesh.sizes)
    _pave(mesh, x0, x1, span, colour)
    for k in range(count, len(mesh.sizes)):
        mesh.flags[k] |= DETAIL


def _line(mesh: Mesh, x: float, street: Street, paint: Colour, dashed: bool) -> None:
    gap = street.junction or (END, END)
    spans = [(z, z + 3.0) for z in np.arange(BEGIN, 110, 9.0 if dashed else 3.0).tolist()]
    for span in spans:
        if span[1] < gap[0] - 4 or span[0] > gap[1] + 1:
            _pave_detail(mesh, x - 0.07, x + 0.07, span, paint)


def _crossing(
    mesh: Mesh, street: Street, junction: tuple[float, float], paint: Colour, draw: Draw
) -> None:
    """A zebra crossing before the junction and the line at which to stop."""
    near = junction[0] - 3.6
    zebra = draw.random() < 0.75
    if zebra:
        for x in np.arange(street.left.kerb + 0.4, street.right.kerb - 0.6, 1.0).tolist():
            _pave_detail(mesh, x, x + 0.5, (near, near + 3.0), paint)
    inner = min(street.own_lanes) - LANE / 2
    _pave_detail(
        mesh, inner + 0.1, max(street.own_lanes) + LANE / 2, (near - 1.3, near - 0.9), paint
    )


def _track(track: tuple[float, float]) -> Thing:
    mesh = Mesh()
    left, right = _pave(mesh, track[0], track[1], (BEGIN, END), (112, 108, 102))
    middle = sum(track) / 2
    for rail in (-0.72, 0.72):
        _pave_detail(mesh, middle + rail - 0.06, middle + rail + 0.06, (BEGIN, END), (58, 56, 56))
    return thing("rail track", mesh, ground=True, loop_L3=lane_loop(left, right))


def _bays(side: Side, street: Street, city: City) -> Thing:
    """Parking bays paved unlike the lanes, up to the junction: label `parking`, which is void."""
    mesh = Mesh()
    x0, x1 = sorted((side.kerb, side.kerb - side.sign * side.parking))
    end = END if street.junction is None else street.junction[0] - 5
    tone = tinted(city.paving, 0.82)
    left, right = _pave(mesh, x0, x1, (BEGIN, end), tone)
    for z in np.arange(0, end, 5.5).tolist():
        _pave_detail(mesh, x0, x1, (z, z + 0.1), _WHITE)
    return thing("parking", mesh, ground=True, loop_L3=lane_loop(left, right))

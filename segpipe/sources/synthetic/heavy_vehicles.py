"""Heavy vehicles: trucks, buses, trams."""

import math

import numpy as np

from segpipe.sources.synthetic.bodywork import GLASS, Place, hubs, lights, placed, wheels
from segpipe.sources.synthetic.mesh import DETAIL, GLOWS, Colour, Mesh, Quad, panel, tinted
from segpipe.sources.synthetic.scene import Thing

Draw = np.random.Generator
_LIVERIES = (
    (196, 60, 44),
    (226, 224, 216),
    (52, 92, 150),
    (232, 196, 60),
    (70, 130, 84),
    (120, 124, 130),
)


def truck(place: Place, lamps: bool, draw: Draw) -> Thing:
    """A lorry: a cargo box behind a cab."""
    mesh = Mesh()
    length, height = draw.uniform(6.5, 10.5), draw.uniform(2.9, 3.7)
    half = 1.22
    cab = 2.0
    paint = _LIVERIES[int(draw.integers(len(_LIVERIES)))]
    cargo = tinted(_LIVERIES[int(draw.integers(len(_LIVERIES)))], draw.uniform(0.8, 1.05))
    wheels(mesh, half, length, 0.5, (0.16, 0.3, 0.84))
    mesh.box((-half + 0.1, half - 0.1), (0.45, 0.95), (0.1, length - 0.2), (52, 52, 54))
    # The farther part is painted first: which one that is depends on where the truck goes.
    away = math.cos(place.heading) > 0
    if not away:
        _cargo(mesh, half, length - cab - 0.3, height, cargo, draw)
    _cab(mesh, half, length, height, cab, paint, lamps)
    if away:
        _cargo(mesh, half, length - cab - 0.3, height, cargo, draw)
    bumper: Quad = ((-half, 0.5, 0), (half, 0.5, 0), (half, 0.8, 0), (-half, 0.8, 0))
    mesh.face(bumper, (46, 46, 48), 0)
    lights(mesh, bumper, (0.03, 0.16), (0.3, 0.9), lamps, front=False)
    hubs(mesh, half, length, 0.5, (0.16, 0.3, 0.84))
    return placed("truck", mesh, length, height, place)


def _cab(
    mesh: Mesh, half: float, length: float, height: float, cab: float, paint: Colour, lamps: bool
) -> None:
    nose = mesh.prism(
        (-half, half, length - cab, length),
        (-half, half, length - cab, length - 0.25),
        (0.55, height * 0.86),
        paint,
    )
    mesh.face(panel(nose["front"], 0.07, 0.93, 0.5, 0.88), GLASS, DETAIL, 2)
    for name in ("left", "right"):
        mesh.face(panel(nose[name], 0.25, 0.8, 0.5, 0.85), GLASS, DETAIL, 2)
    lights(mesh, nose["front"], (0.04, 0.2), (0.1, 0.17), lamps, front=True)
    mesh.face(panel(nose["front"], 0.2, 0.8, 0.1, 0.35), tinted(paint, 0.5), DETAIL)


def _cargo(mesh: Mesh, half: float, end: float, height: float, tone: Colour, draw: Draw) -> None:
    box = mesh.box((-half, half), (0.95, height), (0, end), tone, 6)
    rear = box["rear"]
    mesh.face(panel(rear, 0.49, 0.51, 0, 1), tinted(tone, 0.6), DETAIL, 0)
    mesh.face(panel(rear, 0, 1, 0, 0.05), (60, 60, 62), DETAIL, 0)
    for name in ("left", "right"):
        if draw.random() < 0.6:
            mesh.face(panel(box[name], 0.15, 0.85, 0.35, 0.7), tinted(tone, 0.7), DETAIL, 4)


def bus(place: Place, lamps: bool, draw: Draw) -> Thing:
    """A city bus: long bands of windows, doors, a lit sign above the windscreen."""
    mesh = Mesh()
    length, half, height = draw.uniform(10.5, 13), 1.27, 3.05
    paint = _LIVERIES[int(draw.integers(len(_LIVERIES)))]
    wheels(mesh, half, length, 0.48, (0.26, 0.78))
    body = mesh.box((-half, half), (0.32, height), (0, length), paint, 4)
    _band(mesh, body, (0.42, 0.84), 7, lamps)
    for name, high in (("front", 0.78), ("rear", 0.8)):
        mesh.face(panel(body[name], 0.05, 0.95, 0.36, high), GLASS, DETAIL, 2)
    sign = panel(body["front"], 0.15, 0.85, 0.83, 0.95)
    mesh.face(sign, (30, 28, 24), DETAIL, 0)
    mesh.face(panel(sign, 0.1, 0.6, 0.25, 0.75), (255, 170, 40), DETAIL | GLOWS, 0)
    lights(mesh, body["front"], (0.04, 0.2), (0.1, 0.17), lamps, front=True)
    lights(mesh, body["rear"], (0.03, 0.13), (0.14, 0.3), lamps, front=False)
    for name in ("left", "right", "rear", "front"):
        mesh.face(panel(body[name], 0, 1, 0, 0.07), (48, 48, 50), DETAIL)
    hubs(mesh, half, length, 0.48, (0.26, 0.78))
    return placed("bus", mesh, length, height, place)


def tram(place: Place, lamps: bool, draw: Draw) -> Thing:
    """A tram of several cars, low over its rails; the data set calls it `train`."""
    mesh = Mesh()
    length, half, height = draw.uniform(18, 28), 1.2, 3.4
    paint = _LIVERIES[int(draw.integers(len(_LIVERIES)))]
    body = mesh.prism(
        (-half, half, 0, length), (-half, half, 0.5, length - 0.5), (0.18, height), paint, 4
    )
    _band(mesh, body, (0.4, 0.82), 12, lamps)
    for name in ("front", "rear"):
        mesh.face(panel(body[name], 0.06, 0.94, 0.34, 0.8), GLASS, DETAIL, 2)
        mesh.face(panel(body[name], 0, 1, 0.86, 1), (220, 220, 216), DETAIL, 2)
        mesh.face(panel(body[name], 0.3, 0.7, 0.86, 0.95), (255, 170, 40), DETAIL | GLOWS, 0)
        lights(mesh, body[name], (0.06, 0.2), (0.12, 0.2), lamps, front=name == "front")
    for name in ("left", "right", "rear", "front"):
        mesh.face(panel(body[name], 0, 1, 0, 0.12), (70, 70, 74), DETAIL)
    return placed("train", mesh, length, height, place)


def _band(
    mesh: Mesh, body: dict[str, Quad], up: tuple[float, float], count: int, lamps: bool
) -> None:
    """Windows along both sides, lit from inside when lamps are on."""
    glass: Colour = (196, 180, 130) if lamps else GLASS
    flags = DETAIL | GLOWS if lamps else DETAIL
    for name in ("left", "right"):
        for k in range(count):
            a = 0.02 + k * 0.96 / count
            mesh.face(panel(body[name], a, a + 0.88 / count, *up), glass, flags, 2)
        for share in (0.12, 0.55):
            mesh.face(panel(body[name], share, share + 0.1, 0.06, up[1]), (58, 62, 68), DETAIL, 2)

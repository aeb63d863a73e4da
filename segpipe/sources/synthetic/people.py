"""People: on foot, and in the saddle (label `rider`).

A person is a flat figure that faces the camera; proportions in shares of the height.
"""

import math
from dataclasses import dataclass

import numpy as np

from segpipe.sources.synthetic.mesh import BOTH_SIDES, DETAIL, Colour, Mesh, flat, tinted
from segpipe.sources.synthetic.scene import Thing, thing

Draw = np.random.Generator
_CLOTHES = (
    (34, 36, 42), (60, 64, 74), (48, 58, 92), (96, 100, 106), (150, 148, 142), (206, 202, 194),
    (150, 44, 44), (186, 120, 52), (64, 92, 72), (92, 62, 96), (112, 88, 66), (206, 178, 76),
)  # fmt: skip
_TROUSERS = ((36, 40, 56), (52, 62, 90), (32, 32, 34), (84, 80, 76), (120, 110, 92), (70, 74, 80))
_SKIN = ((226, 186, 158), (198, 150, 118), (150, 104, 76), (96, 66, 50))
_HAIR = ((38, 30, 26), (82, 58, 38), (146, 112, 66), (128, 126, 122), (20, 20, 22))


@dataclass(frozen=True)
class _Looks:
    jacket: Colour
    trousers: Colour
    skin: Colour
    hair: Colour


def person(x: float, z: float, walk: float, draw: Draw) -> Thing:
    """Someone standing (`walk` 0), crossing the picture (metres/second), or strolling along it."""
    mesh = Mesh()
    height = draw.uniform(1.55, 1.92) if draw.random() > 0.12 else draw.uniform(1.0, 1.4)
    looks = _looks(draw)
    across = abs(walk) > 0.3
    stride = draw.uniform(0.07, 0.15) if across else draw.uniform(0.02, 0.06)
    _legs(mesh, height, stride, looks, skirt=draw.random() < 0.18)
    width = 0.095 if across else 0.13
    _torso(mesh, height, width, looks, coat=draw.random() < 0.3)
    swing = stride * (0.8 if across else 0.3)
    _arms(mesh, height, width, swing, looks)
    if draw.random() < 0.35:
        _bag(mesh, height, width * (1 if draw.random() < 0.5 else -1), draw)
    _head(mesh, 0.0, height * 0.93, height * 0.065, looks)
    along = 0.0 if across else float(draw.choice((-1.2, 0.0, 1.2)))
    return thing("person", mesh, at=(x, z), tall=height, velocity=(walk, along))


def rider_from_behind(
    x: float, z: float, seat: float, velocity: tuple[float, float], draw: Draw
) -> Thing:
    """A rider seen along the street, sitting `seat` metres high."""
    mesh = Mesh()
    looks = _looks(draw)
    for side in (-1, 1):
        knee = (side * 0.17, seat * 0.62)
        foot = seat * (0.22 + 0.1 * side)
        _limb(mesh, (side * 0.1, seat), knee, 0.1, looks.trousers)
        _limb(mesh, knee, (side * 0.13, foot), 0.08, looks.trousers)
    back = [(-0.19, seat - 0.08), (0.19, seat - 0.08), (0.24, seat + 0.5), (0.12, seat + 0.6),
            (-0.12, seat + 0.6), (-0.24, seat + 0.5)]  # fmt: skip
    mesh.face(flat(back), looks.jacket, BOTH_SIDES, 10)
    for side in (-1, 1):
        _limb(
            mesh,
            (side * 0.22, seat + 0.5),
            (side * 0.29, seat + 0.14),
            0.075,
            tinted(looks.jacket, 0.85),
        )
    _head(mesh, 0.0, seat + 0.74, 0.12, looks, helmet=draw.random() < 0.7, draw=draw)
    return thing("rider", mesh, at=(x, z), tall=1.7, velocity=velocity)


def rider_from_the_side(
    x: float, z: float, seat: float, velocity: tuple[float, float], draw: Draw
) -> Thing:
    """A rider who crosses the picture, to the right where the first velocity is positive."""
    mesh = Mesh()
    looks = _looks(draw)
    ahead = math.copysign(1.0, velocity[0])
    hip, shoulder = (-0.2 * ahead, seat), (0.12 * ahead, seat + 0.5)
    knee, foot = (0.16 * ahead, seat - 0.22), (0.06 * ahead, seat - 0.66)
    _limb(mesh, (hip[0], hip[1]), (0.22 * ahead, seat - 0.1), 0.13, tinted(looks.trousers, 0.8))
    _limb(
        mesh,
        (0.22 * ahead, seat - 0.1),
        (0.16 * ahead, seat - 0.42),
        0.1,
        tinted(looks.trousers, 0.8),
    )
    _limb(mesh, hip, knee, 0.14, looks.trousers)
    _limb(mesh, knee, foot, 0.1, looks.trousers)
    _limb(mesh, (hip[0], hip[1] - 0.05), shoulder, 0.27, looks.jacket)
    _limb(mesh, shoulder, (0.46 * ahead, seat + 0.12), 0.085, tinted(looks.jacket, 0.85))
    _head(mesh, 0.2 * ahead, seat + 0.72, 0.12, looks, helmet=draw.random() < 0.7, draw=draw)
    return thing("rider", mesh, at=(x, z), tall=1.7, velocity=velocity)


def _looks(draw: Draw) -> _Looks:
    def pick(colours: tuple[Colour, ...]) -> Colour:
        return tinted(colours[int(draw.integers(len(colours)))], draw.uniform(0.85, 1.15))

    return _Looks(pick(_CLOTHES), pick(_TROUSERS), pick(_SKIN), pick(_HAIR))


def _limb(
    mesh: Mesh, a: tuple[float, float], b: tuple[float, float], thick: float, colour: Colour
) -> None:
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = math.hypot(dx, dy) or 1.0
    nx, ny = -dy / length * thick / 2, dx / length * thick / 2
    mx, my = nx * 0.75, ny * 0.75
    outline = [(a[0] + nx, a[1] + ny), (a[0] - nx, a[1] - ny),
               (b[0] - mx, b[1] - my), (b[0] + mx, b[1] + my)]  # fmt: skip
    mesh.face(flat(outline), colour, BOTH_SIDES, 8)


def _legs(mesh: Mesh, height: float, stride: float, looks: _Looks, skirt: bool) -> None:
    hip, knee, foot = 0.5 * height, 0.27 * height, 0.02 * height
    for side in (-1, 1):
        bent = (side * (0.03 + stride * 0.6) * height, knee)
        low = (side * (0.03 + stride) * height, foot)
        colour = tinted(looks.skin if skirt else looks.trousers, 1.0 if side > 0 else 0.85)
        _limb(mesh, (side * 0.035 * height, hip), bent, 0.085 * height, colour)
        _limb(mesh, bent, low, 0.065 * height, colour)
        heel, sole = low[0] - 0.03 * height, 0.04 * height
        shoe = [(heel, 0), (heel + 0.075 * height, 0), (heel + 0.05 * height, sole), (heel, sole)]
        mesh.face(flat(shoe), (34, 30, 28), BOTH_SIDES, 0)
    if skirt:
        half = (0.1 + stride) * height
        outline = [
            (-half, 0.3 * height),
            (half, 0.3 * height),
            (0.08 * height, 0.54 * height),
            (-0.08 * height, 0.54 * height),
        ]
        mesh.face(flat(outline), looks.trousers, BOTH_SIDES, 8)


def _torso(mesh: Mesh, height: float, width: float, looks: _Looks, coat: bool) -> None:
    low = 0.34 if coat else 0.47
    right = [(width * 0.85, low), (width * 0.8, 0.6), (width, 0.79), (width * 0.4, 0.845)]
    shape = [*right, *((-u, v) for u, v in reversed(right))]
    mesh.face(flat([(u * height, v * height) for u, v in shape]), looks.jacket, BOTH_SIDES, 8)
    shade = [
        (width * 0.3, low),
        (width * 0.85, low),
        (width * 0.8, 0.6),
        (width, 0.79),
        (width * 0.4, 0.84),
    ]
    mesh.face(
        flat([(u * height, v * height) for u, v in shade]),
        tinted(looks.jacket, 0.82),
        BOTH_SIDES | DETAIL,
        8,
    )


def _arms(mesh: Mesh, height: float, width: float, swing: float, looks: _Looks) -> None:
    for side in (-1, 1):
        hand = (side * (width + 0.02 + swing) * height, 0.48 * height)
        _limb(
            mesh,
            (side * width * 0.92 * height, 0.79 * height),
            hand,
            0.055 * height,
            tinted(looks.jacket, 0.9),
        )
        mesh.disc(
            (*hand, 0.0), (0.02 * height, 0, 0), (0, 0.025 * height, 0), looks.skin, BOTH_SIDES
        )


def _bag(mesh: Mesh, height: float, width: float, draw: Draw) -> None:
    colour = _CLOTHES[int(draw.integers(len(_CLOTHES)))]
    x, y = width * height, draw.uniform(0.38, 0.62) * height
    size = 0.075 * height
    top, half = y + size * 2, size * 0.9
    outline = [(x - size, y), (x + size, y), (x + half, top), (x - half, top)]
    mesh.face(flat(outline), colour, BOTH_SIDES, 8)


def _head(
    mesh: Mesh,
    x: float,
    y: float,
    radius: float,
    looks: _Looks,
    helmet: bool = False,
    draw: Draw | None = None,
) -> None:
    _limb(mesh, (x, y - radius * 1.6), (x, y), radius * 0.9, looks.skin)
    mesh.disc((x, y, 0), (radius * 0.8, 0, 0), (0, radius * 1.05, 0), looks.skin, BOTH_SIDES)
    colour = looks.hair
    if helmet and draw is not None:
        colour = _CLOTHES[int(draw.integers(len(_CLOTHES)))]
    cap = [
        (-0.88, 0.1),
        (-0.8, 0.7),
        (-0.4, 1.15),
        (0.4, 1.15),
        (0.8, 0.7),
        (0.88, 0.1),
        (0.4, 0.4),
        (-0.4, 0.4),
    ]
    mesh.face(flat([(x + u * radius, y + v * radius) for u, v in cap]), colour, BOTH_SIDES, 8)

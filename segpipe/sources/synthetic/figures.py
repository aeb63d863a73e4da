"""Figures: people on foot, two-wheelers, and their riders (label `rider`).

All are flat drawings made of strokes. Those that are seen from the side look to the right.
"""

import math
from itertools import pairwise

from segpipe.sources.synthetic.mesh import Colour, Draw, Mesh, Pair, circle, pick, tinted
from segpipe.sources.synthetic.scene import Thing

_CLOTHES = (
    (34, 36, 42), (60, 64, 74), (48, 58, 92), (96, 100, 106), (150, 148, 142), (206, 202, 194),
    (150, 44, 44), (186, 120, 52), (64, 92, 72), (92, 62, 96), (112, 88, 66), (206, 178, 76),
)  # fmt: skip
_TROUSERS = ((36, 40, 56), (52, 62, 90), (32, 32, 34), (84, 80, 76), (120, 110, 92), (70, 74, 80))
_SKINS = ((226, 186, 158), (198, 150, 118), (150, 104, 76), (96, 66, 50))
_HAIR = ((38, 30, 26), (82, 58, 38), (146, 112, 66), (128, 126, 122), (20, 20, 22))
_PAINTS = (
    (30, 30, 34),
    (150, 34, 36),
    (44, 72, 120),
    (196, 196, 192),
    (60, 96, 74),
    (180, 130, 40),
)
_BLACK, _STEEL = (28, 28, 29), (140, 140, 142)

# Drawings: strokes from (x, y) to (x, y), their thickness, how many times as thick they end, and
# the place of their colour in the palette. Of those that are symmetrical only the right half.
_Strokes = tuple[tuple[float, float, float, float, float, float, int], ...]
_JACKET, _LEG, _SKIN, _SLEEVE, _FAR_LEG, _SHOE = range(6)
# In units of the height.
_LEGS: _Strokes = (
    (0.04, 0.50, 0.06, 0.27, 0.085, 0.75, _LEG), (0.06, 0.27, 0.08, 0.0, 0.065, 0.75, _LEG),
    (0.05, 0.018, 0.12, 0.018, 0.036, 1.0, _SHOE),
)  # fmt: skip
_TRUNK: _Strokes = (
    (0.0, 0.47, 0.0, 0.79, 0.21, 1.25, _JACKET), (0.0, 0.79, 0.0, 0.845, 0.26, 0.4, _JACKET),
    (0.11, 0.79, 0.15, 0.47, 0.055, 0.75, _SLEEVE), (0.15, 0.48, 0.15, 0.44, 0.035, 0.8, _SKIN),
)  # fmt: skip
# In metres from the saddle.
_FROM_BEHIND: _Strokes = (
    (0.1, 0.0, 0.17, -0.36, 0.1, 1.0, _LEG), (0.17, -0.36, 0.13, -0.7, 0.08, 1.0, _LEG),
    (0.0, -0.08, 0.0, 0.5, 0.38, 1.26, _JACKET), (0.0, 0.5, 0.0, 0.6, 0.48, 0.5, _JACKET),
    (0.22, 0.5, 0.29, 0.14, 0.075, 1.0, _SLEEVE),
)  # fmt: skip
_FROM_THE_SIDE: _Strokes = (
    (-0.2, 0.0, 0.22, -0.1, 0.13, 1.0, _FAR_LEG), (0.22, -0.1, 0.16, -0.42, 0.1, 1.0, _FAR_LEG),
    (-0.2, 0.0, 0.16, -0.22, 0.14, 1.0, _LEG), (0.16, -0.22, 0.06, -0.66, 0.1, 1.0, _LEG),
    (-0.2, -0.05, 0.12, 0.5, 0.27, 1.0, _JACKET), (0.12, 0.5, 0.46, 0.12, 0.085, 1.0, _SLEEVE),
)  # fmt: skip
# Machines in metres from the ground below their middle; palette: paint, black, steel, engine.
_BICYCLE: _Strokes = (
    (-0.52, 0.34, -0.05, 0.3, 0.05, 1.0, 0), (-0.05, 0.3, -0.23, 0.95, 0.05, 1.0, 0),
    (-0.2, 0.78, 0.36, 0.82, 0.05, 1.0, 0), (-0.05, 0.3, 0.36, 0.82, 0.05, 1.0, 0),
    (-0.52, 0.34, -0.2, 0.78, 0.05, 1.0, 0), (0.34, 1.04, 0.52, 0.34, 0.05, 1.0, 0),
    (-0.36, 0.97, -0.1, 0.97, 0.07, 1.0, 1),
)  # fmt: skip
_MOTORCYCLE: _Strokes = (
    (-0.9, 0.77, -0.3, 0.6, 0.12, 3.0, 0), (-0.4, 0.6, 0.5, 0.6, 0.4, 1.6, 0),
    (-0.3, 0.37, 0.32, 0.37, 0.3, 1.0, 3), (-0.75, 0.84, -0.1, 0.82, 0.1, 1.0, 1),
    (0.36, 1.12, 0.7, 0.32, 0.07, 1.0, 2),
)  # fmt: skip


def person(x: float, z: float, walk: float, draw: Draw) -> Thing:
    """Someone standing (`walk` 0), crossing the picture (metres/second), or strolling along it."""
    mesh, palette = Mesh(grain=8), _palette(draw)
    height = draw.uniform(1.55, 1.92) if draw.random() > 0.12 else draw.uniform(1.0, 1.4)
    stride, turned = (draw.uniform(1.2, 2.2), 0.75) if walk else (draw.uniform(0.6, 1.1), 1.0)
    _draw(mesh, _LEGS, palette, (height * stride, height), 0.0, mirrored=True)
    _draw(mesh, _TRUNK, palette, (height * turned, height), 0.0, mirrored=True)
    _head(mesh, (0, 0.93 * height), 0.065 * height, palette[_SKIN], pick(_HAIR, draw))
    along = 0.0 if walk else draw.choice((-1.2, 0.0, 1.2))
    return Thing("person", mesh, (x, z), shadow=0, velocity=(walk, along))


def parked(label: str, x: float, z: float, heading: float, draw: Draw) -> Thing:
    """A bicycle or motorcycle on its stand; with a heading of 0 it points along the street."""
    return Thing(label, _machine(label, draw), (x, z), heading - math.pi / 2, shadow=0)


def ridden(label: str, x: float, z: float, velocity: Pair, draw: Draw) -> list[Thing]:
    """A bicycle or motorcycle and its rider, annotated apart; `velocity` turns both."""
    heading, across = -math.atan2(velocity[1], velocity[0]), abs(velocity[0]) > abs(velocity[1])
    machine = Thing(label, _machine(label, draw), (x, z), heading, depth=z, velocity=velocity)
    mesh, palette, seat = Mesh(grain=8), _palette(draw), 0.98 if label == "bicycle" else 0.86
    strokes = _FROM_THE_SIDE if across else _FROM_BEHIND
    _draw(mesh, strokes, palette, (1.0, 1.0), seat, mirrored=not across)
    head, cap = (0.2 if across else 0.0, seat + 0.73), pick((*_HAIR, *_CLOTHES), draw)
    _head(mesh, head, 0.12, palette[_SKIN], cap)
    # Seen from the front the machine covers the rider's legs; else it is the other way round.
    depth, turn = z - math.copysign(0.01, velocity[1]), heading if across else 0.0
    rider = Thing("rider", mesh, (x, z), turn, depth=depth, shadow=0, velocity=velocity)
    return [machine, rider]


def _palette(draw: Draw) -> list[Colour]:
    jacket, trousers, skin = (pick(tones, draw) for tones in (_CLOTHES, _TROUSERS, _SKINS))
    tones = [tinted(tone, draw.uniform(0.85, 1.15)) for tone in (jacket, trousers, skin)]
    return [*tones, tinted(tones[0], 0.85), tinted(tones[1], 0.8), _BLACK]


def _draw(
    mesh: Mesh, strokes: _Strokes, palette: list[Colour], scale: Pair, low: float, mirrored: bool
) -> None:
    """Add strokes, scaled across and up, `low` metres up."""
    for side in (-1, 1) if mirrored else (1,):
        for x0, y0, x1, y1, thick, end, colour in strokes:
            a = (side * x0 * scale[0], low + y0 * scale[1])
            b = (side * x1 * scale[0], low + y1 * scale[1])
            mesh.stroke(a, b, thick * scale[1], palette[colour], end)


def _head(mesh: Mesh, at: Pair, r: float, skin: Colour, cap: Colour) -> None:
    mesh.stroke((at[0], at[1] - r * 1.6), at, r * 0.9, skin)
    mesh.spot(at, (r * 0.8, r * 1.05), skin)
    mesh.spot((at[0], at[1] + r * 0.6), (r * 0.85, r * 0.55), cap)


def _machine(label: str, draw: Draw) -> Mesh:
    """A bicycle or a motorcycle from the side; boxes keep it visible from its ends."""
    mesh = Mesh(grain=4)
    palette: list[Colour] = [pick(_PAINTS, draw), _BLACK, _STEEL, (62, 62, 66)]
    bicycle = label == "bicycle"
    for hub in (-0.52, 0.52) if bicycle else ():
        rim = [(hub + 0.32 * c, 0.34 + 0.32 * s) for c, s in circle(14)]
        for a, b in pairwise([*rim, rim[0]]):
            mesh.stroke(a, b, 0.05, _BLACK)
    for hub in () if bicycle else (-0.68, 0.7):
        mesh.spot((hub, 0.32), (0.32, 0.32), _BLACK)
        mesh.spot((hub, 0.32), (0.16, 0.16), _STEEL)
    _draw(mesh, _BICYCLE if bicycle else _MOTORCYCLE, palette, (1.0, 1.0), 0.0, mirrored=False)
    wide, high, bar = (0.025, 0.8, 0.26) if bicycle else (0.11, 0.8, 0.36)
    mesh.box((-0.26, -0.22, -wide, wide), (0.0, high), _BLACK)
    mesh.box((0.33, 0.37, -bar, bar), (1.0, 1.06), _BLACK)
    return mesh

"""Roadside: trees, hedges, walls, fences, lamps, traffic lights, signs, and clutter."""

import math
from collections.abc import Iterator

import numpy as np

from segpipe.sources.synthetic.mesh import Colour, Draw, Mesh, circle, cut, ordered, pick, tinted
from segpipe.sources.synthetic.scene import Thing
from segpipe.sources.synthetic.street import Lot

_LEAVES = ((66, 96, 44), (84, 112, 52), (58, 84, 50), (98, 112, 48), (52, 78, 40))
_AUTUMN = ((150, 112, 44), (136, 84, 40), (120, 116, 50), (98, 112, 48), (104, 70, 40))
_BRICKS = ((136, 84, 66), (150, 148, 142), (178, 172, 158), (112, 104, 96), (160, 128, 100))
_FENCES = ((112, 84, 60), (70, 74, 72), (200, 198, 190), (96, 112, 96), (140, 120, 96))
_STEEL = ((118, 122, 124), (92, 96, 98), (66, 74, 70), (140, 142, 142))
_CLUTTER = ((70, 92, 70), (60, 62, 66), (150, 150, 146), (170, 120, 50), (120, 60, 52))
_WHITE, _RED, _BLUE, _YELLOW = (236, 236, 232), (190, 34, 38), (34, 82, 160), (232, 190, 50)
_INK = (36, 36, 38)
# Of each lamp of a traffic light: its colour when it is lit, and when it is not.
_LAMPS = (
    ((255, 50, 40), (70, 22, 20)), ((255, 190, 40), (70, 56, 20)), ((60, 240, 130), (20, 62, 40)),
)  # fmt: skip
# Plates as layers of shape, size in units of the radius, and colour: a ban, a warning, an order,
# priority, and information.
_SQUARE = [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)]
_DIAMOND = [(0.0, -1.0), (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0)]
_TRIANGLE = [(-1.0, -0.75), (1.0, -0.75), (0.0, 1.0)]
_BAR = [(-0.12, -0.6), (0.12, -0.6), (0.12, 0.6), (-0.12, 0.6)]
_DISC = circle(10)
_PLATES = [
    [(_DISC, 1.0, _RED), (_DISC, 0.74, _WHITE), (_SQUARE, 0.32, _INK)],
    [(_TRIANGLE, 1.1, _RED), (_TRIANGLE, 0.68, _WHITE)],
    [(_DISC, 1.0, _BLUE), (_BAR, 1.0, _WHITE)],
    [(_DIAMOND, 1.05, _WHITE), (_DIAMOND, 0.75, _YELLOW)],
    [(_SQUARE, 1.0, _BLUE), (_TRIANGLE, 0.6, _WHITE)],
]
_BOARDS = ((_BLUE, _WHITE), (_YELLOW, _INK), (_WHITE, _INK))


def tree(x: float, z: float, autumn: bool, draw: Draw) -> Thing:
    """A broad-leaved tree, a slim poplar or a conifer; its trunk is vegetation too."""
    mesh = Mesh(grain=30)
    leaf = tinted(pick(_AUTUMN if autumn else _LEAVES, draw), draw.uniform(0.8, 1.2))
    kind, top, base = draw.random(), draw.uniform(5, 11), draw.uniform(1.6, 2.6)
    thick, bark = top * 0.057 + 0.16, (72 + draw.uniform(-12, 20), 60, 48)
    mesh.stroke((0, 0), (0, base + 0.3 * (top - base)), thick, bark, 0.54)
    right = (thick * 0.29, 0), (thick * 0.15, base + 0.3 * (top - base))
    mesh.stroke(*right, thick * 0.42, tinted(bark, 0.75), 0.54, Mesh.DETAIL)
    if kind < 0.15:
        radius, tier = draw.uniform(1.4, 2.2), (top - 0.5) / 6
        for k in range(6):
            a, b, wide = 0.5 + k * tier, 0.5 + (k + 1.2) * tier, radius * (2 - k / 3)
            mesh.stroke((0, a), (0, b), wide, tinted(leaf, 0.59 + 0.06 * k), 0.42)
    else:
        radius = (top - base) / 2 * draw.uniform(0.75, 1.1) * (0.45 if kind < 0.3 else 1.0)
        _crown(mesh, base, top, radius, leaf, 34 if z < 40 else 14, draw)
    return Thing("vegetation", mesh, (x, z), depth=z, shadow=radius * 0.7)


def _crown(
    mesh: Mesh, low: float, high: float, radius: float, leaf: Colour, clumps: int, draw: Draw
) -> None:
    """Add a ragged outline filled with clumps of leaves, lighter above than below."""
    y, tall = (high + low) / 2, (high - low) / 2
    reach = zip(circle(30), (1 - 0.24 * draw.random(30)).tolist(), strict=True)
    outline = [(radius * far * c, y + tall * far * s) for (c, s), far in reach]
    mesh.drawing(outline, tinted(leaf, 0.72))
    far, turn = np.sqrt(draw.random(clumps)) * 0.62, draw.uniform(0, 2 * math.pi, clumps)
    # From below upwards: the lighter clumps lie on top.
    for dy, dx in sorted(np.stack([far * np.sin(turn), far * np.cos(turn)], 1).tolist()):
        size, shade = draw.uniform(0.1, 0.2), 0.92 + 0.32 * dy + draw.uniform(-0.14, 0.2)
        at, radii = (radius * dx, y + tall * dy), (radius * size, tall * size)
        mesh.spot(at, radii, tinted(leaf, shade), Mesh.DETAIL)


def skyline(draw: Draw) -> Thing:
    """The trees and hills far behind everything, painted with the ground."""
    mesh, count, height = Mesh(grain=30), int(draw.integers(14, 26)), draw.uniform(8, 22)
    tops = height * draw.uniform(0.6, 1.1, count)
    tops = np.convolve(np.pad(tops, 1, mode="edge"), (0.3, 0.4, 0.3), mode="valid")
    crown = np.stack([np.linspace(-420, 420, count), tops], 1).tolist()
    outline = [(-420.0, -60.0), *crown, (420.0, -60.0)]
    mesh.drawing(outline, tinted(pick(_LEAVES, draw), draw.uniform(0.8, 1.2)))
    return Thing("vegetation", mesh, (0, 300), loop_L3=np.array([(x, y, 300) for x, y in outline]))


def hedge(lot: Lot, height: float, draw: Draw) -> Iterator[Thing]:
    """A cut hedge along the street, in pieces so that each is painted at its own depth."""
    colour = tinted(pick(_LEAVES, draw), draw.uniform(0.7, 1.1))
    for a, b in cut(lot.near, lot.far, 2.5):
        mesh, tone = Mesh(grain=36), tinted(colour, draw.uniform(0.92, 1.08))
        mesh.box((*ordered(lot.line, lot.back(0.7)), a, b), (0, height), tone)
        yield Thing("vegetation", mesh, depth=b, shadow=0)


def wall(lot: Lot, height: float, draw: Draw) -> Iterator[Thing]:
    """A masonry wall along the street, in pieces as a hedge is."""
    colour, courses = pick(_BRICKS, draw), 5 if draw.random() < 0.6 else 0
    for a, b in cut(lot.near, lot.far, 2.5):
        mesh, tone = Mesh(grain=16), tinted(colour, draw.uniform(0.97, 1.03))
        sides = mesh.box((*ordered(lot.line, lot.back(0.3)), a, b), (0, height), tone)
        face = sides["left" if lot.side > 0 else "right"]
        for v in [(k + 1) / 6 for k in range(courses)]:
            mesh.panels(face, (0, 1), (v - 0.012, v + 0.012), tinted(colour, 0.82))
        mesh.panels(face, (0, 1), (0.94, 1), tinted(colour, 1.16))
        yield Thing("wall", mesh, depth=b, shadow=0)


def fence(lot: Lot, height: float, draw: Draw) -> Iterator[Thing]:
    """A fence of boards, bars or wire; annotated as one surface, though one sees through it."""
    colour, x, both = pick(_FENCES, draw), lot.line, Mesh.BOTH_SIDES
    step, thick = pick(((0.16, 0.11), (0.2, 0.035), (0.12, 0.02)), draw)
    for a, b in cut(lot.near, lot.far, 2.5):
        mesh, finer = Mesh(), (b - a) * (1.0 if a < 30 else 0.5)
        quad = ((x, 0, a), (x, 0, b), (x, height, b), (x, height, a))
        mesh.face(quad, colour, Mesh.UNSEEN | both)
        for v in (0.18, 0.82):
            mesh.panels([quad], (0, 1), (v, v + 0.07 / height), tinted(colour, 0.85), both)
        for u in np.arange(0, 1, step / finer).tolist():
            mesh.panels([quad], (u, u + thick / finer), (0.03, 1), colour, both)
        yield Thing("fence", mesh, depth=b)


def lamp(x: float, z: float, side: int, lit: bool, draw: Draw) -> Thing:
    """A street lamp whose arm reaches over the road."""
    steel, height, reach = (
        pick(_STEEL, draw),
        draw.uniform(5.0, 8.5),
        -side * draw.uniform(0.8, 2.2),
    )
    mesh, y = _post(0.15, height, steel, reach), height - 0.04
    bulb, flags = ((255, 224, 160), Mesh.GLOWS) if lit else (tinted(steel, 1.2), 0)
    mesh.stroke((reach - 0.35, y), (reach + 0.35, y), 0.24, bulb, flags=flags)
    return Thing("pole", mesh, (x, z), shadow=0.1)


def traffic_light(x: float, z: float, over: float, phase: int, draw: Draw) -> Iterator[Thing]:
    """A post with a signal head, and a second head `over` metres along an arm (0 for none)."""
    post = _post(0.16, 5.6 if over else 3.1, pick(_STEEL, draw), over)
    yield Thing("pole", post, (x, z), shadow=0.1)
    for place, low in [(x, 2.3), (x + over * 0.95, 5.0)] if over else [(x, 2.3)]:
        mesh = Mesh(grain=0)
        mesh.stroke((0, low), (0, low + 1), 0.38, (24, 26, 26))
        for k, (lit, dark) in enumerate(_LAMPS):
            colour, flags = (lit, Mesh.GLOWS) if k == phase else (dark, 0)
            mesh.spot((0, low + 0.83 - 0.33 * k), (0.12, 0.12), colour, flags | Mesh.DETAIL)
        yield Thing("traffic light", mesh, (place, z - 0.05))


def sign(x: float, z: float, side: int, draw: Draw) -> Iterator[Thing]:
    """A post with one or two traffic signs, sometimes a large board on two posts."""
    steel, height = pick(_STEEL, draw), draw.uniform(2.3, 3.2)
    yield Thing("pole", _post(0.1, height, steel), (x, z), shadow=0.08)
    if draw.random() < 0.12:
        yield Thing("pole", _post(0.1, height, steel), (x + 1.8 * side, z), shadow=0.08)
        mesh, (colour, ink) = Mesh(grain=0), pick(_BOARDS, draw)
        mesh.stroke((0, 2.2), (0, 3.5), 2.6, _WHITE)
        mesh.stroke((0, 2.26), (0, 3.44), 2.44, colour, flags=Mesh.DETAIL)
        for y in (2.53, 2.86, 3.18):
            mesh.stroke((-1.0, y), (draw.uniform(0.0, 0.9), y), 0.14, ink, flags=Mesh.DETAIL)
        yield Thing("traffic sign", mesh, (x + 0.9 * side, z - 0.03))
        return
    for drop in (0.35, 1.05) if draw.random() < 0.3 else (0.35,):
        mesh, radius, y = Mesh(grain=0), draw.uniform(0.28, 0.42), height - drop
        for layer, (shape, size, colour) in enumerate(pick(_PLATES, draw)):
            outline = [(u * radius * size, y + v * radius * size) for u, v in shape]
            mesh.drawing(outline, colour, Mesh.DETAIL if layer else 0)
        yield Thing("traffic sign", mesh, (x, z - 0.03))


def clutter(x: float, z: float, draw: Draw) -> Thing:
    """A bin, an advertising column, a box or a bollard: label `static`, which is void."""
    mesh, colour = Mesh(grain=10), pick(_CLUTTER, draw)
    half, height = pick(((0.6, 2.6), (0.3, 1.1), (0.4, 1.3), (0.09, 0.9)), draw)
    sides = mesh.box((-half, half, -half, half), (0, height), colour)
    mesh.panels(sides["rear"], (0.1, 0.9), (0.25, 0.9), tinted(colour, 1.25))
    return Thing("static", mesh, (x, z), shadow=0)


def _post(thick: float, height: float, colour: Colour, reach: float = 0.0) -> Mesh:
    """An upright post, darker on its right side, with an arm at its top that reaches so far."""
    mesh, right = Mesh(grain=4), thick * 0.3
    mesh.stroke((0, 0), (0, height), thick, colour, 0.8)
    shade = tinted(colour, 0.7)
    mesh.stroke((right, 0), (right, height), thick * 0.4, shade, 0.8, Mesh.DETAIL)
    if reach:
        mesh.stroke((0, height - 0.02), (reach, height - 0.02), 0.14, colour)
    return mesh

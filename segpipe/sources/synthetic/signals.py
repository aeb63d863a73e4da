"""Signals: traffic lights and traffic signs with their posts."""

import numpy as np

from segpipe.sources.synthetic.mesh import (
    BOTH_SIDES,
    DETAIL,
    GLOWS,
    Colour,
    Mesh,
    Point,
    Quad,
    flat,
    panel,
)
from segpipe.sources.synthetic.posts import STEEL, add_post, pick
from segpipe.sources.synthetic.scene import Thing, thing

Draw = np.random.Generator
Shape = tuple[tuple[float, float], ...]
_WHITE, _RED, _BLUE = (236, 236, 232), (190, 34, 38), (34, 82, 160)
_SQUARE: Shape = ((-1, -1), (1, -1), (1, 1), (-1, 1))
_DIAMOND: Shape = ((0, -1), (1, 0), (0, 1), (-1, 0))
_TRIANGLE: Shape = ((-1, -0.75), (1, -0.75), (0, 1))
_BAR: Shape = ((-0.12, -0.6), (0.12, -0.6), (0.12, 0.6), (-0.12, 0.6))


def traffic_light(x: float, z: float, over: float, phase: int, draw: Draw) -> list[Thing]:
    """A post with a signal head, and a second head `over` metres along an arm (0 for none)."""
    mesh = Mesh()
    height = 5.6 if over else 3.1
    steel = pick(STEEL, draw)
    add_post(mesh, 0.08, height, steel)
    if over:
        a, b = sorted((0.0, over))
        mesh.face(
            flat([(a, height - 0.1), (b, height - 0.1), (b, height + 0.05), (a, height + 0.05)]),
            steel,
            BOTH_SIDES,
            0,
        )
    post = thing("pole", mesh, at=(x, z), footprint=(x - 0.1, x + 0.1, z - 0.1, z + 0.1, height))
    heads = [_signal(x, 2.3, z, phase)]
    if over:
        heads.append(_signal(x + over * 0.95, 5.0, z, phase))
    return [post, *heads]


def sign(x: float, z: float, draw: Draw) -> list[Thing]:
    """A post with one or two traffic signs."""
    mesh = Mesh()
    height = draw.uniform(2.3, 3.2)
    add_post(mesh, 0.04, height, pick(STEEL, draw))
    post = thing(
        "pole", mesh, at=(x, z), footprint=(x - 0.05, x + 0.05, z - 0.05, z + 0.05, height)
    )
    plates = [_plate(x, height - 0.35, z - 0.03, draw)]
    if draw.random() < 0.3:
        plates.append(_plate(x, height - 1.05, z - 0.03, draw))
    return [post, *plates]


def direction_sign(x: float, z: float, draw: Draw) -> list[Thing]:
    """A large board on two posts."""
    things = []
    for post_x in (x - 0.9, x + 0.9):
        mesh = Mesh()
        add_post(mesh, 0.06, 2.6, (120, 124, 126))
        foot = (post_x - 0.1, post_x + 0.1, z, z + 0.1, 2.6)
        things.append(thing("pole", mesh, at=(post_x, z), footprint=foot))
    board = Mesh()
    colour = pick(((36, 72, 140), (226, 200, 60), (228, 228, 224)), draw)
    quad: Quad = ((-1.3, 2.2, 0.0), (1.3, 2.2, 0.0), (1.3, 3.5, 0.0), (-1.3, 3.5, 0.0))
    board.face(quad, (236, 236, 232), BOTH_SIDES, 0)
    inside = BOTH_SIDES | DETAIL
    board.face(panel(quad, 0.03, 0.97, 0.05, 0.95), colour, inside, 0)
    ink: Colour = (30, 30, 30) if sum(colour) > 400 else (236, 236, 232)
    for low in (0.2, 0.45, 0.7):
        board.face(panel(quad, 0.12, draw.uniform(0.5, 0.85), low, low + 0.11), ink, inside, 0)
    return [*things, thing("traffic sign", board, at=(x, z - 0.03))]


def _signal(x: float, y: float, z: float, phase: int) -> Thing:
    mesh = Mesh()
    mesh.face(
        flat([(-0.19, y), (0.19, y), (0.19, y + 1.0), (-0.19, y + 1.0)]),
        (24, 26, 26),
        BOTH_SIDES,
        0,
    )
    lit: tuple[Colour, ...] = ((255, 50, 40), (255, 190, 40), (60, 240, 130))
    dark: tuple[Colour, ...] = ((70, 22, 20), (70, 56, 20), (20, 62, 40))
    for k in range(3):
        on = k == phase
        centre = (0.0, y + 0.83 - 0.33 * k, 0.0)
        mesh.disc(
            centre,
            (0.12, 0, 0),
            (0, 0.12, 0),
            lit[k] if on else dark[k],
            BOTH_SIDES | DETAIL | (GLOWS if on else 0),
        )
    return thing("traffic light", mesh, at=(x, z - 0.05))


def _plate(x: float, y: float, z: float, draw: Draw) -> Thing:
    """One plate: a ban, a warning, an order, priority, or information."""
    mesh = Mesh()
    r = draw.uniform(0.28, 0.42)
    inside = BOTH_SIDES | DETAIL
    match int(draw.integers(5)):
        case 0:
            mesh.disc((0, y, 0), (r, 0, 0), (0, r, 0), _RED, BOTH_SIDES)
            mesh.disc((0, y, 0), (r * 0.74, 0, 0), (0, r * 0.74, 0), _WHITE, inside)
            mesh.face(_drawn(_SQUARE, y, r * 0.32), (40, 40, 42), inside, 0)
        case 1:
            mesh.face(_drawn(_TRIANGLE, y, r * 1.1), _RED, BOTH_SIDES, 0)
            mesh.face(_drawn(_TRIANGLE, y, r * 0.68), _WHITE, inside, 0)
        case 2:
            mesh.disc((0, y, 0), (r, 0, 0), (0, r, 0), _BLUE, BOTH_SIDES)
            mesh.face(_drawn(_BAR, y, r), _WHITE, inside, 0)
        case 3:
            mesh.face(_drawn(_DIAMOND, y, r * 1.05), _WHITE, BOTH_SIDES, 0)
            mesh.face(_drawn(_DIAMOND, y, r * 0.75), (232, 190, 50), inside, 0)
        case _:
            mesh.face(_drawn(_SQUARE, y, r), _BLUE, BOTH_SIDES, 0)
            mesh.face(_drawn(_TRIANGLE, y, r * 0.6), _WHITE, inside, 0)
    return thing("traffic sign", mesh, at=(x, z))


def _drawn(shape: Shape, y: float, size: float) -> list[Point]:
    return flat([(u * size, y + v * size) for u, v in shape])

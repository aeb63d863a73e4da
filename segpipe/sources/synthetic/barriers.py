"""Barriers along the street: walls and fences."""

import numpy as np

from segpipe.sources.synthetic.mesh import (
    BOTH_SIDES,
    DETAIL,
    UNSEEN,
    Mesh,
    panel,
    pieces_of,
    tinted,
)
from segpipe.sources.synthetic.posts import pick
from segpipe.sources.synthetic.scene import Thing, thing

Draw = np.random.Generator
_BRICKS = ((136, 84, 66), (150, 148, 142), (178, 172, 158), (112, 104, 96), (160, 128, 100))


def wall(
    front_x: float, side: int, near: float, far: float, height: float, draw: Draw
) -> list[Thing]:
    """A masonry wall along the street, in short pieces for the painter's order."""
    colour = pick(_BRICKS, draw)
    courses = draw.random() < 0.6
    x0, x1 = sorted((front_x, front_x + side * 0.3))
    pieces = []
    for a, b in pieces_of(near, far, 2.5):
        mesh = Mesh()
        sides = mesh.box(
            (x0, x1), (0, height), (a, b), tinted(colour, draw.uniform(0.97, 1.03)), 16
        )
        face = sides["left" if side > 0 else "right"]
        for k in range(1, 6):
            if courses:
                mesh.face(
                    panel(face, 0, 1, k / 6 - 0.012, k / 6 + 0.012),
                    tinted(colour, 0.82),
                    DETAIL,
                    16,
                )
        mesh.face(panel(face, 0, 1, 0.94, 1), tinted(colour, 1.16), DETAIL, 6)
        pieces.append(thing("wall", mesh, depth=b, footprint=(x0, x1, a, b, height)))
    return pieces


def fence(x: float, near: float, far: float, height: float, draw: Draw) -> list[Thing]:
    """A fence of boards, bars or wire; annotated as one surface, though one sees through it."""
    kind = draw.random()
    colour = pick(
        ((112, 84, 60), (70, 74, 72), (200, 198, 190), (96, 112, 96), (140, 120, 96)), draw
    )
    step, thick = (0.16, 0.11) if kind < 0.4 else (0.2, 0.035) if kind < 0.75 else (0.12, 0.02)
    pieces = []
    for a, b in pieces_of(near, far, 2.5):
        mesh = Mesh()
        mesh.face(
            [(x, 0, a), (x, 0, b), (x, height, b), (x, height, a)], colour, UNSEEN | BOTH_SIDES
        )
        for low in (0.18, 0.82):
            y = height * low
            mesh.face(
                [(x, y, a), (x, y, b), (x, y + 0.07, b), (x, y + 0.07, a)],
                tinted(colour, 0.85),
                BOTH_SIDES | DETAIL,
            )
        for z in np.arange(a, b, step if a < 30 else step * 2).tolist():
            end = z + (thick if a < 30 else thick * 2)
            mesh.face(
                [(x, 0.05, z), (x, 0.05, end), (x, height, end), (x, height, z)],
                colour,
                BOTH_SIDES | DETAIL,
                8,
            )
        if kind >= 0.75:
            mesh.face(
                [(x, 0, a), (x, 0, a + 0.08), (x, height, a + 0.08), (x, height, a)],
                tinted(colour, 0.7),
                BOTH_SIDES | DETAIL,
            )
        pieces.append(thing("fence", mesh, depth=b))
    return pieces

"""Street furniture: lamps, and clutter that counts nowhere."""

import numpy as np

from segpipe.sources.synthetic.mesh import BOTH_SIDES, DETAIL, GLOWS, Mesh, flat, panel, tinted
from segpipe.sources.synthetic.posts import STEEL, add_post, pick
from segpipe.sources.synthetic.scene import Thing, thing

Draw = np.random.Generator


def lamp(x: float, z: float, side: int, lamps: bool, draw: Draw) -> Thing:
    """A street lamp whose arm reaches over the road."""
    mesh = Mesh()
    steel, height = pick(STEEL, draw), draw.uniform(5.0, 8.5)
    add_post(mesh, 0.075, height, steel)
    reach = -side * draw.uniform(0.8, 2.2)
    a, b = sorted((0.0, reach))
    mesh.face(
        flat([(a, height - 0.08), (b, height - 0.08), (b, height + 0.06), (a, height + 0.06)]),
        steel,
        BOTH_SIDES,
        0,
    )
    head = flat(
        [
            (reach - 0.35, height - 0.16),
            (reach + 0.35, height - 0.16),
            (reach + 0.3, height + 0.08),
            (reach - 0.3, height + 0.08),
        ]
    )
    mesh.face(
        head,
        (255, 224, 160) if lamps else tinted(steel, 1.2),
        BOTH_SIDES | (GLOWS if lamps else 0),
        0,
    )
    return thing("pole", mesh, at=(x, z), footprint=(x - 0.1, x + 0.1, z - 0.1, z + 0.1, height))


def clutter(x: float, z: float, draw: Draw) -> Thing:
    """A bin, an advertising column, a box or a bollard: label `static`, which is void."""
    mesh = Mesh()
    colour = pick(
        ((70, 92, 70), (60, 62, 66), (150, 150, 146), (170, 120, 50), (120, 60, 52)), draw
    )
    half, height = (
        (0.6, 2.6), (0.3, 1.1), (0.4, 1.3), (0.09, 0.9),
    )[int(draw.integers(4))]  # fmt: skip
    sides = mesh.box((-half, half), (0, height), (-half, half), colour, 10)
    mesh.face(panel(sides["rear"], 0.1, 0.9, 0.25, 0.9), tinted(colour, 1.25), DETAIL, 14)
    return thing("static", mesh, at=(x, z), tall=height)

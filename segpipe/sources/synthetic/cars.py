"""Cars of several shapes."""

from dataclasses import dataclass

import numpy as np

from segpipe.sources.synthetic.bodywork import GLASS, Place, hubs, lights, placed, wheels
from segpipe.sources.synthetic.mesh import DETAIL, Colour, Mesh, Quad, panel, tinted
from segpipe.sources.synthetic.scene import Thing

Draw = np.random.Generator
_PAINTS = (
    (30, 31, 34), (58, 60, 64), (120, 122, 126), (176, 178, 181), (222, 222, 220), (34, 46, 84),
    (70, 92, 128), (128, 28, 32), (92, 24, 28), (44, 70, 56), (150, 132, 104), (196, 168, 60),
)  # fmt: skip


@dataclass(frozen=True)
class _Shape:
    """Proportions of a car: metres, and shares of its length for the cabin's foot and roof."""

    length: float
    width: float
    height: float
    belt: float
    foot: tuple[float, float]
    roof: tuple[float, float]


_SHAPES = (
    _Shape(4.1, 1.76, 1.48, 0.92, (0.02, 0.74), (0.10, 0.54)),  # hatchback
    _Shape(4.6, 1.82, 1.45, 0.92, (0.13, 0.76), (0.26, 0.58)),  # saloon
    _Shape(4.7, 1.82, 1.50, 0.94, (0.01, 0.76), (0.07, 0.58)),  # estate
    _Shape(4.5, 1.88, 1.72, 1.06, (0.01, 0.78), (0.08, 0.60)),  # off-roader
    _Shape(4.9, 1.95, 1.98, 1.10, (0.00, 0.86), (0.02, 0.70)),  # van
)


def car(place: Place, lamps: bool, draw: Draw) -> Thing:
    """A car: body, cabin with glass all round, lights, plates, wheels."""
    mesh = Mesh()
    shape = _SHAPES[int(draw.integers(len(_SHAPES)))]
    paint = tinted(_PAINTS[int(draw.integers(len(_PAINTS)))], draw.uniform(0.85, 1.15))
    half, length = shape.width / 2, shape.length
    wheels(mesh, half, length, 0.32, (0.19, 0.80))
    sill = mesh.prism(
        (-half, half, 0.05, length - 0.05), (-half, half, 0, length), (0.2, 0.62), paint, 3
    )
    body = mesh.prism(
        (-half, half, 0, length),
        (-half + 0.06, half - 0.06, 0.05, length - 0.14),
        (0.62, shape.belt),
        tinted(paint, 1.06),
        3,
    )
    _ends(mesh, sill, body, lamps)
    _flanks(mesh, sill, paint)
    _cabin(mesh, shape, paint)
    hubs(mesh, half, length, 0.32, (0.19, 0.80))
    return placed("car", mesh, length, shape.height, place)


def _ends(mesh: Mesh, sill: dict[str, Quad], body: dict[str, Quad], lamps: bool) -> None:
    for name in ("front", "rear"):
        mesh.face(panel(sill[name], 0.02, 0.98, 0, 0.35), (44, 44, 46), DETAIL, 2)
        plate: Colour = (226, 224, 214)
        mesh.face(panel(sill[name], 0.36, 0.64, 0.5, 0.78), plate, DETAIL, 0)
    mesh.face(panel(body["front"], 0.25, 0.75, 0.2, 0.75), (36, 36, 38), DETAIL, 4)
    lights(mesh, body["front"], (0.03, 0.22), (0.25, 0.85), lamps, front=True)
    lights(mesh, body["rear"], (0.02, 0.2), (0.25, 0.9), lamps, front=False)


def _flanks(mesh: Mesh, sill: dict[str, Quad], paint: Colour) -> None:
    for name in ("left", "right"):
        mesh.face(panel(sill[name], 0.05, 0.95, 0, 0.12), (40, 40, 42), DETAIL, 2)
        for share in (0.34, 0.56):
            mesh.face(
                panel(sill[name], share, share + 0.008, 0.1, 1), tinted(paint, 0.6), DETAIL, 0
            )


def _cabin(mesh: Mesh, shape: _Shape, paint: Colour) -> None:
    half, length = shape.width / 2, shape.length
    cabin = mesh.prism(
        (-half + 0.07, half - 0.07, shape.foot[0] * length + 0.03, shape.foot[1] * length),
        (-half + 0.22, half - 0.22, shape.roof[0] * length + 0.06, shape.roof[1] * length),
        (shape.belt, shape.height),
        paint,
        3,
    )
    for name in ("front", "rear"):
        glass = panel(cabin[name], 0.07, 0.93, 0.1, 0.88)
        mesh.face(glass, GLASS, DETAIL, 2)
        mesh.face(panel(glass, 0, 1, 0.6, 1), tinted(GLASS, 1.5), DETAIL, 2)
    for name in ("left", "right"):
        for a, b in ((0.08, 0.46), (0.5, 0.92)):
            mesh.face(panel(cabin[name], a, b, 0.1, 0.88), tinted(GLASS, 1.15), DETAIL, 2)

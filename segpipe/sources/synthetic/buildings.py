"""Buildings: rows of town houses, shops, halls and detached houses along the street."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from segpipe.sources.synthetic.mesh import DETAIL, GLOWS, Colour, Mesh, Quad, panel, tinted
from segpipe.sources.synthetic.scene import Thing, thing

Draw = np.random.Generator
_ROOFS = ((128, 68, 52), (96, 62, 54), (82, 84, 90), (108, 104, 100), (70, 64, 62))
_SHOPS = ((150, 40, 40), (40, 80, 120), (210, 190, 90), (50, 95, 70), (60, 60, 64), (225, 222, 214))


@dataclass(frozen=True)
class Front:
    """Where a building stands: which side of the street (-1 left, 1 right), from where to where.

    line: x of the facade. depth: metres from the facade to the back.
    """

    side: int
    line: float
    near: float
    far: float
    depth: float

    def facade(self, near: float, far: float, low: float, high: float) -> Quad:
        """Return the part of the street side between two depths and two heights."""
        a, b = (far, near) if self.side > 0 else (near, far)
        x = self.line
        return ((x, low, a), (x, low, b), (x, high, b), (x, high, a))

    def end(self, low: float, high: float) -> Quad:
        """Return the side that looks at the camera."""
        x0, x1 = sorted((self.line, self.line + self.side * self.depth))
        return (
            (x0, low, self.near),
            (x1, low, self.near),
            (x1, high, self.near),
            (x0, high, self.near),
        )


def town_house(front: Front, plaster: Colour, floors: int, lamps: bool, draw: Draw) -> Thing:
    """A house of a closed row: floors of windows, shops or doors below, a cornice, a roof."""
    mesh = Mesh()
    storey, ground = draw.uniform(2.9, 3.6), draw.uniform(3.4, 4.4)
    height = ground + storey * (floors - 1) + 0.7
    _walls(mesh, front, height, plaster)
    for low, high, factor in (
        (0.0, 0.6, 0.72),
        (height - 0.5, height, 1.14),
        (ground - 0.3, ground, 1.1),
    ):
        mesh.face(front.facade(front.near, front.far, low, high), tinted(plaster, factor), DETAIL)
    trim = tinted(plaster, draw.uniform(1.1, 1.3)) if draw.random() < 0.6 else (232, 230, 224)
    bay = draw.uniform(2.1, 3.2)
    shares = (draw.uniform(0.2, 0.32), draw.uniform(0.68, 0.8))
    balconies = draw.random() < 0.3
    for floor in range(1, floors):
        low = ground + storey * (floor - 1)
        _row(mesh, front, (low + 0.7, low + storey - 0.45), bay, shares, trim, lamps, draw)
        if balconies and floor % 2:
            _balconies(mesh, front, low, bay)
    _ground_floor(mesh, front, ground, bay, trim, lamps, draw)
    _end_windows(mesh, front, ground, storey, floors, lamps, draw)
    _roof(mesh, front, height, plaster, draw)
    return _standing(mesh, front, height)


def office(front: Front, tone: Colour, floors: int, lamps: bool, draw: Draw) -> Thing:
    """A block with bands or a skin of glass."""
    mesh = Mesh()
    storey = draw.uniform(3.2, 3.8)
    height = storey * floors + 0.6
    _walls(mesh, front, height, tone)
    share = draw.uniform(0.45, 0.8)
    for floor in range(floors):
        low = floor * storey + storey * (1 - share) * 0.6
        span = (low, low + storey * share)
        _row(
            mesh, front, span, draw.uniform(1.4, 2.0), (0.04, 0.96), tinted(tone, 0.7), lamps, draw
        )
        quad = panel(front.end(span[0], span[1]), 0.08, 0.92, 0, 1)
        mesh.face(quad, _glass(draw), DETAIL, 3)
    return _standing(mesh, front, height)


def hall(front: Front, tone: Colour, draw: Draw) -> Thing:
    """An industrial hall: ribbed sheet metal or brick, high narrow windows, gates."""
    mesh = Mesh()
    height = draw.uniform(5, 9)
    _walls(mesh, front, height, tone)
    mesh.face(front.facade(front.near, front.far, 0, 1.1), tinted(tone, 0.75), DETAIL, 12)
    step = draw.uniform(1.2, 2.5)
    for z in np.arange(front.near + 0.4, front.far - 0.4, step).tolist():
        mesh.face(front.facade(z, z + 0.15, 1.1, height), tinted(tone, 0.88), DETAIL)
    strip = (height * 0.68, height * 0.86)
    mesh.face(front.facade(front.near + 1, front.far - 1, *strip), _glass(draw), DETAIL, 3)
    gate = draw.uniform(front.near + 1, max(front.near + 1.5, front.far - 6))
    colour = _SHOPS[int(draw.integers(len(_SHOPS)))]
    mesh.face(front.facade(gate, min(gate + 4.5, front.far), 0, height * 0.55), colour, DETAIL)
    return _standing(mesh, front, height)


def house(front: Front, plaster: Colour, lamps: bool, draw: Draw) -> Thing:
    """A detached house with a gable towards the camera."""
    mesh = Mesh()
    wall, ridge = draw.uniform(3.0, 6.2), draw.uniform(2.2, 3.8)
    _walls(mesh, front, wall, plaster)
    x0, x1 = sorted((front.line, front.line + front.side * front.depth))
    middle, z0, z1 = (x0 + x1) / 2, front.near, front.far
    mesh.face([(x0, wall, z0), (x1, wall, z0), (middle, wall + ridge, z0)], plaster, 0, 6)
    tiles = _ROOFS[int(draw.integers(len(_ROOFS)))]
    over = 0.4
    left = ((x0 - over, wall - 0.2, z1), (x0 - over, wall - 0.2, z0 - over))
    right = ((x1 + over, wall - 0.2, z0 - over), (x1 + over, wall - 0.2, z1))
    for foot, a, b in ((left, z0 - over, z1), (right, z1, z0 - over)):
        mesh.face([*foot, (middle, wall + ridge, a), (middle, wall + ridge, b)], tiles, 0, 16)
    chimney = draw.uniform(z0 + 1, z1 - 1)
    mesh.box((middle - 0.3, middle + 0.3), (wall + ridge * 0.6, wall + ridge + 0.7),
             (chimney, chimney + 0.6), (120, 80, 66))  # fmt: skip
    trim = (228, 226, 220)
    floors = 2 if wall > 4.6 else 1
    for floor in range(floors):
        low = 0.9 + floor * 2.7
        _row(mesh, front, (low, low + 1.4), draw.uniform(2.4, 3.4), (0.28, 0.74), trim, lamps, draw)
        end = front.end(low, low + 1.4)
        for left_share in (0.15, 0.6):
            _window(mesh, panel(end, left_share, left_share + 0.2, 0, 1), trim, lamps, draw)
    door = (front.near + front.far) / 2 - 0.5
    mesh.face(front.facade(door, door + 1.1, 0, 2.1), _SHOPS[int(draw.integers(5))], DETAIL)
    return _standing(mesh, front, wall + ridge / 2)


def _standing(mesh: Mesh, front: Front, height: float) -> Thing:
    """Place a finished building; all that stands beside it in the street is painted later."""
    return thing("building", mesh, depth=front.far + 0.5, tall=height)


def _walls(mesh: Mesh, front: Front, height: float, colour: Colour) -> None:
    # Pieces, because a street may bend and each face is flat.
    pieces = max(1, round((front.far - front.near) / 6))
    edges = np.linspace(front.near, front.far, pieces + 1).tolist()
    mesh.face(front.end(0, height), colour, 0, 6)
    for near, far in reversed(list(pairwise(edges))):
        mesh.face(front.facade(near, far, 0, height), colour, 0, 6)


def _roof(mesh: Mesh, front: Front, height: float, wall: Colour, draw: Draw) -> None:
    tiles = _ROOFS[int(draw.integers(len(_ROOFS)))]
    rise, back = draw.uniform(1.5, 3.4), front.line + front.side * draw.uniform(2.0, 5.0)
    slope = front.facade(front.near, front.far, height, height + rise)
    top = [(back, y, z) if y > height else (x, y, z) for x, y, z in slope]
    x0, x1 = sorted((front.line, front.line + front.side * front.depth))
    gable = [(x0, height, front.near), (x1, height, front.near), (back, height + rise, front.near)]
    mesh.face(gable, wall, 0, 6)
    mesh.face(top, tiles, 0, 14)
    for _ in range(int(draw.integers(0, 3))):
        z = draw.uniform(front.near, front.far - 0.8)
        mesh.box((back - 0.4, back + 0.4), (height + rise - 0.4, height + rise + 1.0),
                 (z, z + 0.7), (118, 84, 70))  # fmt: skip
    if draw.random() < 0.5:
        for z in np.arange(front.near + 1.2, front.far - 1.6, draw.uniform(3, 5)).tolist():
            dormer = front.facade(z, z + 1.2, height + 0.3, height + 1.5)
            mesh.face(dormer, tinted(tiles, 0.8), 0)
            mesh.face(panel(dormer, 0.15, 0.85, 0.15, 0.85), _glass(draw), DETAIL, 3)


def _row(
    mesh: Mesh,
    front: Front,
    span: tuple[float, float],
    bay: float,
    shares: tuple[float, float],
    trim: Colour,
    lamps: bool,
    draw: Draw,
) -> None:
    """Add a row of windows; far away, where frames are below a pixel, only the panes."""
    count = max(1, round((front.far - front.near) / bay))
    width = (front.far - front.near) / count
    for k in range(count):
        z = front.near + k * width
        quad = front.facade(z + shares[0] * width, z + shares[1] * width, span[0], span[1])
        _window(mesh, quad, trim if front.near < 45 else None, lamps, draw)


def _window(mesh: Mesh, quad: Quad, trim: Colour | None, lamps: bool, draw: Draw) -> None:
    lit = lamps and draw.random() < 0.35
    glass: Colour = (250, 205, 130) if lit else _glass(draw)
    flags = DETAIL | GLOWS if lit else DETAIL
    if trim is None:
        mesh.face(quad, glass, flags, 0)
        return
    mesh.face(quad, trim, DETAIL, 3)
    mesh.face(panel(quad, 0.09, 0.91, 0.07, 0.93), glass, flags, 0)
    if draw.random() < 0.4:  # what the pane mirrors: the sky above, or a curtain
        mesh.face(panel(quad, 0.09, 0.91, 0.55, 0.93), tinted(glass, 1.35), flags, 0)
    mesh.face(panel(quad, 0.46, 0.54, 0.07, 0.93), trim, DETAIL, 0)


def _glass(draw: Draw) -> Colour:
    tone = draw.uniform(0.55, 1.5)
    return (62 * tone, 72 * tone, 84 * tone)


def _balconies(mesh: Mesh, front: Front, low: float, bay: float) -> None:
    for z in np.arange(front.near + 0.3, front.far - bay, bay * 2).tolist():
        mesh.face(front.facade(z, z + bay, low + 0.1, low + 1.0), (74, 74, 78), DETAIL, 18)
        mesh.face(front.facade(z, z + bay, low - 0.05, low + 0.12), (150, 148, 144), DETAIL)


def _ground_floor(
    mesh: Mesh, front: Front, ground: float, bay: float, trim: Colour, lamps: bool, draw: Draw
) -> None:
    if draw.random() < 0.5:
        _row(mesh, front, (0.9, ground - 0.8), bay, (0.22, 0.78), trim, lamps, draw)
        door = draw.uniform(front.near, front.far - 1.4)
        mesh.face(front.facade(door, door + 1.3, 0, 2.4), _SHOPS[int(draw.integers(5))], DETAIL)
        return
    sign = _SHOPS[int(draw.integers(len(_SHOPS)))]
    edges = np.linspace(front.near, front.far, max(2, round((front.far - front.near) / 5)) + 1)
    for near, far in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        lit = lamps or draw.random() < 0.15
        tone: Colour = (225, 196, 140) if lit else _glass(draw)
        pane = front.facade(near + 0.3, far - 0.3, 0.4, ground - 1.0)
        mesh.face(pane, tone, DETAIL | (GLOWS if lamps else 0), 6)
        mesh.face(panel(pane, 0.62, 0.64, 0, 1), (60, 60, 62), DETAIL, 0)
    mesh.face(
        front.facade(front.near + 0.2, front.far - 0.2, ground - 1.0, ground - 0.35), sign, DETAIL
    )


def _end_windows(
    mesh: Mesh, front: Front, ground: float, storey: float, floors: int, lamps: bool, draw: Draw
) -> None:
    if front.near > 70 or draw.random() < 0.3:
        return  # a blind gable
    for floor in range(floors):
        low = 0.9 if floor == 0 else ground + storey * (floor - 1) + 0.7
        wall = front.end(low, low + 1.6)
        for share in (0.12, 0.42, 0.72):
            _window(mesh, panel(wall, share, share + 0.13, 0, 1), (214, 210, 202), lamps, draw)

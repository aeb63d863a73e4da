"""Buildings: town houses and shops, offices, halls and detached houses along the street."""

from dataclasses import replace

import numpy as np

from segpipe.sources.synthetic.mesh import Colour, Draw, Mesh, Quad, cut, ordered, pick, tinted
from segpipe.sources.synthetic.scene import Thing
from segpipe.sources.synthetic.street import Lot

_ROOFS = ((128, 68, 52), (96, 62, 54), (82, 84, 90), (108, 104, 100), (70, 64, 62))
_SHOPS = ((150, 40, 40), (40, 80, 120), (210, 190, 90), (50, 95, 70), (60, 60, 64), (225, 222, 214))
_FRAMES = (228, 226, 220)


class _Building:
    """A building in progress on a lot; `depth` is measured from the facade to the back."""

    def __init__(
        self, lot: Lot, depth: float, height: float, tone: Colour, lamps: bool, draw: Draw
    ) -> None:
        self.lot, self.height, self.tone, self.lamps, self.draw = lot, height, tone, lamps, draw
        self.across = ordered(lot.line, lot.back(depth))
        self.mesh = Mesh()
        self.mesh.face(self.end(0, height), tone)
        # In pieces, because a street may bend and each face is flat.
        for piece in reversed(cut(lot.near, lot.far, 6)):
            self.mesh.face(self.front(0, height, piece), tone)

    def front(self, low: float, high: float, along: tuple[float, float] | None = None) -> Quad:
        """Return the part of the street side between two heights and from where to where."""
        near, far = along or (self.lot.near, self.lot.far)
        x, (a, b) = self.lot.line, (far, near) if self.lot.side > 0 else (near, far)
        return ((x, low, a), (x, low, b), (x, high, b), (x, high, a))

    def end(self, low: float, high: float) -> Quad:
        """Return the part between two heights of the side that looks at the camera."""
        (x0, x1), z = self.across, self.lot.near
        return ((x0, low, z), (x1, low, z), (x1, high, z), (x0, high, z))

    def paint(self, quad: Quad, colour: Colour, flags: int = 0) -> None:
        """Paint a part of a wall."""
        self.mesh.face(quad, colour, flags | Mesh.DETAIL)

    def windows(self, wall: Quad, width: float, left: float, right: float, frame: Colour) -> None:
        """Add windows, one for each `width` metres of a wall, from `left` to `right` as fractions.

        Frames are left out far away, where they are below a pixel.
        """
        (x0, _, z0), (x1, _, z1), *_ = wall
        count = max(1, round((abs(x1 - x0) + abs(z1 - z0)) / width))
        for k in range(count):
            a, wide = (k + left) / count, (right - left) / count
            lit = self.lamps and self.draw.random() < 0.35
            pane, flags = ((250, 205, 130), Mesh.GLOWS) if lit else (_glass(self.draw), Mesh.SMOOTH)
            if self.lot.near > 45:
                self.mesh.panels([wall], (a, a + wide), (0, 1), pane, flags)
                continue
            self.mesh.panels([wall], (a, a + wide), (0, 1), frame)
            for u in (0.09, 0.54):
                across = (a + wide * u, a + wide * (u + 0.37))
                self.mesh.panels([wall], across, (0.07, 0.93), pane, flags)

    def finished(self, roof: float = 0.0, ridge: float | None = None) -> Thing:
        """Add a roof of this height, `ridge` the x of its top, and return the building.

        All that stands beside it in the street is painted later.
        """
        (x0, x1), near, far, top = self.across, self.lot.near, self.lot.far, self.height + roof
        if ridge is not None:
            gable = [(x0, self.height, near), (x1, self.height, near), (ridge, top, near)]
            self.mesh.face(gable, self.tone)
            tiles = pick(_ROOFS, self.draw)
            for x, a, b in ((x0, far, near), (x1, near, far)):
                slope = [(x, self.height, a), (x, self.height, b), (ridge, top, b), (ridge, top, a)]
                self.mesh.face(slope, tiles)
            for _ in range(self.draw.integers(0, 3)):
                z = self.draw.uniform(near, far - 0.8)
                foot = (ridge - 0.35, ridge + 0.35, z, z + 0.7)
                self.mesh.box(foot, (top - 0.4, top + 1.0), (120, 84, 68))
        return Thing("building", self.mesh, depth=far + 0.5, shadow=0)


def town_house(lot: Lot, plaster: Colour, floors: int, lamps: bool, draw: Draw) -> Thing:
    """A house of a closed row: floors of windows, shops or doors below, a cornice, a roof."""
    storey, ground = draw.uniform(2.9, 3.6), draw.uniform(3.4, 4.4)
    height = ground + storey * (floors - 1) + 0.7
    made = _Building(lot, 12, height, plaster, lamps, draw)
    bands = ((0.0, 0.6, 0.72), (height - 0.5, height, 1.14), (ground - 0.3, ground, 1.1))
    for low, high, factor in bands:
        made.paint(made.front(low, high), tinted(plaster, factor))
    frame = tinted(plaster, draw.uniform(1.1, 1.3)) if draw.random() < 0.6 else _FRAMES
    width, left, right = draw.uniform(2.1, 3.2), draw.uniform(0.2, 0.32), draw.uniform(0.68, 0.8)
    balconies, blind = draw.random() < 0.3, lot.near > 70 or draw.random() < 0.3
    for floor in range(1, floors):
        low = ground + storey * (floor - 1)
        made.windows(made.front(low + 0.7, low + storey - 0.45), width, left, right, frame)
        if not blind:
            made.windows(made.end(low + 0.7, low + 2.3), 4, 0.3, 0.7, frame)
        for balcony in cut(lot.near, lot.far, width)[::2] if balconies and floor % 2 else []:
            made.paint(made.front(low - 0.05, low + 1.0, balcony), (74, 74, 78))
    if draw.random() < 0.5:
        made.windows(made.front(0.9, ground - 0.8), width, 0.22, 0.78, frame)
        door = draw.uniform(lot.near, lot.far - 1.4)
        made.paint(made.front(0, 2.4, (door, door + 1.3)), pick(_SHOPS, draw))
    else:
        for near, far in cut(lot.near, lot.far, 5):
            pane = made.front(0.4, ground - 1.0, (near + 0.3, far - 0.3))
            tone = (225, 196, 140) if lamps or draw.random() < 0.15 else _glass(draw)
            made.paint(pane, tone, Mesh.GLOWS if lamps else Mesh.SMOOTH)
        made.paint(made.front(ground - 1.0, ground - 0.35), pick(_SHOPS, draw))
    return made.finished(draw.uniform(1.5, 3.4), lot.back(draw.uniform(2.0, 5.0)))


def office(lot: Lot, tone: Colour, floors: int, lamps: bool, draw: Draw) -> Thing:
    """A block with bands or a skin of glass."""
    storey, fraction = draw.uniform(3.2, 3.8), draw.uniform(0.45, 0.8)
    made = _Building(lot, 14, storey * floors + 0.6, tone, lamps, draw)
    for floor in range(floors):
        low = storey * (floor + (1 - fraction) * 0.6)
        high = low + storey * fraction
        made.windows(made.front(low, high), draw.uniform(1.4, 2.0), 0.04, 0.96, tinted(tone, 0.7))
        made.mesh.panels([made.end(low, high)], (0.08, 0.92), (0, 1), _glass(draw), Mesh.SMOOTH)
    return made.finished()


def hall(lot: Lot, tone: Colour, draw: Draw) -> Thing:
    """An industrial hall: ribbed sheet metal or brick, high narrow windows, a gate."""
    height = draw.uniform(5, 9)
    made = _Building(lot, 18, height, tone, False, draw)
    made.paint(made.front(0, 1.1), tinted(tone, 0.75))
    for z in np.arange(lot.near + 0.4, lot.far - 0.4, draw.uniform(1.2, 2.5)).tolist():
        made.paint(made.front(1.1, height, (z, z + 0.15)), tinted(tone, 0.88))
    strip = made.front(height * 0.68, height * 0.86, (lot.near + 1, lot.far - 1))
    made.paint(strip, _glass(draw), Mesh.SMOOTH)
    gate = draw.uniform(lot.near + 1, max(lot.near + 1.5, lot.far - 6))
    leaf = made.front(0, height * 0.55, (gate, min(gate + 4.5, lot.far)))
    made.paint(leaf, pick(_SHOPS, draw))
    return made.finished()


def house(lot: Lot, plaster: Colour, lamps: bool, draw: Draw) -> Thing:
    """A detached house with a gable towards the camera."""
    wall, depth = draw.uniform(3.0, 6.2), draw.uniform(8, 11)
    lot = replace(lot, near=lot.near + 1.5, far=lot.far - 1.0)
    made = _Building(lot, depth, wall, plaster, lamps, draw)
    for low in (0.9, 3.6) if wall > 4.6 else (0.9,):
        made.windows(made.front(low, low + 1.4), draw.uniform(2.4, 3.4), 0.28, 0.74, _FRAMES)
        made.windows(made.end(low, low + 1.4), 4.5, 0.3, 0.7, _FRAMES)
    door = (lot.near + lot.far) / 2 - 0.5
    made.paint(made.front(0, 2.1, (door, door + 1.1)), pick(_SHOPS, draw))
    return made.finished(draw.uniform(2.2, 3.8), lot.back(depth / 2))


def _glass(draw: Draw) -> Colour:
    """Draw the colour of a pane, which mirrors more or less of the sky."""
    tone = draw.uniform(0.55, 1.5)
    return (62 * tone, 72 * tone, 84 * tone)

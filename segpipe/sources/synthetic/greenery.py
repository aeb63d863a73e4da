"""Greenery: trees, hedges, bushes and the line of trees that closes a street."""

import math

import numpy as np

from segpipe.sources.synthetic.mesh import BOTH_SIDES, DETAIL, Colour, Mesh, flat, pieces_of, tinted
from segpipe.sources.synthetic.scene import Thing, thing

Draw = np.random.Generator
_LEAVES = ((66, 96, 44), (84, 112, 52), (58, 84, 50), (98, 112, 48), (52, 78, 40))
_AUTUMN = ((150, 112, 44), (136, 84, 40), (120, 116, 50), (98, 112, 48), (104, 70, 40))


def tree(x: float, z: float, autumn: bool, draw: Draw) -> Thing:
    """A broad-leaved tree, a slim poplar or a conifer; its trunk is vegetation too."""
    mesh = Mesh()
    leaf = _leaf(autumn, draw)
    kind = draw.random()
    height = draw.uniform(5, 11)
    bark = (72 + draw.uniform(-12, 20), 60, 48)
    if kind < 0.15:
        width, base = draw.uniform(1.4, 2.2), draw.uniform(0.3, 0.8)
        _conifer(mesh, width, base, height, tinted(leaf, 0.72))
    else:
        slim = 0.45 if kind < 0.3 else 1.0
        base = draw.uniform(1.6, 2.6)
        radius = (height - base) / 2
        width = radius * draw.uniform(0.75, 1.1) * slim
        _trunk(mesh, height * 0.022 + 0.06, base + radius * 0.6, bark)
        _crown(mesh, (0.0, base + radius), (width, radius), leaf, draw, 34 if z < 40 else 14)
    shade = (x - width * 0.7, x + width * 0.7, z - width * 0.7, z + width * 0.7, height * 0.8)
    return thing("vegetation", mesh, at=(x, z), depth=z, footprint=shade)


def hedge(x0: float, x1: float, near: float, far: float, height: float, draw: Draw) -> list[Thing]:
    """A cut hedge along the street, in pieces so that each is painted at its own depth."""
    leaf = _leaf(False, draw)
    pieces = []
    for a, b in pieces_of(near, far, 2.5):
        mesh = Mesh()
        sides = mesh.box((x0, x1), (0, height), (a, b), leaf, 28)
        for name in ("left", "right", "rear"):
            (ax, ay, az), (bx, _, bz), *_ = sides[name]
            for _ in range(6):
                u, v = draw.uniform(0.1, 0.9), draw.uniform(0.1, 0.85)
                spot = (ax + u * (bx - ax), ay + v * height, az + u * (bz - az))
                size = draw.uniform(0.08, 0.2)
                shade = tinted(leaf, draw.uniform(0.7, 1.25))
                mesh.disc(
                    spot,
                    ((bx - ax) and size, 0, (bz - az) and size),
                    (0, size, 0),
                    shade,
                    DETAIL | BOTH_SIDES,
                )
        pieces.append(thing("vegetation", mesh, depth=b, footprint=(x0, x1, a, b, height)))
    return pieces


def bush(x: float, z: float, draw: Draw) -> Thing:
    """A round bush on the ground."""
    mesh = Mesh()
    radius = draw.uniform(0.4, 1.2)
    _crown(mesh, (0.0, radius * 0.8), (radius * 1.2, radius), _leaf(False, draw), draw, 14)
    return thing(
        "vegetation", mesh, at=(x, z), depth=z,
        footprint=(x - radius, x + radius, z - radius, z + radius, radius),
    )  # fmt: skip


def treeline(x0: float, x1: float, z: float, low: float, height: float, draw: Draw) -> Thing:
    """A distant line of trees from x0 to x1, its foot `low` metres up (or down).

    It is painted with the ground: all else stands before it.
    """
    mesh = Mesh()
    count = int(draw.integers(14, 26))
    xs = np.linspace(x0, x1, count)
    tops = height * draw.uniform(0.6, 1.1, count)
    tops = np.convolve(np.pad(tops, 1, mode="edge"), (0.3, 0.4, 0.3), mode="valid")
    crown = [(float(x), float(y)) for x, y in zip(xs, tops, strict=True)]
    leaf = _leaf(False, draw)
    mesh.face(flat([(x0, low), *crown, (x1, low)]), leaf, BOTH_SIDES, 30)
    for x, y in crown:
        mesh.disc(
            (x, y * 0.55, 0), ((x1 - x0) / count * 0.7, 0, 0), (0, y * 0.4, 0),
            tinted(leaf, draw.uniform(0.85, 1.12)), BOTH_SIDES | DETAIL,
        )  # fmt: skip
    return thing("vegetation", mesh, at=(0.0, z), ground=True)


def _leaf(autumn: bool, draw: Draw) -> Colour:
    colours = _AUTUMN if autumn else _LEAVES
    return tinted(colours[int(draw.integers(len(colours)))], draw.uniform(0.8, 1.2))


def _trunk(mesh: Mesh, radius: float, top: float, bark: Colour) -> None:
    mesh.face(
        flat([(-radius * 1.3, 0), (radius * 1.3, 0), (radius * 0.7, top), (-radius * 0.7, top)]),
        bark, BOTH_SIDES, 20,
    )  # fmt: skip
    mesh.face(
        flat([(radius * 0.2, 0), (radius * 1.3, 0), (radius * 0.7, top), (radius * 0.1, top)]),
        tinted(bark, 0.75), BOTH_SIDES | DETAIL, 20,
    )  # fmt: skip


def _crown(
    mesh: Mesh,
    centre: tuple[float, float],
    radii: tuple[float, float],
    leaf: Colour,
    draw: Draw,
    clumps: int = 34,
) -> None:
    """A ragged outline filled with clumps of leaves, lighter above than below."""
    corners = 30
    reach = 1 - 0.24 * draw.random(corners)
    angles = np.arange(corners) * (2 * math.pi / corners)
    xs = centre[0] + radii[0] * reach * np.cos(angles)
    ys = centre[1] + radii[1] * reach * np.sin(angles)
    outline = list(zip(xs.tolist(), ys.tolist(), strict=True))
    mesh.face(flat(outline), tinted(leaf, 0.72), BOTH_SIDES, 30)
    far = np.sqrt(draw.random(clumps)) * 0.62
    turn = draw.uniform(0, 2 * math.pi, clumps)
    order = np.argsort(np.sin(turn) * far)  # from below upwards: the lighter ones lie on top
    for k in order.tolist():
        dx, dy = far[k] * math.cos(turn[k]), far[k] * math.sin(turn[k])
        size = draw.uniform(0.1, 0.2)
        shade = tinted(leaf, 0.92 + 0.32 * dy + draw.uniform(-0.14, 0.2))
        spot = (centre[0] + radii[0] * dx, centre[1] + radii[1] * dy, 0.0)
        mesh.disc(spot, (radii[0] * size, radii[1] * size * 0.3, 0), (0, radii[1] * size, 0),
                  shade, BOTH_SIDES | DETAIL)  # fmt: skip
        mesh.grains[-1] = 30


def _conifer(mesh: Mesh, width: float, base: float, height: float, leaf: Colour) -> None:
    _trunk(mesh, 0.14, base + 0.6, (70, 56, 46))
    steps = 6
    tier = (height - base) / steps
    for k in range(steps):
        low, half = base + k * tier, width * (1 - k / steps)
        outline = [
            (-half, low),
            (half, low),
            (half * 0.42, low + tier * 1.2),
            (-half * 0.42, low + tier * 1.2),
        ]
        mesh.face(flat(outline), tinted(leaf, 0.82 + 0.08 * k), BOTH_SIDES, 30)

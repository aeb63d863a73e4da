"""Scene: a street as a list of things, seen by a camera under a light.

Metres and seconds; at time 0 the camera stands at x = 0, z = 0. Shapes: P corners of all faces of
a thing, F faces, L corners of an outline.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.sources.synthetic.light import Light
from segpipe.sources.synthetic.mesh import Mesh, Point

Floats = NDArray[np.float64]
# Corners nearer than this are moved onto this plane: exact for all edges along the street.
NEAR = 0.6
# Farther than this a street bends no more, lest the horizon be lost.
BENT = 160.0


@dataclass(frozen=True)
class Camera:
    """A pinhole camera that drives along the street; lengths of the picture are shares of its side.

    focal, centre: of the width. horizon: of the height. height: metres above the road.
    bend, slope: how the street leaves the straight line, in 1/metres. speed: metres/second.
    """

    focal: float
    centre: float
    horizon: float
    height: float
    bend: float
    slope: float
    speed: float

    def view(self, points_P3: Floats, time: float) -> Floats:
        """Return the points as seen from the camera (x, y, z from its eye), bends applied."""
        x, y, z = points_P3.T
        z = z - self.speed * time
        ahead = np.clip(z, 0.0, BENT) ** 2
        return np.stack([x + self.bend * ahead, y - self.height + self.slope * ahead, z], 1)

    def project(self, seen_P3: Floats, height: int, width: int) -> Floats:
        """Return the places of seen points in a picture of `height` x `width`, (P, 2) pixels."""
        x, y, z = seen_P3.T
        scale = self.focal * width / np.maximum(z, NEAR)
        return np.stack([self.centre * width + x * scale, self.horizon * height - y * scale], 1)


@dataclass(frozen=True)
class Thing:
    """One annotated object: what it is called, its faces, and how it moves.

    depth: key of the painter's order, farthest first; ground is painted before all else.
    loop_L3: the outline where it is flat and known; else it is found from the faces.
    velocity: metres/second along x and z.
    footprint: (x0, x1, z0, z1) and height of what casts its shadow; None casts none.
    """

    label: str
    points_P3: Floats
    sizes_F: NDArray[np.int64]
    colours_F3: Floats
    grains_F: Floats
    flags_F: NDArray[np.int64]
    depth: float
    ground: bool = False
    loop_L3: Floats | None = None
    velocity: tuple[float, float] = (0.0, 0.0)
    footprint: tuple[float, float, float, float, float] | None = None


@dataclass(frozen=True)
class Hood:
    """The bonnet of the ego vehicle: its outline in shares of the picture, and its colour."""

    outline_L2: Floats
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class Scene:
    """All that a picture shows. `key` seeds the sensor's noise; border: margin, share of width."""

    things: tuple[Thing, ...]
    camera: Camera
    light: Light
    hood: Hood | None
    border: float
    key: tuple[int | str, ...]


def thing(
    label: str,
    mesh: Mesh,
    at: tuple[float, float] = (0.0, 0.0),
    heading: float = 0.0,
    tall: float | None = None,
    **more: Any,
) -> Thing:
    """Stand a mesh at (x, z), turned by `heading` (radians, 0 is along the street).

    tall: its height, where it casts a shadow. more: the other fields of Thing; `depth` is that of
    the nearest corner unless given.
    """
    points = np.array(mesh.points, np.float64).reshape(-1, 3)
    if heading:
        c, s = np.cos(heading), np.sin(heading)
        points = np.stack(
            [
                c * points[:, 0] + s * points[:, 2],
                points[:, 1],
                c * points[:, 2] - s * points[:, 0],
            ],
            axis=1,
        )
    points = points + np.array([at[0], 0.0, at[1]])
    low, high = points.min(0).tolist(), points.max(0).tolist()
    more.setdefault("depth", low[2])
    if tall is not None:
        more.setdefault("footprint", (low[0], high[0], low[2], high[2], tall))
    return Thing(
        label,
        points,
        np.array(mesh.sizes, np.int64),
        np.array(mesh.colours, np.float64).reshape(-1, 3),
        np.array(mesh.grains, np.float64),
        np.array(mesh.flags, np.int64),
        **more,
    )


def lane_loop(left: list[Point], right: list[Point]) -> Floats:
    """Return the outline of a strip along the street from its left and right edges, near to far."""
    return np.array([*left, *reversed(right)], np.float64)

"""View: a scene as the camera sees it at one moment, projected to pixels and put in order.

Shapes: P corners of all faces of all things seen, F their faces, T things.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segpipe.sources.synthetic.mesh import BOTH_SIDES
from segpipe.sources.synthetic.scene import NEAR, Floats, Scene, Thing

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class View:
    """Corners in pixels of a `height` x `width` picture, (x, y) with (0, 0) its upper left corner.

    things: in the painter's order. faces_T1: where the faces of each thing begin and end.
    first_F1: where the corners of each face begin and end. facing_F: whether a face shows its
    front. normal_F3: unit vectors outwards. distance_F: metres.
    """

    scene: Scene
    time: float
    height: int
    width: int
    things: tuple[Thing, ...]
    faces_T1: Ints
    first_F1: Ints
    corners_P2: Floats
    facing_F: NDArray[np.bool_]
    normal_F3: Floats
    distance_F: Floats

    def project(self, points_P3: Floats) -> Floats:
        """Return where points of the street lie in the picture, (P, 2) pixels."""
        camera = self.scene.camera
        return camera.project(camera.view(points_P3, self.time), self.height, self.width)


def look(scene: Scene, time: float, height: int, width: int) -> View:
    """Project a scene `time` seconds after the annotated moment (before it, when negative)."""
    passed = scene.camera.speed * time + NEAR
    seen = [one for one in scene.things if one.ground or _farthest(one, time) > passed]
    seen.sort(key=lambda one: _order(one, time))
    sizes_F = np.concatenate([one.sizes_F for one in seen])
    first_F1 = np.concatenate([[0], np.cumsum(sizes_F)])
    faces_T1 = np.concatenate([[0], np.cumsum([len(one.sizes_F) for one in seen])])
    moved = [_moved(one, time) for one in seen]
    eye_P3 = scene.camera.view(np.concatenate(moved), time)
    flags_F = np.concatenate([one.flags_F for one in seen])
    normal_F3, facing_F = _facing(eye_P3, first_F1[:-1])
    depth_F = np.add.reduceat(eye_P3[:, 2], first_F1[:-1]) / sizes_F
    return View(
        scene=scene,
        time=time,
        height=height,
        width=width,
        things=tuple(seen),
        faces_T1=faces_T1,
        first_F1=first_F1,
        corners_P2=scene.camera.project(eye_P3, height, width),
        facing_F=facing_F | (flags_F & BOTH_SIDES > 0),
        normal_F3=normal_F3,
        distance_F=np.maximum(depth_F, NEAR),
    )


def _farthest(one: Thing, time: float) -> float:
    return float(one.points_P3[:, 2].max()) + one.velocity[1] * time


def _order(one: Thing, time: float) -> tuple[bool, float]:
    # Ground keeps the order in which it was laid (sorting is stable), all else goes by depth.
    return (False, 0.0) if one.ground else (True, -(one.depth + one.velocity[1] * time))


def _moved(one: Thing, time: float) -> Floats:
    if one.velocity == (0.0, 0.0):
        return one.points_P3
    shift = np.array([one.velocity[0] * time, 0.0, one.velocity[1] * time])
    moved: Floats = one.points_P3 + shift
    return moved


def _facing(eye_P3: Floats, first_F: Ints) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the outward normals, and which faces look at the eye, which is the origin."""
    a, b, c = eye_P3[first_F], eye_P3[first_F + 1], eye_P3[first_F + 2]
    normal = np.cross(c - a, b - a)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    facing: NDArray[np.bool_] = (normal * a).sum(1) < 0
    return normal, facing

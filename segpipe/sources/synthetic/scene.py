"""Scene: a street as a list of things under a light, and how a camera sees it at one moment.

Metres and seconds; at time 0 the camera stands at x = 0, z = 0. Shapes: T things, F faces of all
things, P corners of all faces, L corners of an outline.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segpipe.sources.synthetic.mesh import FACE, Draw, Mesh, Pair
from segpipe.sources.synthetic.world import Sensor

Floats = NDArray[np.float64]
# Corners nearer than this are moved onto this plane: exact for all edges along the street.
NEAR = 0.6
# Farther than this a street bends no more, lest the horizon be lost.
_BENT = 160.0
# By weather: the colours of the sky above and at the horizon, the light of the sky and of the sun,
# the elevation of the sun, the depth of shadows, the visibility, the clouds, the probability that
# lamps are lit, and how wet the road is; units as in Light.
_WEATHERS = {
    "clear": ((78, 130, 205), (196, 215, 232), (0.56, 0.60, 0.68), (0.66, 0.60, 0.50),
              (0.35, 1.0), 0.5, (250, 600), (0.0, 0.25), 0.0, 0.0),
    "cloudy": ((105, 145, 200), (205, 214, 224), (0.66, 0.68, 0.72), (0.40, 0.37, 0.33),
               (0.4, 1.0), 0.3, (200, 450), (0.45, 0.8), 0.0, 0.0),
    "overcast": ((176, 182, 190), (214, 216, 219), (0.86, 0.87, 0.89), (0.06, 0.06, 0.06),
                 (0.6, 1.2), 0.0, (120, 300), (0.9, 1.0), 0.05, 0.0),
    "dusk": ((62, 78, 122), (236, 170, 120), (0.36, 0.37, 0.46), (0.34, 0.22, 0.12),
             (0.08, 0.25), 0.25, (150, 350), (0.2, 0.6), 1.0, 0.0),
    "fog": ((196, 199, 202), (203, 205, 207), (0.84, 0.85, 0.86), (0.02, 0.02, 0.02),
            (0.6, 1.2), 0.0, (28, 70), (1.0, 1.0), 0.3, 0.2),
    "rain": ((132, 139, 149), (176, 181, 187), (0.62, 0.64, 0.68), (0.02, 0.02, 0.02),
             (0.6, 1.2), 0.0, (70, 160), (0.95, 1.0), 0.5, 1.0),
}  # fmt: skip


class Light:
    """How a scene is lit and recorded.

    ambient, sun: factors on colours, by channel. toward_sun: unit vector. shadow: 0..1.
    visibility: metres after which haze leaves 37 % of a colour. clouds: fraction of the sky that
    they cover. lamps: whether windows and headlights are lit. wet: 0..1. gain, noise, blur: of
    the sensor.
    """

    def __init__(self, weather: str, sensor: Sensor, tint: Floats, draw: Draw) -> None:
        """Draw the light of a scene; `tint` is the white balance of its city."""
        usual = _WEATHERS[weather]
        high, low, ambient, sun, elevation, shadow, visibility, clouds, lamps, wet = usual
        azimuth, rise = draw.uniform(0, 2 * math.pi), draw.uniform(*elevation)
        level = math.cos(rise)
        across, along = level * math.sin(azimuth), level * math.cos(azimuth)
        self.toward_sun, self.shadow = np.array([across, math.sin(rise), along]), shadow
        self.gain = draw.uniform(0.95, 1.32) * tint * (1 + draw.normal(0, 0.025, 3))
        self.sky_high = np.clip(np.array(high) + draw.normal(0, 10), 0, 255)
        self.sky_low = np.clip(np.array(low) + draw.normal(0, 8), 0, 255)
        self.ambient, self.sun = np.array(ambient), np.array(sun)
        self.visibility, self.clouds = draw.uniform(*visibility), draw.uniform(*clouds)
        self.lamps = draw.random() < lamps
        self.wet = wet * draw.uniform(0.6, 1.0)
        self.noise = sensor.noise * draw.uniform(0.2, 1.0) * (1.4 if weather == "dusk" else 1.0)
        self.blur = sensor.blur * draw.uniform(0.0, 1.0)


class Camera:
    """A pinhole camera that drives along the street.

    focal, centre: fractions of the picture's width. horizon: fraction of its height. height:
    metres above the road. bend, slope: how the street leaves the straight line, in 1/metres. It
    only climbs: the painter could not hide what lies behind a crest. speed: metres/second.
    """

    def __init__(self, bends: bool, draw: Draw) -> None:
        """Draw the camera of a scene."""
        self.focal, self.centre = draw.uniform(0.72, 1.0), draw.uniform(0.4, 0.6)
        self.horizon, self.height = draw.uniform(0.38, 0.5), draw.uniform(1.2, 1.75)
        self.bend = draw.normal(0, 0.0014) if bends else 0.0
        self.slope = min(abs(draw.normal(0, 0.0003)), 0.0007) if bends else 0.0
        self.speed = draw.uniform(0.5, 13.0)

    def view(self, points_P3: Floats, time: float) -> Floats:
        """Return the points as seen from the camera (x, y, z from its eye), bends applied."""
        x, y, z = points_P3.T
        z = z - self.speed * time
        ahead = np.clip(z, 0.0, _BENT) ** 2
        return np.stack([x + self.bend * ahead, y - self.height + self.slope * ahead, z], 1)

    def project(self, seen_P3: Floats, height: int, width: int) -> Floats:
        """Return the places of seen points in a picture of `height` x `width`, (P, 2) pixels."""
        x, y, z = seen_P3.T
        scale = self.focal * width / np.maximum(z, NEAR)
        return np.stack([self.centre * width + x * scale, self.horizon * height - y * scale], 1)


class Thing:
    """One annotated object: a mesh that stands at (x, z), turned by `heading`.

    heading: radians, clockwise as seen from above. velocity: metres/second along x and z.
    depth: key of the painter's order, farthest first; that of the nearest corner unless given.
    loop_L3: the outline of a piece of ground, which is painted before all else; None for other
    things, whose outline is found from the faces. shadow: half the side of what casts the shadow,
    0 for the whole of the thing; None casts none.
    """

    def __init__(
        self,
        label: str,
        mesh: Mesh,
        at: Pair = (0.0, 0.0),
        heading: float = 0.0,
        *,
        depth: float | None = None,
        shadow: float | None = None,
        velocity: Pair = (0.0, 0.0),
        loop_L3: Floats | None = None,
    ) -> None:
        """Turn the mesh and place it."""
        self.label, self.velocity, self.loop_L3 = label, np.array(velocity), loop_L3
        self.faces_F = np.array(mesh.faces, FACE)
        x, y, z = np.array(mesh.points, np.float64).T
        c, s = np.cos(heading), np.sin(heading)
        self.points_P3: Floats = np.stack([c * x + s * z + at[0], y, c * z - s * x + at[1]], 1)
        (x0, _, z0), (x1, self.tall, z1) = self.points_P3.min(0), self.points_P3.max(0)
        self.depth = float(z0) if depth is None else depth
        if shadow:
            x0, x1, z0, z1 = at[0] - shadow, at[0] + shadow, at[1] - shadow, at[1] + shadow
        # The rectangle of the ground, corners (x, z), whose shadow is `tall` metres high.
        foot_42 = np.array([(x0, z0), (x1, z0), (x1, z1), (x0, z1)])
        self.foot_42 = None if shadow is None else foot_42


@dataclass(frozen=True)
class Scene:
    """All that a picture shows.

    hood_L2: outline of the ego vehicle's bonnet in fractions of the picture, or None.
    border: black margin, fraction of the width. key: seeds all that is drawn by pixel.
    """

    things: tuple[Thing, ...]
    camera: Camera
    light: Light
    hood_L2: Floats | None
    border: float
    key: tuple[int | str, ...]


class View:
    """A scene `time` seconds after the annotated moment (before it, when negative), in pixels.

    things: in the painter's order. faces_F: of all things. faces_T1: where the faces of each thing
    begin and end. first_F1: where the corners of each face begin and end. corners_P2: pixels, (0, 0)
    is the upper left corner of the picture. facing_F: whether a face shows its front. normal_F3:
    unit vectors outwards. distance_F: metres.
    """

    def __init__(self, scene: Scene, time: float, height: int, width: int) -> None:
        """Project a scene to a picture of `height` x `width`."""
        self.scene, self.time, self.height, self.width = scene, time, height, width
        seen = []
        for one in scene.things:
            dx, dz = one.velocity * time
            points_P3 = one.points_P3 + np.array([dx, 0.0, dz])
            # Ground keeps the order in which it was laid (sorting is stable), all else is sorted.
            depth = np.inf if one.loop_L3 is not None else one.depth + dz
            if points_P3[:, 2].max() > scene.camera.speed * time + NEAR:
                seen.append((depth, one, points_P3))
        seen.sort(key=lambda item: -item[0])
        self.things = tuple(one for _, one, _ in seen)
        self.faces_F = np.concatenate([one.faces_F for one in self.things])
        self.faces_T1 = np.cumsum([0, *(len(one.faces_F) for one in self.things)])
        self.first_F1 = np.concatenate([[0], np.cumsum(self.faces_F["size"])])
        eye_P3 = scene.camera.view(np.concatenate([points_P3 for _, _, points_P3 in seen]), time)
        self.corners_P2 = scene.camera.project(eye_P3, height, width)
        first_F = self.first_F1[:-1]
        a, b, c = eye_P3[first_F], eye_P3[first_F + 1], eye_P3[first_F + 2]
        normal_F3 = np.cross(c - a, b - a)
        length_F = np.linalg.norm(normal_F3, axis=1, keepdims=True)
        self.normal_F3: Floats = normal_F3 / np.maximum(length_F, 1e-9)
        self.facing_F = (self.faces_F["flags"] & Mesh.BOTH_SIDES > 0) | ((normal_F3 * a).sum(1) < 0)
        middle_F = np.add.reduceat(eye_P3[:, 2], first_F) / self.faces_F["size"]
        self.distance_F = np.maximum(middle_F, NEAR)

    def project(self, points_P3: Floats) -> Floats:
        """Return where points of the street lie in the picture, (P, 2) pixels."""
        camera = self.scene.camera
        return camera.project(camera.view(points_P3, self.time), self.height, self.width)

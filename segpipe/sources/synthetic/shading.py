"""Shading: textures and shadows, pixel by pixel.

Textures of the ground are fixed to the ground, so that they move with it from frame to frame.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from segpipe.runtime.randomness import generator
from segpipe.sources.synthetic.scene import Floats, Thing
from segpipe.sources.synthetic.view import View

_TILE = 256
_ROAD, _SIDEWALK, _PARKING, _RAIL, _TERRAIN = 7, 8, 9, 10, 22
_GROUND = (6, _ROAD, _SIDEWALK, _PARKING, _RAIL, _TERRAIN)
_LEAFY = (21,)
_STRENGTH = np.zeros(256, np.float32)
_STRENGTH[[_ROAD, _PARKING, _RAIL]] = 0.12
_STRENGTH[_SIDEWALK] = 0.10
_STRENGTH[_TERRAIN] = 0.30


def texture(
    view: View, ids_HW: NDArray[np.uint8], grain_HW: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Return the factor by which texture changes each pixel's brightness, (H, W)."""
    fine, clumps = _screen_noise(view)
    leafy = np.isin(ids_HW, _LEAFY)
    strength = grain_HW.astype(np.float32) / np.float32(100)
    factor: NDArray[np.float32] = 1 + strength * np.where(leafy, clumps, fine)
    horizon = max(0, int(view.scene.camera.horizon * view.height) + 1)
    if horizon < view.height:
        factor[horizon:] *= _ground_texture(view, ids_HW[horizon:], horizon)
    return factor


def ground_factor(view: View, ids_HW: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return how much light reaches each pixel of the ground past what stands on it, (H, W)."""
    cast = Image.new("L", (view.width, view.height), 0)
    under = Image.new("L", (view.width, view.height), 0)
    casting, touching = ImageDraw.Draw(cast), ImageDraw.Draw(under)
    light = view.scene.light
    reach = np.array([light.toward_sun[0], light.toward_sun[2]]) / max(light.toward_sun[1], 0.1)
    for one in view.things:
        if one.footprint is None:
            continue
        foot = _foot(one, view.time)
        if one.label != "building":
            _fill(touching, view, foot)
        if light.shadow:
            head = foot - reach * min(one.footprint[4], 30.0)
            _fill(casting, view, _hull(np.concatenate([foot, head])))
    radius = max(0.5, view.width / 512)
    soft = np.asarray(under.filter(ImageFilter.BoxBlur(1.6 * radius)), np.float32) / 255
    hard = np.asarray(cast.filter(ImageFilter.BoxBlur(0.6 * radius)), np.float32) / 255
    factor = (1 - light.shadow * hard) * (1 - 0.55 * soft)
    return np.where(np.isin(ids_HW, _GROUND), factor, np.float32(1))


def _foot(one: Thing, time: float) -> Floats:
    x0, x1, z0, z1, _ = one.footprint or (0.0, 0.0, 0.0, 0.0, 0.0)
    dx, dz = one.velocity[0] * time, one.velocity[1] * time
    foot: Floats = np.array([(x0, z0), (x1, z0), (x1, z1), (x0, z1)]) + np.array([dx, dz])
    return foot


def _fill(drawer: ImageDraw.ImageDraw, view: View, loop_L2: Floats) -> None:
    """Fill an area of the ground, given as (x, z)."""
    near = view.scene.camera.speed * view.time + 0.5
    if loop_L2[:, 1].max() <= near:
        return
    points = np.stack([loop_L2[:, 0], np.zeros(len(loop_L2)), np.maximum(loop_L2[:, 1], near)], 1)
    places = np.clip(view.project(points), -1e6, 1e6)
    drawer.polygon(np.rint(places - 0.5).astype(int).ravel().tolist(), fill=255)


def _hull(points: Floats) -> Floats:
    """Return the convex hull by Andrew's monotone chain (1979)."""
    ordered = sorted({(x, z) for x, z in points.tolist()})
    return np.array(_chain(ordered)[:-1] + _chain(ordered[::-1])[:-1])


def _chain(ordered: list[tuple[float, float]]) -> list[tuple[float, float]]:
    chain: list[tuple[float, float]] = []
    for point in ordered:
        while len(chain) >= 2 and _turn(chain[-2], chain[-1], point) <= 0:
            chain.pop()
        chain.append(point)
    return chain


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _ground_texture(view: View, ids_HW: NDArray[np.uint8], top: int) -> NDArray[np.float32]:
    """Return the factor of asphalt, slabs and grass below row `top`, by place on the ground."""
    camera = view.scene.camera
    focal = camera.focal * view.width
    rows = np.arange(top, view.height, dtype=np.float32) + 0.5 - camera.horizon * view.height
    depth = focal * camera.height / np.maximum(rows, 0.5)
    columns = (np.arange(view.width, dtype=np.float32) + 0.5 - camera.centre * view.width) / focal
    x = columns * depth[:, None] - (camera.bend * depth**2)[:, None]
    z = (depth + camera.speed * view.time)[:, None]
    tile = _tile()
    fade = (1 / (1 + depth / 9))[:, None]
    spots = tile[(x * 14).astype(np.int32) & 255, (z * 14).astype(np.int32) & 255]
    stains = _clumps()[(x * 9).astype(np.int32) & 255, (z * 4).astype(np.int32) & 255]
    factor = 1 + _STRENGTH[ids_HW] * fade * (spots + 0.5 * stains)
    joints = ((x * 1.7) % 1 < 0.05) | ((z * 1.7) % 1 < 0.05)
    factor -= (0.22 * fade * (depth[:, None] < 22)) * (joints & (ids_HW == _SIDEWALK))
    if view.scene.light.wet:
        shine = view.scene.light.wet * np.clip(0.2 + 0.18 * stains, 0, 0.6)
        factor *= np.where(np.isin(ids_HW, (_ROAD, _PARKING)), 0.72 + shine, 1.0)
    result: NDArray[np.float32] = factor.astype(np.float32)
    return result


def _screen_noise(view: View) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return fine and clumpy noise of the picture's size, standard deviation about 1."""
    draw = generator(*view.scene.key, "texture", round(view.time * 1e6))
    down, across = -(-view.height // _TILE), -(-view.width // _TILE)
    row, column = draw.integers(0, _TILE, 2)
    tile = np.roll(_tile(), (int(row), int(column)), (0, 1))
    fine = np.tile(tile, (down, across))[: view.height, : view.width]
    clumps = np.tile(_clumps(), (down, across))[: view.height, : view.width]
    return 0.5 * fine + 0.4 * clumps, 0.6 * clumps + 0.5 * fine


@cache
def _tile() -> NDArray[np.float32]:
    """White noise; the same for all scenes, like a material's."""
    noise = generator("tile").standard_normal((_TILE, _TILE), np.float32)
    return np.clip(noise, -2.5, 2.5)


@cache
def _clumps() -> NDArray[np.float32]:
    """Noise of a few pixels' size, which tiles."""
    total = np.zeros((_TILE, _TILE), np.float32)
    for step in (3, 7):
        noise = np.roll(_tile(), step * 31, (0, 1))
        for axis in (0, 1):
            noise = np.sum([np.roll(noise, k, axis) for k in range(step)], 0) / np.sqrt(step)
        total += noise
    return total / float(total.std())

"""Painter: the picture of a view, (H, W, 3) uint8.

Faces are drawn at twice the size and averaged, which softens edges without moving them. The fourth
channel of the canvas carries the strength of each face's texture through the averaging. Textures of
the ground are fixed to the ground, so that they move with it from frame to frame.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from segpipe.runtime.randomness import generator
from segpipe.sources.synthetic.mesh import Mesh, pick
from segpipe.sources.synthetic.scene import Floats, Scene, View
from segpipe.sources.synthetic.truth import Truth

_FINER = 2
# Pillow's polygon filler needs no more, and int32 must not overflow.
_FARTHEST = 1e6
# The areas that a rectangle sweeps over when corners 0..3 move to 4..7.
_SWEPT = ((4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7))
_HOODS = ((34, 36, 40), (70, 72, 76), (150, 152, 154), (60, 20, 22), (30, 40, 62))
Pixels = NDArray[np.float32]
# Pixels along a side of the noise that is repeated; a power of 2.
_TILE = 256
# Raw label ids.
_ROAD, _SIDEWALK, _PARKING, _RAIL, _VEGETATION, _TERRAIN = 7, 8, 9, 10, 21, 22
# How much the texture of the ground changes its brightness.
_GROUND = {_ROAD: 0.12, _SIDEWALK: 0.10, _PARKING: 0.12, _RAIL: 0.12, _TERRAIN: 0.30}


def paint(view: View, truth: Truth) -> NDArray[np.uint8]:
    """Draw a view; `truth` says which things are seen and where the ground is."""
    # A sky has no sharp edges: half the size is enough.
    backdrop = Image.fromarray(_sky(view.scene, -(-view.height // 2), -(-view.width // 2)))
    size = (view.width * _FINER, view.height * _FINER)
    canvas = backdrop.resize(size, Image.Resampling.BILINEAR).convert("RGBX")
    drawer = ImageDraw.Draw(canvas)
    places_P2 = np.clip(view.corners_P2 * _FINER - 0.5, -_FARTHEST, _FARTHEST)
    drawn_F = _worth_drawing(view, places_P2, size)
    inks, first = _inks(view).tolist(), (2 * view.first_F1).tolist()
    places = np.rint(places_P2).astype(np.int32).ravel().tolist()
    for index in [index for index in truth.thing_O if index >= 0]:
        for k in range(view.faces_T1[index], view.faces_T1[index + 1]):
            if drawn_F[k]:
                drawer.polygon(places[first[k] : first[k + 1]], fill=tuple(inks[k]))
    if view.scene.hood_L2 is not None:
        _draw_hood(drawer, view, view.scene.hood_L2)
    small = np.asarray(canvas.reduce(_FINER)).astype(np.float32)
    ids_HW = truth.label_ids()
    factor_HW = _texture(view, ids_HW, 255 - small[..., 3]) * _shadows(view, ids_HW)
    return _record(small[..., :3] * factor_HW[..., None], view)


def _worth_drawing(view: View, places_P2: Floats, size: tuple[int, int]) -> list[bool]:
    """Leave out backs, what lies outside of the canvas, and what is smaller than its pixels."""
    low = np.minimum.reduceat(places_P2, view.first_F1[:-1])
    high = np.maximum.reduceat(places_P2, view.first_F1[:-1])
    drawn = view.facing_F & (view.faces_F["flags"] & Mesh.UNSEEN == 0)
    drawn &= ((high >= 0) & (low < size)).all(1) & ((high - low).max(1) > 0.8)
    return list(drawn.tolist())


def _inks(view: View) -> NDArray[np.uint8]:
    """Light each face by its normal, then let haze take over with the distance, (F, 4)."""
    light, faces = view.scene.light, view.faces_F
    toward = np.clip(view.normal_F3 @ light.toward_sun, 0, None)[:, None]
    # A billboard has no side of its own; it is lit as something round would be.
    ambient = light.ambient * (0.86 + 0.14 * view.normal_F3[:, 1:2])
    lit = faces["colour"] * (ambient + light.sun * toward)
    lit = np.where((faces["flags"] & Mesh.GLOWS > 0)[:, None], faces["colour"], lit)
    clear = np.exp(-view.distance_F / light.visibility)[:, None]
    hazy = lit * clear + light.sky_low * 0.94 * (1 - clear)
    smooth = 255 - faces["grain"][:, None] * np.sqrt(clear)
    return np.asarray(np.clip(np.concatenate([hazy, smooth], 1), 0, 255), np.uint8)


def _draw_hood(drawer: ImageDraw.ImageDraw, view: View, hood_L2: Floats) -> None:
    """Draw the bonnet in bands: it mirrors the sky towards its far edge."""
    light = view.scene.light
    own = np.array(pick(_HOODS, generator(*view.scene.key, "hood"))) * light.ambient
    for fraction in np.linspace(0, 1, 14):
        gloss = 0.5 * (1 - fraction) ** 2
        ink = np.clip(own * (1 - gloss) + light.sky_low * gloss, 0, 255)
        band_L2 = hood_L2 + np.array([0.0, fraction**1.5 * (1.0 - hood_L2[:, 1].min())])
        places = np.rint(band_L2 * np.array([view.width, view.height]) * _FINER - 0.5)
        drawer.polygon(places.astype(int).ravel().tolist(), fill=(*ink.astype(int).tolist(), 253))


def _record(colours_HW3: NDArray[np.float32], view: View) -> NDArray[np.uint8]:
    """Pass the picture through the camera: blur, vignette, gain, noise, margin."""
    scene, light = view.scene, view.scene.light
    height, width = view.height, view.width
    picture = Image.fromarray(np.clip(colours_HW3, 0, 255).astype(np.uint8))
    radius = light.blur * width / 512
    if radius > 0.15:
        picture = picture.filter(ImageFilter.GaussianBlur(radius))
    across, down = (np.linspace(-1, 1, side, dtype=np.float32) ** 2 for side in (width, height))
    lens = (1 - 0.09 * (across + down[:, None]))[..., None]
    light_HW3 = np.asarray(picture).astype(np.float32) * lens * light.gain.astype(np.float32)
    draw = generator(*scene.key, "noise", round(view.time * 1e6))
    noise_HW3 = draw.standard_normal((height, width, 3), np.float32) * np.float32(light.noise)
    # Grey noise is that of one channel turned round: near enough to independent, at no cost.
    light_HW3 += 0.5 * noise_HW3 + 0.8 * noise_HW3[::-1, ::-1, :1]
    recorded: NDArray[np.uint8] = np.clip(light_HW3, 0, 255).astype(np.uint8)
    margin = round(scene.border * width)
    if margin:
        recorded[:, :margin] = recorded[:, width - margin :] = recorded[height - margin :] = 0
    return recorded


def _sky(scene: Scene, height: int, width: int) -> NDArray[np.uint8]:
    """Return a sky of height x width x 3: a gradient, clouds, and a glow around the sun."""
    light, camera = scene.light, scene.camera
    rows = (np.arange(height, dtype=np.float32) + 0.5) / height
    up = np.clip(1 - rows / camera.horizon, 0, 1)[:, None, None]
    low, high = light.sky_low.astype(np.float32), light.sky_high.astype(np.float32)
    colours = (low + (high - low) * up**0.7) * np.ones((1, width, 1), np.float32)
    if light.clouds > 0.02:
        draw = generator(*scene.key, "clouds")
        noise = np.zeros((height, width), np.float32)
        for octave in range(4):
            grid = draw.standard_normal((4 * 2**octave, 3 * 2**octave), np.float32)
            field = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
            noise += np.asarray(field) * 0.55**octave
        cover = np.clip((noise - 1.6 * (0.5 - light.clouds)) * 0.9, 0, 1)[..., None]
        cover = cover * np.clip(up * 4, 0, 1)
        white = np.minimum(low * 1.12 + 12, 250)
        darker = 0.2 if light.clouds > 0.6 else 0.07
        colours += (white * (1 - darker * 0.8 * cover) - colours) * np.clip(cover, 0, 0.94)
    x, y, z = light.toward_sun
    strength = sum(light.sun) / 3
    if z > 0.15 and strength > 0.1:
        column, row = camera.centre + camera.focal * x / z, camera.focal * y / z
        dx = (np.arange(width, dtype=np.float32) + 0.5) / width - column
        dy = (rows - camera.horizon) * height / width + row
        near = np.exp(-(dx**2 + dy[:, None] ** 2) * 14)[..., None]
        colours += near * np.array((1.0, 0.92, 0.75), np.float32) * np.float32(110 * strength)
    return np.clip(colours, 0, 255).astype(np.uint8)


def _texture(view: View, ids_HW: NDArray[np.uint8], grain_HW: Pixels) -> Pixels:
    """Return the factor by which texture changes each pixel's brightness, (H, W)."""
    draw = generator(*view.scene.key, "texture", round(view.time * 1e6))
    rows, columns = (np.arange(side) + draw.integers(_TILE) for side in (view.height, view.width))
    place = np.ix_(rows % _TILE, columns % _TILE)
    clumps = np.where(ids_HW == _VEGETATION, 0.6, 0.4) * _clumpy_noise()[place]
    factor = 1 + grain_HW / 100 * (0.5 * _white_noise()[place] + clumps)
    horizon = max(0, int(view.scene.camera.horizon * view.height) + 1)
    factor[horizon:] *= _ground_texture(view, ids_HW[horizon:], horizon)
    return np.asarray(factor, np.float32)


def _ground_texture(view: View, ids_HW: NDArray[np.uint8], top: int) -> Pixels:
    """Return the factor of asphalt, slabs and grass below row `top`, by place on the ground."""
    camera, wet = view.scene.camera, view.scene.light.wet
    focal = camera.focal * view.width
    rows = np.arange(top, view.height, dtype=np.float32) + 0.5 - camera.horizon * view.height
    depth = (focal * camera.height / np.maximum(rows, 0.5))[:, None]
    columns = (np.arange(view.width, dtype=np.float32) + 0.5 - camera.centre * view.width) / focal
    x, z = columns * depth - camera.bend * depth**2, depth + camera.speed * view.time
    fade = 1 / (1 + depth / 9)
    spots, stains = (
        tile[(x * across).astype(np.int32) % _TILE, (z * along).astype(np.int32) % _TILE]
        for tile, across, along in ((_white_noise(), 14, 14), (_clumpy_noise(), 9, 4))
    )
    strength = np.bincount(list(_GROUND), list(_GROUND.values()), 256).astype(np.float32)
    factor = 1 + strength[ids_HW] * fade * (spots + 0.5 * stains)
    joints = ((x * 1.7) % 1 < 0.05) | ((z * 1.7) % 1 < 0.05)
    factor -= 0.22 * fade * (joints & (ids_HW == _SIDEWALK) & (depth < 22))
    shine = 0.72 + wet * np.clip(0.2 + 0.18 * stains, 0, 0.6) if wet else 1.0
    factor *= np.where(np.isin(ids_HW, (_ROAD, _PARKING)), shine, 1.0)
    return np.asarray(factor, np.float32)


def _shadows(view: View, ids_HW: NDArray[np.uint8]) -> Pixels:
    """Return how much light reaches each pixel of the ground past what stands on it, (H, W)."""
    light, size = view.scene.light, (view.width, view.height)
    standing = [(one, one.foot_42) for one in view.things if one.foot_42 is not None]
    foot_T42 = np.array([foot_42 + one.velocity * view.time for one, foot_42 in standing])
    foot_T42 = foot_T42.reshape(-1, 4, 2)
    reach = light.toward_sun[[0, 2]] / max(light.toward_sun[1], 0.1)
    tall_T11 = np.array([min(one.tall, 30.0) for one, _ in standing]).reshape(-1, 1, 1)
    x, z = np.concatenate([foot_T42, foot_T42 - reach * tall_T11], 1).reshape(-1, 2).T
    near = view.scene.camera.speed * view.time + 0.5
    places_P2 = view.project(np.stack([x, np.zeros(len(x)), np.maximum(z, near)], 1)) - 0.5
    places = np.rint(np.clip(places_P2, -_FARTHEST, _FARTHEST)).astype(int).tolist()
    cast, under = Image.new("L", size), Image.new("L", size)
    casting, touching = ImageDraw.Draw(cast), ImageDraw.Draw(under)
    for k, (one, _) in enumerate(standing):
        corners = [tuple(place) for place in places[8 * k : 8 * k + 8]]
        if one.label != "building":
            touching.polygon(corners[:4], fill=255)
        # Foot and head of a shadow, and what lies between them.
        for loop in _SWEPT if light.shadow else ():
            casting.polygon([corners[c] for c in loop], fill=255)
    radius = max(0.5, view.width / 512)
    hard = np.asarray(cast.filter(ImageFilter.BoxBlur(0.6 * radius)), np.float32) / 255
    soft = np.asarray(under.filter(ImageFilter.BoxBlur(1.6 * radius)), np.float32) / 255
    factor = (1 - light.shadow * hard) * (1 - 0.55 * soft)
    return np.where(np.isin(ids_HW, list(_GROUND)), factor, 1).astype(np.float32)


@cache
def _white_noise() -> Pixels:
    """White noise; the same for all scenes, like a material's."""
    return np.clip(generator("tile").standard_normal((_TILE, _TILE), np.float32), -2.5, 2.5)


@cache
def _clumpy_noise() -> Pixels:
    """Noise of a few pixels' size, which can be tiled."""
    total = np.zeros((_TILE, _TILE), np.float32)
    for step in (3, 7):
        noise = np.roll(_white_noise(), step * 31, (0, 1))
        for axis in (0, 1):
            noise = np.sum([np.roll(noise, k, axis) for k in range(step)], 0) / np.sqrt(step)
        total += noise
    return total / float(total.std())

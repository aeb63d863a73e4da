"""Painter: the picture of a view, (H, W, 3) uint8.

Faces are drawn at twice the size and averaged, which softens edges without moving them. The fourth
channel of the canvas carries the strength of each face's texture through the averaging.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from segpipe.runtime.randomness import generator
from segpipe.sources.synthetic.mesh import GLOWS, UNSEEN
from segpipe.sources.synthetic.scene import Floats, Hood
from segpipe.sources.synthetic.shading import ground_factor, texture
from segpipe.sources.synthetic.sky import sky
from segpipe.sources.synthetic.truth import Truth
from segpipe.sources.synthetic.view import View

_FINER = 2
# Pillow's polygon filler needs no more, and int32 must not overflow.
_FARTHEST = 1e6


def paint(view: View, truth: Truth) -> NDArray[np.uint8]:
    """Draw a view; `truth` says which things are seen and where the ground is."""
    canvas = _canvas(view)
    _draw_things(canvas, view, sorted({index for index in truth.thing_O if index >= 0}))
    if view.scene.hood is not None:
        _draw_hood(canvas, view, view.scene.hood)
    small = np.asarray(canvas.reduce(_FINER))
    colours = small[..., :3].astype(np.float32)
    ids_HW = truth.label_ids()
    colours *= texture(view, ids_HW, 255 - small[..., 3])[..., None]
    colours *= ground_factor(view, ids_HW)[..., None]
    return _record(colours, view)


def _canvas(view: View) -> Image.Image:
    background = Image.fromarray(sky(view.scene, view.height, view.width))
    size = (view.width * _FINER, view.height * _FINER)
    return background.resize(size, Image.Resampling.BILINEAR).convert("RGBX")


def _draw_things(canvas: Image.Image, view: View, seen: list[int]) -> None:
    places_P2 = np.clip(view.corners_P2 * _FINER - 0.5, -_FARTHEST, _FARTHEST)
    drawn_F = _worth_drawing(view, places_P2)
    inks = _inks(view).tolist()
    whole = np.rint(places_P2).astype(np.int32).ravel().tolist()
    first = (2 * view.first_F1).tolist()
    drawer = ImageDraw.Draw(canvas)
    for index in seen:
        for k in range(view.faces_T1[index], view.faces_T1[index + 1]):
            if drawn_F[k]:
                drawer.polygon(whole[first[k] : first[k + 1]], fill=tuple(inks[k]))


def _worth_drawing(view: View, places_P2: Floats) -> list[bool]:
    """Leave out backs, what lies outside of the canvas, and what is smaller than its pixels."""
    first = view.first_F1[:-1]
    low = np.minimum.reduceat(places_P2, first)
    high = np.maximum.reduceat(places_P2, first)
    extent = high - low
    flags = np.concatenate([one.flags_F for one in view.things])
    drawn = view.facing_F & (flags & UNSEEN == 0) & (extent.max(1) > 0.8)
    drawn &= (high[:, 0] >= 0) & (low[:, 0] < view.width * _FINER)
    drawn &= (high[:, 1] >= 0) & (low[:, 1] < view.height * _FINER)
    kept: list[bool] = drawn.tolist()
    return kept


def _inks(view: View) -> NDArray[np.uint8]:
    """Light each face by its normal, then let haze take over with the distance, (F, 4)."""
    light = view.scene.light
    colours = np.concatenate([one.colours_F3 for one in view.things])
    flags = np.concatenate([one.flags_F for one in view.things])
    grains = np.concatenate([one.grains_F for one in view.things])
    normal = view.normal_F3
    toward = np.clip(normal @ np.array(light.toward_sun), 0, None)[:, None]
    # A billboard has no side of its own; it is lit as something round would be.
    ambient = np.array(light.ambient) * (0.86 + 0.14 * normal[:, 1:2])
    lit = colours * (ambient + np.array(light.sun) * toward)
    lit = np.where((flags & GLOWS > 0)[:, None], colours, lit)
    clear = np.exp(-view.distance_F / light.visibility)[:, None]
    hazy = lit * clear + np.array(light.sky_low) * 0.94 * (1 - clear)
    smooth = 255 - grains[:, None] * np.sqrt(clear)
    inks: NDArray[np.uint8] = np.clip(np.concatenate([hazy, smooth], 1), 0, 255).astype(np.uint8)
    return inks


def _draw_hood(canvas: Image.Image, view: View, hood: Hood) -> None:
    """Draw the bonnet in bands: it mirrors the sky towards its far edge."""
    light = view.scene.light
    drawer = ImageDraw.Draw(canvas)
    size = np.array([view.width, view.height]) * _FINER
    mirrored = np.array(light.sky_low)
    own = np.array(hood.colour) * np.array(light.ambient)
    edge = hood.outline_L2[1:-1]
    foot = hood.outline_L2[[-1, 0]]
    for share in np.linspace(0, 1, 14):
        band = edge + np.array([0.0, 1.0]) * share**1.5 * (1.0 - edge[:, 1:].min())
        gloss = 0.5 * (1 - share) ** 2
        ink = own * (1 - gloss) + mirrored * gloss
        loop = np.concatenate([foot[1:], band, foot[:1]]) * size - 0.5
        places = [tuple(point) for point in np.rint(loop).astype(int).tolist()]
        drawer.polygon(places, fill=(*np.clip(ink, 0, 255).astype(int).tolist(), 253))


def _record(colours: NDArray[np.float32], view: View) -> NDArray[np.uint8]:
    """Pass the picture through the camera: blur, vignette, gain, noise, margin."""
    scene, light = view.scene, view.scene.light
    height, width = view.height, view.width
    picture = Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8))
    radius = light.blur * width / 512
    if radius > 0.15:
        picture = picture.filter(ImageFilter.GaussianBlur(radius))
    across = np.linspace(-1, 1, width, dtype=np.float32) ** 2
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None] ** 2
    lens = (1 - 0.09 * (across + down))[..., None]
    light_HW3 = np.asarray(picture).astype(np.float32) * lens * np.array(light.gain, np.float32)
    draw = generator(*scene.key, "noise", round(view.time * 1e6))
    noise_HW3 = draw.standard_normal((height, width, 3), np.float32) * np.float32(light.noise)
    # Grey noise is that of one channel turned round: near enough to independent, at no cost.
    light_HW3 += 0.5 * noise_HW3 + 0.8 * noise_HW3[::-1, ::-1, :1]
    recorded: NDArray[np.uint8] = np.clip(light_HW3, 0, 255).astype(np.uint8)
    margin = round(scene.border * width)
    if margin:
        recorded[:, :margin] = recorded[:, width - margin :] = recorded[height - margin :] = 0
    return recorded

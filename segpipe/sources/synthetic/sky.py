"""Sky: a gradient from the horizon up, clouds, and a glow around the sun."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segpipe.runtime.randomness import generator
from segpipe.sources.synthetic.scene import Scene

_COARSER = 2


def sky(scene: Scene, height: int, width: int) -> NDArray[np.uint8]:
    """Return the sky behind a picture of `height` x `width`; below the horizon it is haze.

    It comes in half the size, (H/2, W/2, 3) rounded up, to be enlarged: a sky has no sharp edges.
    """
    light, camera = scene.light, scene.camera
    height, width = -(-height // _COARSER), -(-width // _COARSER)
    rows = (np.arange(height, dtype=np.float32) + 0.5) / height
    up = np.clip(1 - rows / max(camera.horizon, 0.05), 0, 1)[:, None]
    low, high = np.array(light.sky_low, np.float32), np.array(light.sky_high, np.float32)
    colours = (low + (high - low) * up[..., None] ** 0.7) * np.ones((1, width, 1), np.float32)
    if light.clouds > 0.02:
        cover = _clouds(scene, height, width, light.clouds) * np.clip(up * 4, 0, 1)
        white = np.minimum(low * 1.12 + 12, 250)
        grey = white * (0.80 if light.clouds > 0.6 else 0.93)
        shade = np.clip(cover * 0.8, 0, 1)[..., None]
        cloud = white * (1 - shade) + grey * shade
        colours += (cloud - colours) * np.clip(cover, 0, 0.94)[..., None]
    return np.clip(colours + _glow(scene, height, width), 0, 255).astype(np.uint8)


def _clouds(scene: Scene, height: int, width: int, amount: float) -> NDArray[np.float32]:
    """Return the share of each pixel that cloud covers: noise in octaves, cut at `amount`."""
    draw = generator(*scene.key, "clouds")
    total = np.zeros((height, width), np.float32)
    for octave in range(4):
        grid = draw.standard_normal((4 * 2**octave, 3 * 2**octave), np.float32)
        field = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
        total += np.asarray(field) * 0.55**octave
    threshold = 1.6 * (0.5 - amount)
    cover: NDArray[np.float32] = np.clip((total - threshold) * 0.9, 0, 1)
    return cover


def _glow(scene: Scene, height: int, width: int) -> NDArray[np.float32]:
    """Return the light that the sun adds around itself, where it stands before the camera."""
    light, camera = scene.light, scene.camera
    x, y, z = light.toward_sun
    strength = sum(light.sun) / 3
    if z < 0.15 or strength < 0.1:
        return np.zeros((1, 1, 3), np.float32)
    column = camera.centre * width + camera.focal * width * x / z
    row = camera.horizon * height - camera.focal * width * y / z
    dx = (np.arange(width, dtype=np.float32) - column) / width
    dy = (np.arange(height, dtype=np.float32)[:, None] - row) / width
    near = np.exp(-(dx**2 + dy**2) * 14)
    warm = np.array((1.0, 0.92, 0.75), np.float32)
    glow: NDArray[np.float32] = near[..., None] * warm * np.float32(110 * strength)
    return glow

"""Colours for labels that come without: far from one another to the eye, the same every time."""

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from segpipe.labels.scheme import VOID, Colour, RawLabel

BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


def distinct_colours(count: int, taken: Iterable[Colour]) -> list[Colour]:
    """Return `count` colours, each as far as can be from those before it and from `taken`.

    They are sought one after the other in a grid of 16x16x16 colours, by distance in CIELAB (the
    manner of Glasbey et al. 2007, "Colour displays for categorical images"). Black, which paints
    void, and white are kept clear of. The grid avoids the round numbers of colours that people paint
    with (0, 64, 128, 255): a painted mask must not seem to be in colours that nobody gave.
    """
    grid_N3, grid_lab_N3 = _grid()
    kept = np.array([BLACK, _WHITE, *taken], np.float64)
    distance_N = np.min([_squared_distance(grid_lab_N3, lab_3) for lab_3 in _lab(kept)], axis=0)
    found: list[Colour] = []
    for _ in range(count):
        place = int(distance_N.argmax())
        red, green, blue = grid_N3[place].tolist()
        found.append((red, green, blue))
        nearer_N = _squared_distance(grid_lab_N3, grid_lab_N3[place])
        distance_N = np.minimum(distance_N, nearer_N)
    return found


def void_colour(labels: Sequence[RawLabel]) -> Colour:
    """Return a colour for one more void label, which makes no colour of the others ambiguous.

    That of the void labels there are; else black; where a class is black, a colour of its own.
    """
    of_void = [label.colour for label in labels if label.train_id == VOID]
    if of_void:
        return of_void[0]
    taken = {label.colour for label in labels}
    return distinct_colours(1, sorted(taken))[0] if BLACK in taken else BLACK


@cache
def _grid() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    steps = np.arange(16) * 16 + 9
    grid_N3 = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    return grid_N3, _lab(grid_N3.astype(np.float64))


def _squared_distance(
    lab_N3: NDArray[np.float64], to_3: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.asarray(((lab_N3 - to_3) ** 2).sum(-1))


def _lab(rgb_N3: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return CIELAB of sRGB colours 0..255 under D65 (IEC 61966-2-1; CIE 15:2004, 8.2.1)."""
    srgb_N3 = rgb_N3 / 255
    linear_N3 = np.where(srgb_N3 <= 0.04045, srgb_N3 / 12.92, ((srgb_N3 + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz_N3 = linear_N3 @ to_xyz.T / to_xyz.sum(axis=1)
    bent_N3 = np.where(xyz_N3 > (6 / 29) ** 3, np.cbrt(xyz_N3), xyz_N3 * (29 / 6) ** 2 / 3 + 4 / 29)
    x_N, y_N, z_N = bent_N3.T
    return np.stack([116 * y_N - 16, 500 * (x_N - y_N), 200 * (y_N - z_N)], axis=-1)

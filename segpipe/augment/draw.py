"""Which sample is to be seen, and what chance decides about it each time (law 5); numpy only.

Shapes: B batch, N numbers a sample.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segpipe.params.augment import AugmentParams
from segpipe.runtime.randomness import generator

Floats = NDArray[np.float64]

# What an epoch takes from the training arrays, a record a sample. row: of the arrays. repeat: 0 for a
# row that comes up by itself, else the number of the record among those that are made for a class in
# this epoch, so that a row that comes up twice is not drawn alike. y, x: a point in pixels of the
# image that the window must show; NaN where any window will do.
SAMPLE_SPEC = np.dtype(
    [("row", np.int64), ("repeat", np.int64), ("y", np.float64), ("x", np.float64)]
)
SampleSpecs = NDArray[np.void]


@dataclass(frozen=True)
class Draws:
    """The draws of a batch, an entry a sample.

    `scale_B` enlarges (1 leaves the size). `top_B` and `left_B` are the upper left corner of the
    window in pixels of the unscaled image; below 0 where the window is larger than the image.
    `flip_B` mirrors the window left to right, `upend_B` upside down. `gamma_B` and `saturation_B`
    are neutral at 1. `blur_B` is the standard deviation of a Gaussian in pixels of the window,
    `noise_B` that of Gaussian noise in steps of 1/255; both are neutral at 0. `noise_seed_B` is what
    the noise of a sample grows from.
    """

    scale_B: Floats
    top_B: Floats
    left_B: Floats
    flip_B: NDArray[np.bool_]
    gamma_B: Floats
    saturation_B: Floats
    upend_B: NDArray[np.bool_]
    noise_B: Floats
    blur_B: Floats
    noise_seed_B: NDArray[np.int64]


def crop_sides(params: AugmentParams, image_height: int, image_width: int) -> tuple[int, int]:
    """Return height and width of the window in pixels; null in the parameters means the image's."""
    return params.crop_height or image_height, params.crop_width or image_width


def plain_specs(rows: Iterable[int] | NDArray[np.int64]) -> SampleSpecs:
    """Return the specs of some rows of which any window will do, in the shape of `rows`."""
    rows_B = rows if isinstance(rows, np.ndarray) else np.array(list(rows), np.int64)
    specs = np.empty(rows_B.shape, SAMPLE_SPEC)
    specs["row"], specs["repeat"] = rows_B, 0
    specs["y"] = specs["x"] = np.nan
    return specs


def draw(
    params: AugmentParams,
    seed: int,
    epoch: int,
    specs_B: SampleSpecs,
    *,
    image: tuple[int, int],
    crop: tuple[int, int],
    step: int = 1,
) -> Draws:
    """Return the draws for some of the samples of an epoch, in their order.

    image, crop: sides (height, width) of the image and of the window, in pixels. The draws of a sample
    depend on (seed, epoch, row, repeat), its point and the sizes alone, not on what else is in the
    batch. The scale is log-uniform in its range, so that x2 is as likely as x1/2. Gamma,
    saturation, noise and blur are uniform. The window lies anywhere in the scaled image, at whole
    pixels of it (at scale 1 a crop is then a slice, and nothing is interpolated); along a side
    on which it is the larger, it holds all of the image, anywhere. step: the window's corner is a
    multiple of it, so that a truth that is coarser than the image by this ratio can be cut at whole
    pixels of its own.

    Where a sample has a point, the window is one of those that hold it, each as likely as the others,
    so the point comes to lie anywhere in the window. What is narrower than 1 / scale pixels may
    still fall between the pixels of a window that shrinks the image.
    """
    # Ten numbers a sample, always: a range that closes does not move the draws of the others. What
    # a later version adds is drawn last, for the same reason.
    uniform_BN = np.array(
        [generator(seed, "augment", epoch, *_key(spec)).random(10) for spec in specs_B]
    ).reshape(-1, 10)
    scale, top, left, flip, gamma, saturation, upend, noise, blur, noise_seed = uniform_BN.T
    smallest, largest = params.scale
    scale_B = smallest * (largest / smallest) ** scale
    return Draws(
        scale_B=scale_B,
        top_B=_corner(top, specs_B["y"], image[0], crop[0], scale_B, step),
        left_B=_corner(left, specs_B["x"], image[1], crop[1], scale_B, step),
        flip_B=flip < params.flip,
        gamma_B=_between(gamma, params.gamma),
        saturation_B=_between(saturation, params.saturation),
        upend_B=upend < params.flip_vertical,
        noise_B=_between(noise, params.noise),
        blur_B=_between(blur, params.blur),
        noise_seed_B=(noise_seed * 2**53).astype(np.int64),
    )


def neutral(samples: int) -> Draws:
    """Return draws that leave a batch as it is, for a window of the image's size."""
    ones, zeros = np.ones(samples), np.zeros(samples)
    no = np.zeros(samples, np.bool_)
    return Draws(
        scale_B=ones,
        top_B=zeros,
        left_B=zeros,
        flip_B=no,
        gamma_B=ones,
        saturation_B=ones,
        upend_B=no,
        noise_B=zeros,
        blur_B=zeros,
        noise_seed_B=np.zeros(samples, np.int64),
    )


def _key(spec: np.void) -> tuple[int, ...]:
    row, repeat = int(spec["row"]), int(spec["repeat"])
    return (row, repeat) if repeat else (row,)


def _corner(
    uniform_B: Floats,
    point_B: Floats,
    image_side: int,
    crop_side: int,
    scale_B: Floats,
    step: int,
) -> Floats:
    """Return the window's upper or left end in pixels of the image.

    Of the `places` where it could begin, a step apart, those from `first` to `last` are allowed.
    """
    room_B = image_side * scale_B - crop_side
    first_B, last_B = np.zeros_like(room_B), np.floor(np.abs(room_B) / step)
    aimed_B = ~np.isnan(point_B) & (room_B > 0)
    if aimed_B.any():
        point_B = np.where(aimed_B, point_B, 0.0) * scale_B
        # The last place is the image's end itself, which whole steps may miss by a part of one.
        end_B = np.ceil(room_B / step)
        nearest_B = np.maximum(np.floor((point_B - crop_side) / step) + 1, 0)
        farthest_B = np.minimum(np.floor(point_B / step), end_B)
        first_B = np.where(aimed_B, nearest_B, first_B)
        last_B = np.where(aimed_B, farthest_B, last_B)
    places_B = last_B - first_B + 1
    # random() is below 1, but the product may round up to `places`.
    steps_B = step * (first_B + np.minimum(np.floor(uniform_B * places_B), places_B - 1))
    steps_B = np.where(aimed_B, np.minimum(steps_B, room_B), steps_B)
    corner_B: Floats = np.where(room_B < 0, -steps_B, steps_B) / scale_B
    return corner_B


def _between(uniform_B: Floats, ends: tuple[float, float]) -> Floats:
    return ends[0] + (ends[1] - ends[0]) * uniform_B

"""Offline augmentation: changed copies of the training samples.

Shapes: T frames of a clip (1 for a single image), H height, W width, C channels, h and w the
mask's sides.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.params.prepare import CopyParams
from segpipe.preparation.copy_changes import (
    add_noise,
    apply_gamma,
    blur,
    brighten,
    saturate,
    zoom_and_rotate,
)
from segpipe.runtime.errors import ParameterError, listing
from segpipe.runtime.randomness import generator

# The changes, each by the fields of CopyParams that rule it, in the order in which `apply: one`
# takes them in turn.
_CHANGES = (
    ("gamma",),
    ("saturation",),
    ("brightness",),
    ("colour",),
    ("flip",),
    ("zoom", "rotation"),
    ("noise",),
    ("blur",),
)


@dataclass(frozen=True)
class _Draw:
    """What is done to one copy; the fields of CopyParams, each with one value. The usual: nothing."""

    gamma: float = 1.0
    saturation: float = 1.0
    brightness: float = 1.0
    colour: float = 1.0
    flip: bool = False
    zoom: float = 1.0
    rotation: float = 0.0
    noise: float = 0.0
    blur: float = 0.0


def changed_copy(
    frames_THWC: NDArray[Any], mask_hw: NDArray[np.uint8], name: str, copy: int, copies: CopyParams
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Return frames and mask of copy number `copy` (from 1) of the sample `name`.

    frames_THWC: uint8, or float16 in 0..1, with any number of channels; the type is kept.
    mask_hw: train ids, VOID where nothing counts; of the image's size, or coarser by a whole ratio.

    Copy 0 is the very input, and so is a copy of which nothing is changed. All frames get the same
    change, down to the noise, which depends on (copies.seed, name, copy) alone (law 5). With
    `apply: all` each change that is on is made; with `one` a copy gets one of them, in turn by its
    number; zoom and rotation count as one. A change is on when its range is not neutral.

    The order is flip, zoom with rotation, brightness, gamma, saturation and colour (their factors
    multiply), blur, noise: the scene, then the lens, then the sensor. The mask follows flip, zoom
    and rotation, by nearest. What these turn in from outside of the image is 0 in every channel
    and VOID in the mask.

    Raises ParameterError as `refuse_impossible`, and ValueError for another type or shape.
    """
    if copy == 0:
        return frames_THWC, mask_hw
    coarser = _coarser(frames_THWC, mask_hw, name)
    refuse_impossible(copies, frames_THWC.shape[3], coarser)
    draw = _draw(name, copy, copies)
    if draw == _Draw():
        return frames_THWC, mask_hw
    # float16 would round after each change.
    whole = frames_THWC.dtype == np.uint8
    frames = frames_THWC if whole else frames_THWC.astype(np.float32)
    mask, inside_HW = mask_hw, None
    if draw.flip:
        frames, mask = frames[:, :, ::-1], np.ascontiguousarray(mask[:, ::-1])
    if draw.zoom != 1 or draw.rotation != 0:
        frames, mask, inside_HW = zoom_and_rotate(frames, mask, draw.zoom, draw.rotation)
    frames = _blurred_and_noisy(_recoloured(frames, draw), draw, name, copy, copies.seed)
    if inside_HW is not None:
        frames[:, ~inside_HW] = 0  # blur and noise reach there as well
    return np.ascontiguousarray(frames, frames_THWC.dtype), mask


def changes_on(copies: CopyParams) -> list[tuple[str, ...]]:
    """Return the changes whose range is not neutral, each as the parameters that rule it."""
    off = CopyParams(gamma=(1.0, 1.0), saturation=(1.0, 1.0))
    return [
        fields
        for fields in _CHANGES
        if any(getattr(copies, field) != getattr(off, field) for field in fields)
    ]


def refuse_impossible(copies: CopyParams, channels: int, coarser: bool) -> None:
    """Raise ParameterError where images of this kind cannot be changed as `copies` says.

    channels: C of the images. coarser: whether a pixel of the mask covers several of the image.
    Has nothing to say about `copies.count`: call it where copies are made.
    """
    on = {field for fields in changes_on(copies) for field in fields}
    faults = []
    for field in ("saturation", "colour"):
        if field in on and channels != 3:
            off = "[1.0, 1.0]" if field == "saturation" else "[0.0, 0.0]"
            faults.append(
                f"prepare.copies.{field} is {list(getattr(copies, field))} and needs images of "
                f"3 channels; these have {channels}; set prepare.copies.{field}: {off}"
            )
    if coarser and "zoom" in on:
        faults.append(
            f"prepare.copies.zoom is {list(copies.zoom)} and prepare.copies.rotation is "
            f"{list(copies.rotation)}, but the masks are coarser than the images: a turned mask "
            "would not fit its grid; set prepare.copies.zoom: [1.0, 1.0] and "
            "prepare.copies.rotation: [0.0, 0.0] (flips are possible)"
        )
    if faults:
        raise ParameterError(f"params.yaml: copies cannot be made:\n{listing(faults)}")


def _coarser(frames_THWC: NDArray[Any], mask_hw: NDArray[np.uint8], name: str) -> bool:
    """Return whether the mask is coarser than the image; refuse what is not a clip with its mask."""
    if frames_THWC.ndim != 4 or frames_THWC.dtype not in (np.uint8, np.float16):
        raise ValueError(
            f"{name}: frames of shape {frames_THWC.shape} and type {frames_THWC.dtype}; they must "
            "be (T, H, W, C), uint8 or float16"
        )
    height, width = frames_THWC.shape[1:3]
    if mask_hw.ndim != 2 or height % mask_hw.shape[0] or width % mask_hw.shape[1]:
        raise ValueError(
            f"{name}: a mask of shape {mask_hw.shape} on images of {height}x{width}; their sides "
            "must be equal or a whole ratio"
        )
    return mask_hw.shape != (height, width)


def _draw(name: str, copy: int, copies: CopyParams) -> _Draw:
    """Draw everything, in an order that never changes: one change on or off moves no other draw."""
    random = generator(copies.seed, "copy", name, copy)

    def either_way(ends: tuple[float, float]) -> float:
        size = random.uniform(*ends)
        return size if random.random() < 0.5 else -size

    drawn = _Draw(
        gamma=random.uniform(*copies.gamma),
        saturation=random.uniform(*copies.saturation),
        brightness=1 + either_way(copies.brightness),
        colour=1 + either_way(copies.colour),
        flip=bool(random.random() < copies.flip),
        zoom=random.uniform(*copies.zoom),
        rotation=either_way(copies.rotation),
        noise=random.uniform(*copies.noise),
        blur=random.uniform(*copies.blur),
    )
    on = changes_on(copies)
    if copies.apply == "all" or not on:
        return drawn
    turn = on[(copy - 1) % len(on)]
    return replace(_Draw(), **{field: getattr(drawn, field) for field in turn})


def _recoloured(frames_THWC: NDArray[Any], draw: _Draw) -> NDArray[Any]:
    if draw.brightness != 1:
        frames_THWC = brighten(frames_THWC, draw.brightness)
    if draw.gamma != 1:
        frames_THWC = apply_gamma(frames_THWC, draw.gamma)
    strength = draw.saturation * draw.colour
    if strength != 1:
        frames_THWC = np.stack([saturate(image_HW3, strength) for image_HW3 in frames_THWC])
    return frames_THWC


def _blurred_and_noisy(
    frames_THWC: NDArray[Any], draw: _Draw, name: str, copy: int, seed: int
) -> NDArray[Any]:
    if draw.blur > 0:
        frames_THWC = np.stack([blur(image_HWC, draw.blur) for image_HWC in frames_THWC])
    if draw.noise > 0:
        # A stream of its own: how many numbers it takes depends on the size of the image.
        random = generator(seed, "copy noise", name, copy)
        frames_THWC = add_noise(frames_THWC, draw.noise, random)
    return frames_THWC

"""How an image of any shape comes onto a canvas of the network's size, and back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segpipe.labels.scheme import VOID
from segpipe.raw.input_spec import Fit

Pixel = TypeVar("Pixel", np.uint8, np.float16)


@dataclass(frozen=True)
class Placement:
    """An image resized to height x width whose top left corner lies at (top, left) of a canvas.

    Negative top or left: that much of the resized image is cut off. All in pixels.
    """

    height: int
    width: int
    top: int
    left: int


def place(height: int, width: int, canvas_height: int, canvas_width: int, fit: Fit) -> Placement:
    """Return where an image of height x width comes on a canvas.

    stretch: fills the canvas, whatever happens to its proportions. pad: keeps them, fits inside,
    centred. crop: keeps them, covers the canvas, centred, what stands out is cut off.
    """
    if fit == "stretch":
        return Placement(canvas_height, canvas_width, 0, 0)
    ratios = canvas_height / height, canvas_width / width
    scale = min(ratios) if fit == "pad" else max(ratios)
    resized = max(1, round(height * scale)), max(1, round(width * scale))
    return Placement(*resized, _half(canvas_height - resized[0]), _half(canvas_width - resized[1]))


def covered(
    height: int, width: int, canvas_height: int, canvas_width: int, fit: Fit
) -> tuple[slice, slice]:
    """Return the rows and columns of the canvas that the image covers; the rest is padding."""
    placed = place(height, width, canvas_height, canvas_width, fit)
    top, left = max(placed.top, 0), max(placed.left, 0)
    return slice(top, placed.top + placed.height), slice(left, placed.left + placed.width)


def fit_image(
    picture: Image.Image, canvas_height: int, canvas_width: int, fit: Fit
) -> NDArray[np.uint8]:
    """Return an RGB picture on its canvas, (canvas_height, canvas_width, 3); padding is black.

    Resized bilinearly with antialiasing (Pillow widens the filter when it makes smaller).
    """
    placed = place(picture.height, picture.width, canvas_height, canvas_width, fit)
    resized = np.asarray(_resized(picture, placed, Image.Resampling.BILINEAR))
    return on_canvas(resized, placed, canvas_height, canvas_width, 0)


def fit_labels(
    picture: Image.Image,
    encode: Callable[[Image.Image], NDArray[np.uint8]],
    canvas_height: int,
    canvas_width: int,
    fit: Fit,
) -> NDArray[np.uint8]:
    """Return the train ids of a mask on its canvas; resized by nearest (law 4), padding is VOID.

    picture: of raw ids or colours, which `encode` turns into train ids: after resizing, when there
    are fewer.
    """
    placed = place(picture.height, picture.width, canvas_height, canvas_width, fit)
    resized = encode(_resized(picture, placed, Image.Resampling.NEAREST))
    return on_canvas(resized, placed, canvas_height, canvas_width, VOID)


def _resized(picture: Image.Image, placed: Placement, how: Image.Resampling) -> Image.Image:
    sides = placed.width, placed.height
    return picture if picture.size == sides else picture.resize(sides, how)


def fit_scaled(
    image_HWC: NDArray[np.float16], canvas_height: int, canvas_width: int, fit: Fit
) -> NDArray[np.float16]:
    """As `fit_image`, for an image in 0..1 of any number of channels; padding is 0."""
    height, width = image_HWC.shape[:2]
    placed = place(height, width, canvas_height, canvas_width, fit)
    resized = resize_image(image_HWC, placed.height, placed.width)
    return on_canvas(resized, placed, canvas_height, canvas_width, 0)


def resize_image(image_HWC: NDArray[Pixel], height: int, width: int) -> NDArray[Pixel]:
    """Resize bilinearly with antialiasing: uint8 RGB, or float16 of any number of channels."""
    if image_HWC.shape[:2] == (height, width):
        return image_HWC
    sides, how = (width, height), Image.Resampling.BILINEAR
    if image_HWC.dtype == np.uint8:
        return np.asarray(Image.fromarray(image_HWC).resize(sides, how), image_HWC.dtype)
    bands = np.moveaxis(image_HWC, 2, 0).astype(np.float32)
    resized = [np.asarray(Image.fromarray(band).resize(sides, how)) for band in bands]
    return np.stack(resized, axis=-1).astype(image_HWC.dtype)


def _half(difference: int) -> int:
    """Half of a positive or negative difference, towards zero, so that both fits are symmetric."""
    return int(difference / 2)


def on_canvas(
    resized: NDArray[Pixel], placed: Placement, height: int, width: int, fill: int
) -> NDArray[Pixel]:
    """Lay what was resized as `placed` says onto a canvas of height x width; the rest is `fill`."""
    if resized.shape[:2] == (height, width):
        return resized
    canvas = np.full((height, width, *resized.shape[2:]), fill, resized.dtype)
    top, left = max(placed.top, 0), max(placed.left, 0)
    seen = resized[max(-placed.top, 0) :, max(-placed.left, 0) :][: height - top, : width - left]
    canvas[top : top + seen.shape[0], left : left + seen.shape[1]] = seen
    return canvas

"""Parts of a raster put together by where they lie, never by their order."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from segpipe.labels.scheme import VOID
from segpipe.raw.sample import Window


def stitch(
    parts: Mapping[Window, NDArray[np.uint8]], height: int, width: int, ratio: int
) -> NDArray[np.uint8]:
    """Put the masks of windows together, (height / ratio, width / ratio); VOID where none lies.

    parts: train ids by window; each is (window.height / ratio, window.width / ratio). height,
    width: of the raster in image pixels. Where windows overlap, the one nearer to the upper left
    corner wins, as in `segpipe.raw.rasters.windows.counted`: what is drawn is what was scored.
    """
    mask_hw = np.full((height // ratio, width // ratio), VOID, np.uint8)
    for window in sorted(parts, key=lambda one: (one.top, one.left), reverse=True):
        part = parts[window]
        sides = (window.top, window.left, window.height, window.width)
        top, left, rows, columns = (side // ratio for side in sides)
        target = mask_hw[top : top + rows, left : left + columns]
        if any(side % ratio for side in sides) or target.shape != part.shape:
            raise ValueError(
                f"a part of shape {part.shape} does not fit {window} of a raster of "
                f"{height} x {width} pixels, {ratio} to a truth pixel"
            )
        target[:] = part
    return mask_hw

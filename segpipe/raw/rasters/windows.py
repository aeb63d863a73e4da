"""Windows that cover a raster, and which of their pixels belong to which where windows overlap."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from segpipe.raw.sample import Window
from segpipe.runtime.errors import DataError


def windows(
    height: int,
    width: int,
    window_height: int,
    window_width: int,
    overlap: int = 0,
    step: int = 1,
) -> list[Window]:
    """Return windows of one size that cover every pixel of a raster, row by row.

    All in image pixels. Neighbours share at least `overlap` pixels; the last window of a row or
    column is shifted inwards so that it has the full size, and shares more; where no overlap is
    wanted, what it shares is scored in its neighbour (`Window.skip_top`, `skip_left`). step: corners
    are multiples of it (the truth's ratio, so that a window begins with a whole truth pixel).

    Raises DataError as `window_faults` words it; the caller adds the raster's name.
    """
    faults = window_faults(height, width, window_height, window_width, overlap, step)
    if faults:
        raise DataError("; ".join(faults))
    tops = _starts(height, window_height, overlap, step)
    lefts = _starts(width, window_width, overlap, step)
    return [
        Window(top, left, window_height, window_width, skip_top, skip_left)
        for top, skip_top in zip(tops, _skips(tops, window_height, overlap), strict=True)
        for left, skip_left in zip(lefts, _skips(lefts, window_width, overlap), strict=True)
    ]


def window_faults(
    height: int, width: int, window_height: int, window_width: int, overlap: int, step: int
) -> list[str]:
    """Say why a raster cannot be cut into such windows; an empty list where it can."""
    faults = []
    for side, length, window in (("height", height, window_height), ("width", width, window_width)):
        if window > length:
            faults.append(
                f"prepare.{side} is {window}, but the raster's {side} is {length} pixels; "
                f"make it {length // step * step} or less"
            )
        if length % step:
            faults.append(
                f"the raster's {side} is {length} pixels, which do not divide by {step}, the image "
                "pixels of a truth pixel"
            )
        if window % step:
            faults.append(
                f"prepare.{side} is {window}, but a truth pixel is {step} image pixels long; "
                f"make it a multiple of {step}"
            )
        if overlap > window - step:
            faults.append(
                f"prepare.rasters.overlap is {overlap}, which leaves windows of {side} {window} "
                f"no way ahead; make it {max(0, window - step)} or less"
            )
    return faults


def prediction_windows(
    height: int, width: int, window_height: int, window_width: int, overlap: int, ratio: int
) -> list[Window]:
    """Return windows that cover a raster to be predicted, row by row.

    All in image pixels. Neighbours share at least `overlap` pixels, of which each keeps the half
    that is nearer to it (`Window.owned`): at its edge a network sees half of what it
    needs. Where no overlap is wanted, what the last window shares is kept by the one before, as in
    evaluation. Write them row by row, so that what a later one leaves to an earlier one stays.
    ratio: image pixels along each side of a truth pixel.

    Raises DataError, without the raster's name, when it holds no whole number of truth pixels.
    """
    if height % ratio or width % ratio:
        raise DataError(
            f"has {height} x {width} pixels, which do not divide by {ratio}, the image pixels of a "
            "truth pixel of the model; cut it to a multiple (gdal_translate -srcwin)"
        )
    return [
        Window(top, left, window_height, window_width, skip_top, skip_left)
        for top, skip_top in _shared(height, window_height, overlap, ratio)
        for left, skip_left in _shared(width, window_width, overlap, ratio)
    ]


def ownership_mask(window: Window, ratio: int = 1) -> NDArray[np.bool_]:
    """Return which pixels of a window are scored in it, at the truth's resolution.

    All of (height / ratio, width / ratio) but those that are scored in the window above or to the
    left, so that over windows without wanted overlap every pixel of a raster is scored once.
    """
    owned_hw = np.ones((window.height // ratio, window.width // ratio), np.bool_)
    owned_hw[: window.skip_top // ratio] = False
    owned_hw[:, : window.skip_left // ratio] = False
    return owned_hw


def _shared(length: int, window: int, overlap: int, ratio: int) -> list[tuple[int, int]]:
    """Return where prediction windows begin along one side, and how much the one before keeps.

    The last window may share more than `overlap`. Of an odd number of truth pixels the window
    before keeps one more.
    """
    starts = _starts(length, window, min(overlap, window - ratio), ratio)
    shared = [before + window - start for before, start in pairwise(starts)]
    kept = [one // (2 * ratio) * ratio for one in shared] if overlap else shared
    return list(zip(starts, [0, *kept], strict=True))


def _skips(starts: list[int], window: int, overlap: int) -> list[int]:
    """Return how much of each window lies in the one before; 0 where they are meant to overlap."""
    if overlap:
        return [0] * len(starts)
    return [0, *(before + window - start for before, start in pairwise(starts))]


def _starts(length: int, window: int, overlap: int, step: int) -> list[int]:
    """Return where windows begin along one side, in pixels."""
    stride = (window - overlap) // step * step
    last = (length - window) // step * step
    return [*range(0, last, stride), last]

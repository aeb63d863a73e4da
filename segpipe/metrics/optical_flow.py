"""Where each pixel of a frame was in an earlier frame, by dense optical flow, and labels moved so.

Shapes: H, W of the frames.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.labels.scheme import VOID
from segpipe.runtime.errors import DataError, ParameterError

NOWHERE = -1
_SMALLEST = 12  # pixels a side that OpenCV's DIS takes


def require_opencv() -> Any:
    """Return the module cv2; ParameterError names the extra to install where it is missing."""
    try:
        import cv2
    except ImportError as error:
        raise ParameterError(
            "params.yaml: evaluate.temporal is dis, an optical flow of OpenCV, which is not installed; run: "
            "pip install 'segpipe[video]' (or set evaluate.temporal to none)"
        ) from error
    return cv2


def flow_name() -> str:
    """Return the name, version and preset of the optical flow, for a protocol."""
    return f"DIS optical flow (OpenCV {require_opencv().__version__}, preset medium)"


def dis_flow(
    frame_HW3: NDArray[np.uint8], other_HW3: NDArray[np.uint8]
) -> NDArray[np.floating[Any]]:
    """Return how far each pixel of a frame lies from its place in another one, (H, W, 2) float32.

    In pixels, across and down. Dense inverse search (Kroeger et al., "Fast optical flow using dense
    inverse search", ECCV 2016) on grey values, with the preset `medium` of OpenCV. It does not depend
    on the number of threads. Raises DataError for frames with a side of less than 12 pixels.
    """
    cv2 = require_opencv()
    height, width = frame_HW3.shape[:2]
    if min(height, width) < _SMALLEST:
        raise DataError(
            f"is {height}x{width} pixels, and the optical flow of evaluate.temporal needs {_SMALLEST} a "
            "side; set evaluate.temporal to none"
        )
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (frame_HW3, other_HW3)]
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(*grey, None)
    return np.asarray(flow)


def earlier_places(
    back_HW2: NDArray[np.floating[Any]], forth_HW2: NDArray[np.floating[Any]]
) -> NDArray[np.int32]:
    """Return where each pixel was in the earlier frame, (H, W): row * W + column, or NOWHERE.

    back_HW2: the flow from the later frame to the earlier one; forth_HW2: the reverse. A place is the
    nearest pixel. NOWHERE are pixels that come from outside of the image, and those where the two flows
    w and v disagree, |w + v|^2 >= 0.01 (|w|^2 + |v|^2) + 0.5: they were hidden before, or the flow is
    wrong (Sundaram et al., "Dense point trajectories by GPU-accelerated large displacement optical
    flow", ECCV 2010, section 3; v is taken at the nearest pixel here, and interpolated there).
    """
    height, width = back_HW2.shape[:2]
    rows_H1, columns_1W = np.ogrid[:height, :width]
    # Rounded half up on both axes; a flow that is not finite leads outside.
    row_HW = np.floor(rows_H1 + back_HW2[..., 1] + 0.5)
    column_HW = np.floor(columns_1W + back_HW2[..., 0] + 0.5)
    inside_HW = (row_HW >= 0) & (row_HW < height) & (column_HW >= 0) & (column_HW < width)
    place_HW = np.where(inside_HW, row_HW * width + column_HW, 0).astype(np.int32)
    there_HW2 = forth_HW2.reshape(-1, 2)[place_HW]
    gap_HW = np.square(back_HW2 + there_HW2).sum(-1)
    lengths_HW = np.square(back_HW2).sum(-1) + np.square(there_HW2).sum(-1)
    return np.where(inside_HW & (gap_HW < 0.01 * lengths_HW + 0.5), place_HW, np.int32(NOWHERE))


def moved_labels(labels_HW: NDArray[np.uint8], places_HW: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Return the labels of the earlier frame where its pixels are in the later one; VOID for NOWHERE."""
    return np.where(places_HW == NOWHERE, np.uint8(VOID), labels_HW.ravel()[places_HW])

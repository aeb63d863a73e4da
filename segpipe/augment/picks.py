"""What an epoch takes from the training arrays, a record a sample: the row, and what to show of it.

Shapes: B samples.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

# row: of the arrays. turn: 0 for a row that comes up by itself, else the number of the pick among
# those that are made for a class in this epoch, so that a row that comes up twice is not drawn alike.
# y, x: a point in pixels of the image that the window must show; NaN where any window will do.
PICK = np.dtype([("row", np.int64), ("turn", np.int64), ("y", np.float64), ("x", np.float64)])
Picks = NDArray[np.void]


def plain_picks(rows: Iterable[int] | NDArray[np.int64]) -> Picks:
    """Return picks of some rows of which any window will do, in the shape of `rows`."""
    rows_B = rows if isinstance(rows, np.ndarray) else np.array(list(rows), np.int64)
    picks = np.empty(rows_B.shape, PICK)
    picks["row"], picks["turn"] = rows_B, 0
    picks["y"] = picks["x"] = np.nan
    return picks

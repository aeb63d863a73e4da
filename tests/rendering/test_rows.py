"""Rows of image, truth, prediction and probability: whole, in their columns, in true colours."""

import numpy as np
import pytest
from numpy.typing import NDArray

from segpipe.labels.load import built_in_scheme
from segpipe.labels.scheme import VOID
from segpipe.rendering.rows import Row, draw_rows, make_row

SCHEME = built_in_scheme("camvid_sky")
REST, SKY = (tuple(colour) for colour in SCHEME.palette_K3.tolist())


def row(height: int = 40, width: int = 80, *, truth: bool = True, probability: bool = True) -> Row:
    """The truth is sky in the left half, the prediction in the upper half; surely so."""
    image = np.full((height, width, 3), (10, 200, 90), np.uint8)
    truth_HW = np.zeros((height, width), np.uint8)
    truth_HW[:, : width // 2] = 1
    prediction_HW = np.zeros((height, width), np.uint8)
    prediction_HW[: height // 2] = 1
    return make_row(
        "a sample",
        image,
        truth_HW if truth else None,
        prediction_HW,
        prediction_HW.astype(np.float32) if probability else None,
        SCHEME,
    )


def box(figure: NDArray[np.uint8], colour: tuple[int, ...], left: int) -> tuple[int, int, int, int]:
    """Top, left, height and width of what has this colour in the column that begins at `left`."""
    found = np.argwhere((figure[:, left : left + 320] == colour).all(-1))
    (top, start), (bottom, end) = found.min(0), found.max(0)
    assert len(found) == (bottom - top + 1) * (end - start + 1), "a rectangle of one colour"
    return int(top), int(start) + left, int(bottom - top + 1), int(end - start + 1)


def test_each_column_shows_its_own() -> None:
    # The legend below has small boxes in the same colours.
    figure = draw_rows([row()], SCHEME)[:215]
    assert figure.shape[1] == 10 + 4 * 330
    top, left, *shape = box(figure, (10, 200, 90), 10)
    assert (left, *shape) == (10, 160, 320)
    assert box(figure, SKY, 340) == (top, 340, 160, 160)
    assert box(figure, REST, 340) == (top, 500, 160, 160)
    assert box(figure, SKY, 670) == (top, 670, 80, 320)
    assert box(figure, REST, 670) == (top + 80, 670, 80, 320)
    # Smoothly enlarged: white above, black below, grey only at the border between them.
    grey = figure[top : top + 160, 1000:1320]
    assert (grey[:60] == 255).all()
    assert (grey[100:] == 0).all()


def test_columns_that_nothing_fills_are_left_out() -> None:
    bare = row(truth=False, probability=False)
    assert draw_rows([bare], SCHEME).shape[1] == 10 + 2 * 330
    mixed = draw_rows([bare, row(probability=False)], SCHEME)
    assert mixed.shape[1] == 10 + 3 * 330
    # The image of the row without truth stands in the first column, its prediction in the third.
    upper = mixed[:195]
    assert (upper[:, 340:660] == SKY).all(-1).sum() == 0
    assert box(upper, SKY, 670)[2:] == (80, 320)


def test_rows_stand_below_each_other_and_keep_their_proportions() -> None:
    figure = draw_rows([row(), row(300, 50), row(1000, 2000)], SCHEME)
    green = (figure[:, 10:330] == (10, 200, 90)).all(-1)
    # Rows of 160x320, 480x80 (as high as a panel may be), 160x320.
    lengths = green.sum(1)
    assert (lengths == 320).sum() == 320
    assert (lengths == 80).sum() == 480


def test_void_is_in_the_legend_only_where_it_occurs() -> None:
    image = np.full((40, 80, 3), 90, np.uint8)
    truth = np.zeros((40, 80), np.uint8)
    without = make_row("a", image, truth, truth, None, SCHEME)
    truth = truth.copy()
    truth[:5] = VOID
    with_void = make_row("a", image, truth, np.zeros_like(truth), None, SCHEME)
    assert (draw_rows([with_void], SCHEME)[-35:] == 0).all(-1).any()
    assert not (draw_rows([without], SCHEME)[-35:] == 0).all(-1).any()


def test_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="needs a sample"):
        draw_rows([], SCHEME)

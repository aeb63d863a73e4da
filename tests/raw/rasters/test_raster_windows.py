"""Windows, which of their pixels belong to which, and how parts come together again."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segpipe.raw.rasters.windows import (
    ownership_mask,
    prediction_windows,
    window_faults,
    windows,
)
from segpipe.raw.sample import Window
from segpipe.runtime.errors import DataError

CASES = st.tuples(
    st.integers(1, 12), st.integers(1, 12), st.integers(1, 7), st.integers(1, 7), st.integers(1, 4)
)


@given(CASES, st.integers(0, 6))
def test_windows_cover_every_pixel_at_full_size(
    case: tuple[int, int, int, int, int], overlap: int
) -> None:
    rows, columns, high, wide, step = case
    sizes = rows * step, columns * step, min(high, rows) * step, min(wide, columns) * step
    if window_faults(*sizes, overlap, step):
        assert overlap > min(sizes[2:]) - step
        return
    cut = windows(*sizes, overlap, step)
    seen = np.zeros(sizes[:2], int)
    for window in cut:
        assert (window.height, window.width) == sizes[2:]
        assert window.top % step == 0 and window.left % step == 0
        seen[window.rows(), window.columns()] += 1
    assert seen.min() >= 1
    assert len(set(cut)) == len(cut)
    tops = sorted({window.top for window in cut})
    assert all(b - a <= sizes[2] - overlap for a, b in itertools.pairwise(tops))


@given(CASES)
def test_every_truth_pixel_counts_exactly_once(case: tuple[int, int, int, int, int]) -> None:
    rows, columns, high, wide, step = case
    cut = windows(
        rows * step, columns * step, min(high, rows) * step, min(wide, columns) * step, 0, step
    )
    times = np.zeros((rows, columns), int)
    for window in cut:
        times[window.rows(step), window.columns(step)] += ownership_mask(window, step)
    assert (times == 1).all()


@given(CASES)
def test_predicted_windows_own_what_is_scored_in_them(
    case: tuple[int, int, int, int, int],
) -> None:
    rows, columns, high, wide, step = case
    sizes = rows * step, columns * step, min(high, rows) * step, min(wide, columns) * step
    cut = prediction_windows(*sizes, 0, step)
    assert cut == windows(*sizes, 0, step)
    # Each window overwrites what is left to it, as where labels are written.
    written = np.full((rows, columns), -1)
    for number, window in enumerate(cut):
        own = window.owned()
        written[own.rows(step), own.columns(step)] = number
    for number, window in enumerate(cut):
        place = written[window.rows(step), window.columns(step)]
        np.testing.assert_array_equal(place == number, ownership_mask(window, step))


@given(CASES, st.integers(1, 6))
def test_predicted_windows_that_overlap_still_own_everything_once(
    case: tuple[int, int, int, int, int], shared: int
) -> None:
    rows, columns, high, wide, step = case
    high, wide = min(high, rows), min(wide, columns)
    sizes = rows * step, columns * step, high * step, wide * step
    overlap = min(shared, high // 2, wide // 2) * step
    written = np.zeros((rows, columns), int)
    for window in prediction_windows(*sizes, overlap, step):
        own = window.owned()
        written[own.rows(step), own.columns(step)] += 1
    assert written.min() >= 1


def test_the_wish_for_windows_that_cannot_be_names_parameter_and_repair() -> None:
    with pytest.raises(DataError) as caught:
        windows(100, 40, 64, 70, overlap=60, step=10)
    text = str(caught.value)
    assert "prepare.height is 64, but a truth pixel is 10 image pixels long" in text
    assert "prepare.width is 70, but the raster's width is 40 pixels; make it 40 or less" in text
    assert "prepare.rasters.overlap is 60" in text and "make it 54 or less" in text


def test_a_raster_that_is_no_whole_number_of_truth_pixels_is_refused() -> None:
    assert "do not divide by 10" in window_faults(105, 100, 50, 50, 0, 10)[0]


def test_windows_by_hand() -> None:
    assert windows(5, 4, 3, 4) == [Window(0, 0, 3, 4), Window(2, 0, 3, 4, skip_top=1)]
    assert [window.left for window in windows(4, 10, 4, 4, overlap=2)] == [0, 2, 4, 6]
    np.testing.assert_array_equal(
        ownership_mask(Window(2, 0, 3, 4, skip_top=1))[:, 0], [False, True, True]
    )

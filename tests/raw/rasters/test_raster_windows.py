"""Windows, which of their pixels count, and how parts come together again."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segpipe.labels.scheme import VOID
from segpipe.raw.rasters.stitch import stitch
from segpipe.raw.rasters.windows import counted, window_faults, windows
from segpipe.raw.sample import Window
from segpipe.runtime.errors import DataError

CASES = st.tuples(
    st.integers(1, 12), st.integers(1, 12), st.integers(1, 7), st.integers(1, 7), st.integers(1, 4)
)


def slices(window: Window, ratio: int = 1) -> tuple[slice, slice]:
    return (
        slice(window.top // ratio, (window.top + window.height) // ratio),
        slice(window.left // ratio, (window.left + window.width) // ratio),
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
        seen[slices(window)] += 1
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
        times[slices(window, step)] += counted(window, step)
    assert (times == 1).all()


@given(CASES, st.integers(0, 1000))
def test_what_is_stitched_is_what_was_counted(
    case: tuple[int, int, int, int, int], seed: int
) -> None:
    rows, columns, high, wide, step = case
    height, width = rows * step, columns * step
    cut = windows(height, width, min(high, rows) * step, min(wide, columns) * step, 0, step)
    random = np.random.default_rng(seed)
    # Neighbours disagree where they overlap, as two predictions do.
    parts = {
        window: random.integers(0, 250, (window.height // step, window.width // step), np.uint8)
        for window in cut
    }
    wanted = np.full((rows, columns), VOID, np.uint8)
    for window, part in parts.items():
        wanted[slices(window, step)][counted(window, step)] = part[counted(window, step)]
    names = list(parts)
    random.shuffle(names)  # type: ignore[arg-type]
    shuffled = {name: parts[name] for name in names}
    np.testing.assert_array_equal(stitch(parts, height, width, step), wanted)
    np.testing.assert_array_equal(stitch(shuffled, height, width, step), wanted)


def test_a_missing_part_is_void_and_the_rest_stays_in_place() -> None:
    parts = {
        Window(top, left, 2, 2): np.full((2, 2), 10 * top + left, np.uint8)
        for top in (0, 2)
        for left in (0, 2)
    }
    del parts[Window(0, 2, 2, 2)]
    np.testing.assert_array_equal(
        stitch(parts, 4, 4, 1),
        [[0, 0, 255, 255], [0, 0, 255, 255], [20, 20, 22, 22], [20, 20, 22, 22]],
    )


def test_a_part_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        stitch({Window(0, 0, 4, 4): np.zeros((4, 4), np.uint8)}, 8, 8, 2)
    with pytest.raises(ValueError, match="does not fit"):
        stitch({Window(6, 0, 4, 4): np.zeros((4, 4), np.uint8)}, 8, 8, 1)


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
        counted(Window(2, 0, 3, 4, skip_top=1))[:, 0], [False, True, True]
    )

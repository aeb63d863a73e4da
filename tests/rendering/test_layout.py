"""Cut texts, and contact sheets, which hold every tile, in order, within their width."""

import numpy as np
import pytest

from segpipe.rendering.layout import WIDEST, beside, contact_sheet, middle_cut, stacked, text_strip

Tile = tuple[np.ndarray, str]


def tiles(number: int, height: int, width: int) -> list[Tile]:
    """Return tiles of one colour each, (20 + i, 200, 3 * i)."""
    return [
        (np.full((height, width, 3), (20 + i, 200, 3 * i), np.uint8), f"tile {i}")
        for i in range(number)
    ]


def places(sheet: np.ndarray, tile: Tile) -> np.ndarray:
    return np.argwhere((sheet == tile[0][0, 0]).all(axis=-1))


def test_every_tile_is_whole_and_in_reading_order() -> None:
    given = tiles(5, 100, 200)
    sheet = contact_sheet(given, 3)
    corners = []
    for tile in given:
        found = places(sheet, tile)
        assert len(found) == 100 * 200
        corners.append(tuple(found[0]))
    rows = [row for row, _ in corners]
    assert rows[0] == rows[1] == rows[2] < rows[3] == rows[4]
    assert corners[0][1] < corners[1][1] < corners[2][1]
    assert corners[3][1] == corners[0][1]


@pytest.mark.parametrize("columns", [1, 3, 8])
def test_the_sheet_is_bounded_and_tiles_keep_their_proportions(columns: int) -> None:
    given = tiles(8, 500, 2500)
    sheet = contact_sheet(given, columns)
    assert sheet.shape[1] <= WIDEST
    for tile in given:
        found = places(sheet, tile)
        height, width = found.max(axis=0) - found.min(axis=0) + 1
        assert width / height == pytest.approx(5, rel=0.03)


def test_small_tiles_are_enlarged_by_a_whole_factor() -> None:
    given = tiles(2, 10, 30)
    found = places(contact_sheet(given, 2), given[1])
    height, width = found.max(axis=0) - found.min(axis=0) + 1
    assert (height % 10, width % 30) == (0, 0)
    assert width >= 160


def test_tiles_of_different_sizes_do_not_overlap() -> None:
    given = [*tiles(2, 300, 200), *tiles(6, 50, 400)[2:]]
    sheet = contact_sheet(given, 2)
    assert len(places(sheet, given[0])) == 300 * 2 * 200 * 2
    assert len(places(sheet, given[5])) == 50 * 400


def test_captions_are_drawn() -> None:
    with_text = contact_sheet(tiles(1, 50, 200), 1)
    without = contact_sheet([(tiles(1, 50, 200)[0][0], "")], 1)
    assert with_text.shape == without.shape
    assert (with_text != without).any()


def test_more_columns_than_tiles_leave_no_empty_ones() -> None:
    given = tiles(2, 50, 200)
    np.testing.assert_array_equal(contact_sheet(given, 9), contact_sheet(given, 2))


@pytest.mark.parametrize(("number", "columns"), [(0, 3), (3, 0)])
def test_nothing_to_draw_is_refused(number: int, columns: int) -> None:
    with pytest.raises(ValueError, match="tiles in"):
        contact_sheet(tiles(number, 5, 5), columns)


def test_long_text_loses_its_middle() -> None:
    assert middle_cut("short", 10) == "short"
    assert middle_cut("abcdefghijklm", 10) == "abcd...klm"
    assert middle_cut("abcdefghijklm", 30, lambda text: 10 * len(text)) == ""
    name = "frankfurt_000000_000294_leftImg8bit"
    whole, short = (text_strip(name, width, 20, 14) for width in (400, 120))
    # Both ends are there, and the text ends where the strip does.
    np.testing.assert_array_equal(whole[:, :30], short[:, :30])
    assert (text_strip(name, 5, 20, 14) == 255).all()


def test_text_at_the_right_end_takes_its_room_first() -> None:
    alone = text_strip("a title that is much too long for its strip", 200, 20, 14)
    both = text_strip("a title that is much too long for its strip", 200, 20, 14, right="50 %")
    np.testing.assert_array_equal(both[:, 165:], text_strip("", 200, 20, 14, right="50 %")[:, 165:])
    assert (both[:, 155:163] == 255).all()
    assert (alone[:, 155:163] != 255).any()


def test_pictures_are_put_together_on_white() -> None:
    small, large = np.zeros((2, 3, 3), np.uint8), np.full((4, 5, 3), 7, np.uint8)
    column = stacked([small, large], gap=1)
    assert column.shape == (7, 5, 3)
    np.testing.assert_array_equal(column[:2, :3], small)
    np.testing.assert_array_equal(column[3:], large)
    assert (column[2] == 255).all()
    assert (column[:2, 3:] == 255).all()
    np.testing.assert_array_equal(
        beside([small.swapaxes(0, 1), large.swapaxes(0, 1)], gap=1), column.swapaxes(0, 1)
    )

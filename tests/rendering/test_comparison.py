"""Comparison pictures: what is marked wrong, what is named, and how large they are."""

import numpy as np
import pytest

from segpipe.labels.scheme import VOID, LabelScheme, RawLabel
from segpipe.rendering.comparison import compared, comparison_sheet, draw_comparison, joined_entries
from segpipe.rendering.layout import (
    VOID_DARK,
    VOID_LINE,
    WIDEST,
    Mask,
    Picture,
    panel_size,
    present_classes,
)
from segpipe.rendering.overlay import WRONG, error_panel

NAMES = ("road", "sidewalk", "building", "car")
COLOURS = ((128, 64, 128), (244, 35, 232), (70, 70, 70), (0, 0, 142))
SCHEME = LabelScheme(
    "hand",
    NAMES,
    (
        *(RawLabel(k, NAMES[k], COLOURS[k], k) for k in range(4)),
        RawLabel(9, "none", (0, 0, 0), VOID),
    ),
)
TRUTH = np.array([[0, 0, 1, VOID], [0, 3, 1, VOID]], np.uint8)
GUESS = np.array([[0, 1, 1, 0], [0, 3, 0, 3]], np.uint8)
IMAGE = np.full((2, 4, 3), 200, np.uint8)


def comparison(
    image: Picture, truth: Mask | None, guess: Mask, name: str = "x", **said: float | None
) -> Picture:
    return draw_comparison(compared(image, truth, guess, SCHEME, name, **said))


def count(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((picture == np.array(colour)).all(axis=-1).sum())


def test_exactly_the_wrong_valid_pixels_are_marked() -> None:
    panel = error_panel(IMAGE, TRUTH, GUESS)
    wrong = (panel == np.array(WRONG)).all(axis=-1)
    np.testing.assert_array_equal(wrong, [[0, 1, 0, 0], [0, 0, 1, 0]])


def test_void_is_dark_and_hatched_and_the_rest_is_grey() -> None:
    truth = np.zeros((20, 40), np.uint8)
    truth[:, 20:] = VOID
    panel = error_panel(np.full((20, 40, 3), 90, np.uint8), truth, np.zeros_like(truth))
    assert count(panel[:, 20:], VOID_DARK) + count(panel[:, 20:], VOID_LINE) == 20 * 20
    assert count(panel[:, 20:], VOID_LINE) > 20
    assert (panel[:, :20] == panel[0, 0, 0]).all()


def test_the_picture_holds_each_wrong_pixel_enlarged() -> None:
    factor = panel_size(2, 4)[0] // 2
    assert factor > 1
    some = comparison(IMAGE, TRUTH, GUESS, "x")
    perfect = np.where(TRUTH == VOID, GUESS, TRUTH).astype(np.uint8)
    none = comparison(IMAGE, TRUTH, perfect, "x")
    assert count(some, WRONG) - count(none, WRONG) == 2 * factor**2


def test_without_truth_there_are_two_panels_and_no_errors() -> None:
    alone = comparison(IMAGE, None, GUESS, "x")
    both = comparison(IMAGE, TRUTH, GUESS, "x")
    assert count(alone, WRONG) == 0
    width = panel_size(2, 4)[1]
    assert 2 * width < alone.shape[1] < 3 * width
    assert 4 * width < both.shape[1] < 5 * width


def test_the_score_is_shown_unless_it_is_not_a_number() -> None:
    shown = comparison(IMAGE, TRUTH, GUESS, "x", score=0.5)
    absent = comparison(IMAGE, TRUTH, GUESS, "x", score=None)
    assert (shown != absent).any()
    nan = comparison(IMAGE, TRUTH, GUESS, "x", score=float("nan"))
    np.testing.assert_array_equal(nan, absent)


def test_an_image_of_void_only_is_drawn() -> None:
    void = np.full((2, 4), VOID, np.uint8)
    picture = comparison(IMAGE, void, GUESS, "x")
    assert picture.dtype == np.uint8
    assert picture.ndim == 3


@pytest.mark.parametrize("shape", [(2, 4), (33, 17), (256, 512), (900, 40), (1024, 2048)])
def test_panels_stay_within_bounds_and_keep_their_proportions(shape: tuple[int, int]) -> None:
    height, width = panel_size(*shape)
    assert width <= 640
    assert height <= 800
    assert width / height == pytest.approx(shape[1] / shape[0], rel=0.02)
    if shape[1] < 320 and shape[0] < 400:
        assert height % shape[0] == 0 == width % shape[1]
        assert width >= 320


def test_large_masks_are_not_interpolated() -> None:
    truth = np.zeros((1024, 2048), np.uint8)
    truth[:, 1::3] = 3
    image = np.zeros((1024, 2048, 3), np.uint8)
    picture = comparison(image, truth, truth, "x", opacity=1)
    assert count(picture, COLOURS[0]) + count(picture, COLOURS[3]) > 0
    assert count(picture, COLOURS[1]) == count(picture, COLOURS[2]) == 0
    assert picture.shape[1] < 2700


def test_the_legend_names_the_classes_present_in_the_schemes_order() -> None:
    assert [entry.name for entry in present_classes(SCHEME, TRUTH, GUESS)] == [
        "road",
        "sidewalk",
        "car",
    ]
    assert present_classes(SCHEME, TRUTH)[1].colour == COLOURS[1]
    assert present_classes(SCHEME, np.full((2, 2), VOID, np.uint8)) == []


def test_the_errors_are_a_fraction_of_the_valid_pixels() -> None:
    found = compared(IMAGE, TRUTH, GUESS, SCHEME, "x", score=0.5)
    assert found.errors == 2 / 6
    assert found.numbers == "mIoU 50.0 %, 33.3 % of the pixels wrong"
    assert compared(IMAGE, None, GUESS, SCHEME, "x").numbers == ""
    assert compared(IMAGE, np.full_like(TRUTH, VOID), GUESS, SCHEME, "x").errors is None


def test_a_sheet_has_one_legend_of_all_its_samples() -> None:
    left = compared(IMAGE, TRUTH, np.zeros_like(TRUTH), SCHEME, "left")
    right = compared(IMAGE, None, np.full_like(TRUTH, 2), SCHEME, "right")
    sheet = comparison_sheet([left, right], SCHEME, "Two samples")
    assert sheet.shape[1] <= WIDEST
    panel = left.panels["image"].shape
    title, caption, strip = 100, 40, 40
    assert sheet.shape[0] < 2 * (panel[0] + caption) + title + strip
    names = [entry.name for entry in joined_entries([right, left], SCHEME)]
    assert names == [*NAMES, "wrong", "void, not counted"]
    with pytest.raises(ValueError, match="needs a sample"):
        comparison_sheet([], SCHEME, "none")


def test_sizes_that_differ_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="frame_7"):
        comparison(IMAGE, TRUTH, GUESS[:1], "frame_7")
    with pytest.raises(ValueError, match="frame_7"):
        comparison(IMAGE, TRUTH[:, :2], GUESS, "frame_7")

"""The overlay against its definition, pixel by pixel."""

import numpy as np
import pytest

from segpipe.labels.scheme import VOID, LabelScheme, RawLabel
from segpipe.rendering.overlay import class_borders, overlay

SCHEME = LabelScheme(
    "hand",
    ("road", "car"),
    (
        RawLabel(0, "road", (128, 64, 128), 0),
        RawLabel(1, "car", (0, 0, 142), 1),
        RawLabel(2, "none", (0, 0, 0), VOID),
    ),
)
MASK = np.array(
    [
        [0, 0, 0, 1, 1, 1],
        [0, 0, 0, 1, 1, 1],
        [0, 0, 0, 1, 1, 1],
        [VOID, VOID, VOID, VOID, VOID, VOID],
        [VOID, VOID, VOID, VOID, VOID, VOID],
    ],
    np.uint8,
)
BORDER = np.array(
    [
        [0, 0, 1, 0, 0, 0],
        [0, 0, 1, 0, 0, 0],
        [1, 1, 1, 1, 1, 1],
        [0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ],
    bool,
)


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)


def test_borders_are_one_pixel_wide_and_on_valid_pixels() -> None:
    np.testing.assert_array_equal(class_borders(MASK), BORDER)


def test_borders_below_and_right_of_void() -> None:
    np.testing.assert_array_equal(class_borders(MASK[::-1, ::-1])[0], np.zeros(6, bool))
    np.testing.assert_array_equal(class_borders(MASK[::-1, ::-1])[2], np.ones(6, bool))


def test_a_single_class_has_no_border() -> None:
    assert not class_borders(np.zeros((3, 4), np.uint8)).any()


def test_opacity_0_is_the_image_away_from_borders(image: np.ndarray) -> None:
    shown = overlay(image, MASK, SCHEME, 0)
    np.testing.assert_array_equal(shown[~BORDER], image[~BORDER])
    assert (shown[BORDER] != image[BORDER]).any(axis=-1).all()


def test_opacity_1_is_the_palette_away_from_borders(image: np.ndarray) -> None:
    shown = overlay(image, MASK, SCHEME, 1)
    inside = ~BORDER & (MASK != VOID)
    np.testing.assert_array_equal(shown[inside], SCHEME.palette_K3[MASK[inside]])


def test_void_is_the_image_at_any_opacity(image: np.ndarray) -> None:
    for opacity in (0, 0.55, 1):
        shown = overlay(image, MASK, SCHEME, opacity)
        np.testing.assert_array_equal(shown[MASK == VOID], image[MASK == VOID])


def test_half_opacity_is_the_mean(image: np.ndarray) -> None:
    shown = overlay(image, MASK, SCHEME, 0.5).astype(int)
    mean = (image.astype(float) + SCHEME.paint(MASK)) / 2
    inside = ~BORDER & (MASK != VOID)
    assert np.abs(shown - mean)[inside].max() <= 0.5
    assert shown.shape == image.shape


def test_borders_do_not_depend_on_the_image(image: np.ndarray) -> None:
    first, second = overlay(image, MASK, SCHEME, 0.3), overlay(255 - image, MASK, SCHEME, 0.3)
    np.testing.assert_array_equal(first[BORDER], second[BORDER])


def test_the_image_is_not_changed(image: np.ndarray) -> None:
    before = image.copy()
    overlay(image, MASK, SCHEME, 1)
    np.testing.assert_array_equal(image, before)


def test_refusals_name_the_cause(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"\(5, 6, 3\).*\(4, 6\)"):
        overlay(image, MASK[:4], SCHEME, 0.5)
    with pytest.raises(ValueError, match=r"opacity is 1\.5"):
        overlay(image, MASK, SCHEME, 1.5)

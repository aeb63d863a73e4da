"""How images of any channels become pictures that can be looked at."""

import numpy as np

from segpipe.raw.input_spec import PICTURES, Reading, picture_of


def test_images_are_made_visible() -> None:
    image_HWC = np.arange(2 * 3 * 5, dtype=np.uint8).reshape(2, 3, 5)
    picture_HW3 = image_HWC[..., :3]
    np.testing.assert_array_equal(picture_of(picture_HW3, PICTURES), picture_HW3)
    bands = Reading("raster", tuple("abcde"), (4, 0, 1), 1)
    floats_HWC = (image_HWC / 255).astype(np.float16)
    np.testing.assert_array_equal(picture_of(floats_HWC, bands), image_HWC[..., [4, 0, 1]])
    lone = Reading("raster", tuple("abcde"), (2, 2, 2), 1)
    np.testing.assert_array_equal(picture_of(floats_HWC, lone), image_HWC[..., [2, 2, 2]])


def test_floats_are_rounded_whatever_the_data() -> None:
    for dtype in (np.float16, np.float32):
        floats = np.array([[[0, 0.5, 1.0]]], dtype)
        assert picture_of(floats, PICTURES).tolist() == [[[0, 128, 255]]]


def test_what_is_no_number_is_black() -> None:
    """A spoilt image is shown, with no warning of the cast, before training says what is wrong with it."""
    floats = np.array([[[np.nan, np.inf, -np.inf], [0.5, np.nan, 1]]], np.float16)
    assert picture_of(floats, PICTURES).tolist() == [[[0, 255, 0], [128, 0, 255]]]

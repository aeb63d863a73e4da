"""What travels with data and model, and how images of any channels are shown."""

import json
from typing import Any

import numpy as np
import pytest

from segpipe.params.prepare import EsdParams
from segpipe.raw.input_spec import PICTURES, FileSpec, InputSpec, Scaling, picture_of
from segpipe.runtime.validation import typed


def test_images_are_made_visible() -> None:
    image_HWC = np.arange(2 * 3 * 5, dtype=np.uint8).reshape(2, 3, 5)
    picture_HW3 = image_HWC[..., :3]
    np.testing.assert_array_equal(picture_of(picture_HW3, PICTURES), picture_HW3)
    scaling = Scaling((1, 2, 3, 4, 5), (0,) * 5, (1,) * 5)
    bands = FileSpec("raster", tuple("abcde"), (4, 0, 1), 1, scaling)
    floats_HWC = (image_HWC / 255).astype(np.float16)
    np.testing.assert_array_equal(picture_of(floats_HWC, bands), image_HWC[..., [4, 0, 1]])
    lone = FileSpec("raster", tuple("abcde"), (2, 2, 2), 1, scaling)
    np.testing.assert_array_equal(picture_of(floats_HWC, lone), image_HWC[..., [2, 2, 2]])


def test_floats_are_rounded_whatever_the_data() -> None:
    for dtype in (np.float16, np.float32):
        floats = np.array([[[0, 0.5, 1.0]]], dtype)
        assert picture_of(floats, PICTURES).tolist() == [[[0, 128, 255]]]


def test_what_is_no_number_is_black() -> None:
    """A spoilt image is shown, with no warning of the cast, before training says what is wrong with it."""
    floats = np.array([[[np.nan, np.inf, -np.inf], [0.5, np.nan, 1]]], np.float16)
    assert picture_of(floats, PICTURES).tolist() == [[[0, 255, 0], [128, 0, 255]]]


@pytest.mark.parametrize(
    "files",
    [
        PICTURES,
        FileSpec("raster", ("band 1",), (0, 0, 0), 4, Scaling((1,), (0.5,), (7.0,))),
        FileSpec("esd", ("viirs_maximum",), (0, 0, 0), 25, esd=EsdParams(landsat=["B4", "B3"])),
    ],
)
def test_a_specification_survives_json(files: FileSpec) -> None:
    channels = len(files.channels)
    spec = InputSpec(files, 32, 48, "pad", 3, [0.5] * channels, [0.25] * channels)
    assert typed(InputSpec, json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"low": [1.0]}, "bands, low and high have 2, 1 and 2 values"),
        ({"high": ["x", 1]}, "high.0 is 'x'; it must be a valid number"),
        ({"bands": []}, "bands, low and high have 0, 2 and 2 values"),
        ({"bands": [0, 1]}, "bands.0 is 0; it must be greater than or equal to 1"),
        ({"high": [float("nan"), 1]}, "high.0 is nan; it must be a finite number"),
    ],
)
def test_a_damaged_scaling_is_refused(damage: dict[str, list[Any]], message: str) -> None:
    scaling = {"bands": [2, 1], "low": [0.5, -3.0], "high": [7.25, 4.0]}
    assert typed(Scaling, scaling) == Scaling((2, 1), (0.5, -3.0), (7.25, 4.0))
    with pytest.raises(ValueError, match=message):
        typed(Scaling, {**scaling, **damage})


def test_each_band_of_a_raster_is_a_channel() -> None:
    with pytest.raises(ValueError, match="1 bands are scaled, but channels are 2"):
        FileSpec("raster", ("a", "b"), (0, 0, 1), scaling=Scaling((1,), (0,), (1,)))

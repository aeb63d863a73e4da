"""What travels with data and model, and how images of any channels are shown."""

import json

import numpy as np
import pytest

from segpipe.params.prepare import EsdParams
from segpipe.raw.input_spec import PICTURES, FileSpec, InputSpec, Scaling, picture_of
from segpipe.runtime.errors import DataError


def test_images_are_made_visible() -> None:
    image_HWC = np.arange(2 * 3 * 5, dtype=np.uint8).reshape(2, 3, 5)
    picture_HW3 = image_HWC[..., :3]
    np.testing.assert_array_equal(picture_of(picture_HW3, PICTURES), picture_HW3)
    bands = FileSpec("raster", tuple("abcde"), (4, 0, 1), 1)
    floats_HWC = (image_HWC / 255).astype(np.float16)
    np.testing.assert_array_equal(picture_of(floats_HWC, bands), image_HWC[..., [4, 0, 1]])
    lone = FileSpec("raster", tuple("abcde"), (2, 2, 2), 1)
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
        FileSpec("esd", ("viirs_maximum",), (0, 0, 0), 50, esd=EsdParams(landsat=["B4", "B3"])),
    ],
)
def test_a_specification_survives_json(files: FileSpec) -> None:
    spec = InputSpec(files, 32, 48, "pad", 3, [0.5], [0.25])
    assert InputSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_a_scaling_survives_json_and_a_damaged_one_is_refused() -> None:
    scaling = Scaling((2, 1), (0.5, -3.0), (7.25, 4.0))
    assert Scaling.from_json(json.loads(json.dumps(scaling.to_json()))) == scaling
    for damage in ({"low": [1.0]}, {"high": ["x", 1]}, {"bands": []}, {"high": [float("nan"), 1]}):
        with pytest.raises(DataError, match="scaling of the bands is damaged"):
            Scaling.from_json({**scaling.to_json(), **damage})
    with pytest.raises(DataError, match="damaged"):
        Scaling.from_json({})

"""Windows that must show a point (`draw` of segpipe/augment/draw.py)."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segpipe.augment.affine import sample_window
from segpipe.augment.draw import SAMPLE_SPEC, SampleSpecs, draw, plain_specs
from segpipe.params.augment import AugmentParams

WIDE = AugmentParams(scale=(0.5, 2.0), flip=0.5, flip_vertical=0.5)


def aimed(rows: list[int], height: int, width: int, seed: int = 0, ratio: int = 1) -> SampleSpecs:
    """Specs of some rows with points at the middles of truth pixels anywhere in the image."""
    random = np.random.default_rng(seed)
    specs = np.empty(len(rows), SAMPLE_SPEC)
    specs["row"], specs["repeat"] = rows, np.arange(1, len(rows) + 1)
    specs["y"] = (random.integers(0, height // ratio, len(rows)) + 0.5) * ratio
    specs["x"] = (random.integers(0, width // ratio, len(rows)) + 0.5) * ratio
    return specs


@settings(max_examples=60, deadline=None)
@given(
    st.integers(8, 90),
    st.integers(8, 90),
    st.integers(8, 100),
    st.integers(8, 100),
    st.floats(0.1, 3.0),
    st.floats(1.0, 8.0),
    st.integers(0, 10**9),
)
def test_the_window_holds_the_point_and_lies_in_the_image(
    height: int, width: int, crop_h: int, crop_w: int, least: float, times: float, seed: int
) -> None:
    params = AugmentParams(scale=(least, least * times))
    specs = aimed(list(range(40)), height, width, seed)
    draws = draw(params, seed, 1, specs, image=(height, width), crop=(crop_h, crop_w))
    for corner_B, point_B, image, crop in (
        (draws.top_B, specs["y"], height, crop_h),
        (draws.left_B, specs["x"], width, crop_w),
    ):
        stop_B = corner_B + crop / draws.scale_B
        assert (corner_B <= point_B + 1e-9).all() and (point_B <= stop_B + 1e-9).all()
        fits = crop <= image * draws.scale_B
        assert (corner_B[fits] >= 0).all() and (stop_B[fits] <= image + 1e-9).all()
        assert (corner_B[~fits] <= 0).all() and (stop_B[~fits] >= image - 1e-9).all()


@pytest.mark.parametrize("crop", [(8, 8), (16, 24), (40, 60), (50, 20)])
def test_the_pixel_is_seen_in_the_window_that_is_cut(crop: tuple[int, int]) -> None:
    """Up to scale 1 nothing is skipped: the very pixel of the point is there, mirrored or not."""
    height, width = 40, 60
    params = AugmentParams(scale=(1.0, 2.5), flip=0.5, flip_vertical=0.5)
    specs = aimed(list(range(300)), height, width)
    draws = draw(params, 0, 0, specs, image=(height, width), crop=crop)
    masks = torch.zeros(300, height, width, dtype=torch.uint8)
    masks[range(300), specs["y"].astype(int), specs["x"].astype(int)] = 1
    _, windows, _ = sample_window(masks[:, None], masks, draws, *crop)
    assert (windows == 1).flatten(1).any(1).all()
    assert 0.3 < draws.flip_B.mean() < 0.7 and 0.3 < draws.upend_B.mean() < 0.7


def test_a_coarse_truths_pixel_is_seen_whole() -> None:
    params = AugmentParams(scale=(1.0, 1.0), flip=0.5, flip_vertical=0.5)
    specs = aimed(list(range(200)), 30, 45, ratio=5)
    draws = draw(params, 0, 0, specs, image=(30, 45), crop=(10, 20), step=5)
    masks = torch.zeros(200, 6, 9, dtype=torch.uint8)
    masks[range(200), (specs["y"] // 5).astype(int), (specs["x"] // 5).astype(int)] = 1
    _, windows, _ = sample_window(torch.zeros(200, 1, 30, 45), masks, draws, 10, 20)
    assert ((windows == 1).sum((1, 2)) == 1).all()
    assert np.unique(draws.top_B % 5).tolist() == [0]


def test_every_window_that_holds_the_point_is_as_likely() -> None:
    plain = AugmentParams(scale=(1.0, 1.0))
    specs = aimed(list(range(4000)), 40, 60)
    specs["y"], specs["x"] = 20.5, 3.5
    draws = draw(plain, 0, 0, specs, image=(40, 60), crop=(8, 10))
    # Rows 13 to 20 hold row 20 in a window of 8; on the left the border leaves columns 0 to 3.
    for corner_B, first, places in ((draws.top_B, 13, 8), (draws.left_B, 0, 4)):
        counts = np.bincount(corner_B.astype(int))
        assert counts[:first].sum() == 0 and len(counts) == first + places
        expected = 4000 / places
        assert ((counts[first:] - expected) ** 2 / expected).sum() < 24.3, "7 degrees, p = 0.001"


def test_two_repeats_of_a_row_are_not_drawn_alike() -> None:
    specs = aimed([5, 5, 5], 40, 60)
    specs["y"], specs["x"] = 20.5, 30.5
    draws = draw(WIDE, 0, 0, specs, image=(40, 60), crop=(16, 24))
    plain = draw(WIDE, 0, 0, plain_specs([5]), image=(40, 60), crop=(16, 24))
    for name in ("scale_B", "gamma_B", "saturation_B"):
        assert len({*getattr(draws, name), *getattr(plain, name)}) == 4
    swapped = specs.copy()
    swapped["repeat"] = [3, 2, 1]
    again = draw(WIDE, 0, 0, swapped, image=(40, 60), crop=(16, 24))
    assert again.scale_B.tolist() == draws.scale_B[::-1].tolist(), "only `repeat` tells them apart"


def test_a_sample_without_a_point_is_drawn_as_ever() -> None:
    specs = np.concatenate([aimed([1, 2], 40, 60), plain_specs([3, 4])])
    draws = draw(WIDE, 7, 2, specs, image=(40, 60), crop=(16, 24))
    plain = draw(WIDE, 7, 2, plain_specs([3, 4]), image=(40, 60), crop=(16, 24))
    for name, values in vars(plain).items():
        assert getattr(draws, name)[2:].tolist() == values.tolist()


def test_where_the_window_is_the_image_the_point_changes_nothing() -> None:
    calm = AugmentParams(scale=(1.0, 1.0))
    draws = draw(calm, 0, 0, aimed(list(range(20)), 40, 60), image=(40, 60), crop=(40, 60))
    assert not draws.top_B.any() and not draws.left_B.any()


def test_the_plain_numbers_are_those_written_down_before_there_were_points() -> None:
    draws = draw(WIDE, 3, 1, plain_specs([0, 7]), image=(40, 60), crop=(32, 48))
    expected = {
        "scale_B": [1.6389388401131277, 1.2724910780657173],
        "top_B": [17.69437595242924, 8.64446139514065],
        "left_B": [28.677092060833598, 13.35962215612646],
        "gamma_B": [1.2400961759877733, 1.086380853114847],
        "saturation_B": [1.015574012311962, 0.8806608435516786],
    }
    for name, values in expected.items():
        assert getattr(draws, name) == pytest.approx(values, rel=1e-12), name
    assert draws.flip_B.all() and draws.upend_B.all()

"""How images and masks come onto a canvas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from segpipe.labels.scheme import VOID
from segpipe.preparation.copies import apply_gamma, saturate
from segpipe.raw.geometry import covered, fit_image, fit_labels, place

SIDES = st.integers(8, 90)


def image_on(image: NDArray[np.uint8], height: int, width: int, fit: str) -> NDArray[np.uint8]:
    return fit_image(Image.fromarray(image), height, width, fit)


def mask_on(mask: NDArray[np.uint8], height: int, width: int, fit: str) -> NDArray[np.uint8]:
    return fit_labels(Image.fromarray(mask), np.asarray, height, width, fit)


@given(
    height=SIDES,
    width=SIDES,
    canvas=st.tuples(SIDES, SIDES),
    fit=st.sampled_from(["stretch", "pad", "crop"]),
)
@settings(max_examples=60, deadline=None)
def test_no_label_comes_up_that_was_not_there(
    height: int, width: int, canvas: tuple[int, int], fit: str
) -> None:
    mask = np.random.default_rng(0).choice([7, 23], (height, width)).astype(np.uint8)
    placed = mask_on(mask, *canvas, fit)
    assert placed.shape == canvas
    assert set(np.unique(placed)) <= {7, 23, VOID}
    assert (VOID in placed) <= (fit == "pad")
    image = np.repeat(mask[..., None], 3, 2)
    assert image_on(image, *canvas, fit).shape == (*canvas, 3)


def test_padding_keeps_proportions_and_centres() -> None:
    placed = place(100, 200, 60, 60, "pad")
    assert (placed.height, placed.width, placed.top, placed.left) == (30, 60, 15, 0)
    mask = mask_on(np.zeros((100, 200), np.uint8), 60, 60, "pad")
    assert (mask[:15] == VOID).all()
    assert (mask[15:45] == 0).all()
    assert (mask[45:] == VOID).all()


def test_cropping_covers_and_centres() -> None:
    image = np.zeros((10, 40, 3), np.uint8)
    image[:, 15:25] = 200
    assert (image_on(image, 10, 10, "crop") == 200).all()


def test_image_and_mask_stay_aligned() -> None:
    mask = np.zeros((64, 128), np.uint8)
    mask[20:50, 30:90] = 1
    image = np.repeat(mask[..., None] * 200, 3, 2)
    for fit in ("stretch", "pad", "crop"):
        small, truth = image_on(image, 48, 48, fit)[..., 0], mask_on(mask, 48, 48, fit)
        inside = truth != VOID
        disagree = ((small > 100) != (truth == 1)) & inside
        assert disagree.mean() < 0.05


def test_the_same_size_changes_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    for fit in ("stretch", "pad", "crop"):
        assert (image_on(image, 20, 30, fit) == image).all()


@pytest.mark.parametrize("gamma", [0.5, 1.0, 1.5])
def test_gamma_is_its_formula(gamma: float) -> None:
    image = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    expected = [round(255 * (value / 255) ** gamma) for value in range(256)]
    assert apply_gamma(image, gamma)[..., 0].ravel().tolist() == expected


def test_saturation_ends_at_grey_and_keeps_one() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    assert (saturate(image, 1.0) == image).all()
    grey = saturate(image, 0.0)
    assert (grey[..., 0] == grey[..., 1]).all()
    luma = image @ np.array([0.299, 0.587, 0.114])
    assert np.abs(grey[..., 0] - luma).max() <= 1


@given(
    height=SIDES,
    width=SIDES,
    canvas=st.tuples(SIDES, SIDES),
    fit=st.sampled_from(["stretch", "pad", "crop"]),
)
@settings(max_examples=100, deadline=None)
def test_what_is_covered_is_what_is_not_padding(
    height: int, width: int, canvas: tuple[int, int], fit: str
) -> None:
    inside = np.zeros(canvas, bool)
    inside[covered(height, width, *canvas, fit)] = True
    assert (inside == (mask_on(np.zeros((height, width), np.uint8), *canvas, fit) == 0)).all()

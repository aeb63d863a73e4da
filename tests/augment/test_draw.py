import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segpipe.augment.draw import Draws, crop_sides, neutral
from segpipe.params.augment import AugmentParams
from tests.augment.conftest import draw

WIDE = AugmentParams(scale=(0.5, 2.0), flip=0.5, gamma=(0.5, 1.5), saturation=(0.7, 1.1))
SIZES = (40, 60, 32, 48)


def equal(first: Draws, second: Draws) -> bool:
    names = [field.name for field in dataclasses.fields(Draws)]
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in names)


def pick(draws: Draws, places: list[int]) -> Draws:
    names = [field.name for field in dataclasses.fields(Draws)]
    return Draws(**{name: getattr(draws, name)[places] for name in names})


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(8)), st.integers(1, 8))
def test_draws_of_a_sample_do_not_depend_on_its_batch(order, length):
    whole = draw(WIDE, 3, 1, range(8), *SIZES)
    part = order[:length]
    assert equal(draw(WIDE, 3, 1, part, *SIZES), pick(whole, part))


def test_indices_of_any_integer_type_draw_alike():
    expected = draw(WIDE, 0, 0, [5, 9], *SIZES)
    for kind in (np.int64, np.int32, np.uint8):
        assert equal(draw(WIDE, 0, 0, np.array([5, 9], kind), *SIZES), expected)


@pytest.mark.parametrize(("seed", "epoch", "index"), [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_seed_epoch_and_index_each_matter(seed, epoch, index):
    first, other = draw(WIDE, 0, 0, [0], *SIZES), draw(WIDE, seed, epoch, [index], *SIZES)
    assert first.scale_B != other.scale_B and first.gamma_B != other.gamma_B


def test_closing_one_range_leaves_the_other_draws():
    expected = draw(WIDE, 0, 0, range(6), *SIZES)
    found = draw(WIDE.model_copy(update={"gamma": (1.0, 1.0)}), 0, 0, range(6), *SIZES)
    assert (found.gamma_B == 1).all()
    assert equal(dataclasses.replace(found, gamma_B=expected.gamma_B), expected)


def test_distributions():
    draws = draw(WIDE, 0, 0, range(4000), *SIZES)
    logs = np.log2(draws.scale_B)
    assert -1 <= logs.min() < -0.99 and 0.99 < logs.max() <= 1
    for values, low, high in (
        (logs, -1, 1),
        (draws.gamma_B, 0.5, 1.5),
        (draws.saturation_B, 0.7, 1.1),
    ):
        counts = np.histogram(values, 10, (low, high))[0]
        assert counts.sum() == 4000 and abs(counts - 400).max() < 100
    assert abs(draws.flip_B.mean() - 0.5) < 0.04


def test_flip_never_and_always():
    assert not draw(WIDE.model_copy(update={"flip": 0.0}), 0, 0, range(50), *SIZES).flip_B.any()
    assert draw(WIDE.model_copy(update={"flip": 1.0}), 0, 0, range(50), *SIZES).flip_B.all()


@settings(max_examples=40, deadline=None)
@given(st.integers(8, 100), st.integers(8, 100), st.integers(0, 10**9))
def test_the_window_lies_in_the_image_or_holds_it(image_side, crop_side, seed):
    draws = draw(WIDE, seed, 0, range(40), image_side, image_side, crop_side, crop_side)
    for start_B in (draws.top_B, draws.left_B):
        stop_B = start_B + crop_side / draws.scale_B
        fits = crop_side <= image_side * draws.scale_B
        assert (start_B[fits] >= 0).all() and (stop_B[fits] <= image_side + 1e-9).all()
        assert (start_B[~fits] <= 0).all() and (stop_B[~fits] >= image_side - 1e-9).all()
        steps_B = start_B * draws.scale_B
        np.testing.assert_allclose(steps_B, steps_B.round(), atol=1e-9)


def test_every_place_is_as_likely():
    plain = AugmentParams(scale=(1.0, 1.0))
    draws = draw(plain, 0, 0, range(3000), 12, 20, 8, 24)
    assert np.unique(draws.top_B).tolist() == [0, 1, 2, 3, 4]
    assert np.unique(draws.left_B).tolist() == [-4, -3, -2, -1, 0]
    assert abs(np.bincount(draws.top_B.astype(int)) - 600).max() < 100


def test_closed_ranges_give_neutral_draws():
    closed = AugmentParams(scale=(1.0, 1.0), flip=0.0, gamma=(1.0, 1.0), saturation=(1.0, 1.0))
    found = draw(closed, 0, 0, range(3), 40, 60, 40, 60)
    seeds = neutral(3).noise_seed_B  # which are drawn all the same, and used by nothing
    assert equal(dataclasses.replace(found, noise_seed_B=seeds), neutral(3))


def test_noise_and_blur_are_uniform_and_move_no_other_draw():
    """The golden numbers of test_draw_specs.py are those of the versions before there was either."""
    expected = draw(WIDE, 0, 0, range(4000), *SIZES)
    assert not expected.noise_B.any() and not expected.blur_B.any()
    rough = WIDE.model_copy(update={"noise": (2.0, 12.0), "blur": (0.5, 1.5)})
    draws = draw(rough, 0, 0, range(4000), *SIZES)
    still = {"noise_B": expected.noise_B, "blur_B": expected.blur_B}
    assert equal(dataclasses.replace(draws, **still), expected)
    for values, low, high in ((draws.noise_B, 2.0, 12.0), (draws.blur_B, 0.5, 1.5)):
        counts = np.histogram(values, 10, (low, high))[0]
        assert counts.sum() == 4000 and abs(counts - 400).max() < 100
    assert len(set(draws.noise_seed_B.tolist())) == 4000


def test_no_samples_no_draws():
    assert draw(WIDE, 0, 0, [], *SIZES).scale_B.shape == (0,)


def test_null_means_the_side_of_the_image():
    assert crop_sides(AugmentParams(crop_height=None, crop_width=None), 40, 60) == (40, 60)
    assert crop_sides(AugmentParams(crop_height=16, crop_width=None), 40, 60) == (16, 60)

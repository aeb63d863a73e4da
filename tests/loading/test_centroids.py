"""The table of class centroids, against a loop over squares, classes and pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segpipe.labels.scheme import VOID
from segpipe.loading import centroids
from segpipe.loading.centroids import Centroids, find_centroids, mask_centroids
from segpipe.runtime.errors import DataError


def by_hand(mask: np.ndarray, classes: int, cell: int) -> list[tuple[int, int, int]]:
    """Class, y and x: in each square, of each class, the pixel nearest to the mean of its pixels."""
    found = []
    for top in range(0, mask.shape[0], cell):
        for left in range(0, mask.shape[1], cell):
            square = mask[top : top + cell, left : left + cell]
            for k in range(classes):
                pixels = [
                    (top + y, left + x) for y, x in zip(*np.nonzero(square == k), strict=True)
                ]
                if pixels:
                    mean_y = sum(y for y, _ in pixels) / len(pixels)
                    mean_x = sum(x for _, x in pixels) / len(pixels)
                    # min() keeps the first of equals, and pixels come row by row.
                    near = min(pixels, key=lambda at: (at[0] - mean_y) ** 2 + (at[1] - mean_x) ** 2)
                    found.append((k, int(near[0]), int(near[1])))
    return found


def random_mask(seed: int, height: int, width: int, pieces: int) -> np.ndarray:
    """Rectangles of classes 0 to 3, some of them void, over a ground of class 0 or void."""
    random = np.random.default_rng(seed)
    mask = np.full((height, width), random.choice([0, VOID]), np.uint8)
    for _ in range(pieces):
        y, x = random.integers(0, height), random.integers(0, width)
        tall, wide = random.integers(1, height + 1), random.integers(1, width + 1)
        mask[y : y + tall, x : x + wide] = random.choice([0, 1, 2, 3, VOID])
    return mask


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 20), st.integers(1, 25), st.integers(1, 30))
def test_they_are_those_of_a_loop_over_pixels(seed: int, height: int, width: int, cell: int):
    mask = random_mask(seed, height, width, seed % 7)
    found = list(zip(*(values.tolist() for values in mask_centroids(mask, 4, cell)), strict=True))
    assert found == by_hand(mask, 4, cell)
    assert all(mask[y, x] == k for k, y, x in found)


def test_noise_without_pieces_is_dealt_with_too():
    mask = np.random.default_rng(0).integers(0, 5, (23, 31)).astype(np.uint8)
    found = list(zip(*(values.tolist() for values in mask_centroids(mask, 5, 7)), strict=True))
    assert found == by_hand(mask, 5, 7)
    assert len(found) > 80


def test_between_two_poles_the_mean_is_no_pole():
    mask = np.zeros((3, 9), np.uint8)
    mask[:, [1, 7]] = 1
    assert [values.tolist() for values in mask_centroids(mask, 2, 16)] == [[0, 1], [1, 1], [4, 1]]


def test_void_and_absent_classes_have_none():
    masks = [np.full((6, 8), VOID, np.uint8) for _ in range(3)]
    masks[2][4, 5] = 2
    found = find_centroids(masks, 4, 8)
    assert (found.found_K, found.present) == ([0, 0, 1, 0], [2])
    assert found.points_K[2].tolist() == [(2, 4, 5)]
    with pytest.raises(DataError, match="no training pixel shows any class"):
        find_centroids(masks[:2], 4, 8)


@pytest.mark.parametrize(("cell", "squares"), [(50, 6), (99, 6), (100, 2), (8, 6)])
def test_a_square_is_of_whole_truth_pixels_at_least_one(cell: int, squares: int):
    masks = np.zeros((1, 2, 3), np.uint8)
    assert find_centroids(masks, 1, cell, ratio=50).found_K == [squares]


def table(found: Centroids) -> list[list[tuple[int, int, int]]]:
    return [points.tolist() for points in found.points_K]


def test_the_table_has_every_mask_in_order(monkeypatch: pytest.MonkeyPatch):
    masks = np.stack([random_mask(seed, 12, 17, 5) for seed in range(40)])
    whole = find_centroids(masks, 4, 5)
    for k in range(4):
        expected = [
            (row, y, x) for row, m in enumerate(masks) for j, y, x in by_hand(m, 4, 5) if j == k
        ]
        assert table(whole)[k] == expected
        assert whole.found_K[k] == len(expected) > 40
    monkeypatch.setattr(centroids, "_MASKS_AT_ONCE", 7)
    assert table(find_centroids(iter(masks), 4, 5)) == table(whole)


def test_past_the_limit_chance_keeps_as_many_from_everywhere(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(centroids, "_MOST", 400)
    monkeypatch.setattr(centroids, "_MASKS_AT_ONCE", 32)
    masks = np.zeros((1000, 2, 2), np.uint8)
    masks[::100, 0, 0] = 1
    found = find_centroids(masks, 2, 1)
    assert found.found_K == [4 * 1000 - 10, 10]
    assert [len(points) for points in found.points_K] == [400, 10]
    kept = found.points_K[0]
    assert len(set(kept.tolist())) == 400, "none is kept twice"
    # Uniform over 1000 rows: the mean has a standard error of 289 / 20.
    assert abs(kept["row"].mean() - 499.5) < 4 * 289 / 20
    assert np.histogram(kept["row"], 4, (0, 1000))[0].min() > 65
    assert table(find_centroids(masks, 2, 1)) == table(found)


def test_each_point_is_as_likely_to_be_kept(monkeypatch: pytest.MonkeyPatch):
    """Of each of 200 classes three points, in the rows 0, 1 and 2, of which two are kept."""
    monkeypatch.setattr(centroids, "_MOST", 2)
    masks = np.tile(np.arange(200, dtype=np.uint8).reshape(1, 10, 20), (3, 1, 1))
    points = find_centroids(masks, 200, 1).points_K
    assert all(len(set(of_one["row"].tolist())) == 2 for of_one in points)
    kept = np.bincount(np.concatenate([of_one["row"] for of_one in points]), minlength=3)
    # Each with probability 2/3, so 133 of 200 with a standard deviation of 6.7.
    assert abs(kept - 400 / 3).max() < 22

import math

import numpy as np
import pytest

from segpipe.metrics.boundaries import boundary_counts, boundary_distance, boundary_f

VOID = 255


def labels(seed: int, classes: int = 4, void: bool = False) -> np.ndarray:
    """Blocks of classes, so that there are outlines and insides."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, classes, (5, 6)).astype(np.uint8)
    if void:
        small[rng.random(small.shape) < 0.2] = VOID
    return small.repeat(4, 0).repeat(3, 1)


def near_own_outline(values: np.ndarray, distance: int) -> np.ndarray:
    """Brute force: another class, or the outside of the image, in the square neighbourhood."""
    height, width = values.shape
    near = np.zeros(values.shape, bool)
    for y in range(height):
        for x in range(width):
            if values[y, x] == VOID:
                continue
            for j in range(y - distance, y + distance + 1):
                for i in range(x - distance, x + distance + 1):
                    outside = not (0 <= j < height and 0 <= i < width)
                    if outside or values[j, i] not in (values[y, x], VOID):
                        near[y, x] = True
    return near


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("distance", [1, 2, 5])
def test_counts_are_those_of_a_loop(seed: int, distance: int) -> None:
    truth, guess = labels(seed, void=True), labels(seed + 10)
    found = boundary_counts(guess, truth, 4, distance)
    guess = np.where(truth == VOID, VOID, guess)
    near_truth, near_guess = near_own_outline(truth, distance), near_own_outline(guess, distance)
    for k in range(4):
        true, predicted = near_truth & (truth == k), near_guess & (guess == k)
        assert found.truth_K[k] == true.sum()
        assert found.predicted_K[k] == predicted.sum()
        assert found.both_K[k] == (true & predicted).sum()


def outline(values: np.ndarray, k: int) -> list[tuple[int, int]]:
    height, width = values.shape
    return [
        (y, x)
        for y in range(height)
        for x in range(width)
        if values[y, x] == k
        and any(
            values[j, i] not in (k, VOID)
            for j in range(max(0, y - 1), min(height, y + 2))
            for i in range(max(0, x - 1), min(width, x + 2))
        )
    ]


def share_near(points: list, others: list, distance: int) -> float:
    hits = [min((math.dist(p, o) for o in others), default=math.inf) <= distance for p in points]
    return sum(hits) / len(hits) if hits else 0.0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("distance", [1, 2, 5])
def test_f_is_that_of_a_loop(seed: int, distance: int) -> None:
    truth, guess = labels(seed, void=True), labels(seed + 10, classes=3)
    found = boundary_f(guess, truth, 5, distance)
    guess = np.where(truth == VOID, VOID, guess)
    for k in range(5):
        true, predicted = outline(truth, k), outline(guess, k)
        if not true:
            assert math.isnan(found[k])
            continue
        precision = share_near(predicted, true, distance)
        recall = share_near(true, predicted, distance)
        both = precision + recall
        assert found[k] == pytest.approx(2 * precision * recall / both if both else 0.0)
    assert found[3] == 0 or math.isnan(found[3]), "a class without prediction"


def test_hand_case_of_2x4_pixels() -> None:
    truth = np.array([[0, 0, 1, 1], [0, 0, 1, 1]], np.uint8)
    guess = np.array([[0, 0, 0, 1], [0, 0, 0, 1]], np.uint8)
    counts = boundary_counts(guess, truth, 2, 1)
    # In so small an image every pixel lies at the edge: the counts are those of IoU.
    assert counts.truth_K.tolist() == [4, 4]
    assert counts.predicted_K.tolist() == [6, 2]
    assert counts.both_K.tolist() == [4, 2]
    # The outline of class 0 moves from column 1 to 2, that of class 1 from 2 to 3.
    assert boundary_f(guess, truth, 2, 1).tolist() == [1, 1]
    assert boundary_f(truth, truth, 2, 1).tolist() == [1, 1]


def test_outlines_two_pixels_apart_do_not_meet_within_one() -> None:
    truth = np.zeros((6, 12), np.uint8)
    guess = truth.copy()
    truth[:, 6:] = guess[:, 8:] = 1
    assert boundary_f(guess, truth, 2, 1).tolist() == [0, 0]
    assert boundary_f(guess, truth, 2, 2).tolist() == [1, 1]


def test_a_border_with_void_is_no_outline() -> None:
    truth = np.zeros((5, 9), np.uint8)
    truth[:, 4:] = VOID
    guess = np.zeros_like(truth)
    guess[:, 6:] = 1  # only where the truth is void
    assert np.isnan(boundary_f(guess, truth, 2, 1)).all()
    counts = boundary_counts(guess, truth, 2, 1)
    assert counts.truth_K.tolist() == counts.both_K.tolist() == [11, 0]
    assert counts.predicted_K.tolist() == [11, 0]


def test_distance_is_a_share_of_the_diagonal() -> None:
    assert boundary_distance(1024, 2048, 0.02) == 46
    assert boundary_distance(3, 4, 0.02) == 1

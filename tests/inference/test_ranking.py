"""The order of images for annotation, by hand-made cases (ranking.py)."""

import numpy as np
import pytest

from segpipe.inference.ranking import descriptor, rank


def flat(value: int) -> np.ndarray:
    return np.full((20, 30, 3), value, np.uint8)


def labels(*values: int) -> np.ndarray:
    return np.array(values, np.uint8)[None]


def test_distances_of_descriptors_are_those_of_the_formula() -> None:
    """Black of one class against white of another is 1; each half alone sqrt(1/2)."""
    one = descriptor(flat(0), labels(0, 0), 3)
    assert np.linalg.norm(one - descriptor(flat(255), labels(1, 1), 3)) == pytest.approx(1)
    for other in (descriptor(flat(255), labels(0), 3), descriptor(flat(0), labels(2), 3)):
        assert np.linalg.norm(one - other) == pytest.approx(np.sqrt(1 / 2))
    half = descriptor(flat(0), labels(0, 1, 255), 3)  # void is of no class
    hellinger_squared = ((1 - np.sqrt(1 / 2)) ** 2 + 1 / 2) / 2
    assert np.linalg.norm(one - half) == pytest.approx(np.sqrt(hellinger_squared / 2))
    assert np.linalg.norm(one - descriptor(flat(0), labels(255), 3)) <= 1


def test_the_uncertain_come_before_the_certain() -> None:
    points = np.eye(4, dtype=np.float32)
    found = rank(np.array([0.1, 1.0, 0.0, 0.5]), points, 4)
    assert [one.place for one in found] == [1, 3, 0, 2]
    assert found[0].distance == 1


def test_of_two_identical_images_one_comes_last() -> None:
    points = np.array([[0.0], [0.0], [0.4], [0.8]], np.float32)
    found = rank(np.array([0.9, 0.9, 0.2, 0.2]), points, 4)
    assert [one.place for one in found] == [0, 3, 2, 1]
    assert [one.distance for one in found] == pytest.approx([1, 0.8, 0.4, 0])


def test_with_equal_uncertainty_it_is_the_greedy_k_centre() -> None:
    random = np.random.default_rng(0)
    points = random.random((40, 5)).astype(np.float32) / 5
    found = [one.place for one in rank(np.full(40, 0.5), points, 10)]
    centres = [0]
    while len(centres) < 10:
        nearest = [min(np.linalg.norm(p - points[c]) for c in centres) for p in points]
        centres.append(int(np.argmax(nearest)))
    assert found == centres


def test_no_image_comes_twice_and_no_more_than_there_are() -> None:
    found = rank(np.zeros(3), np.zeros((3, 2), np.float32), 5)
    assert [one.place for one in found] == [0, 1, 2]

"""Weights of classes against hand-made numbers and the formulas of the papers."""

from fractions import Fraction
from math import log

import numpy as np
import pytest
from numpy.typing import NDArray

from segpipe.labels.class_weights import KINDS, ClassWeightKind, class_weights
from segpipe.runtime.errors import DataError, ParameterError

PIXELS = np.array([600, 300, 100, 0])
PRESENT = np.array([1000, 1000, 250, 0])


def counted(*numbers: int) -> NDArray[np.int64]:
    return np.array(numbers, np.int64)


@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_over_the_pixels_is_one_and_an_absent_class_weighs_nothing(
    kind: ClassWeightKind,
) -> None:
    weights = class_weights(kind, PIXELS, PRESENT)
    assert weights @ PIXELS / PIXELS.sum() == pytest.approx(1, rel=1e-12)
    assert weights[3] == 0
    assert (weights[:3] > 0).all()
    # The rarer, the heavier, where all classes are in all images.
    everywhere = class_weights(kind, PIXELS, np.full(4, 1000))
    assert everywhere[0] < everywhere[1] < everywhere[2]


def test_inverse_frequency_gives_every_class_the_same_say() -> None:
    np.testing.assert_allclose(
        class_weights("inverse", PIXELS, PRESENT), [1000 / 1800, 1000 / 900, 1000 / 300, 0]
    )


def test_median_frequency_counts_only_images_that_hold_the_class() -> None:
    # Frequencies 0.6, 0.3 and 0.4 (where present); their median is 0.4.
    raw = np.array([0.4 / 0.6, 0.4 / 0.3, 1.0, 0.0])
    expected = raw * 1000 / (raw[0] * 600 + raw[1] * 300 + raw[2] * 100)
    weights = class_weights("median", counted(600, 300, 100, 0), counted(1000, 1000, 250, 0))
    np.testing.assert_allclose(weights, expected)
    # A class that is rare, but fills the few images it is in, is not heavy.
    assert class_weights("median", counted(900, 100), counted(1000, 100))[1] < 1.01


def test_enet_is_the_logarithm_of_the_paper() -> None:
    raw = np.array([1 / log(1.02 + share) for share in (0.6, 0.3, 0.1)])
    weights = class_weights("enet", PIXELS, PRESENT)[:3]
    np.testing.assert_allclose(weights / weights[0], raw / raw[0], rtol=1e-12)
    # Bounded, however rare the class: 1 / ln 1.02 against 1 / ln 2.02.
    rare = class_weights("enet", counted(10**9, 1), counted(10**9 + 1, 10**9 + 1))
    assert rare[1] / rare[0] == pytest.approx(log(2.02) / log(1.02), rel=1e-6)


def test_effective_number_is_exact_where_floats_would_cancel() -> None:
    counts = (3, 5, 8)
    total = sum(counts)
    b = Fraction(total - 1, total)
    raw = [float((1 - b) / (1 - b**count)) for count in counts]
    weights = class_weights("effective", counted(*counts), counted(total, total, total))
    np.testing.assert_allclose(weights / weights[0], np.array(raw) / raw[0], rtol=1e-12)
    # With ten thousand million pixels b is 1 in single precision; a pixel still weighs 1 / 1.
    many = class_weights("effective", counted(10**10 - 1, 1), counted(10**10, 10**10))
    assert many[1] / many[0] == pytest.approx(10**10 * (1 - np.exp(-1)), rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_classes_weigh_the_same(kind: ClassWeightKind) -> None:
    np.testing.assert_allclose(class_weights(kind, counted(7, 7, 7), counted(21, 21, 21)), 1)
    assert class_weights(kind, counted(1), counted(1)).tolist() == [1.0]


def test_what_cannot_be_weighted_is_refused() -> None:
    with pytest.raises(DataError, match="no training pixel"):
        class_weights("inverse", counted(0, 0), counted(0, 0))
    with pytest.raises(ParameterError, match="inverse, median, enet, effective"):
        class_weights("rare", counted(1), counted(1))  # type: ignore[arg-type]
    for pixels, present in (((-1, 2), (5, 5)), ((3, 2), (2, 5)), ((1, 2), (5,))):
        with pytest.raises(ValueError, match=r"pixels|shapes"):
            class_weights("inverse", counted(*pixels), counted(*present))

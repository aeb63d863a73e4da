"""The list of measures: counts of parts add up to those of the whole, and no score is said twice."""

import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from segpipe.evaluation.counts import EvaluationCounts
from segpipe.evaluation.measure import ScoredImage
from segpipe.evaluation.measures.truth_pixels import TruthPixels
from segpipe.metrics.jackknife import LEAST_UNITS
from segpipe.raw.sample import Sample
from segpipe.results.evaluation_tables import GroupRow
from tests.evaluation.images import scored_image

CLASSES = ("rest", "sky")


def images() -> list[tuple[ScoredImage, Tensor]]:
    """Windows of three files with random counts and logits, one without a valid pixel."""
    random, found = np.random.default_rng(3), []
    for number in range(9):
        counts_KK = random.integers(0, 40, (2, 2)) * (number != 5)
        image = scored_image(f"w{number}", counts_KK, file=f"raster{number % 3}.tif")
        logits_1hw = torch.from_numpy(random.normal(size=(1, *image.truth_hw.shape)))
        found.append((image, logits_1hw.float()))
    return found


def counted(part: Sequence[tuple[ScoredImage, Tensor]], withheld: list[str]) -> EvaluationCounts:
    counts = EvaluationCounts.of(CLASSES, True)
    counts.withheld += withheld
    for image, logits_1hw in part:
        counts.update(image)
        counts.update_logits(image, logits_1hw)
    return counts


def test_counts_of_parts_add_up_to_those_of_the_whole() -> None:
    whole = counted(images(), ["a", "b"])
    merged, *others = (
        counted(part, withheld)
        for part, withheld in (
            (images()[:4], ["a"]),
            ([], []),
            (images()[4:], ["b"]),
        )
    )
    for other in others:
        merged.merge(other)
    assert merged.summary() == whole.summary()
    assert merged.withheld == whole.withheld
    scores = whole.summary().scores
    assert scores["protocol"] == {
        "pixels": sum(int((image.truth_hw != 255).sum()) for image, _ in images()),
        "interval": f"none: 3 image files with truth; at least {LEAST_UNITS} are needed",
        "images": 9,
        "void_pixels": 9,
        "image_sizes": scores["protocol"]["image_sizes"],
        "groups": 3,
    }
    assert 0 < scores["foreground"]["average_precision"] < 1


def test_two_images_of_2x4_pixels_by_hand() -> None:
    """What has no hand case of its own: means by image, groups, foreground, calibration by image."""
    counts = EvaluationCounts.of(CLASSES, True, probabilities=True)
    truths = [[[0, 0, 0, 1], [0, 0, 1, 255]], [[1, 1, 1, 1], [1, 1, 1, 1]]]
    guesses = [[[0, 0, 1, 1], [0, 0, 0, 1]], [[1, 1, 1, 1], [1, 1, 0, 0]]]
    for name, truth, guess in zip("ab", truths, guesses, strict=True):
        truth_hw, guess_hw = np.array(truth, np.uint8), np.array(guess, np.uint8)
        sample = Sample(name, "ulm", f"{name}.png", "m.png")
        image = ScoredImage(sample, truth_hw, guess_hw, np.ones((2, 4), np.bool_), 2)
        counts.update(image)
        # The predicted class has a probability of 0.8005, the middle of a thousandth.
        logit = np.log(0.8005 / 0.1995)
        logits_1hw = torch.from_numpy(np.where(guess_hw == 1, logit, -logit))[None].float()
        counts.update_logits(image, logits_1hw)
    found = counts.summary()
    # a: rest 4 of 6, sky 1 of 3; b: rest 0 of 2, predicted alone, sky 6 of 8.
    by_image, sky = found.scores["by_image"], found.scores["foreground"]
    assert by_image["miou"] == pytest.approx(((4 / 6 + 1 / 3) / 2 + 6 / 8) / 2)
    assert by_image["class_miou"] == pytest.approx((4 / 6 + (1 / 3 + 6 / 8) / 2) / 2, abs=1e-6)
    assert by_image["miou_worst_25"] == pytest.approx((4 / 6 + 1 / 3) / 2)
    assert sky["iou"] == pytest.approx(7 / 11, abs=1e-6)
    assert sky["by_image"]["iou"] == pytest.approx((1 / 3 + 6 / 8) / 2, abs=1e-6)
    [group] = found.tables[GroupRow]
    assert isinstance(group, GroupRow) and group.class_iou is not None
    assert (group.group, group.images, group.pixels) == ("ulm", 2, 15)
    assert group.class_iou == [0.5, round(7 / 11, 6)]
    assert group.miou == pytest.approx((4 / 8 + 7 / 11) / 2, abs=1e-6)
    # 5 of 7 and 6 of 8 pixels are right.
    errors = found.image_columns["calibration_error"]
    assert errors == {"a": round(0.8005 - 5 / 7, 6), "b": round(0.8005 - 6 / 8, 6)}
    together = round(0.8005 - 11 / 15, 6)
    assert found.group_columns["calibration_error"] == {"ulm": together}
    assert found.scores["probabilities"]["calibration_error"] == together
    assert found.scores["protocol"]["void_pixels"] == 1


@pytest.mark.slow
def test_memory_grows_by_some_numbers_of_each_class_and_no_matrix_of_them() -> None:
    classes, random = [f"class {k}" for k in range(150)], np.random.default_rng(0)
    counts = EvaluationCounts.of(classes, False, boundaries=[2.0], temporal=True)

    def count(number: int) -> None:
        labels_3hw = random.integers(0, 150, (3, 16, 16)).astype(np.uint8)
        stem = f"val/a/a_000000_{number:06d}_leftImg8bit.png"
        sample = Sample(f"{number}", "a", stem, "m.png", (stem,))
        truth, guess, moved = labels_3hw
        mask = np.ones(truth.shape, np.bool_)
        counts.update(ScoredImage(sample, truth, guess, mask, 150, moved_hw=moved))

    tracemalloc.start()
    try:
        count(0)
        before = tracemalloc.get_traced_memory()[0]
        for number in range(1, 101):
            count(number)
        grown = (tracemalloc.get_traced_memory()[0] - before) / 100
    finally:
        tracemalloc.stop()
    assert 150 * 3 * 8 < grown < 20_000 < 150 * 151 * 8


def test_a_score_of_two_measures_is_refused() -> None:
    counts = EvaluationCounts([TruthPixels(), TruthPixels()], [])
    with pytest.raises(ValueError, match="two measures have the score images"):
        counts.summary()

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from segpipe.metrics.class_probabilities import (
    auroc,
    bin_counts,
    calibration_error,
    class_errors,
    class_probabilities,
    count_by_class,
    count_confidence,
    reliability,
)
from segpipe.metrics.precision_recall import average_precision


def scene(seed: int, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits that know something of the truth, and a truth with void and without the last class."""
    rng = torch.Generator().manual_seed(seed)
    truth = torch.randint(0, classes - 1, (60, 70), generator=rng)
    logits = torch.randn(classes, 60, 70, generator=rng)
    logits.scatter_add_(0, truth[None], torch.full((1, 60, 70), 1.5))
    truth[torch.rand(60, 70, generator=rng) < 0.1] = 255
    return logits, truth


def test_ranking_scores_are_those_of_scikit_learn_within_the_bound() -> None:
    logits, truth = scene(0)
    chances = class_probabilities(logits)
    counts = count_by_class(chances, truth).numpy()
    valid = truth != 255
    assert (counts.sum((1, 2)) == int(valid.sum())).all()
    for k in range(3):
        own, chance = (truth[valid] == k).numpy(), chances[k][valid].numpy()
        found, bound = auroc(counts[k])
        assert 0 < bound < 0.001
        assert abs(found - roc_auc_score(own, chance)) <= bound
        assert average_precision(counts[k]) == pytest.approx(
            average_precision_score(own, chance), abs=0.002
        )
    assert all(map(math.isnan, auroc(counts[3]))), "a class without truth"


def test_auroc_counts_ties_half() -> None:
    counts = np.zeros((2, 1000), np.int64)
    counts[0, [100, 500]] = 1
    counts[1, [500, 900]] = 1
    assert auroc(counts) == (3.5 / 4, 0.5 / 4)


def expected_error(chance: np.ndarray, right: np.ndarray) -> float:
    """The formula, bin by bin, over the probabilities themselves."""
    total = 0.0
    for low in np.arange(20) / 20:
        inside = (chance > low) & (chance <= low + 0.05)
        if inside.any():
            total += inside.sum() * abs(right[inside].mean() - chance[inside].mean())
    return total / len(chance)


def test_calibration_errors_are_those_of_a_loop() -> None:
    logits, truth = scene(1)
    chances, valid = class_probabilities(logits), truth != 255
    confidence, guess = chances.max(0)
    right = (guess == truth)[valid].numpy()
    bins = bin_counts(count_confidence(chances, truth).numpy())
    wanted = expected_error(confidence[valid].double().numpy(), right)
    assert calibration_error(bins) == pytest.approx(wanted, abs=0.0005)
    assert wanted > 0.02
    assert reliability(bins).pixels_B.sum() == len(right)
    by_class = [
        expected_error(chances[k][valid].double().numpy(), (truth[valid] == k).numpy())
        for k in range(3)
    ]
    by_class.append(float("nan"))  # the truth has none of the last class
    assert class_errors(count_by_class(chances, truth).numpy()) == pytest.approx(
        by_class, abs=0.0005, nan_ok=True
    )


def test_one_logit_is_two_classes() -> None:
    logits = torch.tensor([[[-2.0, 0.0, 2.0]]])
    chances = class_probabilities(logits)
    assert chances.shape == (2, 1, 3)
    torch.testing.assert_close(chances[1], torch.sigmoid(logits[0]))
    torch.testing.assert_close(chances.sum(0), torch.ones(1, 3))


def test_hand_case_of_2x4_pixels() -> None:
    chance = torch.tensor([[0.9, 0.9, 0.9, 0.9], [0.6, 0.6, 0.6, 0.6]])
    truth = torch.tensor([[1, 1, 1, 0], [1, 0, 1, 255]])
    bins = bin_counts(count_confidence(torch.stack([1 - chance, chance]), truth).numpy())
    found = reliability(bins)
    assert found.pixels_B[17] == 4 and found.pixels_B[11] == 3
    assert found.accuracy_B[17] == 0.75 and found.accuracy_B[11] == pytest.approx(2 / 3)
    expected = (4 * abs(0.75 - 0.9) + 3 * abs(2 / 3 - 0.6)) / 7
    assert calibration_error(bins) == pytest.approx(expected, abs=0.0005)


def test_the_ends_and_nothing_at_all() -> None:
    certain = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    counts = count_by_class(certain, torch.tensor([[0, 0]])).numpy()
    assert counts[0, 1, 999] == 1 and counts[0, 1, 0] == 1
    nothing = count_by_class(certain, torch.full((1, 2), 255)).numpy()
    assert not nothing.any() and np.isnan(class_errors(nothing)).all()
    assert math.isnan(calibration_error(bin_counts(nothing[0])))

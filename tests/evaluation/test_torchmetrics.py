"""Every measure that torchmetrics has too, over several images with void, against its functions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchmetrics.functional import classification as reference

from segpipe.evaluation.counts import EvaluationCounts
from segpipe.evaluation.measure import MeasureSummary, ScoredImage
from segpipe.raw.sample import Sample

CLASSES = ("road", "car", "sky", "tree")
K, VOID = len(CLASSES), 255
EVERY: dict[str, Any] = {"num_classes": K, "ignore_index": VOID}


def images(seed: int, number: int = 6) -> list[tuple[ScoredImage, Tensor]]:
    """Images whose truth leans towards the logits; each class has another share of the pixels."""
    random, found = np.random.default_rng(seed), []
    for place in range(number):
        truth = random.choice(K, (16, 24), p=[0.5, 0.3, 0.15, 0.05]).astype(np.uint8)
        logits = random.normal(size=(K, 16, 24)).astype(np.float32)
        logits += 1.5 * (truth == np.arange(K)[:, None, None])
        truth[random.random(truth.shape) < 0.1] = VOID
        prediction = logits.argmax(0).astype(np.uint8)
        sample = Sample(f"{place}", "group", f"{place}.png", "mask.png")
        mask = np.ones(truth.shape, np.bool_)
        image = ScoredImage(sample, truth, prediction, mask, K)
        found.append((image, torch.from_numpy(logits)))
    return found


def counted(parts: list[tuple[ScoredImage, Tensor]]) -> MeasureSummary:
    counts = EvaluationCounts.of(CLASSES, one_logit=False, probabilities=True)
    for image, logits in parts:
        counts.update(image)
        counts.update_logits(image, logits)
    return counts.summary()


def labels(parts: list[tuple[ScoredImage, Tensor]]) -> tuple[Tensor, Tensor]:
    """Prediction and truth of all pixels of all images."""
    pairs = [(image.prediction_hw.ravel(), image.truth_hw.ravel()) for image, _ in parts]
    prediction, truth = (
        torch.from_numpy(np.concatenate(one)).long() for one in zip(*pairs, strict=True)
    )
    return prediction, truth


def chances(parts: list[tuple[ScoredImage, Tensor]]) -> Tensor:
    return torch.cat([logits.flatten(1).T.softmax(1) for _, logits in parts])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("function", "of_class", "of_split"),
    [
        (
            reference.multiclass_jaccard_index,
            "iou",
            {"macro": "miou", "weighted": "frequency_weighted_iou"},
        ),
        (
            reference.multiclass_f1_score,
            "dice",
            {"macro": "mean_dice", "weighted": "frequency_weighted_dice"},
        ),
        (
            reference.multiclass_precision,
            "precision",
            {"macro": "mean_precision", "weighted": "frequency_weighted_precision"},
        ),
        (reference.multiclass_recall, "accuracy", {"macro": "mean_accuracy"}),
        (
            reference.multiclass_accuracy,
            "accuracy",
            # The accuracy weighted by the pixels of each class is that of all pixels.
            {"macro": "mean_accuracy", "micro": "pixel_accuracy", "weighted": "pixel_accuracy"},
        ),
    ],
)
def test_scores_of_labels(
    seed: int, function: Callable[..., Tensor], of_class: str, of_split: dict[str, str]
) -> None:
    parts = images(seed)
    scores, pair = counted(parts).scores, labels(parts)
    wanted_K = function(*pair, average="none", **EVERY).tolist()
    found_K = [scores["classes"][name][of_class] for name in CLASSES]
    assert found_K == pytest.approx(wanted_K, abs=2e-6)
    for average, name in of_split.items():
        wanted = float(function(*pair, average=average, **EVERY))
        assert scores[name] == pytest.approx(wanted, abs=2e-6), name
        assert 0 < wanted < 1


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("function", "name"),
    [
        (reference.multiclass_auroc, "auroc"),
        (reference.multiclass_average_precision, "average_precision"),
    ],
)
def test_scores_of_ranking_are_off_by_no_more_than_their_bound(
    seed: int, function: Callable[..., Tensor], name: str
) -> None:
    parts = images(seed)
    scores, pair = counted(parts).scores, (chances(parts), labels(parts)[1])
    found, bound = scores["probabilities"], scores["probabilities"][f"{name}_bound"]
    assert 0 < bound < 0.005
    wanted_K = function(*pair, average="none", **EVERY).tolist()
    for k, one in enumerate(CLASSES):
        assert abs(scores["classes"][one][name] - wanted_K[k]) <= bound + 1e-6
    for average, key in (("macro", f"mean_{name}"), ("weighted", f"weighted_{name}")):
        wanted = float(function(*pair, average=average, **EVERY))
        assert abs(found[key] - wanted) <= bound + 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_the_calibration_error_is_off_by_half_a_thousandth_at_most(seed: int) -> None:
    parts = images(seed)
    found = counted(parts).scores["probabilities"]["calibration_error"]
    wanted = float(
        reference.multiclass_calibration_error(chances(parts), labels(parts)[1], n_bins=20, **EVERY)
    )
    assert wanted > 0.01
    assert abs(found - wanted) <= 0.0005


def test_the_confusion_matrix() -> None:
    parts = images(4)
    wanted_KK = reference.multiclass_confusion_matrix(*labels(parts), **EVERY)
    found_KP = sum(image.confusion_KP for image, _ in parts)
    assert (found_KP[:, :K] == wanted_KK.numpy()).all()
    assert not found_KP[:, K].any()

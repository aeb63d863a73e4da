from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from segpipe.evaluation.measure import ScoredImage
from segpipe.evaluation.measures import class_probabilities
from segpipe.evaluation.measures.class_probabilities import ClassProbabilities
from segpipe.raw.sample import Sample
from segpipe.results.evaluation_tables import ReliabilityBin

CLASSES = ("road", "car", "sky")
RANKING = ("mean_auroc", "mean_average_precision")
SCORES = (roc_auc_score, average_precision_score)


def images(classes: int, number: int) -> list[tuple[ScoredImage, torch.Tensor]]:
    """Images with void; sky is in none of them. One logit where `classes` is 1."""
    rng, found = np.random.default_rng(classes), []
    for place in range(number):
        truth = rng.integers(0, 2, (20, 30)).astype(np.uint8)
        logits = torch.from_numpy(rng.normal(size=(classes, 20, 30)).astype(np.float32))
        for k in range(classes):
            logits[k] += torch.from_numpy((truth == (k if classes > 1 else 1)) * 1.5)
        truth[rng.random(truth.shape) < 0.1] = 255
        sample = Sample(f"{place}", "group", f"{place}.png", f"{place}_mask.png")
        image = ScoredImage(sample, truth, truth, np.ones(truth.shape, bool), classes)
        found.append((image, logits))
    return found


def counted(measure: ClassProbabilities, part: list) -> ClassProbabilities:
    for image, logits in part:
        measure.update(image, logits)
    return measure


def test_scores_over_all_images_are_those_of_scikit_learn() -> None:
    parts = images(3, 5)
    found = counted(ClassProbabilities(CLASSES), parts).summary()
    truth = np.concatenate([image.truth_hw.ravel() for image, _ in parts])
    chance = np.concatenate([logits.softmax(0).flatten(1).T.numpy() for _, logits in parts])
    valid, areas, precisions = truth != 255, [], []
    for k, name in enumerate(CLASSES[:2]):
        areas.append(roc_auc_score(truth[valid] == k, chance[valid, k]))
        precisions.append(average_precision_score(truth[valid] == k, chance[valid, k]))
        by_class = found.scores["classes"][name]
        assert by_class["auroc"] == pytest.approx(areas[-1], abs=1e-3)
        assert by_class["average_precision"] == pytest.approx(precisions[-1], abs=2e-3)
    assert found.scores["classes"]["sky"] == dict.fromkeys(
        ("auroc", "average_precision", "calibration_error")
    )
    errors = [found.scores["classes"][name]["calibration_error"] for name in CLASSES[:2]]
    assert found.scores["probabilities"]["classwise_calibration_error"] == pytest.approx(
        np.mean(errors), abs=1e-6
    )
    scores, weights = found.scores["probabilities"], np.bincount(truth[valid], minlength=2)
    for name, each in (("auroc", areas), ("average_precision", precisions)):
        assert scores[f"mean_{name}"] == pytest.approx(np.mean(each), abs=2e-3)
        wanted = np.average(each, weights=weights)
        assert scores[f"weighted_{name}"] == pytest.approx(wanted, abs=2e-3)
    assert abs(scores["mean_auroc"] - np.mean(areas)) <= scores["auroc_bound"] < 1e-3
    bins = found.tables[ReliabilityBin]
    assert sum(row.pixels for row in bins) == valid.sum()
    gaps = [row.pixels * abs(row.accuracy - row.confidence) for row in bins if row.pixels]
    assert scores["calibration_error"] == pytest.approx(sum(gaps) / valid.sum(), abs=1e-5)


def test_calibration_is_measured_on_images_that_the_temperature_was_not_fitted_on() -> None:
    parts = images(3, 6)
    fitted = {"1.png", "4.png"}
    whole = counted(ClassProbabilities(CLASSES, 2.5, fitted), parts)
    found, protocol = whole.summary().scores["probabilities"], whole.summary().scores["protocol"]
    others = [part for part in parts if part[0].sample.image not in fitted]
    cooled = [(image, logits / 2.5) for image, logits in others]
    for key, alone in (("calibration_error", cooled), ("uncalibrated_error", others)):
        scores = counted(ClassProbabilities(CLASSES), alone).summary().scores
        assert found[key] == scores["probabilities"]["calibration_error"]
        assert "uncalibrated_error" not in scores["probabilities"]
        assert scores["protocol"]["calibration"].endswith("errors on all 4 images")
    scores = counted(ClassProbabilities(CLASSES), cooled).summary().scores["probabilities"]
    assert found["classwise_calibration_error"] == scores["classwise_calibration_error"]
    everything = [(image, logits / 2.5) for image, logits in parts]
    scores = counted(ClassProbabilities(CLASSES), everything).summary().scores["probabilities"]
    assert found["mean_auroc"] == scores["mean_auroc"], "the ranking is that of all images"
    assert protocol == {
        "temperature": 2.5,
        "calibration": "temperature fitted on 2 validation images; errors, before and after, on the "
        "4 others of 6 images",
    }
    first = counted(ClassProbabilities(CLASSES, 2.5, fitted), parts[:2])
    first.merge(counted(ClassProbabilities(CLASSES, 2.5, fitted), parts[2:]))
    assert first.summary() == whole.summary()
    nothing = counted(ClassProbabilities(CLASSES, 2.5, fitted), [parts[1], parts[4]]).summary()
    assert nothing.scores["probabilities"]["calibration_error"] is None
    assert nothing.scores["probabilities"]["mean_auroc"] is not None


def test_images_and_groups_have_the_calibration_error_of_their_own() -> None:
    parts = by_drive(6)
    # 0 and 3 are the whole of the first drive, 1 is half of the second.
    fitted = {"0.png", "3.png", "1.png"}
    found = counted(ClassProbabilities(CLASSES, 2.5, fitted), parts).summary()

    def alone(*places: int) -> float:
        part = [(parts[place][0], parts[place][1] / 2.5) for place in places]
        scores = counted(ClassProbabilities(CLASSES), part).summary().scores["probabilities"]
        assert scores["calibration_error"] > 0.01
        return float(scores["calibration_error"])

    assert found.image_columns["calibration_error"] == (
        {"0": None, "1": None, "3": None} | {str(place): alone(place) for place in (2, 4, 5)}
    )
    assert found.group_columns["calibration_error"] == (
        {"drive0": None, "drive1": alone(4), "drive2": alone(2, 5)}
    )


def by_drive(number: int) -> list[tuple[ScoredImage, torch.Tensor]]:
    """Images of three drives, in turn."""
    return [
        (replace(image, sample=replace(image.sample, group=f"drive{place % 3}")), logits)
        for place, (image, logits) in enumerate(images(3, number))
    ]


def test_images_and_groups_have_the_ranking_of_scikit_learn() -> None:
    parts = by_drive(5)
    parts[4][0].truth_hw[:] = 1  # one class alone: nothing to tell it apart from
    found = counted(ClassProbabilities(CLASSES, 1.0, {"3.png"}), parts).summary()

    def alone(*places: int) -> tuple[float, float]:
        """Of road and car; sky is in none of them."""
        truth = np.concatenate([parts[place][0].truth_hw.ravel() for place in places])
        chance = np.concatenate(
            [parts[place][1].softmax(0).flatten(1).T.numpy() for place in places]
        )
        own, valid = [truth == k for k in (0, 1)], truth != 255
        pairs = [(score(own[k][valid], chance[valid, k])) for score in SCORES for k in (0, 1)]
        return float(np.mean(pairs[:2])), float(np.mean(pairs[2:]))

    for place in (0, 1, 2, 3):
        row = [found.image_columns[column][str(place)] for column in RANKING]
        assert row == pytest.approx(alone(place), abs=2e-3)
    assert found.image_columns["mean_auroc"]["4"] is None
    assert found.image_columns["mean_average_precision"]["4"] == 1.0
    for group, places in (("drive0", (0, 3)), ("drive1", (1, 4)), ("drive2", (2,))):
        row = [found.group_columns[column][group] for column in RANKING]
        assert row == pytest.approx(alone(*places), abs=2e-3)


def test_too_many_groups_for_memory_have_no_ranking(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = by_drive(6)
    monkeypatch.setattr(class_probabilities, "_MOST_BYTES_OF_GROUPS", 2 * 3 * 2 * 1000 * 8)
    two = counted(ClassProbabilities(CLASSES), [parts[0], parts[1], parts[3]])
    assert len(two.summary().group_columns["mean_auroc"]) == 2
    three = counted(ClassProbabilities(CLASSES), parts).summary()
    assert set(three.group_columns) == {"calibration_error"}
    assert len(three.image_columns["mean_auroc"]) == 6
    two.merge(counted(ClassProbabilities(CLASSES), parts[2:3]))
    assert set(two.summary().group_columns) == {"calibration_error"}, "whoever has counted them"


def test_strips_of_an_image_add_up_to_the_whole() -> None:
    whole, strips = ClassProbabilities(CLASSES), ClassProbabilities(CLASSES)
    for image, logits in images(3, 2):
        whole.update(image, logits)
        for rows in (slice(0, 7), slice(7, None)):
            truth = image.truth_hw[rows]
            strip = replace(image, truth_hw=truth, prediction_hw=truth)
            strips.update(strip, logits[:, rows])
    assert strips.summary() == whole.summary()


def test_the_protocol_says_where_the_temperature_was_fitted_on_other_views() -> None:
    said = {}
    for fitted_on in ((), ("0.png",)):
        for same in (True, False):
            measure = ClassProbabilities(CLASSES, 2.5, fitted_on, fitted_views=same)
            protocol = counted(measure, images(3, 2)).summary().scores["protocol"]
            said[len(fitted_on), same] = protocol["calibration"]
    assert "other views" in said[1, False]
    assert said[1, False].startswith(said[1, True])
    assert said[0, False] == said[0, True], "no temperature, nothing to say"


def test_one_logit_scores_two_classes() -> None:
    parts = images(1, 3)
    found = counted(ClassProbabilities(CLASSES[:2]), parts).summary().scores
    truth = np.concatenate([image.truth_hw.ravel() for image, _ in parts])
    logit = np.concatenate([logits.flatten().numpy() for _, logits in parts])
    wanted = roc_auc_score(truth[truth != 255], logit[truth != 255])
    for name in CLASSES[:2]:
        assert found["classes"][name]["auroc"] == pytest.approx(wanted, abs=1e-3)


def test_parts_add_up_and_nothing_has_no_score() -> None:
    parts = images(3, 4)
    first = counted(ClassProbabilities(CLASSES), parts[:1])
    first.merge(counted(ClassProbabilities(CLASSES), parts[1:]))
    assert first.summary() == counted(ClassProbabilities(CLASSES), parts).summary()
    nothing = ClassProbabilities(CLASSES).summary().scores["probabilities"]
    assert set(nothing.values()) == {None}
